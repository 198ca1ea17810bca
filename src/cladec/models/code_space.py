"""This module finds out, before anything is trained, whether the codes of layers fit the disk."""

from collections.abc import Iterable
from typing import Any

import keras

from cladec.data import stored_rows
from cladec.models import cutting
from cladec.models.training_rows import varied_if_few


def check_space_for_codes(classifier: keras.Model, layers: Iterable[str], images: Any) -> None:
    """Raise InputError if the codes of one of some layers would not fit the disk.

    Codes of one layer at a time are kept, with those of the varied copies of few photographs. Those
    of more than 512 MiB are in a file.

    Args:
        classifier: the classifier, which can be cut at these layers.
        layers: the layers, by their names.
        images: the training images, (N, H, W, C).
    """
    flat, rows = cutting.flatten(classifier), varied_if_few(images)
    for layer in layers:
        shape = flat.find(layer).shape[1:]
        what = f"the codes of layer {layer!r}, {len(rows):,} of shape {shape},"
        stored_rows.folder_for((len(rows), *shape), "float16", beside=rows, what=what)
