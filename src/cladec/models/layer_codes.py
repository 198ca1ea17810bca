"""The codes of several layers of a classifier, from one pass over the images where they fit."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from cladec.data.stored_rows import room
from cladec.models import batches, cutting, memory
from cladec.models.cutting import Flat
from cladec.models.fitting import encode, is_beyond_half_precision
from cladec.models.training import seeded

TOGETHER = 2**30
"""The bytes of codes that one pass over the images computes, unless one layer has more."""

NUMBER = np.dtype("float16")


def each_codes(
    classifier: keras.Model, layers: Sequence[str], images: Any
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every layer with the codes of all images, as `compute_codes` returns them.

    Layers are computed together as long as their codes take at most 1 GiB; those of one layer of
    more than 512 MiB are in a file.

    Args:
        classifier: a classifier that can be cut.
        layers: the layers, by their names.
        images: checked images (N, H, W, C), or a stand-in for them such as `Varied`.

    Raises:
        InputError: there is no such layer, or its codes do not fit the disk.
    """
    with seeded(0):
        flat = cutting.flatten(classifier)
    for group in _groups(flat, layers, len(images)):
        found = _one_pass(flat, group, images)
        for layer in group:
            yield layer, found.pop(layer)


def _groups(flat: Flat, layers: Sequence[str], count: int) -> Iterator[list[str]]:
    """Yield the layers in parts whose codes may be computed together."""
    group: list[str] = []
    total = 0
    for layer in layers:
        size = NUMBER.itemsize * count * math.prod(flat.find(layer).shape[1:])
        if group and total + size > TOGETHER:
            yield group
            group, total = [], 0
        group, total = [*group, layer], total + size
    if group:
        yield group


def _one_pass(flat: Flat, layers: Sequence[str], images: Any) -> dict[str, np.ndarray]:
    """Return the codes of these layers; those that half precision cannot hold in single."""
    tensors = {layer: flat.find(layer) for layer in layers}
    network, count = keras.Model(flat.inputs, tensors), len(images)
    found: dict[str, Any] = {
        layer: room((count, *tensor.shape[1:]), NUMBER, beside=images)
        for layer, tensor in tensors.items()
    }
    size = memory.images_per_call(network, most=batches.PREDICTION_BATCH)
    for rows in batches.batches(count, size):
        answers = network.predict_on_batch(images[rows])
        with np.errstate(over="ignore"):
            for layer, codes in answers.items():
                found[layer][rows] = codes
    for layer, codes in found.items():
        if is_beyond_half_precision(codes):
            found[layer] = encode(keras.Model(flat.inputs, tensors[layer]), images)
    return found
