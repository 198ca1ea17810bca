"""LIME: a linear model of what each segment of an image does to the probability of a class."""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np

from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.inputs import Fill, Targets, prepare
from cladec.explainers.passes import Precision
from cladec.explainers.segments import Segments, keep, segmentations, without_detail
from cladec.models.batches import part_of
from cladec.models.given import checked
from cladec.progress import OnProgress


@dataclass(frozen=True, eq=False)
class LimeExplanation:
    """A linear model of one class around one image: probability = intercept + sum of weights kept.

    Attributes:
        map: the weight of every pixel's segment, (H, W) float32.
        segments: the segment of every pixel, (H, W) int64, from 0 to K - 1.
        weights: what keeping each segment adds to the probability, (K,) float64.
        intercept: the probability where everything is hidden, as the linear model has it.
        score: R2 of the linear model on the weighted samples, at most 1; near 0 it says little.
    """

    map: np.ndarray
    segments: np.ndarray
    weights: np.ndarray
    intercept: float
    score: float


@checked
def lime(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    samples: int = 1000,
    segments: Segments = 40,
    fill: Fill | None = None,
    kernel_width: float = 0.25,
    ridge: float = 1.0,
    batch_size: int | None = None,
    precision: Precision = "auto",
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """The maps of `explain_lime`, (N, H, W) float32: the weight of each pixel's segment."""
    explanations = explain_lime(
        model,
        images,
        targets,
        samples=samples,
        segments=segments,
        fill=fill,
        kernel_width=kernel_width,
        ridge=ridge,
        batch_size=batch_size,
        precision=precision,
        seed=seed,
        report=report,
    )
    return np.stack([explanation.map for explanation in explanations])


@checked
def explain_lime(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    samples: int = 1000,
    segments: Segments = 40,
    fill: Fill | None = None,
    kernel_width: float = 0.25,
    ridge: float = 1.0,
    batch_size: int | None = None,
    precision: Precision = "auto",
    seed: int = 0,
    report: OnProgress | None = None,
) -> list[LimeExplanation]:
    """Fit a linear model to the probability of the target where random segments are hidden.

    Each of K segments is kept with probability 1/2 (z in {0, 1}^K; the first sample is the whole
    image), and ridge regression from z to the probability weighs a sample by its nearness to the
    image, exp(-D(z)^2 / (2 width^2)), D being the cosine distance of z to all ones. Ribeiro, Singh
    & Guestrin, "Why Should I Trust You?", 2016, eq. 2, with the kernel of the authors' program.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        samples: perturbed images for each image; more than there are segments.
        segments: about how many to cut each image into, or the labels of the pixels, (H, W) for
            all images or (N, H, W).
        fill: what hidden segments show, a number, a colour (C,) or an image (H, W, C), in [0, 1];
            each segment's mean colour by default.
        kernel_width: in units of D; larger listens to samples further from the image.
        ridge: the penalty on the squared weights.
        batch_size: perturbed images of one model call.
        precision: of the model calls: "auto" is bfloat16 where that is much faster, see `passes`;
            "float32" gives the same map on every machine.
        seed: the seed of the samples.
        report: a function that is called with the share done.

    Returns:
        An explanation for each image.

    Raises:
        InputError: the images, targets or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    batch_size = logits.images_per_call(batch_size)
    at_least(2, samples=samples)
    logits = logits.for_many(precision, len(images) * samples)
    at_least(0, ridge=ridge)
    if not (kernel_width > 0 and kernel_width**2 > 0):
        raise InputError(f"kernel_width is {kernel_width}: expected a value above 0")
    explanations: list[LimeExplanation] = []
    labels = segmentations(images, segments)
    for image, target, image_labels in zip(images, targets, labels, strict=True):
        kept = _samples(samples, image_labels.max() + 1, seed)
        hidden = without_detail(image, image_labels, fill)
        part = part_of(report, len(explanations), len(images))
        shown = partial(keep, image, hidden, image_labels)
        answers = logits.of_variants(shown, kept, batch_size, part)[:, target]
        explanations.append(_fit(image_labels, kept, answers, kernel_width, ridge))
    return explanations


def _samples(count: int, segments: int, seed: int) -> np.ndarray:
    """Which segments each sample keeps, (count, segments) bool; the first keeps all."""
    kept = np.random.default_rng(seed).random((count, segments)) < 0.5
    kept[0] = True
    return kept


def _fit(
    segments: np.ndarray, kept: np.ndarray, answers: np.ndarray, width: float, ridge: float
) -> LimeExplanation:
    from sklearn.linear_model import Ridge

    # The cosine of z and all ones: the dot product is the number kept, so is the squared norm of z.
    distances = 1 - np.sqrt(kept.mean(axis=1))
    with np.errstate(over="ignore"):
        nearness = np.exp(-(distances**2) / (2 * width**2))
    line = Ridge(alpha=ridge).fit(kept, answers, nearness)
    return LimeExplanation(
        map=line.coef_[segments].astype(np.float32),
        segments=segments,
        weights=line.coef_,
        intercept=float(line.intercept_),
        score=float(line.score(kept, answers, nearness)),
    )
