"""The checkerboard that transposed convolutions draw, measured in the spectrum of images."""

import numpy as np

from cladec import checks
from cladec.errors import InputError

SMALLEST = 8
"""The least rows and columns of an image in which frequencies can be told apart."""


def checkerboard(decoded: np.ndarray, images: np.ndarray, *, period: int = 2) -> float:
    """Return how much more energy decoded images have at a grid's frequency than the originals.

    A decoder that doubles its grid with stride 2 repeats a pattern every 2 pixels, one layer
    earlier every 4. In a spectrum this is energy in the rows or columns N / period; its share of
    the energy above the mean pixel is divided by the same share of the originals.

    Args:
        decoded: the decoded images (N, H, W, C).
        images: the originals (N, H, W, C).
        period: the distance of the grid's lines in pixels, 2 or more.

    Returns:
        A number of at least 0: below 1 is smoother than the originals, far above 1 a checkerboard.

    Raises:
        InputError: the shapes differ or are no images, or `period` is not from 2 to half of a side.

    Examples:
        >>> checkerboard(images, images)
        1.0
    """
    shape = np.shape(decoded)
    if shape != np.shape(images) or len(shape) != 4 or min(shape[1:3]) < SMALLEST or not shape[0]:
        raise InputError(
            f"decoded images {shape} and originals {np.shape(images)}: expected two arrays "
            f"(N, H, W, C) of one shape, H and W at least {SMALLEST}"
        )
    period = checks.whole("period", period, 2)
    if period > min(shape[1:3]) // 2:
        raise InputError(f"period is {period}: expected at most half of a side of images {shape}")
    original = _share(images, period)
    return _share(decoded, period) / original if original else float("inf")


def _share(images: np.ndarray, period: int) -> float:
    """Return the share of the energy, without that of the mean, at the frequencies of a grid."""
    values = np.asarray(images, np.float32)
    values = values - values.mean(axis=(1, 2), keepdims=True)
    energy = (np.abs(np.fft.fft2(values, axes=(1, 2))) ** 2).sum(axis=(0, 3))
    rows, columns = (_lines(size, period) for size in energy.shape)
    at_grid = rows[:, None] | columns[None, :]
    return float(energy[at_grid].sum() / max(energy.sum(), np.finfo(np.float32).tiny))


def _lines(size: int, period: int) -> np.ndarray:
    """Return which of `size` frequencies lie at 1 / period, one of each sign; (size,) bool."""
    lines = np.zeros(size, bool)
    place = round(size / period)
    lines[[place, -place]] = True
    return lines
