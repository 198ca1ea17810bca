"""Measures over alpha, over the share of a layer, of methods; and how every measure is drawn."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter

from cladec.models.titles import cladec_title, refae_title
from cladec.plots.images import plain, words

LABELS = {
    "reconstruction_loss": "reconstruction loss (squared error per image)",
    "classification_loss": "classification loss (nats)",
    "evaluation_accuracy": "evaluation accuracy",
    "fidelity": "fidelity",
}

ALPHA = "alpha (evenly spaced, not to scale)"
"""What is written below an axis of alphas."""

REPEATS = "smallest to largest of the repeats"
"""What the bars and bands around means are."""


def measures_over_alpha(runs: pd.DataFrame, *, title: str = "") -> Figure:
    """Every measure of one dataset over alpha, a line per layer.

    RefAE is drawn dashed in its layer's colour, the classifier on the original images dotted.

    Args:
        runs: the tidy table of one dataset, as `evaluate` returns it. Layers that were decoded at
            one alpha only are left out where others were decoded at more.
        title: above the figure.
    """
    runs = _layers_with_curves(runs)
    figure = Figure(figsize=(10, 6.6), dpi=120, layout="constrained")
    for axis, metric in zip(figure.subplots(2, 2).flat, LABELS, strict=True):
        table = runs[runs["eval"] == metric]
        _draw_measure(axis, table)
        axis.set_title(LABELS[metric], fontsize=10)
        scale_axis(axis, metric)
    draw_legend(figure, figure.axes, loc="outside lower center")
    figure.suptitle(plain(title))
    return figure


def _layers_with_curves(runs: pd.DataFrame) -> pd.DataFrame:
    alphas = runs.groupby("layer")["alpha"].transform("nunique")  # NaN for the classifier's rows
    return runs[alphas.isna() | (alphas > 1)] if (alphas > 1).any() else runs


def _draw_measure(axis: Axes, table: pd.DataFrame) -> None:
    alphas = sorted(table["alpha"].dropna().unique())
    for number, layer in enumerate(sorted(table["layer"].dropna().unique())):
        of_layer, colour = table[table["layer"] == layer], f"C{number}"
        decoded, name = of_layer[of_layer["model"] == "cladec"], plain(f"ClaDec {layer}")
        draw_repeats(axis, decoded, "alpha", alphas, "o-", color=colour, label=name)
        name = plain(f"{reference_title(of_layer)} {layer}")
        draw_reference(axis, of_layer, color=colour, label=name)
    draw_classifier(axis, table)
    label_alphas(axis, alphas)


UNITS = ("-", "--", ":", "-.")
"""The lines of the choices of units, in their order by name."""


def measures_over_fraction(runs: pd.DataFrame, *, title: str = "") -> Figure:
    """Every measure over the share of a layer that is decoded, four charts for each layer.

    A colour for RefAE and for every alpha of ClaDec, a line for each choice of units: which units
    of the same number tell more is seen in one chart.

    Args:
        runs: the tidy table of one classifier, as `evaluate` returns it; the whole layer (fraction
            1) belongs to every choice of units.
        title: above the figure.
    """
    parts = runs[runs["layer"].notna() & (runs["fraction"] != 1)]
    layers, units = sorted(parts["layer"].unique()), sorted(parts["units"].unique())
    alphas = sorted(parts["alpha"].dropna().unique())
    shades = map(to_hex, colormaps["viridis"](np.linspace(0, 0.8, len(alphas))))
    colours: dict[float | None, str] = {None: "C3"}
    colours |= dict(zip(alphas, shades, strict=True))
    lines = dict(zip(units, cycle(UNITS)))
    figure = Figure(figsize=(10, 6 * len(layers) + 1), dpi=120, layout="constrained")
    charts = figure.subplots(2 * len(layers), 2, squeeze=False).reshape(len(layers), 4)
    for row, layer in zip(charts, layers, strict=True):
        of_layer = runs[runs["layer"].isna() | (runs["layer"] == layer)]
        for axis, metric in zip(row, LABELS, strict=True):
            _draw_fractions(axis, of_layer[of_layer["eval"] == metric], colours, lines)
            axis.set_title(plain(f"{layer}: {LABELS[metric]}"), fontsize=10)
            scale_axis(axis, metric)
    draw_legend(figure, figure.axes, others=_units_of_lines(lines), loc="outside lower center")
    figure.suptitle(plain(title))
    return figure


def _draw_fractions(
    axis: Axes, table: pd.DataFrame, colours: Mapping[float | None, str], lines: Mapping[str, str]
) -> None:
    decoders = table[table["layer"].notna()]
    fractions = sorted(decoders["fraction"].unique())
    for alpha, colour in colours.items():
        is_refae = decoders["model"] == "refae"
        of_model = decoders[is_refae if alpha is None else decoders["alpha"] == alpha]
        name = reference_title(decoders) if alpha is None else cladec_title(alpha)
        for units, line in lines.items():
            of_line = of_model[(of_model["units"] == units) | (of_model["fraction"] == 1)]
            measured = [part for part in fractions if (of_line["fraction"] == part).any()]
            style = {"color": colour, "label": name}
            draw_repeats(axis, of_line, "fraction", measured, f"o{line}", places=measured, **style)
    draw_classifier(axis, table)
    axis.set_xticks(fractions, [f"{fraction:.12g}" for fraction in fractions], rotation=45)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel("fraction of the layer", fontsize=9)
    axis.grid(alpha=0.3)


def _units_of_lines(lines: Mapping[str, Any]) -> list[Line2D]:
    """Return what the legend shows of the choices of units."""
    return [
        Line2D([], [], color="grey", linestyle=line, label=plain(f"{units} units"))
        for units, line in lines.items()
    ]


def ranking(table: pd.DataFrame, *, floor: str, title: str = "") -> Figure:
    """Methods ranked by every measure, best on top, with their intervals and groups.

    A dot is filled where a method was shown to be better than the floor.

    Args:
        table: the first table of `cladec.metrics.ranking.rank`, best first in every measure.
        floor: the method that the others should beat; drawn as a line.
        title: above the figure.
    """
    measures = list(dict.fromkeys(table["measure"]))
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    height = rows * (1.2 + 0.24 * table["method"].nunique()) + 0.6
    figure = Figure(figsize=(4.4 * columns, height), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(measures) :]:
        axis.set_axis_off()
    for axis, measure in zip(axes.flat, measures, strict=False):
        of_measure = table[table["measure"] == measure]
        _draw_ranking(axis, of_measure[::-1].reset_index(drop=True), floor)
        about = dict.fromkeys([of_measure["question"].iloc[0], measure])
        axis.set_title(": ".join(map(words, about)), fontsize=10)
    figure.suptitle(plain(title))
    figure.supxlabel(
        "mean over the images and its 95 % interval; filled: shown to be better than "
        f"{words(floor)};\nmethods that share a letter are not told apart",
        fontsize=8,
    )
    return figure


def _draw_ranking(axis: Axes, table: pd.DataFrame, floor: str) -> None:
    """Draw the methods of one measure, the best one, the last row, on top."""
    places = range(len(table))
    is_floor = table["method"] == floor
    colours = ["grey" if floor else "C0" for floor in is_floor]
    shown_better = table["than_random"] == "better"
    faces = [
        colour if full else "white"
        for colour, full in zip(colours, shown_better | is_floor, strict=True)
    ]
    axis.hlines(places, table["low"], table["high"], colors=colours, linewidth=2)
    axis.scatter(table["mean"], places, c=faces, edgecolors=colours, s=22, zorder=3)
    for value in table.loc[is_floor, "mean"]:
        axis.axvline(value, color="grey", linestyle=":", linewidth=1)
    names = zip(table["method"], table["group"], strict=True)
    axis.set_yticks(places, [f"{words(name)}  {group}" for name, group in names], fontsize=8)
    better = "higher" if table["higher_is_better"].iloc[0] else "lower"
    axis.set_xlabel(f"{better} is better", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", alpha=0.3)


class PlainNumbers(LogFormatter):
    """Labels the ticks of a logarithmic axis as people write numbers: 0.4, 20."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The number at a tick, nothing where ticks are too many to label each."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def scale_axis(axis: Axes, metric: str) -> None:
    """Make the axis of the reconstruction loss logarithmic, its ticks plain numbers."""
    if metric == "reconstruction_loss":
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(PlainNumbers())
        axis.yaxis.set_minor_formatter(PlainNumbers())


def reference_title(table: pd.DataFrame) -> str:
    """Return the title of the RefAEs in a tidy table, which says where their encoders started."""
    if "reference" not in table:
        return refae_title()
    return refae_title(table["reference"].dropna())


def draw_repeats(
    axis: Axes,
    table: pd.DataFrame,
    column: str,
    values: Sequence[Any],
    line: str,
    *,
    places: Sequence[float] | None = None,
    **style: Any,
) -> None:
    """Draw the means of repeats, and how far the repeats reach from the smallest to the largest.

    Args:
        axis: to draw into.
        table: the rows of one measure.
        column: the column whose values have a place each.
        values: these values, in their order.
        line: the format of the line.
        places: where the values are; 0, 1, ... by default.
        **style: the color and the label.
    """
    reach = table.groupby(column)["value"].agg(["mean", "min", "max"]).reindex(list(values))
    places = range(len(values)) if places is None else places
    axis.plot(places, reach["mean"], line, markersize=5, **style)
    if (reach["max"] > reach["min"]).any():
        axis.vlines(
            places, reach["min"], reach["max"], colors=style["color"], linewidth=3, alpha=0.5
        )


def draw_reference(axis: Axes, table: pd.DataFrame, **style: Any) -> None:
    """Draw the RefAE of a table as a dashed line, and how far its repeats reach as a band."""
    values = table.loc[table["model"] == "refae", "value"]
    if len(values):
        axis.axhline(values.mean(), ls="--", **style)
    if values.nunique() > 1:
        axis.axhspan(values.min(), values.max(), color=style["color"], alpha=0.2, linewidth=0)


def draw_legend(
    figure: Figure, axes: Sequence[Axes], *, others: Sequence[Artist] = (), **place: Any
) -> None:
    """Name every line that one of the axes has, once, in a legend of the whole figure.

    Args:
        figure: the figure.
        axes: whose lines are named; where one of them has repeats, their bars are named too.
        others: more artists, with labels of their own.
        **place: of the legend.
    """
    handles: dict[Any, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    handles |= {artist.get_label(): artist for artist in others}
    if any(isinstance(lines, LineCollection) for axis in axes for lines in axis.collections):
        handles[REPEATS] = Line2D([], [], color="grey", linewidth=3, alpha=0.5, marker="")
    longest = max((len(label) for label in handles), default=0)
    columns = max(1, min(len(handles), int(figure.get_figwidth() / (0.07 * longest + 0.6))))
    figure.legend(handles.values(), handles.keys(), ncols=columns, fontsize=9, **place)


def draw_classifier(axis: Axes, table: pd.DataFrame) -> None:
    """Draw the classifier's measure on the original images as a line, where the table has one."""
    values = table.loc[table["model"] == "classifier", "value"]
    if len(values):
        axis.axhline(values.mean(), color="black", ls=":", label="classifier")


def label_alphas(axis: Axes, alphas: Sequence[float]) -> None:
    """Write alphas at the places 0, 1, ... of the lower axis: most of them lie close together."""
    axis.set_xticks(range(len(alphas)), [f"{alpha:.12g}" for alpha in alphas], rotation=45)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel(ALPHA, fontsize=9)
    axis.grid(alpha=0.3)
