"""Load the saved models that decode a classifier when they are used."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cladec.errors import InputError
from cladec.experiments.runs import VARIANTS, Run, Variant, variants
from cladec.models import loading
from cladec.models.recipes import alpha_text
from cladec.storage import model_files

KEPT = 2
"""The number of models that stay loaded in any case: a RefAE and a ClaDec are used together."""

KEPT_WEIGHTS = 50_000_000
"""The weights up to which more models stay loaded, 200 MB: to load one takes longer than to use it
for a few images."""


class SavedDecoders:
    """The saved models that decode one classifier.

    Args:
        runs: the run of the classifier and those of its decoders.
        models: the folder with their models.

    Attributes:
        runs: the runs of the first repeat, the classifier before its decoders.
        path: the file of the classifier.
        dataset: the name of its dataset.
        architecture: the name of its architecture.
        name: the dataset and the architecture, which is omitted if it is the usual one.
    """

    path: Path

    def __init__(self, runs: Sequence[Run], models: str | Path):
        self.models = Path(models) if isinstance(models, str) else models
        self.runs = [run for run in runs if run.repeat == 0]
        self.dataset = runs[0].name if runs else ""
        self.architecture = runs[0].architecture if runs else ""
        is_usual = self.architecture == VARIANTS["architecture"]
        self.name = self.dataset if is_usual else f"{self.dataset}-{self.architecture}"
        self._loaded: dict[Run, keras.Model] = {}

    @cached_property
    def variants(self) -> list[Variant]:
        """Every way in which a layer is decoded."""
        return variants(self.runs)

    @property
    def layers(self) -> list[str]:
        """The layers that have decoders."""
        return list(dict.fromkeys(run.layer for run in self.runs if run.layer is not None))

    def plain(self, layer: str) -> list[Run]:
        """Return the plain decoders of the whole layer: RefAE, then ClaDec by ascending alpha."""
        return [run for run in self.runs if run.layer == layer and run.is_whole]

    def load(self, run: Run) -> keras.Model:
        """Return the trained model of a run; the most recent models stay loaded.

        Raises:
            InputError: if the file is missing or is not the one that its record describes.
        """
        if run not in self._loaded:
            self._forget()
            self._loaded[run] = loading.load_saved(run.path(self.models))
        return self._loaded[run]

    def _forget(self) -> None:
        """Forget the models that were loaded first, so that there is room for one more."""
        while len(self._loaded) >= KEPT and self._weights() > KEPT_WEIGHTS:
            del self._loaded[next(iter(self._loaded))]

    def _weights(self) -> int:
        return sum(model.count_params() for model in self._loaded.values())

    def decode(self, run: Run, inputs: Any, alpha: float | None = None) -> np.ndarray:
        """Decode images with the decoder of a run, (N, H, W, C) float32 in [0, 1].

        Args:
            run: the run of the decoder.
            inputs: images (N, H, W, C), or `{"codes": codes}` for a ClaDec.
            alpha: the alpha for a decoder of every alpha; the default is the alpha of the run.
        """
        return run.kind.decode(self.load(run), inputs, run.alpha if alpha is None else alpha)

    def decode_each(self, runs: Iterable[Run], images: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the images (N, H, W, C) that the decoders of a layer decode, one for each alpha.

        Most differ in their weights alone: one model takes over the weights of the others, which is
        several times faster than to load and to trace each.

        Args:
            runs: decoders of one variant.
            images: (N, H, W, C).
        """
        model, kinds = None, None
        for run in runs:
            path = run.path(self.models)
            if model is None or model_files.kinds(path) != kinds:
                model, kinds = self.load(run), model_files.kinds(path)
                del self._loaded[run]  # which it will not be for long
            else:
                loading.give_weights(path, model)
            yield run.kind.decode(model, images, run.alpha)

    def _saved(self, run: Run) -> Run:
        """Return the run of the same file as it was saved, which knows how its RefAE began."""
        path = run.path(self.models)
        return next((each for each in self.runs if each.path(self.models) == path), run)

    @property
    def decoders(self) -> list[Run]:
        """The plain ClaDecs of whole layers, by layer and alpha."""
        return [run for run in self.runs if run.model == "cladec" and run.is_whole]

    def pair(self, layer: str | None, alpha: float | None) -> tuple[Run, Run]:
        """Return the RefAE and the ClaDec of a whole layer and an alpha; None means the first one.

        Raises:
            InputError: if there is no such pair; the message lists the existing ones.
        """
        for run in self.decoders:
            if layer in (None, run.layer) and alpha in (None, run.alpha):
                return self._saved(run.reference()), run
        if not self.decoders:
            raise InputError(
                f"no ClaDec of {self.path} in {self.models}: train one with cladec train, and use "
                "the classifier in that folder"
            )
        there = (f"{run.layer} alpha {alpha_text(run.alpha or 0.0)}" for run in self.decoders)
        raise InputError(
            f"no ClaDec of this layer and alpha in {self.models}; there are: {', '.join(there)}"
        )
