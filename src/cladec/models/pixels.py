"""Which range of pixels a classifier wants, where it is not the one that cladec feeds: [0, 1]."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from cladec import keras_internals
from cladec.data.pixel_ranges import CAFFE, IMAGENET, SIGNED, up_to
from cladec.errors import InputWarning

if TYPE_CHECKING:
    import keras

    from cladec.models.cutting import Flat

TOPS = (1, 255, 4095, 65535)
"""The brightest pixel of usual images: fractions, and integers of 8, 12 and 16 bits."""

NO_DEVIATION = 0.25
"""A network is fed numbers whose deviation is about 1. That of pixels in [0, 1] is 0.5 at most, so
layers that make them as narrow as this were made for wider ones."""

FAR = 3.0
"""As many times the brightest pixel lies what becomes 0 only where other pixels were meant."""

GOOD = 0.9
"""Share of right answers above which no other range is tried."""

TRIED = 100
"""Images on which other ranges are tried."""

GAIN = 0.05
"""Share of images by which a range must do better to be told."""

SURE = 0.01
"""Probability at most that what is told is chance."""


_EXAMINED: "WeakSet[keras.Model]" = WeakSet()
"""The classifiers that were looked at and still exist: each is told of once."""


def examine(classifier: "keras.Model", flat: "Flat | None" = None) -> None:
    """Warn, once for each classifier, where it seems to want pixels of another range.

    Args:
        classifier: images (N, H, W, C) -> classes (N, K).
        flat: its layers, `cutting.flatten(classifier)`, if they are there already.

    Raises:
        InputError: without `flat`, the model is no image classifier that can be cut.
    """
    if classifier in _EXAMINED:
        return
    _EXAMINED.add(classifier)
    told = wanted(classifier, flat)
    if told is not None:
        warnings.warn(told, InputWarning, stacklevel=3)


def wanted(classifier: "keras.Model", flat: "Flat | None" = None) -> str | None:
    """What range a classifier seems to want, by its type of input or its first layers.

    What these make of black and of white is what the first layer that was trained is fed. Arguments
    and errors as for `examine`.

    Returns:
        A sentence with the line that helps, or None where [0, 1] seems to be right.
    """
    from cladec.models import cutting

    image = classifier.inputs[0]
    if "int" in image.dtype:
        top, reason = 255, f"takes {image.dtype}, which has no numbers between 0 and 1"
    else:
        dark, bright = _first_fed(flat or cutting.flatten(classifier))
        top = _top(dark, bright)
        reason = f"makes {np.median(dark):.3g} of black and {np.median(bright):.3g} of white before"
        reason += " its first trained layer"
    if top == 1:
        return None
    return (
        f"model {classifier.name!r} {reason}: it seems to want pixels from 0 to {top}, and cladec "
        f"feeds 0 to 1; if so, use {up_to(top).in_front(image.shape[1:])} in its place"
    )


def _first_fed(flat: "Flat") -> tuple[np.ndarray, np.ndarray]:
    """What the first trained layer is fed of a black and of a white image, where these differ."""
    import keras

    prepares = (
        *(keras.layers.Normalization, keras.layers.BatchNormalization),
        *(keras.layers.LayerNormalization, keras.layers.GroupNormalization),
    )
    fed = flat.inputs
    for operation in keras.Model(flat.inputs, flat.logits).operations:
        if getattr(operation, "weights", None) and not isinstance(operation, prepares):
            fed = keras_internals.calls(operation)[0][0]
            break
    if fed is flat.inputs:
        return np.zeros(1), np.ones(1)
    black_white = np.stack([np.zeros(flat.inputs.shape[1:]), np.ones(flat.inputs.shape[1:])])
    answers = keras.Model(flat.inputs, fed)(black_white.astype(np.float32), training=False)
    dark, bright = np.asarray(keras.ops.convert_to_numpy(answers), np.float64)
    # Padding, and what normalises each image, is the same for both.
    differ = np.isfinite(dark) & np.isfinite(bright) & (dark != bright)
    return (dark[differ], bright[differ]) if differ.any() else (np.zeros(1), np.ones(1))


def _top(dark: np.ndarray, bright: np.ndarray) -> int:
    """The brightest pixel that layers are made for which make such values of 0 and 1."""
    slope = float(np.median(np.abs(bright - dark)))
    center = float(np.median(-dark / (bright - dark)))
    fitting = (top for top in TOPS if slope * top >= NO_DEVIATION and center <= FAR * top)
    return next(fitting, 1)


def doubt(
    classify: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    count: int,
) -> str | None:
    """What seems wrong with a classifier, to judge by its answers to labelled images.

    Args:
        classify: images (N, H, W, C) -> the class of each, (N,).
        images: (N, H, W, C) in [0, 1].
        labels: the class of each, (N,).
        predicted: what `classify` answers to them, (N,).
        count: of the classes.

    Returns:
        A sentence that names the range in which the classifier does clearly better, or else says
        that it does no better than chance; None where neither is so.
    """
    right = predicted == labels
    share, chance = right.mean(), max(1 / count, np.bincount(labels).max() / len(labels))
    better = None if share >= GOOD else _better_range(classify, images, labels, right, chance)
    if better or not _near_chance(right, chance):
        return better
    return (
        f"an accuracy of {share:.2f} on {len(labels)} test images is no better than chance, "
        f"{chance:.2f}: the range of the pixels (cladec feeds 0 to 1), the order of the classes or "
        "the dataset may not be those that the model was trained with"
    )


def _near_chance(right: np.ndarray, chance: float) -> bool:
    from scipy.stats import binomtest

    p = binomtest(int(right.sum()), len(right), chance, alternative="greater").pvalue
    return bool(right.mean() < chance + GAIN and p > SURE)


def _better_range(
    classify: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    right: np.ndarray,
    chance: float,
) -> str | None:
    """Which usual range does clearly better than [0, 1], where the answers are `right`."""
    from scipy.stats import binomtest

    rows = np.linspace(0, len(images) - 1, min(TRIED, len(images))).astype(int)
    images, labels, right = images[rows], labels[rows], right[rows]
    ranges = [up_to(255), SIGNED, *((IMAGENET, CAFFE) if images.shape[-1] == 3 else ())]
    tried = {kind: classify(kind.of(images)) == labels for kind in ranges}
    best = max(tried, key=lambda kind: tried[kind].mean())
    gained, lost = (tried[best] & ~right).sum(), (right & ~tried[best]).sum()
    gain = tried[best].mean() - right.mean()
    p = binomtest(gained, max(1, gained + lost), alternative="greater").pvalue
    if gain < GAIN or p > SURE or _near_chance(tried[best], chance):
        return None
    return (
        f"the model is right on {right.mean():.2f} of {len(rows)} test images with pixels from 0 "
        f"to 1, which cladec feeds, and on {tried[best].mean():.2f} with {best.name}: if it was "
        f"trained on these, use {best.in_front(images.shape[1:])} in its place"
    )
