"""Kernel SHAP: Shapley values of the segments of an image, from coalitions of those shown."""

from functools import partial
from itertools import product

import keras
import numpy as np

from cladec.checks import at_least
from cladec.explainers.inputs import Fill, Targets, prepare
from cladec.explainers.passes import Precision
from cladec.explainers.segments import Segments, keep, segmentations, without_detail
from cladec.models.batches import part_of
from cladec.models.given import checked
from cladec.progress import OnProgress


@checked
def kernel_shap(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    samples: int = 1000,
    segments: Segments = 40,
    fill: Fill | None = None,
    batch_size: int | None = None,
    precision: Precision = "auto",
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """What each segment adds to the probability of the target: its Shapley value.

    With v(S) the probability of the target where the segments S of K are shown and the others are
    hidden, the values are those of the linear function of S that is nearest to v,

        v(none) + sum of the values in S,  weighed by (K - 1) / (binomial(K, |S|) |S| (K - |S|)),

    and that is v where all or none are shown. Lundberg & Lee, "A Unified Approach to Interpreting
    Model Predictions", 2017, theorem 2. Where there are no more than `samples` coalitions S, all
    are tried and the values are exact; else coalitions are drawn with these weights, each with what
    it leaves out, which halves the noise (Covert & Lee, "Improving KernelSHAP: Practical Shapley
    Value Estimation Using Linear Regression", 2021).

    It is the probability that is explained, as by `lime`, not the logit as by `shap_deep`.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        samples: perturbed images for each image, the first and the last being the whole image and
            the hidden one; a few times as many as there are segments.
        segments: about how many to cut each image into, or the labels of the pixels, (H, W) for
            all images or (N, H, W).
        fill: what hidden segments show, a number, a colour (C,) or an image (H, W, C), in [0, 1];
            each segment's mean colour by default.
        batch_size: perturbed images of one model call; by default what suits the network and the
            image.
        precision: of the model calls: "auto" is bfloat16 where that is much faster, see `passes`;
            "float32" gives the same map on every machine.
        seed: the seed of the coalitions.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, at each pixel the value of its segment, in [-1, 1]. The values of an
        image's segments sum to its probability less that of the hidden image.

    Raises:
        InputError: the images, targets or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    at_least(4, samples=samples)
    logits = logits.for_many(precision, len(images) * samples)
    size = logits.images_per_call(batch_size)
    maps = np.empty(images.shape[:3], np.float32)
    for i, labels in enumerate(segmentations(images, segments)):
        kept, weights = coalitions(labels.max() + 1, samples, seed)
        hidden = without_detail(images[i], labels, fill)
        part = part_of(report, i, len(images))
        shown = partial(keep, images[i], hidden, labels)
        answers = logits.of_variants(shown, kept, size, part)[:, targets[i]]
        maps[i] = shapley_values(kept, weights, answers)[labels]
    return maps


def coalitions(segments: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which segments are shown, (B, K) bool, and how much each row counts, (B,).

    The first row shows none and the last one all, and these two have no weight. All 2^K rows there
    are, where that is no more than `samples`; else so many, but for one that has no partner.
    """
    if 2**segments <= samples:
        kept = np.array(list(product((False, True), repeat=segments)))
        kept = kept[np.argsort(kept.sum(axis=1), kind="stable")]
        return kept, np.array([_weight(segments, size) for size in kept.sum(axis=1)])
    generator = np.random.default_rng(seed)
    sizes = np.arange(1, segments)
    # There are binomial(K, s) coalitions of a size s, which is thus as likely as this.
    chances = 1 / (sizes * (segments - sizes))
    drawn = generator.choice(sizes, samples // 2 - 1, p=chances / chances.sum())
    ranks = generator.random((len(drawn), segments)).argsort(axis=1).argsort(axis=1)
    half = ranks < drawn[:, None]
    none = np.zeros((1, segments), bool)
    weights = np.r_[0.0, np.ones(2 * len(half)), 0.0]
    return np.concatenate([none, half, ~half[::-1], ~none]), weights


def _weight(segments: int, size: int) -> float:
    """The Shapley kernel; 0 for none and all, whose values are not fitted but kept."""
    from scipy.special import binom

    if size in (0, segments):
        return 0.0
    return (segments - 1) / (binom(segments, size) * size * (segments - size))


def shapley_values(kept: np.ndarray, weights: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The least squares of `kernel_shap`, (K,), of what `coalitions` gives and the answers (B,).

    The values are the mean one, which is known from their sum, and differences that sum to 0. The
    rows less their mean are blind to such a sum, so that the smallest solution has it.
    """
    gained = answers[-1] - answers[0]
    shares = kept.mean(axis=1)
    rest = answers - answers[0] - shares * gained
    roots = np.sqrt(weights)
    differences = np.linalg.lstsq(roots[:, None] * (kept - shares[:, None]), roots * rest)[0]
    return gained / kept.shape[1] + differences
