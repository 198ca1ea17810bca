"""This module writes figures and arrays, each file completely or not at all."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cladec.storage import model_files
from cladec.text import LONGEST_NAME, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    picture = _png(figure)
    model_files.write(path, lambda file: file.write_bytes(picture))
    return path


def _png(figure: "Figure") -> bytes:
    dots = min(figure.dpi, WIDEST / figure.get_figwidth())
    while True:
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=dots)
        for picture in _with_fewer_colours(stream.getvalue()):
            if len(picture) <= LARGEST:
                return picture
        dots *= 0.8


def _with_fewer_colours(picture: bytes) -> Iterator[bytes]:
    """Yield a PNG picture, then the same in fewer and fewer colours."""
    from PIL import Image  # a command that saves no figure need not wait for it

    yield picture
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in COLOURS:
        stream = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        yield stream.getvalue()


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays as `.npz` and return `path`."""

    def writer(file: Path) -> None:
        with file.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    model_files.write(path, writer)
    return path
