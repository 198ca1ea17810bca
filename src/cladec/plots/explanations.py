"""Explanations and reports -> matplotlib figures. Nothing here shows, saves or computes a model."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.metrics.classification import Calibration, Curve, Curves
from cladec.plots.images import draw_image, plain

CELL = 1.5
"""Side of one explained image, in inches."""

COLUMNS = 6
"""Explanations side by side before a new line begins."""

NAMED_CLASSES = 10
"""Classes whose curves are named and coloured apart; with more only their averages are."""

NUMBERED_CLASSES = 20
"""Classes whose confusions are written as numbers; with more only colours are shown."""

HINT = "red, yellow: matters, or speaks for the class; blue: speaks against it"


def heat_map(image: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """An image with its attribution map laid over it in colour.

    A map with negative values takes a diverging colour map centred at zero (red for, blue against),
    any other a sequential one that begins at its lowest value. The image is faded to grey, and the
    more a pixel matters the more of its colour is seen. Strengths are relative to the map's 99.5th
    percentile, so that a single pixel cannot make the rest vanish.

    Args:
        image: (H, W, C) in [0, 1].
        attribution: (H, W).

    Returns:
        (H, W, 3) in [0, 1].
    """
    signed = attribution.min() < 0
    if not signed and np.ptp(attribution) > 0:
        attribution = attribution - attribution.min()
    largest = np.percentile(np.abs(attribution), 99.5) or np.abs(attribution).max() or 1.0
    strength = np.clip(attribution / largest, -1, 1)
    hue, place = ("RdBu_r", 0.5 + strength / 2) if signed else ("YlOrRd", strength)
    faded = 0.35 + 0.5 * image.mean(axis=-1, keepdims=True)
    opacity = 0.9 * np.abs(strength)[..., None] ** 0.75
    return (1 - opacity) * faded + opacity * colormaps[hue](place)[..., :3]


def side_by_side(image: np.ndarray, explanations: Mapping[str, np.ndarray], title: str) -> Figure:
    """One image and its explanations, some in a row.

    Args:
        image: (H, W, C) in [0, 1].
        explanations: method -> attribution map (H, W), or an image (H, W, C) in [0, 1].
        title: above the image itself.
    """
    columns = min(COLUMNS, len(explanations) + 1)
    rows = -(-(len(explanations) + 1) // columns)
    figure, axes = _image_axes(rows, columns, image.shape)
    for axis in axes.flat[len(explanations) + 1 :]:
        axis.set_axis_off()
    draw_image(axes.flat[0], image)
    axes.flat[0].set_title(plain(title), fontsize=8)
    for axis, (method, explanation) in zip(axes.flat[1:], explanations.items(), strict=False):
        _draw_explanation(axis, image, explanation)
        axis.set_title(_words(method), fontsize=8)
    return figure


def explanation_grid(
    images: np.ndarray,
    explanations: Mapping[str, np.ndarray],
    titles: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Images in rows, methods in columns.

    Args:
        images: (N, H, W, C) in [0, 1].
        explanations: method -> attribution maps (N, H, W), or images (N, H, W, C) in [0, 1].
        titles: N, at the left of the images.
        title: above the figure.
    """
    figure, axes = _image_axes(len(images), len(explanations) + 1, images.shape[1:])
    for i, (row, image) in enumerate(zip(axes, images, strict=True)):
        draw_image(row[0], image)
        row[0].set_ylabel(plain(titles[i]), fontsize=9)
        for axis, maps in zip(row[1:], explanations.values(), strict=True):
            _draw_explanation(axis, image, maps[i])
    for axis, name in zip(axes[0], ["image", *explanations], strict=True):
        axis.set_title(_words(name), fontsize=8)
    if title:
        figure.suptitle(plain(title))
    return figure


def confusion(matrix: np.ndarray, class_names: Sequence[str], *, title: str = "") -> Figure:
    """A confusion matrix, true classes down and predicted ones across.

    Args:
        matrix: (K, K) counts, or shares in [0, 1] with NaN in the row of an absent class.
        class_names: K names.
        title: above the figure.
    """
    count = len(class_names)
    side = 2.2 + 0.42 * min(count, NUMBERED_CLASSES)
    figure = Figure(figsize=(side, side), dpi=120, layout="constrained")
    axis = figure.subplots()
    axis.imshow(np.nan_to_num(matrix), cmap="Blues", vmin=0)
    step = max(1, count // 50)
    names = [plain(name) for name in class_names[::step]]
    axis.set_xticks(range(0, count, step), names, rotation=90, fontsize=8)
    axis.set_yticks(range(0, count, step), names, fontsize=8)
    axis.set(xlabel="predicted", ylabel="true", title=plain(title))
    if count <= NUMBERED_CLASSES:
        dark = np.nanmax(matrix) / 2
        for (row, column), value in np.ndenumerate(matrix):
            text = f"{value:d}" if np.issubdtype(matrix.dtype, np.integer) else _share(value)
            colour = "white" if value > dark else "black"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return figure


def curves(roc: Curves, precision_recall: Curves, class_names: Sequence[str]) -> Figure:
    """One-vs-rest ROC and precision-recall curves, with areas in the legends."""
    figure = Figure(figsize=(12, 5), dpi=120, layout="constrained")
    for axis, family, labels, name in (
        (figure.add_subplot(1, 2, 1), roc, ("false positive rate", "true positive rate"), "AUC"),
        (figure.add_subplot(1, 2, 2), precision_recall, ("recall", "precision"), "AP"),
    ):
        for number, (class_name, curve) in enumerate(zip(class_names, family.classes, strict=True)):
            if curve is not None and len(class_names) <= NAMED_CLASSES:
                label = plain(f"{class_name} ({name} {curve.area:.3f})")
                _draw_curve(axis, curve, label, f"C{number}")
            elif curve is not None:
                _draw_curve(axis, curve, None, "lightgrey")
        for average, curve, style in (("macro", family.macro, "--"), ("micro", family.micro, ":")):
            if curve is not None:
                label = f"{average} average ({name} {curve.area:.3f})"
                _draw_curve(axis, curve, label, "black", linestyle=style, linewidth=2)
        axis.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return figure


def reliability(calibration: Calibration) -> Figure:
    """Accuracy over confidence, and how many images there are of each confidence."""
    figure = Figure(figsize=(5, 6), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    width = np.diff(calibration.edges)
    left = calibration.edges[:-1]
    upper.bar(left, np.nan_to_num(calibration.accuracy), width, align="edge", edgecolor="white")
    upper.plot([0, 1], [0, 1], "k--", linewidth=1, label="perfectly calibrated")
    upper.plot(calibration.confidence, calibration.accuracy, "o", color="C1", label="mean of a bin")
    upper.set(ylabel="accuracy", ylim=(0, 1), xlim=(0, 1))
    upper.set_title(f"expected calibration error {calibration.error:.4f}", fontsize=10)
    upper.legend(fontsize=8)
    lower.bar(left, calibration.counts, width, align="edge", edgecolor="white")
    lower.set(xlabel="confidence", ylabel="images")
    return figure


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
        axis.set_title(_words(measure), fontsize=10)
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
    axis.set_yticks(places, [_words(method) for method in table["method"]], fontsize=8)
    better = "higher" if table["higher_is_better"].iloc[0] else "lower"
    axis.set_xlabel(f"{better} is better", fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", alpha=0.3)


def _image_axes(rows: int, columns: int, shape: tuple[int, ...]) -> tuple[Figure, np.ndarray]:
    """Axes for images of one shape, and below them what the colours mean."""
    cell_height = CELL * shape[0] / shape[1]
    size = (columns * (CELL + 0.12) + 0.3, rows * (cell_height + 0.35) + 0.3)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    figure.supxlabel(HINT, fontsize=8, color="dimgrey")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _draw_explanation(axis: Axes, image: np.ndarray, explanation: np.ndarray) -> None:
    is_map = explanation.ndim == 2
    draw_image(axis, heat_map(image, explanation) if is_map else explanation)


def _draw_curve(axis: Axes, curve: Curve, label: str | None, colour: str, **style) -> None:
    axis.plot(curve.x, curve.y, label=label, color=colour, **({"linewidth": 1.2} | style))


def _share(value: float) -> str:
    """A share in a small cell: ".98", "1", or nothing for 0 and NaN."""
    if np.isnan(value) or round(value, 2) == 0:
        return ""
    return f"{value:.2f}".lstrip("0") if value < 0.995 else "1"


def _words(name: str) -> str:
    return plain(name.replace("_", " "))
