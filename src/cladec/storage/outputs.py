"""This module writes figures, animations and arrays, each file completely or not at all."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cladec.storage import model_files
from cladec.text import LONGEST_NAME, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image


WIDEST = 1700
"""The largest width of a saved figure in pixels: what a screen shows of a page."""

LARGEST = 300_000
"""The largest size of a saved figure in bytes, small enough for a repository and a page of many."""

COLOURS = (256, 64)
"""The numbers of colours that are tried for a figure that is too large in all of its colours."""


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a figure as PNG, at most `WIDEST` pixels wide and `LARGEST` bytes large.

    A figure that is wider gets fewer dots an inch; one that is larger gets fewer colours, and then
    fewer dots.

    Returns:
        Its path, whose name may have been shortened.
    """
    path = path.with_name(shortened(path.stem, LONGEST_NAME - len(path.suffix)) + path.suffix)
    picture = png(figure)
    model_files.write(path, lambda file: file.write_bytes(picture))
    return path


def png(figure: "Figure") -> bytes:
    """Return a figure as a PNG picture, at most `WIDEST` pixels wide and `LARGEST` bytes large."""
    dots = min(figure.dpi, WIDEST / figure.get_figwidth())
    while True:
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=dots)
        if picture := in_few_bytes(stream.getvalue()):
            return picture
        dots *= 0.8


def in_few_bytes(picture: bytes) -> bytes | None:
    """Return a PNG picture in as many colours as fit into `LARGEST` bytes; None if none do."""
    from PIL import Image  # a command that saves no figure need not wait for it

    if len(picture) <= LARGEST:
        return picture
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in COLOURS:
        stream = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        if len(stream.getvalue()) <= LARGEST:
            return stream.getvalue()
    return None


LARGEST_ANIMATION = 1_000_000
"""The largest size of a saved animation in bytes."""

QUALITIES = (80, 60, 40, 20)
"""The qualities of WebP pictures that are tried for an animation that is too large."""


def save_animation(frames: Iterable["Figure"], path: Path, *, milliseconds: int = 100) -> Path:
    """Write figures as an animated WebP picture that goes on for ever, there and back.

    It has as much quality as fits into `LARGEST_ANIMATION` bytes, and fewer pixels where the lowest
    is still too large. The first and the last figure are shown five times as long as the others.

    Args:
        frames: the figures, of one size; each is drawn before the next one is asked for.
        path: the file to write.
        milliseconds: how long each of them is shown.

    Returns:
        The path.
    """
    pictures = [_picture(figure) for figure in frames]
    durations = [milliseconds] * max(1, 2 * len(pictures) - 2)
    for place in (0, len(pictures) - 1):
        durations[place] = 5 * milliseconds
    while (content := _webp(pictures, durations)) is None:
        width, height = pictures[0].size
        pictures = [picture.resize((width * 4 // 5, height * 4 // 5)) for picture in pictures]
    model_files.write(path, lambda file: file.write_bytes(content))
    return path


def _picture(figure: "Figure") -> "Image":
    from PIL import Image

    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi)
    return Image.open(stream).convert("RGB")


def _webp(pictures: "list[Image]", durations: list[int]) -> bytes | None:
    """Return pictures there and back in the best quality that is small enough; None if none is."""
    first, *others = [*pictures, *pictures[-2:0:-1]]
    for quality in QUALITIES:
        stream = io.BytesIO()
        settings = {"duration": durations, "quality": quality, "loop": 0}
        first.save(stream, "WEBP", save_all=True, append_images=others, **settings)
        if len(stream.getvalue()) <= LARGEST_ANIMATION:
            return stream.getvalue()
    return None


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays as `.npz` and return `path`."""

    def writer(file: Path) -> None:
        with file.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    model_files.write(path, writer)
    return path
