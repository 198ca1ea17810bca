"""What the report shows of a classifier: which runs belong together, and what was made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec.experiments.runs import Run
from cladec.models.recipes import alpha_text
from cladec.report.charts import Chart

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Variant:
    """One way to decode a layer: what its RefAE and its ClaDecs of every alpha have in common.

    Attributes:
        layer: which is decoded.
        settings: the columns and values that name it in the table of measures.
        reference: its RefAE; None where there is none.
        decoders: its ClaDecs by ascending alpha, or the conditional one alone.
    """

    layer: str
    settings: dict[str, Any]
    reference: Run | None
    decoders: tuple[Run, ...]

    @property
    def label(self) -> str:
        """The layer, and what is not usual."""
        parts = [self.layer]
        if self.settings["decoder"] == "conditional":
            parts.append("one network for every alpha")
        elif self.settings["decoder"] != "plain":
            parts.append(
                f"{self.settings['decoder']} ({self.settings['latent_dim']} dimensions, "
                f"beta {self.settings['beta']:g})"
            )
        if self.settings["fraction"] != 1:
            parts.append(
                f"{self.settings['units']} {alpha_text(100 * self.settings['fraction'])} %"
            )
        return ", ".join(parts)

    @property
    def is_usual(self) -> bool:
        """The whole layer, by a plain decoder."""
        return self.settings["decoder"] == "plain" and self.settings["fraction"] == 1

    @property
    def whole_pair(self) -> tuple[Run, Run] | None:
        """RefAE and ClaDec at alpha 0 of the whole layer: what was lost is between them."""
        if not self.is_usual or self.reference is None:
            return None
        return next(((self.reference, run) for run in self.decoders if run.alpha == 0), None)


@dataclass(frozen=True)
class Group:
    """The runs of one classifier: itself, and what decodes its layers."""

    runs: tuple[Run, ...]

    @property
    def dataset(self) -> str:
        return self.runs[0].name

    @property
    def architecture(self) -> str:
        return self.runs[0].architecture

    @property
    def title(self) -> str:
        return f"{self.dataset} {self.architecture}"

    @property
    def measured(self) -> list[Run]:
        """What an evaluation measures: a conditional decoder at every alpha."""
        return [each for run in self.runs for each in run.measured()]

    @property
    def variants(self) -> list[Variant]:
        """Every way in which a layer is decoded, the usual one first, the first repeat of each."""
        kinds: dict[tuple, list[Run]] = {}
        for run in self.runs:
            if run.layer is not None and run.repeat == 0:
                kinds.setdefault((run.layer, *_settings(run).values()), []).append(run)
        variants = []
        for runs in kinds.values():
            references = [run for run in runs if run.model == "refae"]
            decoders = tuple(run for run in runs if run.model == "cladec")
            settings = _settings(runs[0])
            if settings["decoder"] == "conditional":
                references = self._plain_references(runs[0])
            reference = references[0] if references else None
            variants.append(Variant(str(runs[0].layer), settings, reference, decoders))
        layers = [variant.layer for variant in variants]
        return sorted(variants, key=lambda each: (layers.index(each.layer), not each.is_usual))

    def _plain_references(self, conditional: Run) -> list[Run]:
        """The RefAE of a conditional ClaDec is a plain one."""
        wanted = (conditional.layer, _settings(conditional) | {"decoder": "plain"})
        return [
            run
            for run in self.runs
            if run.model == "refae" and run.repeat == 0 and (run.layer, _settings(run)) == wanted
        ]


def _settings(run: Run) -> dict[str, Any]:
    names = ("fraction", "units", "decoder", "latent_dim", "beta")
    return {name: getattr(run, name) for name in names}


def groups(runs: Sequence[Run]) -> list[Group]:
    """The runs of each classifier together.

    Args:
        runs: from `saved_runs`, each classifier before what decodes it.
    """
    by_classifier = groupby(runs, key=lambda run: (run.name, run.architecture))
    return [Group(tuple(of_classifier)) for _, of_classifier in by_classifier]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What one way to decode a layer makes of the N images of an exhibition.

    Attributes:
        variant: the way.
        alphas: of the A pictures, ascending.
        pictures: the sprite of what ClaDec makes at each alpha.
        probabilities: of each class for it, (A, N, K).
        reference: the sprite of RefAE; None where there is none.
        reference_probabilities: of each class for it, (N, K).
        lost: what the layer lost of each image, see `cladec.lost`, (N,); None where it is not
            known.
        mean_lost: its mean over all test images.
    """

    variant: Variant
    alphas: tuple[float, ...]
    pictures: tuple[str, ...]
    probabilities: np.ndarray
    reference: str | None
    reference_probabilities: np.ndarray | None
    lost: np.ndarray | None
    mean_lost: float | None


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of one kind, each laid over its image.

    Attributes:
        name: of the method, and of the layer where it looks at one.
        count: how many images have one: the first of the exhibition.
        picture: their sprite.
    """

    name: str
    count: int
    picture: str


@dataclass(frozen=True, eq=False)
class Exhibition:
    """What the report shows of one classifier: N chosen test images, K classes.

    Attributes:
        group: its runs.
        class_names: K.
        image_shape: (H, W, C).
        rows: where the images lie in the test split, (N,).
        labels: true classes, (N,).
        probabilities: what the classifier answers, (N, K).
        originals: the sprite of the images.
        decoded: every way in which a layer is decoded.
        maps: of each method that can be used.
        refusals: why a method cannot be used.
        confusion: of all test images, (K, K) counts.
        classes: the report per class, see `metrics.class_report`.
        curves: precision-recall and ROC.
    """

    group: Group
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    originals: str
    decoded: tuple[Decoded, ...]
    maps: tuple[Maps, ...]
    refusals: tuple[str, ...]
    confusion: np.ndarray
    classes: "pd.DataFrame"
    curves: tuple[Chart, ...]

    @property
    def predicted(self) -> np.ndarray:
        """The classifier's answers, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of all test images that the classifier gets right."""
        return float(np.trace(self.confusion) / self.confusion.sum())
