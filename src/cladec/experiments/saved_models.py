"""Load a saved classifier with its images, runs, decoders and measures."""

import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from cladec.data.arrays import drawn_rows
from cladec.data.dataset import Dataset, load
from cladec.data.pixel_ranges import OWN
from cladec.errors import InputError
from cladec.experiments import given_data, records, results
from cladec.experiments.plans import Given
from cladec.experiments.records import saved_runs
from cladec.experiments.runs import Run
from cladec.experiments.saved_decoders import SavedDecoders
from cladec.explainers import choose_units, explain, find_explainer
from cladec.explainers.scores import LogitsModel, logits_model
from cladec.metrics import lost_information, normalised
from cladec.models import batches, cutting, loading, predictions
from cladec.models.cutting import path_in_copy
from cladec.models.fitting import check_data, codes_of
from cladec.models.given import as_classifier
from cladec.models.pixel_layers import with_pixels
from cladec.progress import OnProgress
from cladec.storage import model_files

IMAGES_THAT_TELL = 1000
"""The number of training images that decide which units of a layer are important."""

BACKGROUNDS = 50
"""The number of training images that SHAP and Anchors use for comparison."""


class Shown(NamedTuple):
    """Test images (N, H, W, C), their titles "true - predicted", and whether each is wrong."""

    images: np.ndarray
    titles: list[str]
    wrong: list[bool]


class SavedClassifier(SavedDecoders):
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
        super().__init__(runs, models)
        self.path = path or runs[0].classifier_path(self.models)
        self._source = runs[0].dataset if runs else ""
        self._is_given = bool(runs) and runs[0].given is not None and path is None
        self._is_elsewhere, self._measures, self._data = path is not None, measures, data
        self._form = form or {}
        self._pixels = pixels
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

    @cached_property
    def data(self) -> Dataset:
        """The dataset that was given, or the one that the classifier was trained on."""
        if self._data is not None:
            return self._data
        if self.given is None:
            return load(self._source)
        return given_data.read(self._source, self._network, self.given)

    @cached_property
    def given(self) -> Given | None:
        """What is known of a user's own classifier; None for one that was trained here."""
        return Given.from_record(self.record) if self._is_given else None

    @cached_property
    def origin(self) -> records.Origin | None:
        """The place of the pictures, for the records."""
        return records.origin(self._source, self.models)

    @cached_property
    def classifier(self) -> keras.Model:
        """The classifier itself, loaded from its file.

        Raises:
            InputError: if the file is missing or damaged, its images have another size, or it does
                not take pixels of the range.
        """
        if self._has_data and not self._is_given:
            check_data(self._network, self.data)
        return self._network

    @cached_property
    def _network(self) -> keras.Model:
        """The classifier, which was not compared with the data."""
        if not self._is_elsewhere:
            classifier = loading.load_saved(self.path)
        else:
            images = {"images": self.data.train.images} if self._has_data else {}
            classifier = as_classifier(self.path, **{**self._form, **images})
        return with_pixels(classifier, self._pixels)

    @property
    def _has_data(self) -> bool:
        return self._data is not None or not self._is_elsewhere

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of all classes of the model; a class without a name has its number."""
        known = self.data.class_names if self._has_data else ()
        return *known, *map(str, range(len(known), cutting.num_classes(self.classifier)))

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record of its training."""
        return model_files.verify(self.path)

    @cached_property
    def scores(self) -> LogitsModel:
        """The scores of the classifier before its softmax, as the explainers use them."""
        return logits_model(self.classifier)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the scores before the softmax for images (N, H, W, C), (N, K) float32."""
        return self.scores.predict(images)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of all classes for images (N, H, W, C), (N, K) float32."""
        return self.scores.probabilities(images)

    def predictions(self, logits: np.ndarray) -> np.ndarray:
        """Return the predicted class of each image, (N,), or its labels, see `predictions`."""
        return predictions.predicted(logits, multi_label=self.scores.multi_label)

    @cached_property
    def mean_image(self) -> np.ndarray:
        """The mean of the training images, (H, W, C) float32."""
        return normalised.mean_image(self.data.train.images)

    @cached_property
    def test_logits(self) -> np.ndarray:
        """The scores of the test images, (N, K)."""
        return self.logits(self.data.test.images)

    @property
    def predicted(self) -> np.ndarray:
        """The predicted classes of the test images, (N,)."""
        return self.predictions(self.test_logits)

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

    def choose(self, right: int, wrong: int) -> Shown:
        """Choose correctly classified test images, followed by wrongly classified ones."""
        labels, is_right = self.data.test.labels, self.is_right
        chosen: list[int] = []
        for rows, count in ((is_right, right), (~is_right, wrong)):
            chosen += _of_each_class(np.flatnonzero(rows), labels)[:count]
        return self.show(chosen)

    @cached_property
    def is_right(self) -> np.ndarray:
        """Whether each test image has the class, or exactly the labels, predicted, (N,)."""
        return predictions.is_right(self.predicted, self.data.test.labels)

    def show(self, chosen: Sequence[int] | np.ndarray) -> Shown:
        """Return the test images with these indices."""
        test, predicted = self.data.test, self.predicted
        names = self.class_names
        titles = [
            f"{predictions.named(test.labels[i], names)} - {predictions.named(predicted[i], names)}"
            for i in chosen
        ]
        wrong = [not self.is_right[i] for i in chosen]
        return Shown(test.images[list(chosen)], titles, wrong)

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


def _of_each_class(indices: np.ndarray, labels: np.ndarray) -> list[int]:
    """Return the indices with the first one of every class at the beginning."""
    _, firsts = np.unique(labels[indices], axis=0, return_index=True)
    return [*indices[firsts], *np.delete(indices, firsts)]
