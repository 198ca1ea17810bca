"""How much of the pictures a decoder does not give back, on a scale that all layers and data share.

The squared error of decoded pictures is divided by that of the mean picture, which knows nothing of
the single one: 0 is a perfect copy and 1 means that nothing was kept. Beside it stands the error of
a thumbnail of the grid of the code: what its places alone could hold.
"""

import math

import numpy as np

from cladec.explainers.grids import along_axes, enlargement, reduction
from cladec.models.batches import batches
from cladec.models.tokens import token_grid

ROWS = 256
"""The number of images that are compared at once."""


def mean_image(images: np.ndarray) -> np.ndarray:
    """Return the mean of images (N, H, W, C), an image (H, W, C) float32."""
    total = np.zeros(images.shape[1:])
    for rows in batches(len(images), ROWS):
        total += images[rows].sum(axis=0, dtype=np.float64)
    return (total / len(images)).astype(np.float32)


def squared_error(images: np.ndarray, others: np.ndarray) -> float:
    """Return the mean over images of the squared difference, summed over pixels and channels.

    Args:
        images: (N, H, W, C).
        others: as many images, or one (H, W, C) to compare with each.
    """
    total = 0.0
    for rows in batches(len(images), ROWS):
        other = others[rows] if others.ndim == images.ndim else others
        total += float(np.square(images[rows] - other, dtype=np.float64).sum())
    return total / len(images)


def normalised_error(images: np.ndarray, decoded: np.ndarray, mean: np.ndarray) -> float:
    """Return the squared error of decoded images as a share of that of the mean image.

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        decoded: what a decoder makes of them, (N, H, W, C).
        mean: the mean of the training images, (H, W, C).

    Returns:
        At least 0; 1 means that nothing was kept, and above 1 the mean image would be better. NaN
        if every image is the mean image.

    Examples:
        >>> from cladec.metrics import normalised
        >>> mean = normalised.mean_image(images)
        >>> normalised.normalised_error(images, images, mean)
        0.0
        >>> round(normalised.normalised_error(images, np.broadcast_to(mean, images.shape), mean), 6)
        1.0
    """
    largest = squared_error(images, mean)
    return squared_error(images, decoded) / largest if largest else math.nan


def thumbnail_error(images: np.ndarray, grid: tuple[int, int], mean: np.ndarray) -> float:
    """Return the `normalised_error` of images that are shrunk to a grid and enlarged again.

    Args:
        images: (N, H, W, C) in [0, 1].
        grid: (rows, columns) of the thumbnail, whose pixels are means of areas; it is enlarged
            bilinearly.
        mean: the mean of the training images, (H, W, C).
    """
    rows, columns = (
        enlargement(size, cells) @ reduction(cells, size)
        for size, cells in zip(images.shape[1:3], grid, strict=True)
    )
    largest, total = squared_error(images, mean), 0.0
    for part in batches(len(images), ROWS):
        shown = images[part]
        total += squared_error(shown, along_axes(shown, rows, columns)) * len(shown)
    return total / len(images) / largest if largest else math.nan


def grid_of(code_shape: tuple[int, ...], height: int, width: int) -> tuple[int, int] | None:
    """Return the (rows, columns) of a code over an image; None for a flat code."""
    if len(code_shape) == 3:
        return code_shape[:2] if math.prod(code_shape[:2]) > 1 else None
    return token_grid(code_shape[0], height, width) if len(code_shape) == 2 else None
