"""Whether the pixels that an attribution map marks matter to the classifier, a value per image.

Deletion and insertion look at the order of the pixels, muFidelity at their attributions themselves.
A map of random numbers is the floor that every explanation should beat.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from scipy.ndimage import gaussian_filter

from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.inputs import Targets, prepare
from cladec.metrics.correlations import pearson


@dataclass(frozen=True, eq=False)
class PerturbationCurves:
    """The probability of the target class while pixels are replaced.

    Attributes:
        shares: the shares of pixels replaced, (S + 1,) from 0 to 1.
        scores: probability of the target class, (N, S + 1).
        auc: area below each curve, (N,) in [0, 1].
    """

    shares: np.ndarray
    scores: np.ndarray
    auc: np.ndarray


def deletion(
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    targets: Targets = None,
    *,
    steps: int = 20,
    fill: float = 0.0,
    seed: int = 0,
    batch_size: int | None = None,
) -> PerturbationCurves:
    """Delete the pixels with the highest attribution first; a low area is good.

    Petsiuk et al., "RISE", section 4.1, arXiv 1806.07421.

    Args:
        model: any built classifier.
        images: (N, H, W, C) in [0, 1].
        maps: attribution of each pixel to the target class, (N, H, W).
        targets: a class for all, one for each, or None for the predicted ones.
        steps: S, in how many equal portions the pixels are deleted.
        fill: what takes the place of a pixel, in [0, 1].
        seed: the seed of the order of pixels with equal attribution.
        batch_size: images of a model call.

    Raises:
        InputError: an array does not fit the model, or an option is out of range.
    """
    _check_fill(fill)

    def blank(image: np.ndarray) -> np.ndarray:
        return np.full_like(image, fill)

    return _perturb(model, images, maps, targets, blank, False, steps, seed, batch_size)


def insertion(
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    targets: Targets = None,
    *,
    steps: int = 20,
    blur: float | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> PerturbationCurves:
    """Put the pixels with the highest attribution first into a blurred image; a high area is good.

    Petsiuk et al., "RISE", section 4.1, arXiv 1806.07421. Arguments as for `deletion`, and:

    Args:
        blur: standard deviation of the Gaussian blur in pixels; None for a quarter of the width,
            which leaves nothing of a digit to recognise.
    """
    at_least(0, blur=0 if blur is None else blur)

    def other(image: np.ndarray) -> np.ndarray:
        return blurred(image, blur)

    return _perturb(model, images, maps, targets, other, True, steps, seed, batch_size)


def blurred(image: np.ndarray, deviation: float | None = None) -> np.ndarray:
    """An image (H, W, C) after a Gaussian blur, of a quarter of its width unless it is given."""
    width = image.shape[1] / 4 if deviation is None else deviation
    return gaussian_filter(image, (width, width, 0))


def _perturb(
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    targets: Targets,
    other: Callable[[np.ndarray], np.ndarray],
    inserts: bool,
    steps: int,
    seed: int,
    batch_size: int | None,
) -> PerturbationCurves:
    """Move from each image to its `other` one, or back, the most important pixels first."""
    at_least(1, steps=steps)
    logits, images, classes = prepare(model, images, targets)
    maps = check_maps(images, maps)
    pixels = images.shape[1] * images.shape[2]
    counts = np.linspace(0, pixels, steps + 1).round().astype(int)
    ties = np.random.default_rng(seed).random(pixels)
    scores = np.empty((len(images), steps + 1))
    for i, image in enumerate(images):
        place = np.lexsort((ties, -maps[i].ravel())).argsort().reshape(image.shape[:2])
        replaced = (place < counts[:, None, None])[..., None]
        images_of_steps = np.where(replaced ^ inserts, other(image), image)
        scores[i] = logits.probabilities(images_of_steps, batch_size)[:, classes[i]]
    shares = counts / pixels
    return PerturbationCurves(shares, scores, np.trapezoid(scores, shares, axis=1))


def mu_fidelity(
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    targets: Targets = None,
    *,
    samples: int = 200,
    share: float = 0.2,
    grid: int = 9,
    fill: float = 0.0,
    seed: int = 0,
    batch_size: int | None = None,
) -> np.ndarray:
    """Whether attributions add up to what the classifier loses; 1 is best, 0 is chance.

    The correlation over random sets of pixels S of the sum of the attributions in S and of the
    drop of the target's logit when S is replaced by `fill` (Bhatt, Weller and Moura, "Evaluating
    and Aggregating Feature-based Model Explanations", definition 3, arXiv 2005.00631). The sets are
    made of the cells of a grid: single pixels hardly matter to a classifier.

    Args:
        model: any built classifier.
        images: (N, H, W, C) in [0, 1].
        maps: attribution of each pixel to the target class, (N, H, W).
        targets: a class for all, one for each, or None for the predicted ones.
        samples: sets of pixels, the same for all images.
        share: the share of the cells in each set, above 0 and below 1.
        grid: cells along each side of the image; never smaller than a pixel.
        fill: what takes the place of a pixel, in [0, 1].
        seed: the seed of the sets.
        batch_size: images of a model call.

    Returns:
        (N,) in [-1, 1]; 0 for a map, or an image, on which the sets make no difference.

    Raises:
        InputError: an array does not fit the model, or an option is out of range.
    """
    _check_fill(fill)
    logits, images, classes = prepare(model, images, targets)
    maps = check_maps(images, maps)
    chosen = _sets_of_cells(images.shape[1:3], samples, share, grid, seed)
    result = np.empty(len(images))
    for i, image in enumerate(images):
        perturbed = np.where(chosen[..., None], np.float32(fill), image)
        kept = logits.predict(perturbed, batch_size)[:, classes[i]]
        # The drop is a constant minus what is kept: the same correlation with the sign changed.
        sums = chosen.reshape(samples, -1) @ maps[i].ravel().astype(float)
        result[i] = -pearson(sums, kept)
    return result


def _sets_of_cells(
    shape: tuple[int, ...], samples: int, share: float, grid: int, seed: int
) -> np.ndarray:
    """Random sets of the cells of a grid, each of the same share, as booleans (samples, H, W)."""
    at_least(2, samples=samples)
    at_least(1, grid=grid)
    if not 0 < share < 1:
        raise InputError(f"share is {share}: expected a fraction above 0 and below 1")
    (height, width), (rows, columns) = shape, (min(grid, side) for side in shape)
    if rows * columns < 2:
        raise InputError("grid has a single cell: expected two or more")
    row, column = np.arange(height) * rows // height, np.arange(width) * columns // width
    cells = rows * columns
    size = min(max(1, round(share * cells)), cells - 1)
    order = np.random.default_rng(seed).random((samples, cells)).argsort(axis=1)
    return (order < size)[:, row[:, None] * columns + column]


def check_maps(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The maps as an array; raises InputError unless they hold a number for each pixel."""
    maps = np.asarray(maps)
    if maps.shape != images.shape[:3] or not np.isfinite(maps).all():
        raise InputError(
            f"maps of shape {maps.shape} for images of shape {images.shape}: expected a finite "
            f"number for each pixel, {images.shape[:3]}"
        )
    return maps


def _check_fill(fill: float) -> None:
    if not 0 <= fill <= 1:
        raise InputError(f"fill is {fill}: expected a pixel value in [0, 1]")
