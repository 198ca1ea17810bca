"""How the share of a feature that is drawn falls over alpha, beside pictures -> figure."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.plots.images import CELL, axes_at, plain
from cladec.plots.kept import LEFT, Row
from cladec.plots.lost import LINE
from cladec.plots.measures import label_alphas
from cladec.plots.rows import draw_stack, rows_height

CHART = 3.6
"""The width of the curve, in inches."""


def erasure(
    rows: Sequence[Row], curve: pd.DataFrame, *, title: str = "", sentence: str = ""
) -> Figure:
    """Pictures with a feature at each alpha, the share of it that is drawn, and what that means.

    Args:
        rows: images without and with the feature, and what is decoded, from top to bottom.
        curve: a row for each alpha: alpha, drawn, drawn_low, drawn_high.
        title: above the figure.
        sentence: below it.
    """
    width = LEFT + len(rows[0].images) * CELL + CHART + 0.9
    lines = textwrap.wrap(plain(sentence), int(width * 14))
    top, below = 0.4, LINE * len(lines) + 0.15
    bottom = top + rows_height(rows)
    figure = Figure(figsize=(width, bottom + below + 0.05), dpi=100)
    draw_stack(figure, rows, top=top)
    left, high = LEFT + len(rows[0].images) * CELL + 0.75, min(bottom - 1.1, 3.0)
    chart = axes_at(figure, left=left, top=top + 0.1, width=CHART, height=high)
    _draw_curve(chart, curve)
    height = figure.get_size_inches()[1]
    figure.text(0.1 / width, 1 - 0.08 / height, plain(title), fontsize=10, va="top")
    figure.text(0.1 / width, 0.08 / height, "\n".join(lines), fontsize=9, va="bottom")
    return figure


def _draw_curve(axis: Axes, curve: pd.DataFrame) -> None:
    alphas = curve["alpha"].tolist()
    places = range(len(alphas))
    axis.fill_between(
        places, curve["drawn_low"], curve["drawn_high"], color="C0", alpha=0.25, linewidth=0
    )
    axis.plot(places, curve["drawn"], "o-", color="C0")
    axis.axhline(0, color="black", linewidth=0.8)
    label_alphas(axis, alphas)
    axis.set_ylim(min(-0.05, curve["drawn_low"].min()), max(1.05, curve["drawn_high"].max()))
    axis.set_title("share of the feature drawn, 95 % interval", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
