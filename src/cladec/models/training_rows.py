"""Which rows a decoder of photographs is trained on: all but a tenth, mirrored as well if few."""

from typing import Any

import keras
import numpy as np

from cladec.models.recipes import is_photograph

HELD_OUT = 0.1
"""The share of the training photographs that tell when a decoder has learned enough."""

FEW = 20_000
"""Fewer photographs than this are trained on mirrored as well: a decoder learns them by heart."""


class Mirrored:
    """A stand-in for the images (2 N, H, W, C): N images, then the same N mirrored left to right.

    Rows are mirrored when they are read.
    """

    def __init__(self, images: Any):
        self.images = images
        self.shape, self.dtype = (2 * len(images), *images.shape[1:]), images.dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        places = np.arange(len(self))[rows]
        count = len(self.images)
        found = np.asarray(self.images[places % count])
        mirrored = (places >= count)[..., None, None, None]
        return np.where(mirrored, found[..., ::-1, :], found)


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


def is_mirrored(images: Any) -> bool:
    """Return whether images (N, H, W, C) are photographs, and so few that they are mirrored."""
    return is_photograph(*images.shape[1:3]) and len(images) < FEW


def mirrored_if_few(images: Any) -> Any:
    """Return the images, or `Mirrored` of them where `is_mirrored`."""
    return Mirrored(images) if is_mirrored(images) else images


def held_out(images: Any, seed: int) -> np.ndarray | None:
    """Return the rows of images, or of `Mirrored`, to hold out; None if they are no photographs.

    A photograph is held out with its mirror image, which would give it away.
    """
    if not is_photograph(*images.shape[1:3]):
        return None
    twice = isinstance(images, Mirrored)
    count = len(images) // (2 if twice else 1)
    order = np.random.default_rng(seed).permutation(count)
    chosen = np.sort(order[: int(HELD_OUT * count)])
    if not len(chosen):
        return None
    return np.concatenate([chosen, chosen + count]) if twice else chosen


def parted(arrays: Any, held_out: np.ndarray) -> tuple[Any, Any]:
    """Return nested arrays without the rows `held_out`, and with these rows alone."""
    count = len(keras.tree.flatten(arrays)[0])
    kept = np.setdiff1d(np.arange(count), held_out)
    first, second = (
        keras.tree.map_structure(lambda array, order=order: Rows(array, order), arrays)
        for order in (kept, held_out)
    )
    return first, second
