"""What two models keep of some images, and the difference by layer beside the noise -> figures."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.plots.images import (
    CELL,
    GAP,
    axes_at,
    draw_rows,
    image_axes,
    name_row,
    plain,
    row_height,
)
from cladec.plots.lost import LINE

LEFT = 1.9
"""Where images and chart begin, in inches: what is left of them is for names."""

CHART = 1.7
"""The height of the chart, in inches."""


def changed_by_layer(
    images: np.ndarray,
    decoded: Mapping[str, Mapping[str, np.ndarray]],
    layers: pd.DataFrame,
    *,
    title: str = "",
) -> Figure:
    """Images as each layer of two models keeps them, and below them the differences by layer.

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        decoded: layer -> name of what decodes it -> images (N, H, W, C).
        layers: as for `differences_by_layer`, in the same order.
        title: above the figure, in several lines.
    """
    rows = {"original": images} | {
        f"{layer}: {name}": pictures
        for layer, of_layer in decoded.items()
        for name, pictures in of_layer.items()
    }
    shape = images.shape[1:3]
    top = 0.15 + LINE * len(title.splitlines())
    below = top + len(rows) * row_height(shape) + 0.3
    words = 0.3 + 0.072 * max(map(len, title.splitlines()), default=0)
    width = max(LEFT + len(images) * CELL + 0.2, words)
    figure = Figure(figsize=(width, below + CHART + _names_height(layers)), dpi=120)
    axes = image_axes(figure, len(rows), len(images), shape, left=LEFT, top=top)
    draw_rows(axes, rows)
    for of_row, name in zip(axes, rows, strict=True):
        name_row(of_row[0], name)
    across = len(images) * CELL - GAP
    _draw(axes_at(figure, left=LEFT, top=below, width=across, height=CHART), layers)
    high = figure.get_figheight()
    figure.text(0.1 / width, 1 - 0.08 / high, plain(title), fontsize=9, va="top")
    return figure


def differences_by_layer(layers: pd.DataFrame) -> Figure:
    """The difference of two models by layer, with intervals, and the noise as a grey band.

    Args:
        layers: a row for each layer: layer, difference with `_low` and `_high`, and noise.
    """
    width = max(4.5, 1.2 + 0.5 * len(layers))
    figure = Figure(figsize=(width, 0.15 + CHART + _names_height(layers)), dpi=120)
    _draw(axes_at(figure, left=0.95, top=0.15, width=width - 1.1, height=CHART), layers)
    return figure


def _names_height(layers: pd.DataFrame) -> float:
    return 0.25 + 0.06 * float(layers["layer"].map(len).max())


def _draw(axis: Axes, layers: pd.DataFrame) -> None:
    places = np.arange(len(layers))
    axis.bar(
        places,
        2 * layers["noise"],
        bottom=-layers["noise"],
        width=0.9,
        color="lightgrey",
        label="noise: another seed",
    )
    axis.axhline(0, color="black", linewidth=0.8)
    axis.vlines(places, layers["difference_low"], layers["difference_high"], color="C3")
    axis.plot(places, layers["difference"], "o", color="C3", label="after less before")
    axis.set_xticks(places, layers["layer"].map(plain), rotation=45, ha="right", fontsize=8)
    axis.set_xlim(-0.6, len(layers) - 0.4)
    axis.set_ylabel("difference of the\nnormalised error", fontsize=8)
    axis.tick_params(axis="y", labelsize=8)
    axis.legend(fontsize=7, loc="best")
    axis.grid(axis="y", alpha=0.3)
