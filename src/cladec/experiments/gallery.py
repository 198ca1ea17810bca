"""The saved models of one classifier, and the test images that the figures show of them."""

import shlex
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cladec.errors import InputError
from cladec.experiments import measuring
from cladec.experiments.evaluation import own_measures, saved_runs
from cladec.experiments.runs import Run
from cladec.experiments.trainer import Material
from cladec.models import batches, loading

if TYPE_CHECKING:
    import keras


class Shown(NamedTuple):
    """Test images (N, H, W, C), their titles "true - predicted", and which are wrong."""

    images: np.ndarray
    titles: list[str]
    wrong: list[bool]


class Gallery:
    """What there is to show of one classifier.

    Made of its saved runs, the tidy table, the folder of the models, and whether the table was
    `measured` of these models just now; else it is checked when it is used.

    Attributes:
        runs: the saved runs of it, of the first repeat, in their order.
        name: dataset, and architecture unless that is the usual one; figures begin with it.
    """

    def __init__(
        self, runs: Sequence[Run], table: pd.DataFrame, models: Path, *, measured: bool = False
    ):
        self.models, self._table, self._measured = models, table, measured
        self.runs = [run for run in runs if run.repeat == 0]
        self.dataset, self.architecture = runs[0].name, runs[0].architecture
        usual = Run.__dataclass_fields__["architecture"].default
        suffix = "" if self.architecture == usual else f"-{self.architecture}"
        self.name = f"{self.dataset}{suffix}"

    @cached_property
    def measures(self) -> pd.DataFrame:
        """The tidy table of the classifier, of every repeat.

        Raises:
            InputError: the table has rows that were not measured of the models in the folder.
        """
        is_own = (self._table["dataset"] == self.dataset) & (
            self._table["architecture"] == self.architecture
        )
        table = self._table[is_own]
        if not self._measured and _lines(table) - self._own_lines(table.columns):
            models = shlex.quote(str(self.models))
            raise InputError(
                f"the table of measures is of other models than those of {self.name} in {models}: "
                f"measure these with python eval.py --models {models}, and read the table it writes"
            )
        return table

    def _own_lines(self, columns: pd.Index) -> set[str]:
        runs = [
            run
            for run in saved_runs(self.models)
            if run.classifier_path(self.models) == self.runs[0].classifier_path(self.models)
        ]
        return _lines(own_measures(runs, self.models).reindex(columns=columns))

    @cached_property
    def material(self) -> Material:
        """The images and the classifier."""
        return Material(self.runs[0], self.models)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The classifier's answers to the test images, (N,)."""
        return batches.predict(self.material.classifier, self.material.data.test.images).argmax(1)

    @property
    def layers(self) -> list[str]:
        """The layers that something decodes."""
        return list(dict.fromkeys(run.layer for run in self.runs if run.layer is not None))

    def file_name(self, layer: str, what: str) -> str:
        """The name, without suffix, of a figure of one layer."""
        return f"{self.name}-{layer.replace('/', '.')}-{what}"

    def plain(self, layer: str) -> list[Run]:
        """The plain decoders of the whole layer: RefAE, then ClaDec from the smallest alpha on."""
        return [
            run
            for run in self.runs
            if run.layer == layer and run.decoder == "plain" and run.fraction == 1
        ]

    @property
    def plain_measures(self) -> pd.DataFrame:
        """The rows of the classifier and of plain decoders of whole layers."""
        table = self.measures
        return table[(table["decoder"] == "plain") & (table["fraction"] == 1)]

    def load(self, run: Run) -> "keras.Model":
        """The trained model of a run."""
        return loading.load_saved(run.path(self.models))

    def decode(self, run: Run, images: np.ndarray) -> np.ndarray:
        """What the decoder of a run makes of images, (N, H, W, C)."""
        return measuring.decode(run, self.load(run), images)

    def choose(self, right: int, wrong: int) -> Shown:
        """Test images that the classifier gets right, then some that it gets wrong."""
        labels = self.material.data.test.labels
        chosen: list[int] = []
        for rows, count in ((self.predicted == labels, right), (self.predicted != labels, wrong)):
            chosen += _of_each_class(np.flatnonzero(rows), labels)[:count]
        return self.show(chosen)

    def show(self, chosen: Sequence[int] | np.ndarray) -> Shown:
        """The test images of these indices."""
        test, names = self.material.data.test, self.material.data.class_names
        titles = [f"{names[test.labels[i]]} - {names[self.predicted[i]]}" for i in chosen]
        wrong = [bool(self.predicted[i] != test.labels[i]) for i in chosen]
        return Shown(test.images[list(chosen)], titles, wrong)


def galleries(runs: Sequence[Run], table: pd.DataFrame, models: Path) -> Iterator[Gallery]:
    """One gallery for each classifier.

    Args:
        runs: the saved runs, from `saved_runs`.
        table: the tidy table of what was measured of these very models.
        models: folder of the trained models.
    """
    for _, of_classifier in groupby(runs, key=lambda run: (run.name, run.architecture)):
        yield Gallery(list(of_classifier), table, models, measured=True)


def _lines(table: pd.DataFrame) -> set[str]:
    """The rows as a table on the disk has them."""
    return set(table.to_csv(index=False, header=False, float_format="%.6f").splitlines())


def _of_each_class(indices: np.ndarray, labels: np.ndarray) -> list[int]:
    """The indices in their order, but first the first of every class."""
    _, firsts = np.unique(labels[indices], return_index=True)
    return [*indices[firsts], *np.delete(indices, firsts)]
