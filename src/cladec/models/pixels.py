"""This module detects classifiers that expect pixels in another range than cladec's [0, 1]."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from cladec import keras_internals
from cladec.data.pixel_ranges import OWN, PIXELS, Range, find_range, way_to_say
from cladec.errors import InputWarning
from cladec.models.functions import FunctionModel

if TYPE_CHECKING:
    import keras

    from cladec.models.cutting import Flat

TOPS = (1, 255, 4095, 65535)
"""The brightest pixel of common images: fractions, and integers of 8, 12 and 16 bits."""

NO_DEVIATION = 0.25
"""Networks expect inputs with a standard deviation near 1. Pixels in [0, 1] have at most 0.5, so
layers that narrow them to less than this were made for a wider range."""

FAR = 3.0
"""If the input that becomes 0 exceeds the brightest pixel this many times, the range is wrong."""

GOOD = 0.9
"""The accuracy above which no other range is tried."""

TRIED = 100
"""The number of images on which other ranges are tried."""

GAIN = 0.05
"""The gain in accuracy that another range must reach for a warning."""

SURE = 0.01
"""The significance level of a warning."""


_EXAMINED: "WeakSet[keras.Model]" = WeakSet()
"""The living classifiers that were examined already, so that each warning comes once."""


def examine(classifier: "keras.Model", flat: "Flat | None" = None) -> None:
    """Warn, once per classifier, if it seems to expect pixels in another range.

    Args:
        classifier: a model, images (N, H, W, C) -> classes (N, K).
        flat: the result of `cutting.flatten(classifier)`, if it is known.

    Raises:
        InputError: `flat` is None and the model cannot be cut.
    """
    if isinstance(classifier, FunctionModel) or classifier in _EXAMINED:
        return
    _EXAMINED.add(classifier)
    told = wanted(classifier, flat)
    if told is not None:
        warnings.warn(told, InputWarning, stacklevel=3)


def wanted(classifier: "keras.Model", flat: "Flat | None" = None) -> str | None:
    """Return a warning if the first layers suggest another range.

    The range follows from how the layers before the first trained one change black and white.
    Arguments and errors are those of `examine`.

    Returns:
        A sentence that says what helps, or None if [0, 1] seems right.
    """
    from cladec.models import cutting

    dark, bright = _first_fed(flat or cutting.flatten(classifier))
    top = _top(dark, bright)
    if top == 1:
        return None
    way = f"put keras.layers.Rescaling({top}) in front of it"
    if f"0-{top}" in PIXELS:
        way = f"say so with {way_to_say(f'0-{top}')}"
    return (
        f"model {classifier.name!r} makes {np.median(dark):.3g} of black and "
        f"{np.median(bright):.3g} of white before its first trained layer: it seems to want pixels "
        f"from 0 to {top}, and cladec feeds 0 to 1; if so, {way}"
    )


def _first_fed(flat: "Flat") -> tuple[np.ndarray, np.ndarray]:
    """Return the first trained layer's inputs for a black and a white image where they differ."""
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
    # Padding and normalisation per image give the same for both.
    differ = np.isfinite(dark) & np.isfinite(bright) & (dark != bright)
    return (dark[differ], bright[differ]) if differ.any() else (np.zeros(1), np.ones(1))


def _top(dark: np.ndarray, bright: np.ndarray) -> int:
    """Return the brightest pixel that layers expect if they turn 0 and 1 into these values."""
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
    *,
    said: str = OWN,
    others: bool = True,
) -> str | None:
    """Return a warning if a classifier's predictions on labelled images look wrong.

    Args:
        classify: a function, images (N, H, W, C) in [0, 1] -> the class of each, (N,).
        images: the images (N, H, W, C) in [0, 1].
        labels: the class of each image, (N,).
        predicted: the result of `classify(images)`, (N,).
        count: the number of classes.
        said: the range of pixels that was said of the classifier, a name in `PIXELS`.
        others: whether other ranges are tried.

    Returns:
        A sentence that names a range with a clearly higher accuracy, or else says that the
        accuracy is no better than chance; None if neither applies.
    """
    right = predicted == labels
    share, chance = right.mean(), max(1 / count, np.bincount(labels).max() / len(labels))
    better = None
    if others and share < GOOD:
        better = _better_range(classify, images, labels, right, chance, find_range(said))
    if better or not _near_chance(right, chance):
        return better
    return (
        f"an accuracy of {share:.2f} on {len(labels)} test images is no better than chance, "
        f"{chance:.2f}: the range of the pixels ({said}), the order of the classes or the dataset "
        "may not be those that the model was trained with"
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
    said: Range,
) -> str | None:
    """Return a warning if another range gives a clearly higher accuracy than the one said."""
    from scipy.stats import binomtest

    rows = np.linspace(0, len(images) - 1, min(TRIED, len(images))).astype(int)
    images, labels, right = images[rows], labels[rows], right[rows]
    colour = images.shape[-1] == 3
    others = [row for row in PIXELS.values() if row != said and (colour or not row.of_colour)]
    # The classifier converts to the range that was said, which is undone here.
    tried = {row: classify(said.back(row.of(images))) == labels for row in others}
    best = max(tried, key=lambda row: tried[row].mean())
    gained, lost = (tried[best] & ~right).sum(), (right & ~tried[best]).sum()
    gain = tried[best].mean() - right.mean()
    p = binomtest(gained, max(1, gained + lost), alternative="greater").pvalue
    if gain < GAIN or p > SURE or _near_chance(tried[best], chance):
        return None
    return (
        f"the model is right on {right.mean():.2f} of {len(rows)} test images with pixels of "
        f"{said.words}, and on {tried[best].mean():.2f} with {best.words}: if it was trained on "
        f"these, {_way(best)}"
    )


def _way(best: Range) -> str:
    return "leave --pixels out" if best.name == OWN else f"say so with {way_to_say(best.name)}"
