"""Arrays and tables -> matplotlib figures. Nothing here shows, saves or computes a model."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

CELL = 0.85
"""Side of one image of a grid, in inches."""

TITLE_LENGTH = 12
"""Characters that fit above one image; longer titles "true - predicted" take two lines."""

LABELS = {
    "reconstruction_loss": "reconstruction loss (squared error per image)",
    "classification_loss": "classification loss (nats)",
    "evaluation_accuracy": "evaluation accuracy",
    "fidelity": "fidelity",
}


def image_grid(
    rows: Mapping[str, np.ndarray], titles: Sequence[str], *, marked: Sequence[bool] = ()
) -> Figure:
    """Images in rows that are named at the left, under one title per column.

    Args:
        rows: name -> images (N, H, W, C) in [0, 1]; grey where C is 1.
        titles: N column titles.
        marked: columns whose title is drawn in red, such as wrongly classified images.
    """
    lines = 1 if max(map(len, titles)) <= TITLE_LENGTH else 2
    top = 0.12 + 0.16 * lines
    height, width = CELL * len(rows) + top + 0.05, CELL * len(titles) + 1.3
    figure = Figure(figsize=(width, height), dpi=120)
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(row, images, strict=True):
            draw_image(axis, image)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    for column, (axis, title) in enumerate(zip(axes[0], titles, strict=True)):
        wrong = column < len(marked) and marked[column]
        text = title if lines == 1 else title.replace(" - ", " -\n")
        axis.set_title(text, fontsize=8, color="firebrick" if wrong else "black")
    figure.subplots_adjust(
        left=1.2 / width,
        right=1 - 0.1 / width,
        top=1 - top / height,
        bottom=0.05 / height,
        wspace=0.06,
        hspace=0.06,
    )
    return figure


def draw_image(axis: Axes, image: np.ndarray) -> None:
    """Draw one image (H, W, C) in [0, 1] without ticks, grey as grey."""
    grey = image.shape[-1] == 1
    axis.imshow(image[..., 0] if grey else image, cmap="gray", vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])


def measures_over_alpha(runs: pd.DataFrame, *, title: str = "") -> Figure:
    """Every measure of one dataset over alpha, a line per layer.

    RefAE is drawn dashed in its layer's colour, the classifier on the original images dotted.

    Args:
        runs: the tidy table of one dataset, as `evaluate` returns it.
        title: above the figure.
    """
    figure = Figure(figsize=(10, 6.6), dpi=120, layout="constrained")
    for axis, metric in zip(figure.subplots(2, 2).flat, LABELS, strict=True):
        table = runs[runs["eval"] == metric]
        _draw_measure(axis, table)
        axis.set_title(LABELS[metric], fontsize=10)
        if metric == "reconstruction_loss":
            axis.set_yscale("log")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    more = dict(zip(*reversed(figure.axes[1].get_legend_handles_labels()), strict=True))
    handles += [more[label] for label in more if label not in labels]
    labels += [label for label in more if label not in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    figure.suptitle(title)
    return figure


def _draw_measure(axis: Axes, table: pd.DataFrame) -> None:
    alphas = sorted(table["alpha"].dropna().unique())
    places = range(len(alphas))
    for number, layer in enumerate(sorted(table["layer"].dropna().unique())):
        of_layer, colour = table[table["layer"] == layer], f"C{number}"
        means = of_layer[of_layer["model"] == "cladec"].groupby("alpha")["value"].mean()
        axis.plot(places, means.reindex(alphas), "o-", color=colour, label=f"ClaDec {layer}")
        reference = of_layer.loc[of_layer["model"] == "refae", "value"]
        if len(reference):
            axis.axhline(reference.mean(), color=colour, ls="--", label=f"RefAE {layer}")
    classifier = table.loc[table["model"] == "classifier", "value"]
    if len(classifier):
        axis.axhline(classifier.mean(), color="black", ls=":", label="classifier")
    axis.set_xticks(places, [f"{alpha:.12g}" for alpha in alphas], rotation=45, fontsize=8)
    axis.set_xlabel("alpha", fontsize=9)
    axis.grid(alpha=0.3)
