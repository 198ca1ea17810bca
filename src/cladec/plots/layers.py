"""What a layer lost, all layers by depth, every alpha from one network -> figures."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.models.titles import refae_title
from cladec.plots.images import (
    CELL,
    GAP,
    axes_at,
    draw_image,
    draw_rows,
    draw_titles,
    image_axes,
    name_row,
    plain,
    row_height,
    title_height,
)
from cladec.plots.lost import UNIT, draw_lost
from cladec.plots.measures import (
    LABELS,
    draw_classifier,
    draw_legend,
    draw_reference,
    draw_repeats,
    label_alphas,
    reference_title,
    scale_axis,
)

DEPTH_MEASURES = ("reconstruction_loss", "fidelity", "evaluation_accuracy")

ALPHA_MEASURES = ("reconstruction_loss", "fidelity")

LEFT = 1.2
"""Where a grid of images begins, in inches: what is left of it is for the names of its rows."""

NARROWEST = 6.0
"""Inches that a title needs, however few images stand below it."""

DECODERS = {"refae": ("C1", "s--"), "cladec": ("C0", "o-")}
"""Colour and line of the two kinds of decoder, by `model` of the tidy table."""


def lost_by_layer(
    rows: Mapping[str, np.ndarray],
    maps: np.ndarray,
    titles: Sequence[str],
    classes: pd.DataFrame,
    *,
    marked: Sequence[bool] = (),
    title: str = "",
) -> Figure:
    """The images of which a layer lost most, what it lost of them, and its mean for every class.

    The maps are squared errors of pixels, and share one scale that is centred at zero.

    Args:
        rows: name -> images (N, H, W, C) in [0, 1]: the originals and what was decoded.
        maps: (N, H, W), signed, from `lost_information.lost_maps`.
        titles: N column titles.
        classes: class, lost, low, high; the first row is the mean over all images.
        marked: columns whose title is drawn in red, such as wrongly classified images.
        title: above the figure.
    """
    count, shape = len(rows) + 1, maps.shape[1:]
    top = 0.55 + title_height(titles)
    below = top + count * row_height(shape)
    width = max(LEFT + len(titles) * CELL + 0.8, 2.0 + 0.45 * len(classes), NARROWEST)
    names = 0.3 + 0.055 * max(map(len, classes["class"]))
    figure = Figure(figsize=(width, below + 2.3 + names), dpi=120)
    axes = image_axes(figure, len(rows), len(titles), shape, left=LEFT, top=top)
    draw_rows(axes, rows)
    draw_titles(axes[0], titles, marked)
    first = draw_lost(figure, maps, left=LEFT, top=below - row_height(shape))
    name_row(first, "lost", UNIT)
    chart = axes_at(figure, left=LEFT, top=below + 0.6, width=width - LEFT - 0.3, height=1.7)
    _draw_classes(chart, classes)
    _write_title(figure, title)
    return figure


def _draw_classes(axis: Axes, classes: pd.DataFrame) -> None:
    overall, rows = classes.iloc[0], classes.iloc[1:]
    places = range(len(rows))
    axis.bar(places, rows["lost"], color="C0", alpha=0.6)
    axis.vlines(places, rows["low"], rows["high"], color="black", linewidth=1.5)
    axis.axhline(overall["lost"], color="C3", linestyle="--")
    axis.axhspan(overall["low"], overall["high"], color="C3", alpha=0.2, linewidth=0)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_xticks(places, rows["class"].map(plain), rotation=45, ha="right", fontsize=8)
    axis.set_ylabel("lost per image\n(squared error)", fontsize=9)
    axis.set_title("means of every class and of all images (dashed), 95 % intervals", fontsize=9)
    axis.grid(axis="y", alpha=0.3)


def layers_by_depth(
    images: np.ndarray,
    decoded: Mapping[str, Mapping[str, np.ndarray]],
    runs: pd.DataFrame,
    *,
    title: str = "",
) -> Figure:
    """What each layer still knows: a column per layer, its measures right below its pictures.

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        decoded: layer -> "refae" and "cladec", where there is one -> images (N, H, W, C); the
            layers in their order from input to output.
        runs: the tidy table of these layers, one alpha, and of their classifier.
        title: above the figure.
    """
    layers, shape = list(decoded), images.shape[1:3]
    tuned = _differing_references(runs)
    titles = [f"{layer}, {tuned[layer]}" if layer in tuned else layer for layer in layers]
    names = 0.15 + 0.068 * max(map(len, titles))
    left, top, height = 0.7 + CELL, 0.3 + names, row_height(shape)
    below = top + 2 * len(images) * height + 0.15
    width = max(left + len(layers) * CELL + 0.2, NARROWEST)
    bottom = below + 1.4 * len(DEPTH_MEASURES) + names
    figure = Figure(figsize=(width, bottom + 0.1), dpi=120)
    for number, image in enumerate(images):
        middle = top + (2 * number + 0.5) * height
        original = image_axes(figure, 1, 1, shape, left=0.1, top=middle)
        draw_image(original[0, 0], image)
        original[0, 0].set_title("original", fontsize=9)
    axes = image_axes(figure, 2 * len(images), len(layers), shape, left=left, top=top)
    for column, name, of_layer in zip(axes.T, titles, decoded.values(), strict=True):
        _draw_layer(column, of_layer)
        column[0].set_title(plain(name), fontsize=9, rotation=90)
    for number, axis in enumerate(axes[:, 0]):
        reference = refae_title() if tuned else reference_title(runs).replace(" (", "\n(")
        name = (reference, "ClaDec")[number % 2]
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    for number, metric in enumerate(DEPTH_MEASURES):
        place = {"left": left, "top": below + 1.4 * number, "height": 1.2}
        axis = axes_at(figure, **place, width=len(layers) * CELL - GAP)
        _draw_depth(axis, runs[runs["eval"] == metric], layers)
        axis.set_ylabel(metric.replace("_", "\n"), fontsize=9)
        scale_axis(axis, metric)
    axis.set_xticks(range(len(layers)), map(plain, titles), rotation=90, fontsize=9)
    axis.legend(fontsize=8)
    _write_title(figure, title)
    return figure


def _differing_references(runs: pd.DataFrame) -> dict[str, str]:
    """The layers whose RefAE has another title than is usual, if those of other layers have not."""
    references = runs[runs["model"] == "refae"].groupby("layer")
    titles = {str(layer): reference_title(rows) for layer, rows in references}
    if len(set(titles.values())) < 2:
        return {}
    return {layer: title for layer, title in titles.items() if title != refae_title()}


def _draw_layer(axes: np.ndarray, decoded: Mapping[str, np.ndarray]) -> None:
    """Draw what was decoded of one layer, by turns of RefAE and ClaDec, into a column of axes."""
    for number, model in enumerate(DECODERS):
        for place, axis in enumerate(axes[number::2]):
            if model in decoded:
                draw_image(axis, decoded[model][place])
            else:
                axis.set(xticks=[], yticks=[], frame_on=False)


def _draw_depth(axis: Axes, table: pd.DataFrame, layers: list[str]) -> None:
    for model, (colour, line) in DECODERS.items():
        name = reference_title(table) if model == "refae" else "ClaDec"
        of_model = table[table["model"] == model]
        draw_repeats(axis, of_model, "layer", layers, line, color=colour, label=name)
    draw_classifier(axis, table)
    # The centre of every column of pictures is the place of its layer.
    edge = 0.5 * (CELL - GAP) / CELL
    axis.set_xlim(-edge, len(layers) - 1 + edge)
    axis.set_xticks(range(len(layers)), [""] * len(layers))
    axis.tick_params(axis="y", which="both", labelsize=8)
    axis.grid(alpha=0.3)


def conditional_beside_separate(
    images: np.ndarray,
    separate: Mapping[float, np.ndarray],
    conditional: Mapping[float, np.ndarray],
    runs: pd.DataFrame,
    titles: Sequence[str],
    *,
    marked: Sequence[bool] = (),
    title: str = "",
) -> Figure:
    """Decoders trained for one alpha each beside one network for every alpha.

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        separate: alpha -> what the decoder trained for it makes of them, (N, H, W, C).
        conditional: the same of the one network, at the same alphas.
        runs: the tidy table of this layer, rows of both decoders ("plain" and "conditional").
        titles: N column titles.
        marked: columns whose title is drawn in red, such as wrongly classified images.
        title: above the figure.
    """
    shape, block = images.shape[1:3], len(images) * CELL + 0.35
    top = 0.6 + title_height(titles)
    below = top + (len(separate) + 1) * row_height(shape)
    width = max(LEFT + 2 * block, 1.4 * NARROWEST)
    figure = Figure(figsize=(width, below + 3.7), dpi=120)
    sides = {"a decoder for each alpha": separate, "one network for every alpha": conditional}
    for number, (name, of_side) in enumerate(sides.items()):
        rows = {"original": images} | {f"alpha {alpha:.12g}": of_side[alpha] for alpha in separate}
        place = {"left": LEFT + number * block, "top": top}
        axes = image_axes(figure, len(rows), len(images), shape, **place)
        draw_rows(axes, rows)
        draw_titles(axes[0], titles, marked, headed=number == 0)
        middle = place["left"] + (block - 0.35) / 2
        figure.text(middle / width, 1 - 0.42 / (below + 3.7), name, ha="center", fontsize=10)
        for axis in axes[:, 0] if number else ():
            axis.set_ylabel("")  # the rows are named at the left
    half = (width - LEFT - 0.9) / 2
    for number, metric in enumerate(ALPHA_MEASURES):
        left = LEFT - 0.4 + number * (half + 0.8)
        axis = axes_at(figure, left=left, top=below + 0.45, width=half, height=2.0)
        _draw_both(axis, runs[runs["eval"] == metric], [*separate])
        axis.set_title(LABELS[metric], fontsize=9)
        scale_axis(axis, metric)
    draw_legend(figure, [axis], loc="lower center")
    _write_title(figure, title)
    return figure


def _draw_both(axis: Axes, table: pd.DataFrame, alphas: list[float]) -> None:
    styles = {
        "plain": ("a decoder for each alpha", "C0", "o-"),
        "conditional": ("one network for every alpha", "C2", "D-"),
    }
    of_cladec = table[table["model"] == "cladec"]
    for decoder, (name, colour, line) in styles.items():
        of_kind = of_cladec[of_cladec["decoder"] == decoder]
        draw_repeats(axis, of_kind, "alpha", alphas, line, color=colour, label=name)
    draw_reference(axis, table, color="C1", label=reference_title(table))
    label_alphas(axis, alphas)
    axis.tick_params(axis="y", which="both", labelsize=8)


def _write_title(figure: Figure, title: str) -> None:
    """Write the title at the upper edge, however high the figure is."""
    figure.suptitle(plain(title), fontsize=10, y=1 - 0.08 / figure.get_figheight(), va="top")
