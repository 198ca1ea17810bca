"""Codes of an explained layer, changed by hand: what is decoded, and what the network answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec import checks
from cladec.errors import InputError
from cladec.models import batches, predictions

if TYPE_CHECKING:
    from cladec.experiments.layer_explanation import LayerExplanation

STRONGEST = 10
"""The number of units that are offered to be scaled."""


@dataclass(frozen=True, eq=False)
class Edited:
    """Changed codes of N images, and what comes of them.

    Attributes:
        codes: the changed codes, (N, ...) float32.
        decoded: what ClaDec shows of them, (N, H, W, C) float32 in [0, 1].
        probabilities: what the rest of the network says of the codes, (N, K): of classes, or of
            each label.
        seen: what the whole classifier says of `decoded`, (N, K). Where it disagrees with
            `probabilities`, the picture does not show what the network goes by.

    Examples:
        >>> layer = cladec.explain_layer(classifier, "dense", images[:40], epochs=1)
        [1/3] RefAE: ...
        >>> edited = layer.edit(images[:2], {0: 0.0, 5: 2.0})
        >>> edited.decoded.shape, edited.probabilities.shape
        ((2, 28, 28, 1), (2, 10))
    """

    codes: np.ndarray
    decoded: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray


def of_codes(
    layer: "LayerExplanation", codes: np.ndarray, images: np.ndarray, alpha: float
) -> Edited:
    """Decode codes (N, ...) and classify them.

    Args:
        layer: the explained layer.
        codes: the codes.
        images: checked images (N, H, W, C) for the paths of the network that bypass the layer.
        alpha: the alpha to decode at.
    """
    decoder = layer.decoder
    decoded = decoder.predict({"codes": codes}, alpha=alpha)
    return Edited(
        codes,
        decoded,
        _probabilities(layer, batches.predict(layer.rest_of_network, [images, codes])),
        _probabilities(layer, batches.predict(decoder.classifier, decoded)),
    )


def _probabilities(layer: "LayerExplanation", logits: np.ndarray) -> np.ndarray:
    return predictions.probabilities(logits, multi_label=layer.decoder.multi_label)


def answers(probabilities: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Return the class of each image, (N,), or whether it has each label, (N, K) bool."""
    return probabilities > 0.5 if multi_label else probabilities.argmax(axis=1)


def codes_of(layer: "LayerExplanation", images: np.ndarray) -> np.ndarray:
    """Return the codes of checked images, (N, ...) float32."""
    return batches.predict(layer.decoder.encoder, images)


def scaled(codes: np.ndarray, factors: Any) -> np.ndarray:
    """Return codes (N, ..., units) with some units, or channels, multiplied by a factor.

    Raises:
        InputError: `factors` is no dict, a unit is not there, or a factor is not finite.
    """
    if not isinstance(factors, Mapping):
        raise InputError(f"factors is {factors!r:.60}: expected {{unit: factor}}, such as {{3: 0}}")
    units, count = checks.wholes("unit", list(factors)), codes.shape[-1]
    wrong = [unit for unit in units if not 0 <= unit < count]
    if wrong:
        raise InputError(f"unit {wrong[0]} is out of range: expected 0 to {count - 1}")
    by_unit = np.ones(count, np.float32)
    expected = "a finite number, 0 for off"
    by_unit[list(units)] = [checks.number("factor", each, expected) for each in factors.values()]
    return codes * by_unit


def blended(first: np.ndarray, second: np.ndarray, share: Any) -> np.ndarray:
    """Return (1 - share) * first + share * second of codes (N, ...), one of which may be single.

    Raises:
        InputError: the numbers of images differ, or `share` is not in [0, 1].
    """
    part = checks.number("share", share, "a share in [0, 1]", lambda value: 0.0 <= value <= 1.0)
    if len(first) != len(second) and 1 not in (len(first), len(second)):
        raise InputError(
            f"{len(first)} and {len(second)} images to blend: expected as many, or a single one"
        )
    return ((1.0 - part) * first + part * second).astype(np.float32)


def strongest(codes: np.ndarray, count: int = STRONGEST) -> Sequence[int]:
    """Return the units of one image's codes (..., units) with the largest mean activation.

    The mean is over positions, of absolute values; units that are 0 are left out.
    """
    means = np.abs(codes).reshape(-1, codes.shape[-1]).mean(axis=0)
    order = np.argsort(-means, kind="stable")[:count]
    return [unit for unit in order.tolist() if means[unit] > 0.0]
