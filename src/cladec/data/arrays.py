"""Convert images and labels from users to arrays, and refuse those with an unclear meaning."""

from typing import Any

import numpy as np

from cladec.errors import InputError


def pixels(images: Any) -> np.ndarray:
    """Convert images to float32 (N, height, width, channels); such an array is returned as it is.

    Floats and booleans keep their values, and uint8 is divided by 255. The range is not checked.
    Raises InputError for other types and shapes, and if there is no image.
    """
    array = _array("images", images)
    if array.ndim != 4:
        grey = ": add the channel of grey images with images[..., None]" if array.ndim == 3 else ""
        raise InputError(
            f"images is a {array.dtype} array of shape {array.shape}, expected 4 dimensions, "
            f"(N, height, width, channels){grey}"
        )
    if array.dtype == np.uint8 and array.max() != 1:  # a maximum of 1 means black and white
        return np.divide(array, 255, dtype=np.float32)
    if array.dtype.kind not in "fb":
        raise InputError(
            f"images is a {array.dtype} array with values up to {array.max()}, expected floats in "
            "[0, 1], or uint8 up to 255: divide it by the value that stands for white"
        )
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def class_indices(labels: Any) -> np.ndarray:
    """Convert labels to class numbers, int64 (N,), or to class names, str (N,).

    Whole numbers of any type, (N, 1) and one-hot rows (N, K) are accepted. Raises InputError for
    everything else; the message names the first wrong value.
    """
    array = _array("labels", labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind in "ST":
        array = np.array([_text(name) for name in array.ravel()]).reshape(array.shape)
    if array.dtype.kind == "U" and array.ndim == 1:
        return array
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise InputError(
            f"labels is a {array.dtype} array of shape {array.shape}, expected (N,) with the "
            "class number of each image, counted from 0, or (N, K) with a single 1 in each row"
        )
    if array.ndim == 2:
        return _from_one_hot(array)
    values = array.astype(np.float64)
    is_class = (values == np.round(values)) & (np.abs(values) < 2**53)  # NaN and infinity fail
    _refuse_first(
        array, ~is_class, "is {}, expected a class number, which is a whole number from 0"
    )
    return array.astype(np.int64, copy=False)


def _from_one_hot(rows: np.ndarray) -> np.ndarray:
    """Return the position of the single 1 in each row, (N, K) -> (N,)."""
    ones = (rows == 1).sum(axis=1)
    _refuse_first(
        rows,
        ones > 1,
        "has several ones, but images of several classes (multi-label) are not supported yet: pass "
        "one class per image",
    )
    other = (rows != 0) & (rows != 1)
    _refuse_first(
        rows,
        other.any(axis=1) | (ones == 0),
        "is {}, expected a row with a single 1: pass the class number of each image",
    )
    return rows.argmax(axis=1).astype(np.int64, copy=False)


def _refuse_first(labels: np.ndarray, refused: np.ndarray, why: str) -> None:
    """Raise an InputError that names the first label for which `refused` (N,) is true."""
    if refused.any():
        row = int(refused.argmax())
        shown = np.array2string(labels[row], threshold=8, separator=", ")
        raise InputError(f"labels[{row}] {why.format(shown)}")


def _array(name: str, values: Any) -> np.ndarray:
    """Convert a container of numbers or names to an array, which must not be empty."""
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


def drawn_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Draw at most `count` of `total` row indices without replacement, and sort them."""
    drawn = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
    return np.sort(drawn)
