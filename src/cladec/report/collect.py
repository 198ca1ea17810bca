"""Collect the section of a classifier in the report from its saved models."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cladec import metrics
from cladec.data.dataset import load_sample
from cladec.experiments.runs import Variant
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics import lost_information
from cladec.models import batches, layers, predictions
from cladec.plots import Scale, slider_alphas, sprites
from cladec.progress import OnProgress
from cladec.report import charts
from cladec.report.choosing import choose_images
from cladec.report.collector import Collector
from cladec.report.maps import BACKGROUNDS, Explained, colours, drawn
from cladec.report.section import ClassifierRuns, Decoded, Layer, LeftOut, Section

IMAGES = (24, 64)
"""The smallest and the largest default number of images in a section."""


def section_of(of: ClassifierRuns, settings: Collector, report: OnProgress) -> Section | LeftOut:
    """Make the section of a classifier, unless an image may have several of its labels."""
    work = _Collected(_saved(of, settings), settings)
    if work.saved.scores.multi_label:
        return LeftOut(
            f"{of.title} answers for several labels of an image, and the report compares "
            "classes: look at the tables and pictures of eval.py instead"
        )
    saved, rows = work.saved, work.rows
    report(0.1, {})
    answers = [work.decoded(variant) for variant in work.variants]
    report(0.3, {})
    pairs = {each.variant.layer: each.pair for each in answers if each.pair is not None}
    explained = Explained(saved, work.images, saved.predicted[rows], pairs, settings.seed)
    maps, refusals = explained.maps(
        settings.methods, lambda share, _: report(0.3 + 0.7 * share, {})
    )
    return Section(
        of=of,
        class_names=saved.class_names,
        image_shape=saved.data.image_shape,
        rows=rows,
        labels=saved.data.test.labels[rows],
        probabilities=work.probabilities[rows],
        originals=sprites.data_url(work.images),
        network=work.network,
        mean_lost={layer: float(lost.mean()) for layer, lost in work.lost.items()},
        **work.pictures(answers),
        maps=maps,
        refusals=refusals,
        **work.measures(),
    )


def _saved(of: ClassifierRuns, settings: Collector) -> SavedClassifier:
    """Return the classifier, which needs all test images and few training images.

    Those of a user's own classifier are fitted to it, and stay on the disk.
    """
    run = of.runs[0]
    sample = load_sample(run.dataset, BACKGROUNDS, seed=settings.seed) if not run.given else None
    return SavedClassifier(of.runs, settings.models, data=sample)


class _Answers(NamedTuple):
    """The shown images as the models of a variant decode them, and what was lost of them."""

    variant: Variant
    alphas: tuple[float, ...]
    decoded: list[np.ndarray]
    reference: np.ndarray | None
    lost: np.ndarray | None

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The images of ClaDec at alpha 0 and of RefAE, if the variant has both."""
        if self.variant.pair is None or self.reference is None:
            return None
        return self.decoded[0], self.reference


class _Collected:
    """The data that the parts of a section share while it is made."""

    def __init__(self, saved: SavedClassifier, settings: Collector):
        self.saved, self.settings = saved, settings
        self.probabilities = predictions.probabilities(
            saved.test_logits, multi_label=saved.scores.multi_label
        )

    @cached_property
    def network(self) -> tuple[Layer, ...]:
        """The layers of the classifier, from input to output."""
        listed = layers.listed(self.saved.scores.flat)
        return tuple(Layer(each.path, each.shape, each.reason is None) for each in listed)

    @cached_property
    def variants(self) -> list[Variant]:
        """Every way in which a layer is decoded, in the order of the network.

        A RefAE that others are compared with is no way of its own.
        """
        decoded = {each.layer for each in self.saved.variants if each.decoders}
        ways = (each for each in self.saved.variants if each.decoders or each.layer not in decoded)
        return sorted(ways, key=self._place)

    def _place(self, variant: Variant) -> int:
        path = self.saved.scores.flat.paths_of(variant.layer)[0]
        return next(place for place, layer in enumerate(self.network) if layer.path == path)

    @cached_property
    def lost(self) -> dict[str, np.ndarray]:
        """What each layer lost of every test image, (N,); the layer that lost most first.

        Where a layer has no ClaDec for alpha 0 alone, one network for every alpha tells it.
        """
        found = dict(self.saved.lost)
        for variant in self.variants:
            is_whole = variant.kind.every_alpha and variant.settings["fraction"] == 1
            if is_whole and variant.reference and variant.layer not in found:
                found[variant.layer] = self._lost_of(variant)
        return dict(sorted(found.items(), key=lambda item: -item[1].mean()))

    def _lost_of(self, variant: Variant) -> np.ndarray:
        images = self.saved.data.test.images
        pair = variant.decoders[0], variant.reference
        lost = np.empty(len(images))
        for rows in batches.batches(len(images), batches.PREDICTION_BATCH):
            decoded = [self.saved.decode(run, images[rows], 0.0) for run in pair if run]
            maps = lost_information.lost_maps(images[rows], *decoded)
            lost[rows] = lost_information.lost_per_image(maps)
        return lost

    @cached_property
    def rows(self) -> np.ndarray:
        """The indices of the shown images in the test split."""
        return choose_images(
            self.saved.data.test.labels,
            self.saved.predicted,
            list(self.lost.values()),
            self.settings.images or self._images_that_fit(),
            self.settings.seed,
        )

    def _images_that_fit(self) -> int:
        pictures = 1 + len(self.settings.methods) + len(self.lost)
        for variant in self.variants:
            pictures += 2 * (variant.reference is not None)
            pictures += len(_alphas(variant))
        of_image = pictures * sprites.size(self.saved.data.image_shape)
        return int(np.clip(self.settings.space / of_image, *IMAGES))

    @cached_property
    def images(self) -> np.ndarray:
        """The shown images, (N, H, W, C)."""
        return self.saved.data.test.images[self.rows]

    def decoded(self, variant: Variant) -> _Answers:
        """Decode the shown images with the models of a variant."""
        saved, images, runs = self.saved, self.images, variant.decoders
        shown = _alphas(variant)
        if variant.kind.every_alpha and runs:
            decoded = [saved.decode(runs[0], images, alpha) for alpha in shown]
        else:
            decoded = list(saved.decode_each(runs, images))
        reference, lost = None, None
        if variant.reference is not None:
            reference = saved.decode(variant.reference, images)
            if shown and shown[0] == 0:
                lost = lost_information.lost_maps(images, decoded[0], reference)
        return _Answers(variant, shown, decoded, reference, lost)

    def pictures(self, answers: Sequence[_Answers]) -> dict[str, Any]:
        """Draw what was decoded, with one scale for what was lost in all layers."""
        known = [each.lost for each in answers if each.lost is not None]
        largest = max((Scale.of(lost).largest for lost in known), default=1.0)
        scale = Scale(largest, signed=True)
        return {
            "decoded": tuple(self._drawn(each, scale) for each in answers),
            "lost_scale": colours(scale) if known else None,
        }

    def _drawn(self, answers: _Answers, scale: Scale) -> Decoded:
        saved, reference, lost = self.saved, answers.reference, answers.lost
        return Decoded(
            variant=answers.variant,
            place=self._place(answers.variant),
            alphas=answers.alphas,
            pictures=tuple(map(sprites.data_url, answers.decoded)),
            probabilities=np.array([saved.probabilities(images) for images in answers.decoded]),
            reference=None if reference is None else sprites.data_url(reference),
            reference_probabilities=None if reference is None else saved.probabilities(reference),
            lost=None if lost is None else lost_information.lost_per_image(lost),
            lost_picture=None if lost is None else drawn(self.images, lost, scale),
        )

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


def _alphas(variant: Variant) -> tuple[float, ...]:
    """Return all alphas at which the ClaDecs of a variant are shown."""
    if variant.kind.every_alpha:
        return slider_alphas() if variant.decoders else ()
    return tuple(run.alpha for run in variant.decoders if run.alpha is not None)
