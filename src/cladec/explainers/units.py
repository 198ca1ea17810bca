"""Part of a layer: which of its units or channels are decoded, the rest left out."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cladec.errors import InputError
from cladec.explainers.backends import gradient_of
from cladec.explainers.inputs import check_images
from cladec.explainers.scores import logits_model
from cladec.models import cutting, recipes
from cladec.models.batches import batches
from cladec.models.cutting import Flat
from cladec.models.given import checked
from cladec.models.recipes import UnitChoice
from cladec.models.selection import Select

__all__ = ["Select", "choose_units"]


@checked
def choose_units(
    classifier: keras.Model,
    layer: str,
    fraction: float,
    how: UnitChoice,
    *,
    seed: int = 0,
    images: np.ndarray | None = None,
) -> np.ndarray:
    """Some of the units (channels, for a spatial layer) of a layer, for `fit_cladec(units=...)`.

    Of each way to choose, a smaller fraction is part of a larger one. "first" is that of Schneider
    & Vlachos, "Explaining Classifiers by Constructing Familiar Concepts", section 6.4. "important"
    are the units whose absence would move the score of the predicted class most, to first order:

        importance_k = mean over images of |sum over positions of A_k * d logit / d A_k|

    (Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient Inference",
    arXiv 1611.06440, eq. 7 and 8.) The absolute value is theirs: a unit that speaks against a class
    carries as much of the decision as one that speaks for it, and signed values of several images
    or classes would cancel. Positions are summed before, since a channel is left out as a whole.
    For the layer that gives the classifier's answer, that answer stands for the logit.

    Args:
        classifier: an image classifier that can be cut.
        layer: as for `fit_cladec`.
        fraction: share of its units, above 0 and at most 1; at least one unit is chosen.
        how: "first", "random" (drawn with `seed`) or "important" (on `images`).
        seed: the seed of the random choice.
        images: (N, H, W, C) float32 in [0, 1], for "important": those that are trained on.

    Returns:
        Indices of the last axis of the codes, (round(fraction * units),) int64, ascending.

    Raises:
        InputError: fraction out of range, an unknown `how`, no images where they are needed, or a
            layer that is not there or has no fixed number of units.

    Examples:
        >>> cladec.choose_units(classifier, "dense", 0.03, "first")
        array([0, 1, 2, 3])
        >>> units = cladec.choose_units(classifier, "dense", 0.5, "important", images=images)
        >>> cladec.compute_codes(classifier, "dense", images, units).shape
        (360, 64)
    """
    recipes.check_fraction(fraction)
    if not isinstance(how, str) or how not in recipes.UNIT_CHOICES:
        raise InputError(f"units {how!r:.60}: expected one of {', '.join(recipes.UNIT_CHOICES)}")
    if how == "important" and images is None:
        raise InputError("the important units are asked for without images: pass training images")
    units = _units(logits_model(classifier).flat, layer)
    orders: dict[str, Callable[[], np.ndarray]] = {
        "first": lambda: np.arange(units),
        "random": lambda: np.random.default_rng(seed).permutation(units),
        "important": lambda: np.argsort(-_importance(classifier, layer, images), kind="stable"),
    }
    return np.sort(orders[how]()[: max(1, round(fraction * units))])


def _units(flat: Flat, layer: str) -> int:
    shape = flat.find(layer).shape[1:]
    if not shape or shape[-1] is None:
        raise InputError(f"layer {layer!r} gives {shape}: expected a fixed number of units")
    return shape[-1]


def _importance(classifier: keras.Model, layer: str, images: np.ndarray | None) -> np.ndarray:
    """The importance of every unit, (units,) float64."""
    images = check_images(classifier, images)
    logits = logits_model(classifier)
    flat = logits.flat
    codes = flat.find(layer)
    scores = codes if codes is flat.outputs else flat.logits
    units = codes.shape[-1]
    encoder, head = cutting.split(flat.inputs, codes, scores)

    def importance(images: Any) -> Any:
        def best(activations: Any) -> Any:
            return keras.ops.max(head([images, activations], training=False), axis=-1)

        activations = encoder(images, training=False)
        products = keras.ops.cast(activations * gradient_of(best)(activations), "float32")
        by_position = keras.ops.reshape(products, (keras.ops.shape(products)[0], -1, units))
        return keras.ops.abs(keras.ops.sum(by_position, axis=1))

    run = logits.compiled(importance)
    total = np.zeros(units)
    for rows in batches(len(images), logits.images_per_call(None, gradients=True)):
        total += run(images[rows]).sum(axis=0)
    return total / len(images)
