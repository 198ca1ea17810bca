"""Reports of a classifier -> figures: what it confuses, its curves, how far it can be believed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.metrics.classification import Calibration, Curve, Curves
from cladec.plots.images import plain

NAMED_CLASSES = 10
"""Classes whose curves are named and coloured apart; with more only their averages are."""

NUMBERED_CLASSES = 20
"""Classes whose confusions are written as numbers; with more only colours are shown."""


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


def _share(value: float) -> str:
    """A share in a small cell: ".98", "1", or nothing for 0 and NaN."""
    if np.isnan(value) or round(value, 2) == 0:
        return ""
    return f"{value:.2f}".lstrip("0") if value < 0.995 else "1"


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


def _draw_curve(axis: Axes, curve: Curve, label: str | None, colour: str, **style) -> None:
    axis.plot(curve.x, curve.y, label=label, color=colour, **({"linewidth": 1.2} | style))


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
