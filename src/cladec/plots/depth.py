"""What every layer keeps of some images, from the input to the output -> a figure."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.plots.images import CELL, GAP, axes_at, draw_image, image_axes, plain, row_height
from cladec.plots.lost import LINE

LEFT = 0.75
"""What is left free at the left for the names of the charts' axes, in inches."""

CHART = 1.3
"""The height of a chart, in inches."""


def kept_by_depth(
    images: np.ndarray,
    decoded: Mapping[str, np.ndarray],
    measures: pd.DataFrame,
    titles: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """A column for each layer, from the input to the output, and its measures below its pictures.

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        decoded: layer -> what was decoded of it, (N, H, W, C).
        measures: a row for each layer in the same order: normalised_error and fidelity, each with
            `_low` and `_high`, and thumbnail_error, which may be NaN.
        titles: what stands below each original, N; of "true - predicted" both where they differ.
        title: above the figure, in several lines.
    """
    layers, shape = list(decoded), images.shape[1:3]
    names = 0.15 + 0.063 * max(map(len, [*layers, "original"]))
    first = LEFT + CELL + 0.15
    top = 0.15 + LINE * len(title.splitlines()) + names
    height = max(row_height(shape), CELL) if titles else row_height(shape)
    height += 0.33 * bool(titles)
    below = top + len(images) * height + 0.1
    words = 0.3 + 0.072 * max(map(len, title.splitlines()), default=0)
    width = max(first + len(layers) * CELL + 0.2, words)
    figure = Figure(figsize=(width, below + 2 * (CHART + 0.2) + names), dpi=120)
    _draw_images(figure, images, decoded, titles, first, top, height)
    charts = [
        axes_at(
            figure,
            left=first,
            top=below + number * (CHART + 0.15),
            width=len(layers) * CELL - GAP,
            height=CHART,
        )
        for number in (0, 1)
    ]
    _draw_errors(charts[0], measures)
    _draw_fidelity(charts[1], measures)
    for axis in charts:
        edge = 0.5 * (CELL - GAP) / CELL
        axis.set_xlim(-edge, len(layers) - 1 + edge)
        axis.set_xticks(range(len(layers)), [""] * len(layers))
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
    charts[1].set_xticklabels(map(plain, layers), rotation=90, fontsize=8)
    high = figure.get_figheight()
    figure.text(0.1 / width, 1 - 0.08 / high, plain(title), fontsize=9, va="top")
    return figure


def _draw_images(
    figure: Figure,
    images: np.ndarray,
    decoded: Mapping[str, np.ndarray],
    titles: Sequence[str],
    first: float,
    top: float,
    height: float,
) -> None:
    """Draw each original at the left, and what was decoded of every layer right of it."""
    shape = images.shape[1:3]
    for number, image in enumerate(images):
        place = top + number * height
        (original,) = image_axes(figure, 1, 1, shape, left=LEFT, top=place)[0]
        draw_image(original, image)
        if titles:
            true, _, said = titles[number].partition(" - ")
            below = true if said in ("", true) else f"{true},\nsaid: {said}"
            original.set_xlabel(plain(below), fontsize=7, labelpad=1.5)
        axes = image_axes(figure, 1, len(decoded), shape, left=first, top=place)[0]
        for axis, pictures in zip(axes, decoded.values(), strict=True):
            draw_image(axis, pictures[number])
        if number == 0:
            for axis, name in zip((original, *axes), ("original", *decoded), strict=True):
                axis.set_title(plain(name), fontsize=8, rotation=90)


def _draw_errors(axis: Axes, measures: pd.DataFrame) -> None:
    places = np.arange(len(measures))
    _draw_line(axis, measures, "normalised_error", "C0", "decoder")
    if measures["thumbnail_error"].notna().any():
        axis.plot(places, measures["thumbnail_error"], "x", color="dimgrey", label="thumbnail")
        axis.legend(fontsize=7, loc="upper left")
    axis.set_ylim(bottom=0)
    axis.set_ylabel("normalised\nerror", fontsize=9)


def _draw_fidelity(axis: Axes, measures: pd.DataFrame) -> None:
    _draw_line(axis, measures, "fidelity", "C2", "same answer")
    axis.set_ylim(0, 1.05)
    axis.set_ylabel("fidelity", fontsize=9)


def _draw_line(axis: Axes, measures: pd.DataFrame, name: str, colour: str, label: str) -> None:
    places = np.arange(len(measures))
    axis.plot(places, measures[name], "o-", color=colour, markersize=4, label=label)
    axis.vlines(places, measures[f"{name}_low"], measures[f"{name}_high"], color=colour)
