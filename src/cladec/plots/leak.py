"""What can be drawn from each layer of a classifier, by how much is known and hidden -> figure."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.plots.images import CELL, axes_at, draw_rows, image_axes, name_row, plain, row_height
from cladec.plots.lost import LINE

LEFT = 1.6
"""Where the images begin, in inches."""

CHART = (3.0, 1.6)
"""The width and the height of a chart, in inches."""

MEASURES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "reidentified": "found again"}
"""The measures that have a chart, and their names."""


def leaked_by_layer(
    rows: Mapping[str, np.ndarray], measures: pd.DataFrame, *, title: str = ""
) -> Figure:
    """What is drawn from each layer, and the measures by layer: by pictures known, and by noise.

    Args:
        rows: name -> images (N, H, W, C) in [0, 1]: the originals, and what is drawn of each layer.
        measures: layer, known, noise, and psnr, ssim and reidentified with `_low` and `_high`; the
            row of the layer "" is drawn as a dashed line.
        title: above the figure, in several lines.
    """
    images = next(iter(rows.values()))
    shape, lines = images.shape[1:3], title.splitlines()
    top = 0.15 + LINE * len(lines)
    below = top + len(rows) * row_height(shape) + 0.3
    layers = [str(layer) for layer in measures["layer"].unique() if layer]
    names = 0.3 + 0.075 * max(map(len, layers))
    step = CHART[0] + 0.75
    words = 0.3 + 0.072 * max(map(len, lines), default=0)
    width = max(LEFT + len(images) * CELL + 0.2, len(MEASURES) * step + 0.2, words)
    figure = Figure(figsize=(width, below + 2 * CHART[1] + 0.35 + names), dpi=120)
    axes = image_axes(figure, len(rows), len(images), shape, left=LEFT, top=top)
    draw_rows(axes, rows)
    for of_row, name in zip(axes, rows, strict=True):
        name_row(of_row[0], name)
    most = measures["known"].max()
    parts = {
        "known": measures[(measures["noise"] == 0) & (measures["layer"] != "")],
        "noise": measures[(measures["known"] == most) & (measures["layer"] != "")],
    }
    base = measures[measures["layer"] == ""].iloc[0]
    for line, (by, part) in enumerate(parts.items()):
        for column, measure in enumerate(MEASURES):
            place = {"left": 0.7 + column * step, "top": below + line * (CHART[1] + 0.35)}
            axis = axes_at(figure, **place, width=CHART[0], height=CHART[1])
            _draw(axis, part, layers, by, measure)
            axis.axhline(base[measure], color="black", linestyle="--", linewidth=1)
            axis.set_xticks(range(len(layers)), map(plain, layers) if line else [""] * len(layers))
            axis.tick_params(axis="x", rotation=90)
            if column == 0:
                axis.legend(
                    fontsize=7,
                    title_fontsize=7,
                    title="pictures known" if by == "known" else "noise",
                )
    high = figure.get_figheight()
    figure.text(0.1 / width, 1 - 0.08 / high, plain(title), fontsize=9, va="top")
    return figure


def _draw(axis: Axes, part: pd.DataFrame, layers: list[str], by: str, measure: str) -> None:
    """Draw a line for each number of pictures, or each noise, over the layers."""
    for number, (value, rows) in enumerate(part.groupby(by)):
        of_value = rows.set_index("layer").loc[layers]
        colour = f"C{number}"
        axis.plot(
            range(len(layers)),
            of_value[measure],
            "o-",
            color=colour,
            markersize=4,
            label=f"{value:g}",
        )
        low, high = of_value[f"{measure}_low"], of_value[f"{measure}_high"]
        axis.vlines(range(len(layers)), low, high, color=colour)
    axis.set_title(MEASURES[measure], fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    if measure == "reidentified":
        axis.set_ylim(-0.03, 1.03)
