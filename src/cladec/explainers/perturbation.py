"""Explainers that hide parts of an image and watch the probability of a class: occlusion, RISE."""

from collections.abc import Sequence
from itertools import product

import keras
import numpy as np

from cladec import checks
from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.grids import interpolation
from cladec.explainers.inputs import Fill, Targets, background_image, check_images, prepare
from cladec.explainers.passes import Precision
from cladec.explainers.scores import LogitsModel, logits_model
from cladec.models.batches import batches, part_of
from cladec.models.given import checked
from cladec.progress import OnProgress

Size = int | Sequence[int] | np.ndarray | None
"""(height, width), or one number for both; None for a size that suits the image."""

LARGEST_GRID = 1000
"""Cells along each side of a mask of RISE; of more not one mask fits the memory."""


@checked
def occlusion(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    patch: Size = None,
    stride: Size = None,
    fill: Fill = 0.5,
    batch_size: int | None = None,
    precision: Precision = "auto",
    report: OnProgress | None = None,
) -> np.ndarray:
    """How much the probability of the target falls when a patch hides a part of the image.

    A patch slides over the image; a pixel's value is the fall, averaged over the patches that cover
    it. Positive where the class is seen, negative where hiding raises its probability. Zeiler &
    Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        patch: pixels, (height, width) or both; an eighth of the shorter side by default.
        stride: pixels from one patch to the next, at most `patch`; half of it by default. The last
            patch of a row or column ends at the border.
        fill: what the patch shows, a number, a colour (C,) or an image (H, W, C), in [0, 1].
        batch_size: occluded images of one model call.
        precision: of the model calls: "auto" is bfloat16 where that is much faster, see `passes`;
            "float32" gives the same map on every machine.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, in [-1, 1].

    Raises:
        InputError: the images, targets or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    batch_size = logits.images_per_call(batch_size)
    windows = _Windows(images.shape[1:3], patch, stride)
    logits = logits.for_many(precision, len(images) * len(windows.slices))
    maps = np.empty(images.shape[:3], np.float32)
    whole = logits.probabilities(images, batch_size)
    for i, target in enumerate(targets):
        part = part_of(report, i, len(images))
        occluded = windows.probabilities(logits, images[i], fill, batch_size, part)
        maps[i] = windows.average(whole[i, target] - occluded[:, target])
    return maps


@checked
def occlusion_classes(
    model: keras.Model,
    images: np.ndarray,
    *,
    patch: Size = None,
    stride: Size = None,
    fill: Fill = 0.5,
    batch_size: int | None = None,
    precision: Precision = "auto",
    report: OnProgress | None = None,
) -> np.ndarray:
    """The class predicted when a patch hides a part of the image, with the options of `occlusion`.

    Returns:
        (N, H, W) int64: at each pixel the class under the patch whose centre is nearest to it.

    Raises:
        InputError: the images or options are not as above.
    """
    images = check_images(model, images)
    logits = logits_model(model)
    batch_size = logits.images_per_call(batch_size)
    windows = _Windows(images.shape[1:3], patch, stride)
    logits = logits.for_many(precision, len(images) * len(windows.slices))
    maps = np.empty(images.shape[:3], np.int64)
    for i, image in enumerate(images):
        part = part_of(report, i, len(images))
        occluded = windows.probabilities(logits, image, fill, batch_size, part)
        maps[i] = windows.nearest(occluded.argmax(axis=1))
    return maps


class _Windows:
    """The places of a patch that slides over an image, row by row."""

    def __init__(self, image_size: tuple[int, int], patch: Size, stride: Size):
        self.image_size = image_size
        height, width = _pair("patch", patch, max(1, round(min(image_size) / 8)))
        strides = _pair("stride", stride, (max(1, height // 2), max(1, width // 2)))
        at_least(1, patch=min(height, width), stride=min(strides))
        if height > image_size[0] or width > image_size[1]:
            raise InputError(
                f"a patch of {height} x {width} pixels: expected one within the image, of "
                f"{image_size[0]} x {image_size[1]}"
            )
        if strides[0] > height or strides[1] > width:
            raise InputError(
                f"a stride of {strides[0]} x {strides[1]} leaves pixels out: expected at most the "
                f"patch, {height} x {width}"
            )
        self.patch = (height, width)
        self.tops = _starts(image_size[0], height, strides[0])
        self.lefts = _starts(image_size[1], width, strides[1])
        self.slices = [
            (slice(top, top + height), slice(left, left + width))
            for top, left in product(self.tops, self.lefts)
        ]

    def probabilities(
        self,
        logits: LogitsModel,
        image: np.ndarray,
        fill: Fill,
        batch_size: int,
        report: OnProgress | None,
    ) -> np.ndarray:
        """The probabilities of the image behind the patch at every place, (P, K)."""
        shown = background_image("fill", fill, image.shape)

        def occluded(places: np.ndarray) -> np.ndarray:
            copies = np.repeat(image[None], len(places), axis=0)
            for copy, place in zip(copies, places, strict=True):
                copy[self.slices[place]] = shown[self.slices[place]]
            return copies

        return logits.of_variants(occluded, np.arange(len(self.slices)), batch_size, report)

    def average(self, values: np.ndarray) -> np.ndarray:
        """At each pixel, the mean of the values (P,) of the windows over it, (H, W)."""
        sums, counts = np.zeros((2, *self.image_size))
        for value, window in zip(values, self.slices, strict=True):
            sums[window] += value
            counts[window] += 1
        return sums / counts

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """At each pixel, the value, of (P,), of the window with the nearest centre, (H, W)."""
        rows, columns = (
            np.abs(np.arange(size)[:, None] - (starts + (length - 1) / 2)).argmin(axis=1)
            for size, starts, length in zip(
                self.image_size, (self.tops, self.lefts), self.patch, strict=True
            )
        )
        return values.reshape(len(self.tops), len(self.lefts))[np.ix_(rows, columns)]


def _pair(name: str, size: Size, default: int | tuple[int, int]) -> tuple[int, int]:
    sides = checks.wholes(name, default if size is None else size)
    if len(sides) not in (1, 2):
        raise InputError(f"{name} is {size!r:.60}: expected pixels, or (height, width) in pixels")
    return sides[0], sides[-1]


def _starts(size: int, patch: int, stride: int) -> np.ndarray:
    """Where patches start on an axis; the last one ends where the axis does."""
    return np.unique([*range(0, size - patch, stride), size - patch])


@checked
def rise(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    masks: int = 2000,
    grid: int = 8,
    probability: float = 0.5,
    batch_size: int | None = None,
    precision: Precision = "auto",
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """The mean probability of the target over random masks that show a pixel.

    S(pixel) = 1 / (p N) * sum over masks of f(image * mask) * mask(pixel), with p the probability
    that a pixel is shown: an estimate of f's mean over the masks that show it. Petsiuk, Das &
    Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", 2018, eq. 6.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        masks: how many are drawn, the same for every image. Memory does not grow with it.
        grid: cells of a mask along each side, before it is enlarged to the image and shifted.
        probability: that a cell is shown, in (0, 1).
        batch_size: masked images of one model call.
        precision: of the model calls: "auto" is bfloat16 where that is much faster, see `passes`;
            "float32" gives the same map on every machine.
        seed: the seed of the masks.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, at least 0.

    Raises:
        InputError: the images, targets or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    batch_size = logits.images_per_call(batch_size)
    at_least(1, masks=masks, grid=grid)
    if grid > LARGEST_GRID:
        raise InputError(f"grid is {grid}: expected at most {LARGEST_GRID} cells a side")
    if not 0 < probability < 1:
        raise InputError(f"probability is {probability}: expected a value between 0 and 1")
    logits = logits.for_many(precision, len(images) * masks)
    generator = np.random.default_rng(seed)
    sums = np.zeros(images.shape[:3])
    for rows in batches(masks, batch_size, report):
        count = rows.stop - rows.start
        drawn = random_masks(generator, count, images.shape[1:3], grid, probability)
        for total, image, target in zip(sums, images, targets, strict=True):
            scores = logits.probabilities(image * drawn[..., None], batch_size)[:, target]
            total += np.tensordot(scores, drawn, axes=1)
    return (sums / (masks * probability)).astype(np.float32)


def random_masks(
    generator: np.random.Generator,
    count: int,
    image_size: tuple[int, int],
    grid: int,
    probability: float,
) -> np.ndarray:
    """The masks of RISE, section 3.2: grids of cells, enlarged bilinearly and shifted at random.

    A grid of `grid` x `grid` cells is enlarged to one cell more than the image holds along each
    side, and the image's size is cut out of it, shifted by less than a cell. How many masks are
    drawn at a time does not change them.

    Returns:
        (count, H, W) float32 in [0, 1]; the mean of every pixel is `probability`.
    """
    draws = generator.random((count, grid * grid + 2), dtype=np.float32)
    cells = (draws[:, 2:] < probability).astype(np.float32).reshape(count, grid, grid)
    rows = _interpolation(draws[:, 0], image_size[0], grid)
    columns = _interpolation(draws[:, 1], image_size[1], grid)
    return rows @ cells @ columns.transpose(0, 2, 1)


def _interpolation(shifts: np.ndarray, size: int, grid: int) -> np.ndarray:
    """How much of each cell is in each pixel of one axis, (B, size, grid), for shifts in [0, 1)."""
    cell = -(-size // grid)
    pixels = np.arange(size, dtype=np.float32) + np.floor(shifts * cell)[:, None]
    return interpolation((pixels + 0.5) * grid / ((grid + 1) * cell) - 0.5, grid)
