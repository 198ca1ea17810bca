"""Explainers by global sensitivity analysis: how the answer varies with the cells of an image."""

from collections.abc import Callable, Iterator
from functools import partial

import keras
import numpy as np

from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.grids import enlarged
from cladec.explainers.inputs import Fill, Targets, background_image, prepare
from cladec.explainers.passes import Precision
from cladec.models.batches import part_of
from cladec.models.given import checked
from cladec.progress import OnProgress

LARGEST_GRID = 100
"""Cells along each side; quasi-random points have no more than 21,201 dimensions, two a cell."""

MOST_MASKS = 10_000
"""HSIC compares every mask with every other one, in a square matrix."""

BLUR = 10
"""The side, in pixels, of the box whose mean a blurred pixel shows."""


@checked
def sobol(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    designs: int = 32,
    grid: int = 8,
    fill: Fill | str = 0.0,
    batch_size: int | None = None,
    precision: Precision = "auto",
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """The share of the probability's variance that each cell has a part in: total Sobol indices.

    The cells of a grid fade, each on its own, between the image and the fill. With A and B two
    quasi-random designs of how much of each cell shows, and C(i) the design A with the column of
    cell i from B, the index by Jansen's estimator is

        S(i) = sum over the n rows of (f(A) - f(C(i)))^2 / (2 n variance of f(A))

    0 where a cell changes nothing, alone or with others. Fel et al., "Look at the Variance!
    Efficient Black-box Explanations with Sobol-based Sensitivity Analysis", 2021, section 3; the
    points are scrambled, without which many of so few coincide from cell to cell.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        designs: rows of each design, n, a power of two; an image takes n (cells + 1) model calls.
        grid: cells along each side, at most one a pixel; 8 to 11 as a rule.
        fill: what hidden cells show, a number, a colour (C,) or an image (H, W, C), in [0, 1]; or
            "blur" for the image itself, blurred.
        batch_size: perturbed images of one model call; by default what suits the network and the
            image.
        precision: of the model calls: "auto" is bfloat16 where that is much faster, see `passes`;
            "float32" gives the same map on every machine.
        seed: the seed of the designs, which are the same for every image.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, at least 0, the indices interpolated between the centres of cells; 0
        where the probability does not vary at all.

    Raises:
        InputError: the images, targets or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    at_least(2, designs=designs)
    if designs & (designs - 1):
        raise InputError(f"designs is {designs}: expected a power of two, such as 32")
    cells = _cells(grid, images.shape[1:3])
    first, second = _quasi_random(2 * cells[0] * cells[1], designs, seed)
    logits = logits.for_many(precision, len(images) * designs * (cells[0] * cells[1] + 1))
    size = logits.images_per_call(batch_size)

    def variants(perturbed: Callable, numbers: np.ndarray) -> np.ndarray:
        cell, row = np.divmod(numbers, designs)
        shown = first[row]
        # The first block of rows is A itself, the one behind it C of cell 0.
        changed = np.flatnonzero(cell)
        shown[changed, cell[changed] - 1] = second[row[changed], cell[changed] - 1]
        return perturbed(shown)

    maps = np.empty(images.shape[:3], np.float32)
    numbers = np.arange(designs * (first.shape[1] + 1))
    for i, perturbed in enumerate(_perturbers(images, fill, cells)):
        part = part_of(report, i, len(images))
        shown = partial(variants, perturbed)
        answers = logits.of_variants(shown, numbers, size, part)
        indices = total_indices(answers[:, targets[i]], designs)
        maps[i] = enlarged(indices.reshape(1, *cells), maps.shape[1:])[0]
    return maps


def total_indices(answers: np.ndarray, designs: int) -> np.ndarray:
    """Jansen's estimates of the total Sobol indices, (D,), of answers to A and all C(i) in turn."""
    blocks = answers.astype(np.float64).reshape(-1, designs)
    variance = blocks[0].var(ddof=1)
    differences = ((blocks[0] - blocks[1:]) ** 2).mean(axis=1) / 2
    return differences / variance if variance > 0 else np.zeros(len(differences))


@checked
def hsic(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    masks: int = 500,
    grid: int = 8,
    fill: Fill | str = 0.0,
    batch_size: int | None = None,
    precision: Precision = "auto",
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """How much the probability of the target depends on whether a cell is shown.

    The measure is the Hilbert-Schmidt independence criterion of a cell's bit z in n random masks
    and the probability y of the masked image,

        HSIC = trace(K H L H) / (n - 1)^2,  K = 1/2 - (z - z')^2,  L = exp(-(y - y')^2 / (2 w^2))

    with H = 1 - 1/n, which takes means away, and w the median of |y - y'|. The masks are drawn by
    Latin hypercube sampling: a cell is shown in half of them. Novello, Fel & Vigouroux, "Making
    Sense of Dependence: Efficient Black-box Explanations Using Dependence Measure", 2022, section
    3.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        masks: how many are drawn, the same for every image, at most 10,000.
        grid: cells along each side, at most one a pixel; 8 to 11 as a rule.
        fill: what hidden cells show, a number, a colour (C,) or an image (H, W, C), in [0, 1]; or
            "blur" for the image itself, blurred.
        batch_size: masked images of one model call; by default what suits the network and the
            image.
        precision: of the model calls: "auto" is bfloat16 where that is much faster, see `passes`;
            "float32" gives the same map on every machine.
        seed: the seed of the masks.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, at least 0, interpolated between the centres of cells; 0 where the
        probability does not vary at all.

    Raises:
        InputError: the images, targets or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    at_least(2, masks=masks)
    if masks > MOST_MASKS:
        raise InputError(f"masks is {masks}: expected at most {MOST_MASKS}")
    cells = _cells(grid, images.shape[1:3])
    drawn = _latin_hypercube(cells[0] * cells[1], masks, seed)
    logits = logits.for_many(precision, len(images) * masks)
    size = logits.images_per_call(batch_size)
    maps = np.empty(images.shape[:3], np.float32)
    for i, perturbed in enumerate(_perturbers(images, fill, cells)):
        part = part_of(report, i, len(images))
        answers = logits.of_variants(perturbed, drawn, size, part)[:, targets[i]]
        maps[i] = enlarged(dependence(drawn, answers).reshape(1, *cells), maps.shape[1:])[0]
    return maps


def dependence(masks: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The HSIC, (D,), of each column of binary masks (n, D) with the answers (n,)."""
    differences = np.abs(answers[:, None] - answers.astype(np.float64))
    width = np.median(differences[np.triu_indices(len(answers), 1)])
    # Where most answers are alike, what tells them apart is how the others differ.
    width = width or differences.max() or 1.0
    similar = np.exp(-(differences**2) / (2 * width**2))
    # Of bits, K without its means is twice the product of the bits without theirs.
    centred = masks - masks.mean(axis=0)
    shared = 2 * np.einsum("nd,nd->d", centred, similar @ centred)
    return np.maximum(0, shared) / (len(masks) - 1) ** 2


def _cells(grid: int, image_size: tuple[int, int]) -> tuple[int, int]:
    """The cells along the height and the width of an image."""
    at_least(1, grid=grid)
    height, width = (min(grid, pixels) for pixels in image_size)
    if max(height, width) > LARGEST_GRID:
        raise InputError(f"grid is {grid}: expected at most {LARGEST_GRID} cells a side")
    return height, width


def _quasi_random(dimensions: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The halves of scrambled Sobol points, (count, dimensions / 2) float32 in [0, 1) each."""
    from scipy.stats import qmc

    points = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random(count)
    first, second = np.split(points.astype(np.float32), 2, axis=1)
    return first, second


def _latin_hypercube(dimensions: int, count: int, seed: int) -> np.ndarray:
    """Bits, (count, dimensions) float32; half of each column is 1."""
    from scipy.stats import qmc

    points = qmc.LatinHypercube(dimensions, rng=np.random.default_rng(seed)).random(count)
    return (points >= 0.5).astype(np.float32)


def _perturbers(
    images: np.ndarray, fill: Fill | str, cells: tuple[int, int]
) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """For each image, a function of how much of each cell shows, (B, D), to images (B, H, W, C)."""
    rows, columns = (
        (2 * np.arange(pixels) + 1) * count // (2 * pixels)  # the cell of a pixel's centre
        for pixels, count in zip(images.shape[1:3], cells, strict=True)
    )
    place = rows[:, None] * cells[1] + columns
    for image in images:
        yield partial(_perturbed, image, _hidden(image, fill), place)


def _perturbed(
    image: np.ndarray, hidden: np.ndarray, place: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """The image (H, W, C) with shares (B, D) of its cells shown, which are at `place` (H, W)."""
    return hidden + shown[:, place][..., None] * (image - hidden)


def _hidden(image: np.ndarray, fill: Fill | str) -> np.ndarray:
    if isinstance(fill, str) and fill == "blur":
        from scipy.ndimage import uniform_filter

        return uniform_filter(image, (BLUR, BLUR, 1), mode="mirror")
    return background_image("fill", fill, image.shape)
