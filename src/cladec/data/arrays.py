"""Convert images and labels from users to arrays, and refuse those with an unclear meaning."""

import math
from typing import Any, cast

import numpy as np

from cladec.data.pixel_ranges import WAY_OUT
from cladec.data.stored_rows import StoredRows
from cladec.errors import InputError

WHITE = 255
"""The value of white in images of bytes."""


def pixels(images: Any, *, bytes_wanted: bool = False) -> np.ndarray:
    """Convert images to float32 (N, height, width, channels); such an array is returned as it is.

    Floats and booleans keep their values, and uint8 is divided by 255. The range is not checked.

    Args:
        images: an array, or what numpy makes one of.
        bytes_wanted: whether the images are for a classifier that is known to want pixels from 0 to
            255. Then all numbers are divided by 255 if they are integers or any is above 1.

    Raises:
        InputError: the type or the shape is another, or there is no image.
    """
    if isinstance(images, StoredRows):
        return cast(np.ndarray, images)
    array = as_array("images", images)
    if array.ndim != 4:
        raise InputError(
            f"images is a {array.dtype} array of shape {array.shape}, expected 4 dimensions, "
            "(N, height, width, channels)"
        )
    if _are_bytes(array, bytes_wanted):
        return np.divide(array, WHITE, dtype=np.float32)
    if array.dtype.kind not in "fb":
        raise InputError(
            f"images is a {array.dtype} array with values up to {array.max()}, expected floats in "
            "[0, 1], or uint8 up to 255: divide it by the value that stands for white"
        )
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def _are_bytes(array: np.ndarray, wanted: bool) -> bool:
    kind, top = array.dtype.kind, array.max()
    if wanted:
        return (kind in "iu" and top <= WHITE) or (kind == "f" and 1 < top <= WHITE)
    return array.dtype == np.uint8 and bool(top != 1)  # a maximum of 1 means black and white


def in_range(images: Any) -> np.ndarray:
    """Return float images unchanged if they are in [0, 1].

    Raises:
        InputError: a pixel is NaN or outside of it; the message says what to do.
    """
    if isinstance(images, StoredRows):
        return cast(np.ndarray, images)  # bytes are in the range, and so is what a decoder draws
    low, high = images.min(), images.max()
    if np.isnan(low):
        raise InputError("a pixel of the images is NaN: expected numbers in [0, 1]")
    if low < 0 or high > 1:
        raise InputError(
            f"pixels from {low:.4g} to {high:.4g}: expected values in [0, 1]; {WAY_OUT}"
        )
    return images


def as_labels(labels: Any) -> np.ndarray:
    """Convert labels to class numbers, int64 (N,), class names, str (N,), or rows, float32 (N, K).

    Whole numbers of any type, (N, 1) and one-hot rows (N, K) become class numbers. Rows of 0 and 1
    of which one has several ones, or none, are those of images with several labels.

    Raises:
        InputError: the labels are anything else; the message names the first wrong value.
    """
    array = as_array("labels", labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind in "ST":
        array = np.array([_text(name) for name in array.ravel()]).reshape(array.shape)
    if array.dtype.kind == "U" and array.ndim == 1:
        return array
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise InputError(
            f"labels is a {array.dtype} array of shape {array.shape}, expected (N,) with the "
            "class number of each image, counted from 0, or (N, K) of 0 and 1"
        )
    if array.ndim == 2:
        return _from_rows(array)
    values = array.astype(np.float64)
    is_class = (values == np.round(values)) & (np.abs(values) < 2**53)  # NaN and infinity fail
    _refuse_first(
        array, ~is_class, "is {}, expected a class number, which is a whole number from 0"
    )
    return array.astype(np.int64, copy=False)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return class numbers (N,) as rows (N, classes) float32 with a single 1 each."""
    return (labels[:, None] == np.arange(classes)).astype(np.float32)


def _from_rows(rows: np.ndarray) -> np.ndarray:
    """Return the position of the single 1 in each row (N, K), or the rows if one has no such."""
    wrong = (rows != 0) & (rows != 1)
    _refuse_first(
        rows,
        wrong.any(axis=1),
        "is {}, expected a row of 0 and 1: pass the class number of each image",
    )
    if ((rows == 1).sum(axis=1) == 1).all():
        return rows.argmax(axis=1).astype(np.int64, copy=False)
    return rows.astype(np.float32, copy=False)


def _refuse_first(labels: np.ndarray, refused: np.ndarray, why: str) -> None:
    """Raise an InputError that names the first label for which `refused` (N,) is true."""
    if refused.any():
        row = int(refused.argmax())
        shown = np.array2string(labels[row], threshold=8, separator=", ")
        raise InputError(f"labels[{row}] {why.format(shown)}")


def as_array(name: str, values: Any) -> np.ndarray:
    """Convert a tensor or a container of numbers or names to an array, which must not be empty.

    Raises:
        InputError: it is no such container, has masked values, or is empty.
    """
    if hasattr(values, "detach"):  # numpy takes no tensor of PyTorch with a gradient or on a GPU
        values = values.detach().cpu()
    try:
        array = np.asarray(values)
        if array.dtype == object:  # pandas stores names this way
            array = np.array(array.tolist())
    except Exception as error:  # tensors of other libraries raise many types of errors
        raise InputError(
            f"{name} is a {type(values).__name__}, not an array ({error}): use numpy.asarray"
        ) from None
    if array.size == 0:
        raise InputError(f"{name} is empty, of shape {array.shape}: pass at least one image")
    if np.ma.is_masked(values):
        raise InputError(f"{name} has masked values: leave those images out")
    return array


def _text(name: Any) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def evenly_spread(rows: Any, most: int) -> Any:
    """Return at most `most` of the rows of an array, evenly spread."""
    return rows[:: math.ceil(len(rows) / most)]


def drawn_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Draw at most `count` of `total` row indices without replacement, and sort them."""
    drawn = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
    return np.sort(drawn)
