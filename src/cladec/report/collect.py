"""Saved models of a classifier -> the exhibition of it in the report."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec.data.dataset import Dataset
from cladec.errors import InputError
from cladec.experiments.runs import Run
from cladec.experiments.subject import Subject, choose
from cladec.experiments.trainer import Material
from cladec.explainers import EXPLAINERS
from cladec.metrics import lost_information
from cladec.models import loading
from cladec.models.recipes import ALPHAS
from cladec.progress import OnProgress
from cladec.report import sprites
from cladec.report.choosing import choose_images
from cladec.report.contents import Decoded, Exhibition, Group, Maps, Variant

if TYPE_CHECKING:
    import keras

MAP_METHODS = tuple(name for name, row in EXPLAINERS.items() if not row.makes_images)

FAST_OPTIONS: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 20, "tolerance": 0.1},
    "rise": {"masks": 300},
    "lime": {"samples": 200},
    "anchors": {"segments": 10, "margin": 0.15, "delta": 0.2, "beam": 1, "batch_size": 100},
    "shap_gradient": {"samples": 30},
}
"""Options that make maps in a fraction of the time that the finer ones of `explain` take."""

MOST_IMAGES = {"anchors": 12}
"""What takes as long as all other methods together explains only the first images."""

BACKGROUNDS = 20
"""Training images that SHAP and Anchors compare with, fewer than in `explain`, to save time."""

BETWEEN = (0.025, 0.17, 0.37, 0.65, 0.8, 0.9, 0.95, 0.97, 0.98, 0.995, 0.998, 0.9996)
CONDITIONAL_ALPHAS = tuple(sorted((*ALPHAS, *BETWEEN)))
"""Alphas that a conditional ClaDec shows: the usual ones and some between."""

BYTES = 4_000_000
"""What the pictures of a whole report may take, about: then it can be mailed."""

BYTES_OF_A_PIXEL = 0.5
"""What a sprite takes for a pixel and channel, about."""

IMAGES = (24, 64)
"""An exhibition has no fewer and no more images where nobody says how many."""


@dataclass(frozen=True)
class Curator:
    """Makes the exhibition of a classifier; a job for `Workers`.

    Attributes:
        models: folder of the trained models.
        images: how many images an exhibition has; None for as many as `space` allows.
        space: bytes that the pictures of one exhibition may take, about.
        methods: the explainers whose maps are drawn.
        seed: of whatever is drawn.
    """

    models: Path
    images: int | None
    space: float
    methods: tuple[str, ...]
    seed: int

    def __call__(self, group: Group, report: OnProgress) -> Exhibition:
        work = _Work(group, self)
        rows, data = work.rows, work.data
        report(0.1, {})
        decoded = tuple(map(work.decoded, group.variants))
        report(0.3, {})
        maps, refusals = work.maps(lambda share, _: report(0.3 + 0.7 * share, {}))
        return Exhibition(
            group=group,
            class_names=data.class_names,
            image_shape=data.image_shape,
            rows=rows,
            labels=data.test.labels[rows],
            probabilities=work.probabilities[rows],
            originals=sprites.data_url(work.images),
            decoded=decoded,
            maps=maps,
            refusals=refusals,
            **work.measures(),
        )


class _Work:
    """What the parts of an exhibition share while it is made."""

    def __init__(self, group: Group, curator: Curator):
        self.group, self.curator = group, curator
        self.material = Material(group.runs[0], curator.models)
        self.subject = Subject(
            self.material.classifier,
            seed=curator.seed,
            backgrounds=choose(self.data.train.images, BACKGROUNDS, curator.seed),
        )
        self.probabilities = self.subject.probabilities(self.data.test.images)
        self.predicted = self.probabilities.argmax(axis=1)
        self.loaded: dict[Run, keras.Model] = {}

    @property
    def data(self) -> Dataset:
        return self.material.data

    @cached_property
    def lost_maps(self) -> dict[str, np.ndarray]:
        """What each layer lost of every test image, per pixel, (N, H, W)."""
        from cladec.models import batches

        images, maps = self.data.test.images, {}
        for variant in self.group.variants:
            if variant.whole_pair:
                refae, cladec = (
                    batches.predict(self.load(run), images) for run in variant.whole_pair
                )
                maps[variant.layer] = lost_information.lost_maps(images, cladec, refae)
        return maps

    @cached_property
    def losses(self) -> dict[str, np.ndarray]:
        """What each layer lost of every test image, (N,)."""
        return {
            layer: lost_information.lost_per_image(maps) for layer, maps in self.lost_maps.items()
        }

    @cached_property
    def rows(self) -> np.ndarray:
        """The images shown, as places in the test split."""
        return choose_images(
            self.data.test.labels,
            self.predicted,
            list(self.losses.values()),
            self.curator.images or self._images_that_fit(),
            self.curator.seed,
        )

    def _images_that_fit(self) -> int:
        pictures = 1 + len(self.curator.methods) + 2 * len(self.lost_maps)
        for variant in self.group.variants:
            pictures += variant.reference is not None
            pictures += sum(len(self._alphas(run)) for run in variant.decoders)
        height, width, channels = self.data.image_shape
        side = sprites.LARGEST_SIDE
        bytes_each = BYTES_OF_A_PIXEL * min(height, side) * min(width, side) * channels
        return int(np.clip(self.curator.space / (pictures * bytes_each), *IMAGES))

    @cached_property
    def images(self) -> np.ndarray:
        """The images shown, (N, H, W, C)."""
        return self.data.test.images[self.rows]

    def load(self, run: Run) -> "keras.Model":
        """A saved model, loaded once."""
        if run not in self.loaded:
            self.loaded[run] = loading.load_saved(run.path(self.curator.models))
        return self.loaded[run]

    def decoded(self, variant: Variant) -> Decoded:
        """The images as the models of a variant show them."""
        alphas, answers = [], []
        for run in variant.decoders:
            for alpha, images in self._answers(run):
                alphas.append(alpha)
                answers.append(images)
        reference = None
        if variant.reference:
            reference = np.asarray(self.load(variant.reference)(self.images, training=False))
        probabilities = [self.subject.probabilities(images) for images in answers]
        losses = self.losses.get(variant.layer) if variant.settings["fraction"] == 1 else None
        return Decoded(
            variant=variant,
            alphas=tuple(alphas),
            pictures=tuple(map(sprites.data_url, answers)),
            probabilities=np.array(probabilities),
            reference=None if reference is None else sprites.data_url(reference),
            reference_probabilities=(
                None if reference is None else self.subject.probabilities(reference)
            ),
            lost=None if losses is None else losses[self.rows],
            mean_lost=None if losses is None else float(losses.mean()),
        )

    def _answers(self, run: Run) -> Iterator[tuple[float, np.ndarray]]:
        """Every alpha that a ClaDec decodes at, and what it makes of the images."""
        model = self.load(run)
        for alpha in self._alphas(run):
            if run.alpha is None:
                yield alpha, model.predict(self.images, alpha=alpha)
            else:
                yield alpha, np.asarray(model(self.images, training=False))

    def _alphas(self, run: Run) -> tuple[float, ...]:
        return CONDITIONAL_ALPHAS if run.alpha is None else (run.alpha,)

    def maps(self, report: OnProgress) -> tuple[tuple[Maps, ...], tuple[str, ...]]:
        """Every method's maps on the images, and why some have none."""
        found, refusals = [], []
        explained = list(self._explained())
        for number, (name, method, subject) in enumerate(explained, start=1):
            try:
                found.append(self._maps(name, method, subject))
            except InputError as error:
                refusals.append(str(error))
            report(number / len(explained), {})
        for layer, maps in self.lost_maps.items():
            found.append(self._draw(f"lost, layer {layer}", maps[self.rows]))
        return tuple(found), tuple(refusals)

    def _explained(self) -> Iterator[tuple[str, str, Subject]]:
        """What is explained by which method, and the name of the maps."""
        for method in self.curator.methods:
            if method != "cladec":
                yield method.replace("_", " "), method, self.subject
                continue
            for variant in self.group.variants:
                if variant.whole_pair:
                    reference, decoder = map(self.load, variant.whole_pair)
                    subject = replace(self.subject, decoder=decoder, reference=reference)
                    yield f"ClaDec, layer {variant.layer}", method, subject

    def _maps(self, name: str, method: str, subject: Subject) -> Maps:
        images = self.images[: MOST_IMAGES.get(method)]
        targets = self.predicted[self.rows][: len(images)]
        chosen = FAST_OPTIONS.get(method, {})
        return self._draw(name, subject.explain(method, images, targets, **chosen))

    def _draw(self, name: str, maps: np.ndarray) -> Maps:
        from cladec.plots import heat_map

        drawn = np.zeros((*self.images.shape[:3], 3))
        drawn[: len(maps)] = [heat_map(*pair) for pair in zip(self.images, maps, strict=False)]
        return Maps(name, len(maps), sprites.data_url(drawn))

    def measures(self) -> dict[str, Any]:
        """How good the classifier is on all test images."""
        from cladec import metrics
        from cladec.report import charts

        names = self.data.class_names
        given = self.data.test.labels, self.probabilities
        return {
            "confusion": metrics.confusion_matrix(given[0], self.predicted, len(names)),
            "classes": metrics.class_report(*given, names),
            "curves": (
                charts.precision_recall(metrics.precision_recall_curves(*given), names),
                charts.roc(metrics.roc_curves(*given), names),
            ),
        }
