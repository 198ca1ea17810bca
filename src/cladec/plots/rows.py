"""Rows of images with a line of text below each of them -> figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cladec.plots.images import CELL, draw_titles, image_axes, plain, row_height, title_height
from cladec.plots.kept import LEFT, Row, draw_row
from cladec.plots.lost import LINE


def image_rows(
    rows: Sequence[Row],
    titles: Sequence[str] = (),
    *,
    marked: Sequence[bool] = (),
    title: str = "",
) -> Figure:
    """Rows of images, named at the left, with what is said of each image below it.

    Args:
        rows: from top to bottom, of as many images.
        titles: a title for each column, or none.
        marked: columns whose title is red.
        title: above the figure, in several lines.
    """
    count = len(rows[0].images)
    lines = title.splitlines()
    top = 0.1 + LINE * len(lines) + (title_height(titles) if titles else 0.05)
    width = max(LEFT + count * CELL + 0.1, 0.3 + 0.075 * max(map(len, lines), default=0))
    figure = Figure(figsize=(width, top + rows_height(rows) + 0.05), dpi=120)
    first = draw_stack(figure, rows, top=top)
    if titles:
        draw_titles(first, titles, marked)
    height = figure.get_size_inches()[1]
    figure.text(0.1 / width, 1 - 0.06 / height, plain(title), fontsize=9, va="top")
    return figure


def rows_height(rows: Sequence[Row]) -> float:
    """The room that rows need, each with its line of text, in inches."""
    shape = rows[0].images.shape[1:3]
    return sum(row_height(shape) + LINE * bool(row.texts) for row in rows)


def draw_stack(figure: Figure, rows: Sequence[Row], *, top: float) -> np.ndarray:
    """Draw rows from `top` on, in inches, and return the axes of the first one."""
    count, shape = len(rows[0].images), rows[0].images.shape[1:3]
    drawn = []
    for row in rows:
        drawn.append(image_axes(figure, 1, count, shape, left=LEFT, top=top)[0])
        draw_row(drawn[-1], row)
        top += rows_height([row])
    return drawn[0]
