"""This module chooses layers of a classifier that are worth decoding: early, middle and last."""

from collections.abc import Sequence

import keras

from cladec.errors import InputError
from cladec.models import cutting, layers
from cladec.models.layers import ListedLayer

MERGING = ("Add", "Average", "Concatenate", "Multiply", "Maximum")
"""Layers that end a block with a shortcut."""

PREPARING = ("Normalization", "Rescaling", "Resizing", "CenterCrop", "ZeroPadding2D")
"""Layers before the first trained one, beside those that have no weights."""

FEW = 3
"""From so many blocks with a shortcut on, their ends are chosen rather than other layers."""


def three_layers(classifier: keras.Model) -> tuple[str, ...]:
    """Choose an early and a middle layer of a classifier, and the last one before its scores.

    Ends of blocks are preferred to what is computed inside them: layers that merge paths, or, in a
    network without blocks, activations and pooling. A small network may have fewer than three.

    Raises:
        InputError: no layer before the scores can be decoded.
    """
    flat = cutting.flatten(classifier)
    before = _before_the_scores(flat, cutting.num_classes(classifier))
    ends = [layer for layer in before if _ends_a_part(layer, flat)] or before
    if not ends:
        raise InputError(
            f"model {classifier.name!r} has no layer before its scores that can be decoded: name "
            "one with --layers; cladec layers lists them"
        )
    blocks = [layer for layer in ends[:-1] if layer.type in MERGING]
    others = blocks if len(blocks) >= FEW else ends[:-1]
    chosen = [others[len(others) // 6], others[len(others) // 2]] if others else []
    return tuple(dict.fromkeys(layer.path for layer in (*chosen, ends[-1])))


def _before_the_scores(flat: cutting.Flat, classes: int) -> list[ListedLayer]:
    """Return the decodable layers between the first trained one and the scores."""
    found = layers.listed(flat)
    trained = [bool(flat.origins[layer.path][0].weights) for layer in found]
    prepares = [layer.type in PREPARING for layer in found]
    first = next(
        (i for i, pair in enumerate(zip(trained, prepares, strict=True)) if pair == (True, False)),
        0,
    )
    end = len(found)
    while end > first and found[end - 1].shape in ((classes,), (1,), ()):
        end -= 1
    return [layer for layer in found[first:end] if layer.reason is None]


def _ends_a_part(layer: ListedLayer, flat: cutting.Flat) -> bool:
    """Return whether a layer merges paths, pools, or ends in an activation that is not linear."""
    if layer.type in MERGING or "Pool" in layer.type:
        return True
    operation = flat.origins[layer.path][0]
    if isinstance(operation, keras.layers.ReLU | keras.layers.LeakyReLU | keras.layers.PReLU):
        return True
    activation = getattr(operation, "activation", keras.activations.linear)
    return activation is not keras.activations.linear


def encoder_weights(classifier: keras.Model, layers: Sequence[str]) -> dict[str, int]:
    """Return the number of weights of the classifier up to each of these layers."""
    flat = cutting.flatten(classifier)
    return {layer: keras.Model(flat.inputs, flat.find(layer)).count_params() for layer in layers}
