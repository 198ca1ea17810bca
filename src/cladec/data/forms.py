"""Gather images and labels, in any form that people have them in, into arrays."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from cladec.data import image_folder
from cladec.data.arrays import as_array
from cladec.data.stored_rows import StoredRows
from cladec.errors import InputError

Shape = tuple[int, int, int]
"""(height, width, channels)."""

INFINITE = -1
"""What `tf.data` gives for the number of elements of a dataset without an end."""


def as_images(given: Any, shape: Shape | None = None) -> np.ndarray:
    """Return images in any form as one array; an array is returned as it is if it fits `shape`.

    Args:
        given: an array or tensor; a picture, which is a PIL image or the path of a file; a list of
            arrays or pictures; or a dataset, see `is_dataset`, whose labels are left out.
        shape: the shape that a model takes. Then a single image becomes an array of one, grey
            images get their channel, (N, C, H, W) is turned, and pictures get the channels.

    Returns:
        An array of the type of the given numbers, (N, H, W, C) where that is known; pictures are
        float32 in [0, 1]. The range and the size are not checked.

    Raises:
        InputError: the images have several sizes, or are none of these forms.
    """
    if isinstance(given, StoredRows):
        return cast(np.ndarray, given)
    if is_dataset(given):
        return gathered(given, shape)[0]
    if _is_picture(given):
        return _picture(given, shape)[None]
    if isinstance(given, list | tuple) and any(hasattr(each, "shape") for each in given):
        return _fitted(_stacked([as_array("images", each) for each in given]), shape)
    if isinstance(given, list | tuple) and any(map(_is_picture, given)):
        return _stacked([_picture(each, shape, place) for place, each in enumerate(given)])
    return _fitted(as_array("images", given), shape)


def is_dataset(given: Any) -> bool:
    """Return whether `given` yields images, or images and labels, one after the other.

    This includes `tf.data.Dataset`, `keras.utils.PyDataset`, the datasets and the `DataLoader` of
    PyTorch, and iterators, but no container that numpy makes an array of.
    """
    if hasattr(given, "__array__") or _is_picture(given):
        return False
    if isinstance(given, str | bytes | Sequence | Mapping | set):
        return False
    return hasattr(given, "__iter__") or (
        hasattr(given, "__getitem__") and hasattr(given, "__len__")
    )


def gathered(data: Any, shape: Shape | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return all images of a dataset, and their labels; None if it has no labels.

    Args:
        data: a dataset of images, of pairs (images, labels), or of dicts with the keys "image" and
            "label", single or in batches.
        shape: the shape of the images that a model takes, if it is known.

    Raises:
        InputError: the dataset has no end, is empty, or has images of several sizes.
    """
    images, labels = [], []
    for element in _elements(data):
        image, label = _pair(element)
        single, array = _batch(image, label, shape)
        images.append(array)
        if label is not None:
            label = as_array("labels", label)
            labels.append(label[None] if single else label)
    if not images:
        raise InputError(f"the {type(data).__name__} is empty: expected one image or more")
    if len(labels) not in (0, len(images)):
        raise InputError(f"only some images of the {type(data).__name__} have labels")
    return _joined(images), np.concatenate(labels) if labels else None


def _elements(data: Any) -> Iterator[Any]:
    """Return an iterator over a dataset whose end is known."""
    name = type(data).__name__
    endless = InputError(
        f"the {name} has no known end: expected a dataset with a length, or a list; leave repeat() "
        "out, or take some with take(count)"
    )
    if hasattr(data, "element_spec"):  # of TensorFlow
        if int(data.cardinality()) == INFINITE:
            raise endless
        return iter(data)
    try:
        length = data.num_batches if hasattr(data, "num_batches") else len(data)
    except (TypeError, NotImplementedError) as error:
        raise endless from error
    if length is None:
        raise endless
    if hasattr(data, "__getitem__"):  # PyTorch's and Keras's may go on for ever if iterated
        return (data[place] for place in range(length))
    return iter(data)


def _pair(element: Any) -> tuple[Any, Any]:
    """Return the images and labels of an element of a dataset; None if there are no labels."""
    if isinstance(element, Mapping):
        found = [
            next((element[key] for key in (name, f"{name}s") if key in element), None)
            for name in ("image", "label")
        ]
        if found[0] is None:
            raise InputError(
                f"the elements of the dataset have the keys {', '.join(map(str, element))}: "
                "expected 'image' and 'label', or pairs (images, labels)"
            )
        return found[0], found[1]
    if isinstance(element, tuple | list):
        return element[0], element[1] if len(element) > 1 else None
    return element, None


def _batch(image: Any, label: Any, shape: Shape | None) -> tuple[bool, np.ndarray]:
    """Return whether an element of a dataset is a single image, and its images (N, ...)."""
    if _is_picture(image):
        return True, _picture(image, shape)[None]
    array = as_array("images", image)
    count = np.shape(label)[:1]
    several = array.ndim == 4 or (
        array.ndim == 3
        and (count == array.shape[:1] if count else label is None)
        and (array.shape[1:] == shape[:2] if shape else array.shape[-1] not in (1, 3))
    )
    return not several, _fitted(array if several else array[None], shape)


def _fitted(array: np.ndarray, shape: Shape | None) -> np.ndarray:
    """Return images in the arrangement (N, H, W, C) of `shape` if they have it in another one."""
    if shape is None or array.shape[1:] == shape:
        return array
    height, width, channels = shape
    if array.shape in (shape, (channels, height, width)) or array.shape == (height, width):
        array = array[None]
    if array.shape[1:] == (channels, height, width) != shape:
        return np.moveaxis(array, 1, -1)
    grey = channels == 1 and array.shape[1:] == (height, width)
    return array[..., None] if grey else array


def _joined(images: list[np.ndarray]) -> np.ndarray:
    """Return batches of images (n, ...) as one array."""
    if len(images) == 1:
        return images[0]
    _check_same([array.shape[1:] for array in images])
    return np.concatenate(images)


def _stacked(images: list[np.ndarray]) -> np.ndarray:
    """Return images of one shape as one array; grey ones become coloured beside coloured ones."""
    shapes = {array.shape for array in images}
    if len({shape[:2] for shape in shapes}) == 1 and {shape[2:] for shape in shapes} == {
        (1,),
        (3,),
    }:
        images = [np.broadcast_to(array, (*array.shape[:2], 3)) for array in images]
    _check_same([array.shape for array in images])
    return np.stack(images)


def _check_same(shapes: list[tuple[int, ...]]) -> None:
    for place, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise InputError(
                f"image {place} is of shape {shape}, and image 0 of {shapes[0]}: resize all images "
                "to one size"
            )


def _is_picture(given: Any) -> bool:
    """Return whether `given` is a PIL image or the path of a file."""
    return isinstance(given, str | os.PathLike) or type(given).__module__.startswith("PIL.")


def _picture(given: Any, shape: Shape | None, place: int = 0) -> np.ndarray:
    """Return a picture as (H, W, C) float32, in `shape` if it is known."""
    if isinstance(given, str | os.PathLike):
        name, pixels = given, image_folder.read_pixels(Path(given))
    else:
        name = getattr(given, "filename", "") or f"image {place}"
        pixels = image_folder.pixels_of(given, name)
    pixels = image_folder.fractions(pixels)
    return pixels if shape is None else image_folder.fitted(name, pixels, shape)
