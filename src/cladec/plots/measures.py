"""Measures over alpha, over the share of a layer, of methods; and how every measure is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from cladec.models.titles import cladec_title, refae_title
from cladec.plots.images import plain, words

LABELS = {
    "reconstruction_loss": "reconstruction loss (squared error per image)",
    "classification_loss": "classification loss (nats)",
    "evaluation_accuracy": "evaluation accuracy",
    "fidelity": "fidelity",
}


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
    places = range(len(alphas))
    for number, layer in enumerate(sorted(table["layer"].dropna().unique())):
        of_layer, colour = table[table["layer"] == layer], f"C{number}"
        means = of_layer[of_layer["model"] == "cladec"].groupby("alpha")["value"].mean()
        axis.plot(places, means.reindex(alphas), "o-", color=colour, label=plain(f"ClaDec {layer}"))
        reference = of_layer.loc[of_layer["model"] == "refae", "value"]
        if len(reference):
            name = plain(f"{reference_title(of_layer)} {layer}")
            axis.axhline(reference.mean(), color=colour, ls="--", label=name)
    draw_classifier(axis, table)
    label_places(axis, "alpha", alphas)


def measures_over_fraction(runs: pd.DataFrame, *, title: str = "") -> Figure:
    """Every measure over the share of a layer that is decoded; a row per layer and choice of units.

    A line per alpha of ClaDec; RefAE is drawn dashed, the classifier on the original images dotted.
    The charts of a measure have one scale, so that layers and choices can be compared.

    Args:
        runs: the tidy table of one classifier, as `evaluate` returns it; the whole layer (fraction
            1) belongs to every choice of units.
        title: above the figure.
    """
    parts = runs[runs["layer"].notna() & (runs["fraction"] != 1)]
    choices = sorted(set(zip(parts["layer"], parts["units"], strict=True)))
    alphas = sorted(parts["alpha"].dropna().unique())
    colours = dict(zip(alphas, colormaps["viridis"](np.linspace(0, 0.9, len(alphas))), strict=True))
    figure = Figure(figsize=(14, 3.1 * len(choices) + 0.8), dpi=120, layout="constrained")
    axes = figure.subplots(len(choices), len(LABELS), squeeze=False, sharey="col")
    for row, (layer, units) in zip(axes, choices, strict=True):
        chosen = (runs["units"] == units) | (runs["fraction"] == 1)
        of_choice = runs[runs["layer"].isna() | ((runs["layer"] == layer) & chosen)]
        for axis, metric in zip(row, LABELS, strict=True):
            _draw_fractions(axis, of_choice[of_choice["eval"] == metric], colours)
            axis.set_title(plain(f"{layer}, {units} units\n{LABELS[metric]}"), fontsize=9)
            scale_axis(axis, metric)
    draw_legend(figure, figure.axes, loc="outside lower center")
    figure.suptitle(plain(title))
    return figure


def _draw_fractions(axis: Axes, table: pd.DataFrame, colours: Mapping[float, np.ndarray]) -> None:
    decoders = table[table["layer"].notna()]
    for alpha, colour in colours.items():
        means = decoders[decoders["alpha"] == alpha].groupby("fraction")["value"].mean()
        axis.plot(means.index, means, "o-", color=colour, label=cladec_title(alpha))
    means = decoders[decoders["model"] == "refae"].groupby("fraction")["value"].mean()
    axis.plot(means.index, means, "s--", color="C3", label=reference_title(decoders))
    draw_classifier(axis, table)
    fractions = sorted(decoders["fraction"].unique())
    axis.set_xticks(fractions, [f"{fraction:.12g}" for fraction in fractions], rotation=45)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel("fraction of the layer", fontsize=9)
    axis.grid(alpha=0.3)


def ranking(table: pd.DataFrame, *, floor: str, title: str = "") -> Figure:
    """Methods ranked by every measure, best on top, with their intervals.

    Args:
        table: columns method, measure, mean, low, high, rank (1 is the best), higher_is_better.
        floor: the method that the others should beat; drawn as a line.
        title: above the figure.
    """
    measures = list(dict.fromkeys(table["measure"]))
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    height = rows * (1.2 + 0.24 * table["method"].nunique())
    figure = Figure(figsize=(4.4 * columns, height), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(measures) :]:
        axis.set_axis_off()
    for axis, measure in zip(axes.flat, measures, strict=False):
        _draw_ranking(axis, table[table["measure"] == measure], floor)
        axis.set_title(words(measure), fontsize=10)
    figure.suptitle(plain(title))
    return figure


def _draw_ranking(axis: Axes, table: pd.DataFrame, floor: str) -> None:
    table = table.sort_values("rank", ascending=False, ignore_index=True)
    places = range(len(table))
    is_floor = table["method"] == floor
    colours = ["grey" if floor else "C0" for floor in is_floor]
    axis.hlines(places, table["low"], table["high"], colors=colours, linewidth=2)
    axis.scatter(table["mean"], places, c=colours, s=22, zorder=3)
    for value in table.loc[is_floor, "mean"]:
        axis.axvline(value, color="grey", linestyle=":", linewidth=1)
    axis.set_yticks(places, [words(method) for method in table["method"]], fontsize=8)
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


def draw_legend(figure: Figure, axes: Sequence[Axes], **place: Any) -> None:
    """Name every line that one of the axes has, once, in a legend of the whole figure."""
    handles: dict[Any, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    columns = min(len(handles), 6)
    figure.legend(handles.values(), handles.keys(), ncols=columns, fontsize=9, **place)


def draw_classifier(axis: Axes, table: pd.DataFrame) -> None:
    """Draw the classifier's measure on the original images as a line, where the table has one."""
    values = table.loc[table["model"] == "classifier", "value"]
    if len(values):
        axis.axhline(values.mean(), color="black", ls=":", label="classifier")


def label_places(axis: Axes, name: str, values: Sequence[float]) -> None:
    """Write `values` at the places 0, 1, ... of the lower axis: most alphas lie close together."""
    axis.set_xticks(range(len(values)), [f"{value:.12g}" for value in values], rotation=45)
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel(name, fontsize=9)
    axis.grid(alpha=0.3)
