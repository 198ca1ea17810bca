"""Which rows a decoder is trained on: all but those held out, and copies of few photographs."""

from typing import Any, NamedTuple

import keras
import numpy as np

from cladec.models.recipes import is_photograph

HELD_OUT = 0.1
"""The share of the training images that tell when a decoder has learned enough."""

MOST_HELD_OUT = 1_000
"""The most images that tell it."""

COPIES = 5
"""The most varied copies of a photograph: a decoder learns few photographs by heart."""

MOST = 40_000
"""The most photographs and copies together; from half as many photographs on there are none."""

SMALLEST = 0.8
"""The least share of rows and of columns that a varied copy shows."""


class Varied:
    """A stand-in for N images and varied copies of them, ((1 + copies) N, H, W, C).

    The images as they are come first, then all of them once for each copy. A copy is a part of the
    image, enlarged bilinearly to its size, and mirrored left to right or not. It is made when it is
    read, always in the same way.

    Args:
        images: the images (N, H, W, C).
        copies: the number of varied copies of each.
    """

    def __init__(self, images: Any, copies: int):
        self.images = images
        self.shape, self.dtype = ((1 + copies) * len(images), *images.shape[1:]), images.dtype
        self.ndim = len(self.shape)
        generator = np.random.default_rng(0)
        self._sides = generator.uniform(SMALLEST, 1.0, len(self))
        self._places = generator.uniform(0.0, 1.0, (len(self), 2))
        self._mirrored = generator.random(len(self)) < 0.5

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        places = np.arange(len(self))[rows]
        found = np.array(self.images[places % len(self.images)])
        if not places.ndim:
            return self._seen(found, int(places))
        for number, place in enumerate(places):
            found[number] = self._seen(found[number], place)
        return found

    def _seen(self, image: np.ndarray, row: int) -> np.ndarray:
        """Return what this row shows of an image."""
        if row < len(self.images):
            return image
        for axis in (0, 1):
            size, side = image.shape[axis], self._sides[row]
            centres = (np.arange(size) + 0.5) * side - 0.5
            centres += self._places[row, axis] * (1.0 - side) * size
            image = _between(image, np.clip(centres, 0.0, size - 1.0), axis)
        return image[:, ::-1] if self._mirrored[row] else image


def _between(image: np.ndarray, centres: np.ndarray, axis: int) -> np.ndarray:
    """Return an image at these places of an axis, each linearly between two rows or columns."""
    lower = np.minimum(centres.astype(int), image.shape[axis] - 2)
    share = (centres - lower).astype(np.float32)
    share = share[:, None, None] if axis == 0 else share[None, :, None]
    first, second = (np.take(image, lower + step, axis=axis) for step in (0, 1))
    mixed = (1.0 - share) * first + share * second
    mixed = np.rint(mixed) if image.dtype.kind in "iu" else mixed
    return mixed.astype(image.dtype, copy=False)


class Rows:
    """A stand-in for `array[order]` whose rows are read when they are needed."""

    def __init__(self, array: Any, order: np.ndarray):
        self.array, self.order = array, order
        self.shape, self.dtype = (len(order), *array.shape[1:]), array.dtype

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.array[self.order[rows]]


class Joined:
    """A stand-in for one array behind another whose rows are read when they are needed."""

    def __init__(self, first: Any, second: Any):
        self.first, self.second = first, second
        self.shape = (len(first) + len(second), *first.shape[1:])
        self.dtype = np.result_type(first.dtype, second.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        places = np.arange(len(self))[rows]
        found = np.empty((*places.shape, *self.shape[1:]), self.dtype)
        early = places < len(self.first)
        found[early] = self.first[places[early]]
        found[~early] = self.second[places[~early] - len(self.first)]
        return found


def varied_if_few(images: Any) -> Any:
    """Return the images (N, H, W, C), or `Varied` of few photographs."""
    if not is_photograph(*images.shape[1:3]):
        return images
    copies = min(COPIES, MOST // len(images) - 1)
    return Varied(images, copies) if copies > 0 else images


class Parts(NamedTuple):
    """The rows that a model is trained on, and others that tell when it has learned enough."""

    trained: np.ndarray
    held_out: np.ndarray


def parts(images: Any, seed: int) -> Parts | None:
    """Return the rows of images, or of `Varied`, to train on and to hold out; None for too few.

    A photograph is held out with its copies, which would give it away; it is measured as it is.
    """
    count = len(images.images if isinstance(images, Varied) else images)
    chosen = min(int(HELD_OUT * count), MOST_HELD_OUT)
    if not chosen:
        return None
    held_out = np.sort(np.random.default_rng(seed).permutation(count)[:chosen])
    rows = np.arange(len(images))
    return Parts(rows[~np.isin(rows % count, held_out)], held_out)


def of_rows(arrays: Any, rows: np.ndarray) -> Any:
    """Return nested arrays with these rows alone, which are read when they are needed."""
    return keras.tree.map_structure(lambda array: Rows(array, rows), arrays)
