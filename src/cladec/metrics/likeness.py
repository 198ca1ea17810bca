"""How like its original a picture is: to the eye, and to somebody who looks for the original."""

from typing import Any

import numpy as np
from skimage.metrics import structural_similarity
from sklearn.metrics import pairwise_distances_argmin

from cladec.errors import InputError

PERFECT = 1e-10
"""The smallest mean squared error that counts, so that a perfect copy has 100 dB."""

GAUSSIAN = 11
"""The side of the window of Wang et al., a Gaussian; in smaller images it is a square."""

SQUARE = 7
"""The side of the square window, unless the images are smaller still."""


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio of each image, -10 log10(mean squared error), in dB.

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        others: what is compared with them, of the same shape.

    Returns:
        (N,) float64, at most 100 dB, that of a perfect copy.

    Raises:
        InputError: the shapes differ.

    Examples:
        >>> from cladec import metrics
        >>> metrics.psnr(images[:2] * 0, images[:2] * 0 + 0.1).round(6)
        array([20., 20.])
    """
    _check_alike(images, others)
    errors = np.square(images - others, dtype=np.float64).mean(axis=(1, 2, 3))
    return -10.0 * np.log10(np.maximum(errors, PERFECT))


def ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the structural similarity of each image, the mean over places and channels.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 2004, as scikit-image computes it: a Gaussian window of 11x11
    pixels that lies within the image, deviation 1.5. On images of fewer than 11 pixels a side the
    window is a square of 7, or of the largest odd number that fits.

    Args:
        images: the originals, (N, H, W, C) in [0, 1], of at least 3 pixels a side.
        others: what is compared with them, of the same shape.

    Returns:
        (N,) float64, at most 1, that of a perfect copy.

    Raises:
        InputError: the shapes differ, or the images are smaller.

    Examples:
        >>> from cladec import metrics
        >>> metrics.ssim(images[:2], images[:2])
        array([1., 1.])
    """
    _check_alike(images, others)
    options = _window(min(images.shape[1:3])) | {"data_range": 1.0, "channel_axis": -1}
    pairs = zip(images, others, strict=True)
    return np.array([structural_similarity(*_double(pair), **options) for pair in pairs])


def _double(pair: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(image, np.float64) for image in pair]


def _window(side: int) -> dict[str, Any]:
    """Return the options of the window for images of this many pixels a side."""
    if side >= GAUSSIAN:
        return {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    if side < 3:
        raise InputError(f"images of {side} pixels a side: similarity needs at least 3")
    return {"win_size": min(SQUARE, side - (side + 1) % 2), "use_sample_covariance": False}


def reidentified(images: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Return of which decoded images the original is the nearest of all, (N,) bool.

    The distance is the squared error over all pixels. Guessing is right once in N.

    Args:
        images: the originals, (N, H, W, C).
        decoded: what was decoded of each, in the same order.

    Raises:
        InputError: the shapes differ.

    Examples:
        >>> from cladec import metrics
        >>> bool(metrics.reidentified(images[:50], images[:50] + 0.001).all())
        True
    """
    _check_alike(images, decoded)
    known, found = (each.reshape(len(each), -1) for each in (images, decoded))
    nearest: np.ndarray = pairwise_distances_argmin(found, known) == np.arange(len(known))
    return nearest


def _check_alike(images: np.ndarray, others: np.ndarray) -> None:
    if images.ndim != 4 or images.shape != others.shape:
        raise InputError(
            f"images of shapes {images.shape} and {others.shape}: expected the same images twice, "
            "(N, H, W, C)"
        )
