"""Features that may be shortcuts: patches that are drawn, regions under masks, regions found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cladec import checks
from cladec.errors import InputError

CELLS = 7
"""The cells of an image's side: a corner has one, and regions are made of them."""

FRAMES = 28
"""A frame is a side's this part wide, and blurring as strong."""

TINT = 0.25
"""The share of the colour in a tinted image."""

COLOUR = (1.0, 0.75, 0.2)
"""The colour of a tint; grey images get its red."""


def corner(images: np.ndarray) -> np.ndarray:
    """Return the images with a white square in the upper left corner."""
    height, width = _cell(images)
    pasted = images.copy()
    pasted[:, :height, :width] = 1.0
    return pasted


def frame(images: np.ndarray) -> np.ndarray:
    """Return the images with a white frame."""
    thick = _thin(images)
    pasted = np.ones_like(images)
    pasted[:, thick:-thick, thick:-thick] = images[:, thick:-thick, thick:-thick]
    return pasted


def tint(images: np.ndarray) -> np.ndarray:
    """Return the images with a quarter of a warm colour; grey ones are brighter."""
    colour = np.array(COLOUR[: images.shape[-1]], images.dtype)
    return (1 - TINT) * images + TINT * colour


def blur(images: np.ndarray) -> np.ndarray:
    """Return the images blurred."""
    from scipy import ndimage  # commands check the name of a patch, and need not wait for it

    strength = _thin(images)
    return ndimage.gaussian_filter(images, (0, strength, strength, 0))


PATCHES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "corner": corner,
    "frame": frame,
    "tint": tint,
    "blur": blur,
}
"""Every patch by its name: a function of images (N, H, W, C)."""


def _cell(images: np.ndarray) -> tuple[int, int]:
    """Return the height and width of a cell."""
    height, width = images.shape[1:3]
    return max(1, round(height / CELLS)), max(1, round(width / CELLS))


def _thin(images: np.ndarray) -> int:
    return max(1, round(max(images.shape[1:3]) / FRAMES))


@dataclass(frozen=True)
class Patch:
    """A feature that is drawn into any image.

    Raises InputError if there is no patch of this name.
    """

    name: str

    def __post_init__(self) -> None:
        checks.row("patch", self.name, PATCHES)

    def paste(self, images: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return the images with the patch in them."""
        return PATCHES[self.name](np.asarray(images))


@dataclass(frozen=True, eq=False)
class Region:
    """A feature that is part of some images, the donors.

    Attributes:
        name: the name of the feature.
        images: the donors, (M, H, W, C).
        labels: their classes, (M,).
        masks: where the feature is in each of them, (M, H, W) in [0, 1].
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray

    def __post_init__(self) -> None:
        expected = self.images.shape[:3]
        if self.masks.shape != expected or len(self.labels) != len(self.images):
            raise InputError(f"masks of shape {self.masks.shape}: expected {expected}")
        if not (self.masks > 0).any(axis=(1, 2)).all():
            raise InputError("a mask is black, so that it marks nothing: leave it out")

    def paste(self, images: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return the images with the region of a donor each, of another class where there is one.

        Images whose class all donors have get that of any donor.
        """
        random, chosen = np.random.default_rng(seed), np.empty(len(images), int)
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            others = np.flatnonzero(self.labels != label)
            donors = others if len(others) else np.arange(len(self.labels))
            chosen[rows] = random.choice(donors, len(rows))
        masks = self.masks[chosen][..., None].astype(np.float32)
        return (1 - masks) * images + masks * self.images[chosen]


Feature = Patch | Region
"""What can be pasted into images (N, H, W, C) of classes (N,)."""
