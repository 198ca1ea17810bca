"""Collect the section of a classifier in the report from its saved models."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cladec import metrics
from cladec.errors import InputError
from cladec.experiments.runs import Run, Variant
from cladec.experiments.saved_models import SavedClassifier
from cladec.models.recipes import ALPHAS
from cladec.plots import heat_map, sprites
from cladec.progress import OnProgress
from cladec.report import charts
from cladec.report.choosing import choose_images
from cladec.report.section import ClassifierRuns, Decoded, Maps, Section

FAST_OPTIONS: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 20, "tolerance": 0.1},
    "rise": {"masks": 300},
    "sobol": {"designs": 8},
    "hsic": {"masks": 200},
    "lime": {"samples": 200},
    "kernel_shap": {"samples": 200},
    "anchors": {"segments": 10, "margin": 0.15, "delta": 0.2, "beam": 1, "batch_size": 100},
    "shap_gradient": {"samples": 30},
}
"""Options that make coarser maps in a fraction of the time that `explain` takes."""

MOST_IMAGES = {"anchors": 12}
"""The number of images for a method that takes as long as all other methods together."""

BACKGROUNDS = 20
"""The number of training images that SHAP and Anchors use, fewer than in `explain` to save time."""

BETWEEN = (0.025, 0.17, 0.37, 0.65, 0.8, 0.9, 0.95, 0.97, 0.98, 0.995, 0.998, 0.9996)
SHOWN_ALPHAS = tuple(sorted((*ALPHAS, *BETWEEN)))
"""The alphas at which a ClaDec of every alpha is shown: the usual ones and some between."""

BYTES = 4_000_000
"""The approximate size of all pictures in a report that is small enough to mail."""

BYTES_OF_A_PIXEL = 0.5
"""The approximate size of one channel of a pixel in a sprite."""

IMAGES = (24, 64)
"""The smallest and the largest default number of images in a section."""


@dataclass(frozen=True)
class Collector:
    """A job for `Workers` that makes the section of a classifier.

    Attributes:
        models: the folder with the trained models.
        images: the number of images in a section; None for as many as `space` allows.
        space: the approximate size of the pictures of one section in bytes.
        methods: the explainers whose maps are drawn.
        seed: the seed of the random draws.
    """

    models: Path
    images: int | None
    space: float
    methods: tuple[str, ...]
    seed: int

    def __call__(self, of: ClassifierRuns, report: OnProgress) -> Section:
        work = _Collected(SavedClassifier(of.runs, self.models), self)
        if work.saved.scores.multi_label:
            raise InputError(
                f"{of.title} answers for several labels of an image, and the report compares "
                "classes: look at the tables and pictures of eval.py instead"
            )
        saved, rows = work.saved, work.rows
        report(0.1, {})
        decoded = tuple(map(work.decoded, saved.variants))
        report(0.3, {})
        maps, refusals = work.maps(lambda share, _: report(0.3 + 0.7 * share, {}))
        return Section(
            of=of,
            class_names=saved.class_names,
            image_shape=saved.data.image_shape,
            rows=rows,
            labels=saved.data.test.labels[rows],
            probabilities=work.probabilities[rows],
            originals=sprites.data_url(work.images),
            decoded=decoded,
            maps=maps,
            refusals=refusals,
            **work.measures(),
        )


class _Collected:
    """The data that the parts of a section share while it is made."""

    def __init__(self, saved: SavedClassifier, settings: Collector):
        self.saved, self.settings = saved, settings
        self.probabilities = saved.probabilities(saved.data.test.images)

    @cached_property
    def rows(self) -> np.ndarray:
        """The indices of the shown images in the test split."""
        return choose_images(
            self.saved.data.test.labels,
            self.saved.predicted,
            list(self.saved.lost.values()),
            self.settings.images or self._images_that_fit(),
            self.settings.seed,
        )

    def _images_that_fit(self) -> int:
        pictures = 1 + len(self.settings.methods) + 2 * len(self.saved.lost)
        for variant in self.saved.variants:
            pictures += variant.reference is not None
            pictures += sum(len(_alphas(run)) for run in variant.decoders)
        height, width, channels = self.saved.data.image_shape
        side = sprites.LARGEST_SIDE
        bytes_each = BYTES_OF_A_PIXEL * min(height, side) * min(width, side) * channels
        return int(np.clip(self.settings.space / (pictures * bytes_each), *IMAGES))

    @cached_property
    def images(self) -> np.ndarray:
        """The shown images, (N, H, W, C)."""
        return self.saved.data.test.images[self.rows]

    def decoded(self, variant: Variant) -> Decoded:
        """Decode the images with the models of a variant."""
        saved = self.saved
        alphas, answers = [], []
        for run in variant.decoders:
            for alpha in _alphas(run):
                alphas.append(alpha)
                answers.append(saved.decode(run, self.images, alpha))
        reference = saved.decode(variant.reference, self.images) if variant.reference else None
        lost = saved.lost.get(variant.layer) if variant.settings["fraction"] == 1 else None
        return Decoded(
            variant=variant,
            alphas=tuple(alphas),
            pictures=tuple(map(sprites.data_url, answers)),
            probabilities=np.array([saved.probabilities(images) for images in answers]),
            reference=None if reference is None else sprites.data_url(reference),
            reference_probabilities=None if reference is None else saved.probabilities(reference),
            lost=None if lost is None else lost[self.rows],
            mean_lost=None if lost is None else float(lost.mean()),
        )

    def maps(self, report: OnProgress) -> tuple[tuple[Maps, ...], tuple[str, ...]]:
        """Return the maps of each method, and the error messages of methods without maps."""
        found, refusals = [], []
        explained = list(self._explained())
        for number, (name, method, layer) in enumerate(explained, start=1):
            try:
                found.append(self._maps(name, method, layer))
            except InputError as error:
                refusals.append(str(error))
            report(number / len(explained), {})
        for layer in self.saved.lost:
            maps = self.saved.lost_maps(layer, self.images)
            found.append(self._draw(f"lost, layer {layer}", maps))
        return tuple(found), tuple(refusals)

    def _explained(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield the name of the maps, the method, and the layer if the method explains one."""
        for method in self.settings.methods:
            if method != "cladec":
                yield method.replace("_", " "), method, None
                continue
            for layer in self.saved.lost:
                yield f"ClaDec, layer {layer}", method, layer

    def _maps(self, name: str, method: str, layer: str | None) -> Maps:
        images = self.images[: MOST_IMAGES.get(method)]
        maps = self.saved.explain(
            images,
            method=method,
            targets=self.saved.predicted[self.rows][: len(images)],
            layer=layer,
            alpha=None if layer is None else 0.0,
            seed=self.settings.seed,
            backgrounds=BACKGROUNDS,
            **FAST_OPTIONS.get(method, {}),
        )
        return self._draw(name, maps)

    def _draw(self, name: str, maps: np.ndarray) -> Maps:
        drawn = np.zeros((*self.images.shape[:3], 3))
        drawn[: len(maps)] = [heat_map(*pair) for pair in zip(self.images, maps, strict=False)]
        return Maps(name, len(maps), sprites.data_url(drawn))

    def measures(self) -> dict[str, Any]:
        """Measure the classifier on all test images."""
        names = self.saved.class_names
        given = self.saved.data.test.labels, self.probabilities
        return {
            "confusion": metrics.confusion_matrix(given[0], self.saved.predicted, len(names)),
            "classes": metrics.class_report(*given, names),
            "curves": (
                charts.precision_recall(metrics.precision_recall_curves(*given), names),
                charts.roc(metrics.roc_curves(*given), names),
            ),
        }


def _alphas(run: Run) -> tuple[float, ...]:
    """Return all alphas at which a ClaDec is shown."""
    return SHOWN_ALPHAS if run.alpha is None else (run.alpha,)
