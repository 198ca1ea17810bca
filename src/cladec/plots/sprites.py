"""Combine many small images into a sprite, one picture that a page shows in parts."""

import base64
import io
import math

import numpy as np

LEVELS = 32
"""The number of shades per channel; more are not visible and would double the file size."""

LARGEST_SIDE = 96
"""The largest side of an image in pixels; larger images are reduced to keep the page small."""


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


def data_url(images: np.ndarray) -> str:
    """Return a sprite of the images as a data URL of a lossless WebP picture.

    Args:
        images: (N, H, W, C) in [0, 1], grey or colour.
    """
    from PIL import Image

    steps = np.round(np.clip(images, 0, 1) * (LEVELS - 1)) / (LEVELS - 1)
    sheet = _sheet(_shrunk((steps * 255).round().astype(np.uint8)))
    stream = io.BytesIO()
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    picture.save(stream, "WEBP", lossless=True, quality=60)
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
    size = max(1, round(width * factor)), max(1, round(height * factor))
    pictures = [
        np.asarray(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).resize(size))
        for image in images
    ]
    return np.stack(pictures).reshape(len(images), size[1], size[0], images.shape[-1])
