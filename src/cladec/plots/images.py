"""Grids of images, and what every figure of images shares."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.text import printable

CELL = 0.85
"""How far the columns of a grid of images are apart, in inches."""

GAP = 0.05
"""What is left free between two images of a grid, in inches."""

TITLE_LENGTH = 12
"""Characters that fit above one image in the usual size."""

NAME_LENGTH = 16
"""Characters of the name of a row that fit into one line at its left."""

BETWEEN = " - "
"""What stands between the true and the predicted class in a title."""

LONGEST_TITLE = 14
"""Characters that fit above one image in a small size; longer names are cut."""


def plain(text: str) -> str:
    """A text that somebody else chose, as matplotlib has to be given it to draw just that.

    A dollar begins no formula, a line that is called _x is not left out of the legend.
    """
    lines = "\n".join(map(printable, text.split("\n"))).replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{lines}" if lines.startswith("_") else lines


def words(name: str) -> str:
    """A name of a method or measure as people write it."""
    return plain(name.replace("_", " "))


def brief(name: str, length: int = LONGEST_TITLE) -> str:
    """A name of a class in at most `length` letters: its first synonym, cut at its end.

    Examples:
        >>> from cladec.plots.images import brief
        >>> brief("tench, Tinca tinca"), brief("black-and-tan coonhound")
        ('tench', 'black-and-tan…')
    """
    name = printable(name)
    if len(name) > length:
        name = name.split(",")[0]
    return name if len(name) <= length else f"{name[: length - 1].rstrip()}…"


def image_grid(
    rows: Mapping[str, np.ndarray], titles: Sequence[str], *, marked: Sequence[bool] = ()
) -> Figure:
    """Images in rows that are named at the left, under one title per column.

    Args:
        rows: name -> images (N, H, W, C) in [0, 1]; grey where C is 1.
        titles: N column titles.
        marked: columns whose title is drawn in red, such as wrongly classified images.
    """
    shape = next(iter(rows.values())).shape[1:3]
    top = title_height(titles)
    size = (CELL * len(titles) + 1.3, row_height(shape) * len(rows) + top)
    figure = Figure(figsize=size, dpi=120)
    axes = image_axes(figure, len(rows), len(titles), shape, left=1.2, top=top)
    draw_rows(axes, rows)
    draw_titles(axes[0], titles, marked)
    return figure


def row_height(shape: tuple[int, ...], cell: float = CELL) -> float:
    """How far the rows of images (H, W) are apart, in inches; columns are `cell` apart."""
    return cell * shape[0] / shape[1]


def title_height(titles: Sequence[str]) -> float:
    """The room that `draw_titles` needs, in inches."""
    return 0.12 + 0.15 * (1 + any(BETWEEN in title for title in titles))


def image_axes(
    figure: Figure,
    rows: int,
    columns: int,
    shape: tuple[int, ...],
    *,
    left: float,
    top: float,
    cell: float = CELL,
) -> np.ndarray:
    """Axes for a grid of images (H, W), from `left` and `top` on, in inches; (rows, columns)."""
    height = row_height(shape, cell)
    return np.array(
        [
            [
                axes_at(
                    figure,
                    left=left + column * cell,
                    top=top + row * height,
                    width=cell - GAP,
                    height=height - GAP,
                )
                for column in range(columns)
            ]
            for row in range(rows)
        ]
    )


def axes_at(figure: Figure, *, left: float, top: float, width: float, height: float) -> Axes:
    """Axes of a size and place in inches, counted from the upper left corner of the figure."""
    whole_width, whole_height = figure.get_size_inches()
    bottom = whole_height - top - height
    return figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    )


def draw_rows(axes: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
    """Draw images in rows that are named at the left.

    Args:
        axes: one for each image, (rows, N).
        rows: name -> images (N, H, W, C) in [0, 1].
    """
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(row, images, strict=True):
            draw_image(axis, image)
        row[0].set_ylabel(plain(name), rotation=0, ha="right", va="center", fontsize=9)


def name_row(axis: Axes, name: str, about: str = "", *, size: float = 9.0) -> None:
    """Name a row of images at the left of its first axes, and say in grey what it is about."""
    lines = "\n".join(textwrap.wrap(plain(name), NAME_LENGTH))
    above: dict[str, Any] = {"va": "bottom" if about else "center", "fontsize": size}
    axis.set_ylabel(lines, rotation=0, ha="right", **above)
    axis.yaxis.set_label_coords(-0.07, 0.58 if about else 0.5)
    if about:
        small: dict[str, Any] = {"fontsize": 0.75 * size, "color": "dimgrey"}
        axis.text(-0.07, 0.5, about, ha="right", va="top", transform=axis.transAxes, **small)


def draw_titles(
    axes: np.ndarray, titles: Sequence[str], marked: Sequence[bool] = (), *, headed: bool = True
) -> None:
    """Write a title above each of N axes, "true - predicted" in two lines.

    Args:
        axes: (N,).
        titles: N; long names are shortened, see `brief`.
        marked: which of them are red.
        headed: whether the left of the titles says which line is which.
    """
    parts = [[brief(part) for part in title.split(BETWEEN, 1)] for title in titles]
    longest = max(len(part) for lines in parts for part in lines)
    size = 8.0 if longest <= TITLE_LENGTH else 7.0
    for column, (axis, lines) in enumerate(zip(axes, parts, strict=True)):
        wrong = column < len(marked) and marked[column]
        colour = "firebrick" if wrong else "black"
        axis.set_title(plain("\n".join(lines)), fontsize=size, color=colour, pad=4)
    if headed and any(len(lines) == 2 for lines in parts):
        place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "baseline"}
        place |= {"fontsize": size, "color": "dimgrey"}
        axes[0].annotate("true\npredicted", (0, 1), (-6, 4), "axes fraction", **place)


def draw_image(axis: Axes, image: np.ndarray) -> None:
    """Draw one image (H, W, C) in [0, 1] without ticks, grey as grey."""
    grey = image.shape[-1] == 1
    axis.imshow(image[..., 0] if grey else image, cmap="gray", vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])
