"""Use a saved classifier together with its images, its runs, its decoders and its measures."""

import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from cladec.data.arrays import drawn_rows
from cladec.data.dataset import Dataset
from cladec.data.pixel_ranges import OWN
from cladec.errors import InputError
from cladec.experiments import results
from cladec.experiments.records import saved_runs
from cladec.experiments.runs import Run
from cladec.experiments.saved_decoders import SavedDecoders
from cladec.experiments.saved_network import SavedNetwork
from cladec.explainers import choose_units, explain, find_explainer
from cladec.metrics import lost_information
from cladec.models import batches
from cladec.models.cutting import path_in_copy
from cladec.models.fitting import codes_of
from cladec.progress import OnProgress
from cladec.storage import model_files

IMAGES_THAT_TELL = 1000
"""The number of training images that decide which units of a layer are important."""

BACKGROUNDS = 50
"""The number of training images that SHAP and Anchors use for comparison."""


class SavedClassifier(SavedDecoders, SavedNetwork):
    """A saved classifier with its images and decoders, which are loaded when they are used.

    Args:
        runs: the run of the classifier and those of its decoders, as `train_missing` returns them.
        models: the folder with their models.
        measures: the tidy table of the measures of these models, as `evaluate` returns it; without
            it, the measures that eval.py kept beside the models are read.
        path: the file of the classifier, if it is in another place.
        data: the loaded dataset; None loads the dataset that the classifier was trained on.
        form: the options of `image_classifier` for a classifier with several outputs, inputs or
            sizes.
        pixels: the range of pixels that the classifier wants, see `with_pixels`.

    Examples:
        >>> few = {"datasets": ("digits",), "layers": ("dense",), "alphas": (0.0,), "epochs": 1}
        >>> sweep = cladec.Sweep(**few, workers=0)
        >>> saved = cladec.SavedClassifier(cladec.train_missing(sweep))
        3 of 3 models are missing and are trained now
        [1/3] digits classifier: ...
        >>> saved.layers, saved.data.test.images.shape
        (['dense'], (360, 28, 28, 1))
        >>> saved.lost_maps("dense", saved.data.test.images[:2]).shape
        (2, 28, 28)
    """

    def __init__(
        self,
        runs: Sequence[Run],
        models: str | Path = "saved-models",
        *,
        measures: pd.DataFrame | None = None,
        path: Path | None = None,
        data: Dataset | None = None,
        form: Mapping[str, Any] | None = None,
        pixels: str = OWN,
    ):
        SavedDecoders.__init__(self, runs, models)
        SavedNetwork.__init__(
            self,
            path or runs[0].classifier_path(self.models),
            runs[0].dataset if runs else "",
            self.models,
            is_given=bool(runs) and runs[0].given is not None and path is None,
            is_elsewhere=path is not None,
            data=data,
            form=form,
            pixels=pixels,
        )
        self._measures = measures
        self._codes: tuple[tuple[str, int], np.ndarray] | None = None
        self._units: dict[tuple, np.ndarray] = {}

    @classmethod
    def at(
        cls,
        path: Path,
        models: Path | None = None,
        data: Dataset | None = None,
        form: Mapping[str, Any] | None = None,
        *,
        pixels: str = OWN,
    ) -> "SavedClassifier":
        """Return any saved classifier with its decoders in a folder of models, if there are any.

        Args:
            path: the file of the classifier.
            models: the folder with the models, which may be empty or missing; None for no folder.
            data: the dataset of the classifier, if there is one.
            form: the options of `image_classifier`.
            pixels: the range of pixels that the classifier wants, see `with_pixels`.

        Raises:
            InputError: if the file is missing, or a model in the folder is damaged.
        """
        said: dict[str, Any] = {"form": form, "pixels": pixels}
        if models is None or not any(models.rglob("*.keras")):
            return cls([], models or Path("saved-models"), path=path, data=data, **said)
        checksum, runs = model_files.checksum(path), saved_runs(models)
        decoders = [run for run in runs if run.model == "cladec"]
        own = {
            run.classifier_path(models)
            for run in decoders
            if model_files.verify(run.path(models)).get("classifier_sha256") == checksum
        }
        runs = [run for run in runs if run.classifier_path(models) in own]
        return cls(runs, models, path=path, data=data, **said)

    def codes(self, run: Run, images: Any) -> np.ndarray:
        """Return the activations of images in the run's units; those of one layer are cached."""
        of, units = (str(run.layer), len(images)), self.units(run)
        if self._codes is None or self._codes[0] != of:
            self._codes = None  # frees the memory before it is needed again
            self._codes = (of, codes_of(self.classifier, str(run.layer), images))
        codes = self._codes[1]
        return codes if units is None else batches.chosen_units(codes, units)

    def units(self, run: Run) -> np.ndarray | None:
        """Return the units of its layer that the run decodes; None means all units."""
        if run.fraction == 1.0:
            return None
        choice = str(run.layer), run.fraction, run.units
        key = (*choice, run.run_seed)
        if key not in self._units:
            images = self.data.train.images[:IMAGES_THAT_TELL]
            self._units[key] = choose_units(
                self.classifier, *choice, seed=run.run_seed, images=images
            )
        return self._units[key]

    def lost_maps(self, layer: str, images: np.ndarray) -> np.ndarray:
        """Return what a layer lost in each pixel, (N, H, W) float32; see `cladec.lost_maps`.

        Raises:
            InputError: if the layer has no RefAE, or no ClaDec at alpha 0.
        """
        refae, decoded = (self.decode(run, images) for run in self.pair(layer, 0.0))
        return lost_information.lost_maps(images, decoded, refae)

    @cached_property
    def lost(self) -> dict[str, np.ndarray]:
        """What each layer with RefAE and ClaDec at alpha 0 lost from every test image, (N,)."""
        return {
            variant.layer: self._lost_of(variant.layer) for variant in self.variants if variant.pair
        }

    def _lost_of(self, layer: str) -> np.ndarray:
        images = self.data.test.images
        refae, decoded = (self.decode(run, images) for run in self.pair(layer, 0.0))
        lost = np.empty(len(images))
        for rows in batches.batches(len(images), batches.PREDICTION_BATCH):
            maps = lost_information.lost_maps(images[rows], decoded[rows], refae[rows])
            lost[rows] = lost_information.lost_per_image(maps)
        return lost

    @cached_property
    def measures(self) -> pd.DataFrame:
        """The tidy table of the classifier and its decoders, with all repeats.

        Raises:
            InputError: if none of them was measured; the message names the command for it.
        """
        table = self._measures
        if table is None:
            paths = {run.classifier_path(self.models) for run in self.runs}
            own = [
                run for run in saved_runs(self.models) if run.classifier_path(self.models) in paths
            ]
            table = results.own_measures(own, self.models)
        if not len(table):
            models = shlex.quote(str(self.models))
            raise InputError(
                f"the models of {self.name} in {models} were not measured: measure them with "
                f"python eval.py --models {models}"
            )
        is_own = table["dataset"] == self.dataset
        return table[is_own & (table["architecture"] == self.architecture)]

    @property
    def plain_measures(self) -> pd.DataFrame:
        """The measures of the classifier and of the plain decoders of whole layers."""
        table = self.measures
        return table[(table["decoder"] == "plain") & (table["fraction"] == 1)]

    def explain(
        self,
        images: np.ndarray,
        *,
        method: str,
        targets: np.ndarray | None = None,
        layer: str | None = None,
        grid: tuple[int, int] | None = None,
        alpha: float | None = None,
        seed: int = 0,
        backgrounds: int = BACKGROUNDS,
        model: keras.Model | None = None,
        report: OnProgress | None = None,
        **options: Any,
    ) -> np.ndarray:
        """Explain the classifier's answers to images, like `cladec.explain`.

        Methods that need them receive background images from the training images, or the ClaDec and
        the RefAE of the layer.

        Args:
            images: (N, H, W, C) float32 in [0, 1].
            method: a name in `EXPLAINERS`.
            targets: the class to explain in each image, (N,); None for the predicted classes.
            layer: the layer to explain or to decode; None for the choice of the method.
            grid: (rows, columns) of the tokens of that layer, for methods that look at a layer.
            alpha: the alpha of the ClaDec; None for the smallest trained alpha.
            seed: the seed of the random draws.
            backgrounds: the number of background images.
            model: a copy of the classifier with other weights, to be explained instead.
            report: is called with the share done, by methods that support it.
            **options: further options of the method.

        Raises:
            InputError: if the method cannot be used; the message begins with its name.
        """
        takes = find_explainer(method).options
        offered: dict[str, Any] = {"report": report}
        try:
            # With a layer, activation_maximization would maximize a unit instead of the class.
            if layer is not None and method != "activation_maximization":
                copied = model is not None
                offered["layer"] = path_in_copy(self.classifier, layer) if copied else layer
            if "layer" in takes:  # the grid of other methods is one of cells, not of tokens
                offered["grid"] = grid
            if "backgrounds" in takes and self._has_data:
                train = self.data.train.images
                offered["backgrounds"] = train[drawn_rows(len(train), backgrounds, seed)]
            if "decoder" in takes:
                reference, decoder = self.pair(layer, alpha)
                offered |= {"decoder": self.load(decoder), "reference": self.load(reference)}
            taken = {name: value for name, value in offered.items() if name in takes}
            return explain(
                self.classifier if model is None else model,
                images,
                method=method,
                targets=targets,
                seed=seed,
                **taken | options,
            )
        except InputError as error:
            raise InputError(f"{method}: {error}") from error
