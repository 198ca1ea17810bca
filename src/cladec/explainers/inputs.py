"""What explainers are given: checked images, target classes, and what stands for missing pixels."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cladec import checks
from cladec.data import arrays
from cladec.errors import InputError
from cladec.explainers.scores import LogitsModel, logits_model
from cladec.models import cutting
from cladec.models.given_images import check_images

Targets = int | Sequence[int] | np.ndarray | None
"""The classes to explain: one for all images, one for each, or None for the predicted ones."""

Fill = float | Sequence[float] | np.ndarray
"""What stands for missing pixels: a number, a colour (C,) or an image (H, W, C), in [0, 1]."""


def prepare(
    model: keras.Model, images: Any, targets: Targets
) -> tuple[LogitsModel, np.ndarray, np.ndarray]:
    """The scores of `model`, the checked images (N, H, W, C) and a target class for each, (N,).

    Raises:
        InputError: what `LogitsModel`, `check_images` and `resolve_targets` raise.
    """
    logits = logits_model(model)
    images = np.asarray(check_images(model, images))  # pictures on the disk are read
    return logits, images, resolve_targets(logits, images, targets)


def resolve_targets(logits: LogitsModel, images: np.ndarray, targets: Targets) -> np.ndarray:
    """The class to explain of each image, (N,) int64; the predicted ones for None.

    Raises:
        InputError: what `for_each_image` raises.
    """
    if targets is None:
        return logits.predict(images).argmax(axis=1)
    return for_each_image("class", targets, len(images), logits.classes)


def for_each_image(name: str, numbers: Any, images: int, count: int) -> np.ndarray:
    """One number for each image, (images,) int64, of a single one or of one for each.

    Args:
        name: the name of what is numbered, for the error.
        numbers: whole numbers of any type, one or (images,), from 0 to `count` - 1; one-hot rows
            (images, count); or bools, if there are two things.
        images: how many images there are.
        count: how many things are numbered.

    Raises:
        InputError: the numbers are none of these, not as many as the images, or out of range.
    """
    array = _whole(checks.array(name, numbers), count)
    if array.dtype.kind not in "iu" or array.shape not in ((), (images,)):
        raise InputError(
            f"{numbers!r:.60} is no {name}: expected the number of one, or of one for each of the "
            f"{images} images"
        )
    wrong = array[(array < 0) | (array >= count)]
    if wrong.size:
        raise InputError(f"{name} {wrong.flat[0]} is out of range: expected 0 to {count - 1}")
    return np.broadcast_to(array, images).astype(np.int64)


def _whole(array: np.ndarray, count: int) -> np.ndarray:
    """Numbers that mean the same as labels of images, as integers; anything else unchanged."""
    rows = array.ndim == 2 and array.shape[1] in (1, count)
    is_bool = array.dtype.kind == "b" and not rows
    if (array.dtype.kind not in "bf" and not rows) or (is_bool and count != 2):
        return array
    try:
        labels = arrays.as_labels(np.atleast_1d(array))
    except InputError:
        return array
    return array if labels.ndim == 2 else labels.reshape(array.shape[:1])


def background_image(name: str, value: Any, image_shape: tuple[int, ...]) -> np.ndarray:
    """An option that stands for missing pixels, as an image (H, W, C) float32.

    Args:
        name: the name of the option, for the error.
        value: a number, a colour (C,) or an image (H, W, C), in [0, 1].
        image_shape: (H, W, C).

    Raises:
        InputError: it has another shape, or values outside [0, 1].
    """
    array = checks.array(name, value, np.float32)
    if array.shape not in ((), image_shape[-1:], image_shape):
        raise InputError(
            f"{name} of shape {array.shape}: expected a number, a colour {image_shape[-1:]} or an "
            f"image {image_shape}"
        )
    if not ((array >= 0.0) & (array <= 1.0)).all():
        raise InputError(f"{name} has values outside [0, 1]: expected pixels in [0, 1]")
    return np.broadcast_to(array, image_shape)


def background_images(model: keras.Model, backgrounds: np.ndarray | None) -> np.ndarray:
    """Images (M, H, W, C) to compare with; one black image for None.

    Raises:
        InputError: what `check_images` raises.
    """
    if backgrounds is None:
        return np.zeros((1, *cutting.image_shape(model)), np.float32)
    return np.asarray(check_images(model, backgrounds))
