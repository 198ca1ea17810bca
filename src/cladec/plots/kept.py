"""One layer: what RefAE and ClaDec make of images, what was lost of them, and the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.plots.images import (
    CELL,
    draw_image,
    draw_titles,
    image_axes,
    name_row,
    plain,
    row_height,
    title_height,
)
from cladec.plots.lost import LINE, UNIT, draw_lost

LEFT = 1.2
"""Where the images begin, in inches: what is left of them is for the names of the rows."""

COLUMN = 1.75
"""The width of a column of numbers, in inches."""

LONGEST = 14
"""The most characters of a text below an image."""


@dataclass(frozen=True, eq=False)
class Row:
    """A row of images.

    Attributes:
        name: what stands at its left.
        images: (N, H, W, C) in [0, 1].
        texts: what stands below each image, N lines; none for no line.
        marked: which of the texts are red, N.
    """

    name: str
    images: np.ndarray
    texts: Sequence[str] = ()
    marked: Sequence[bool] = ()


def kept_by_layer(
    rows: Sequence[Row],
    maps: np.ndarray,
    titles: Sequence[str],
    table: Sequence[Sequence[str]],
    *,
    marked: Sequence[bool] = (),
    title: str = "",
) -> Figure:
    """What a layer keeps of images, what it lost of them, and the numbers of all images.

    Args:
        rows: the originals and what was decoded, from top to bottom.
        maps: what was lost, (N, H, W), signed, from `lost_information.lost_maps`: squared errors
            of pixels on one scale, with those of the images below.
        titles: N column titles.
        table: lines of cells, the first one the names of the columns.
        marked: columns whose title is red, such as wrongly classified images.
        title: above the figure, in several lines.
    """
    shape = maps.shape[1:]
    top = 0.12 + LINE * len(title.splitlines()) + title_height(titles)
    heights = [row_height(shape) + LINE * bool(row.texts) for row in rows]
    below = top + sum(heights) + row_height(shape) + LINE
    wide = LEFT + COLUMN * (max(map(len, table)) - 1)
    words = 0.3 + 0.075 * max(map(len, title.splitlines()), default=0)
    width = max(LEFT + len(titles) * CELL + 0.8, wide, words)
    figure = Figure(figsize=(width, below + LINE * (len(table) + 1)), dpi=120)
    place = top
    for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
        axes = _axes(figure, len(titles), shape, place)
        draw_row(axes, row)
        if number == 0:
            draw_titles(axes, titles, marked)
        place += height
    name_row(draw_lost(figure, maps, left=LEFT, top=place), "lost", UNIT)
    _write_table(figure, table, below)
    height = figure.get_size_inches()[1]
    figure.text(0.1 / width, 1 - 0.08 / height, plain(title), fontsize=9, va="top")
    return figure


def _axes(figure: Figure, count: int, shape: tuple[int, ...], top: float) -> np.ndarray:
    return image_axes(figure, 1, count, shape, left=LEFT, top=top)[0]


def draw_row(axes: np.ndarray, row: Row) -> None:
    """Draw the images of a row, its name at the left and its texts below them."""
    for number, (axis, image) in enumerate(zip(axes, row.images, strict=True)):
        draw_image(axis, image)
        if row.texts:
            changed = number < len(row.marked) and row.marked[number]
            _write_below(axis, row.texts[number], "firebrick" if changed else "black")
    name_row(axes[0], row.name)


def _write_below(axis: Axes, text: str, colour: str) -> None:
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    axis.set_xlabel(plain(text), fontsize=7, color=colour, labelpad=1.5)


def _write_table(figure: Figure, table: Sequence[Sequence[str]], top: float) -> None:
    """Write lines of cells; the names of the lines end where the images begin."""
    width, height = figure.get_size_inches()
    for line, (name, *cells) in enumerate(table):
        y = 1 - (top + LINE * (line + 0.8)) / height
        style: dict[str, Any] = {"fontsize": 8, "color": "black" if line else "dimgray"}
        figure.text((LEFT - 0.08) / width, y, plain(name), ha="right", **style)
        for column, cell in enumerate(cells):
            figure.text((LEFT + 0.08 + column * COLUMN) / width, y, plain(cell), **style)
