"""Combine many small images into a sprite, one picture that a page shows in parts."""

import base64
import io
import math
from collections.abc import Sequence

import numpy as np

LEVELS = 32
"""The number of shades per channel of small images; more are not visible and double the size."""

SMALL = 64
"""The largest side in pixels of images that are kept pixel by pixel; others are photographs."""

LARGEST_SIDE = 160
"""The largest side of an image in pixels; larger images are reduced to keep the page small."""

LOSSLESS = {"lossless": True, "quality": 20, "method": 2}
"""The compression of small images; a smaller file would take twice as long."""

LOSSY = {"quality": 85}
"""The compression of photographs."""

BYTES = {True: 0.5, False: 0.1}
"""The approximate size of one channel of a pixel, of small images and of photographs."""


def columns(count: int) -> int:
    """Return the number of columns in a sprite of `count` images."""
    return math.ceil(math.sqrt(count))


def positions(count: int) -> list[tuple[float, float]]:
    """Return the CSS `background-position` of each image of a sprite in percent."""
    across = columns(count)
    down = math.ceil(count / across)
    return [
        (_percent(number % across, across), _percent(number // across, down))
        for number in range(count)
    ]


def _percent(place: int, places: int) -> float:
    return round(100 * place / max(1, places - 1), 4)


def is_small(shape: Sequence[int]) -> bool:
    """Return whether images of this shape (H, W, ...) are kept pixel by pixel."""
    return max(shape[:2]) <= SMALL


def size(shape: Sequence[int]) -> float:
    """Return the approximate size of an image (H, W, C) in a sprite, in bytes."""
    factor = min(1.0, LARGEST_SIDE / max(shape[:2]))
    return BYTES[is_small(shape)] * math.prod(shape) * factor**2


def data_url(images: np.ndarray) -> str:
    """Return a sprite of the images as a data URL of a WebP picture.

    Args:
        images: (N, H, W, C) in [0, 1], grey or colour.
    """
    from PIL import Image

    small = is_small(images.shape[1:])
    steps = LEVELS - 1 if small else 255
    shades = np.round(np.clip(images, 0, 1) * steps) / steps
    sheet = _sheet(_shrunk((shades * 255).round().astype(np.uint8)))
    stream = io.BytesIO()
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    picture.save(stream, "WEBP", **(LOSSLESS if small else LOSSY))
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _sheet(images: np.ndarray) -> np.ndarray:
    """Arrange the images (N, H, W, C) in a grid; unused cells are black."""
    count, height, width, channels = images.shape
    across = columns(count)
    down = math.ceil(count / across)
    filled = np.zeros((down * across, height, width, channels), images.dtype)
    filled[:count] = images
    grid = filled.reshape(down, across, height, width, channels)
    return grid.transpose(0, 2, 1, 3, 4).reshape(down * height, across * width, channels)


def _shrunk(images: np.ndarray) -> np.ndarray:
    from PIL import Image

    height, width = images.shape[1:3]
    factor = LARGEST_SIDE / max(height, width)
    if factor >= 1:
        return images
    sides = max(1, round(width * factor)), max(1, round(height * factor))
    pictures = [
        np.asarray(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).resize(sides))
        for image in images
    ]
    return np.stack(pictures).reshape(len(images), sides[1], sides[0], images.shape[-1])
