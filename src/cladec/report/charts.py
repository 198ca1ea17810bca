"""Place the lines, marks and ticks of curves in a chart, which the page draws as SVG.

The page styles the lines, so that they follow its light or dark colours, are brought out by class
and have a marker that moves. A chart of matplotlib has fixed colours and four times the size
(9.5 against 2.3 kB); small JavaScript libraries draw on a canvas, which cannot be read aloud.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cladec.models.recipes import alpha_text
from cladec.plots import AlphaAxis

if TYPE_CHECKING:
    from cladec.metrics.classification import Curve, Curves

WIDTH, HEIGHT = 270, 180
"""The size of a chart in its own units; the page scales the chart."""

LEFT, RIGHT, TOP, BOTTOM = 42, 6, 8, 52
"""The margins for the labels of the axes."""

TEXT_WIDTH = 12
"""The space that the rotated text of a tick takes along an axis."""

CORNERS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""The parts of an axis that a chart of curves can show."""


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A value that is drawn as a dot, and its tooltip."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        kind: the style of the line: ours, published, refae, classifier, class, macro, micro.
        path: the SVG path.
        marks: the values along the line.
        number: the number of its class.
        text: the tooltip.
    """

    kind: str
    path: str
    marks: tuple[Mark, ...] = ()
    number: int | None = None
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing of lines over two axes.

    Attributes:
        title: the title of the chart.
        summary: a description of the chart in words.
        axes: the labels of the horizontal and the vertical axis.
    """

    title: str
    summary: str
    axes: tuple[str, str]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class _Axis:
    """An axis that maps values to places in the drawing."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """Return about five ticks at round numbers."""
        wide = self.logarithmic and self.high > 6 * self.low
        values = self._decades() if wide else self._steps()
        return tuple(Tick(self.place(value), f"{value:.6g}") for value in values)

    def _decades(self) -> list[float]:
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [factor * 10.0**exponent for exponent in exponents for factor in factors]
            values = [value for value in values if self.low <= value <= self.high]
            if len(values) <= 6:
                break
        return values

    def _steps(self) -> list[float]:
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def over_alpha(
    title: str,
    curves: Mapping[str, Mapping[float, float]],
    levels: Mapping[str, float],
    *,
    axis: AlphaAxis,
    logarithmic: bool,
) -> Chart:
    """Return a chart of a measure over the logit of alpha.

    Args:
        title: the name of the measure.
        curves: kind of line -> alpha -> value.
        levels: kind of line -> a value that does not depend on alpha, drawn as a horizontal line.
        axis: the places of the alphas.
        logarithmic: whether the vertical axis is logarithmic.
    """
    alphas = sorted({alpha for curve in curves.values() for alpha in curve})
    values = [value for curve in curves.values() for value in curve.values()]
    vertical = _vertical([*values, *levels.values()], logarithmic)
    lines = []
    for kind, value in levels.items():
        y = vertical.place(value)
        lines.append(Line(kind, f"M{LEFT} {y}H{WIDTH - RIGHT}", text=f"{NAMES[kind]}: {value:.4g}"))
    for kind, curve in curves.items():
        marks = tuple(
            Mark(
                place_of(alpha, axis),
                vertical.place(curve[alpha]),
                f"{NAMES[kind]}, alpha {alpha_text(alpha)}: {curve[alpha]:.4g}",
            )
            for alpha in sorted(curve)
        )
        lines.append(Line(kind, _path([(mark.x, mark.y) for mark in marks]), marks))
    return Chart(
        title,
        _in_words(title, curves, levels),
        ("alpha", "log scale" if logarithmic else ""),
        _spaced([Tick(place_of(alpha, axis), alpha_text(alpha)) for alpha in alphas]),
        vertical.ticks(),
        tuple(lines),
    )


def place_of(alpha: float, axis: AlphaAxis) -> float:
    """Return the horizontal place of an alpha in the drawing."""
    across = _Axis(axis.low, axis.high, LEFT + 6, WIDTH - RIGHT - 6)
    return across.place(axis.place(alpha))


def _spaced(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """Remove the text of ticks that would overlap the text before it or the last text."""
    spaced: list[Tick] = []
    for tick in ticks:
        last = max((other.place for other in spaced if other.text), default=-TEXT_WIDTH)
        free = tick is ticks[-1] or (
            tick.place - last >= TEXT_WIDTH and ticks[-1].place - tick.place >= TEXT_WIDTH
        )
        spaced.append(tick if free else Tick(tick.place, ""))
    return tuple(spaced)


NAMES = {
    "ours": "ClaDec",
    "published": "ClaDec of cladec-mnist",
    "refae": "RefAE",
    "published-refae": "RefAE of cladec-mnist",
    "classifier": "classifier",
}
"""The names of the kinds of lines in a measure over alpha, in the order of the legend."""


def _vertical(values: Sequence[float], logarithmic: bool) -> _Axis:
    low, high = min(values), max(values)
    logarithmic = logarithmic and low > 0
    if logarithmic:
        return _Axis(low / 1.15, high * 1.15, HEIGHT - BOTTOM, TOP, logarithmic=True)
    space = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return _Axis(low - space, high + space, HEIGHT - BOTTOM, TOP)


def _in_words(
    title: str, curves: Mapping[str, Mapping[float, float]], levels: Mapping[str, float]
) -> str:
    parts = [
        f"{NAMES[kind]} from {curve[min(curve)]:.4g} at alpha {alpha_text(min(curve))} "
        f"to {curve[max(curve)]:.4g} at alpha {alpha_text(max(curve))}"
        for kind, curve in curves.items()
        if curve
    ]
    parts += [f"{NAMES[kind]} {value:.4g}" for kind, value in levels.items()]
    return f"{title} over alpha: {'; '.join(parts)}."


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def roc(curves: "Curves", class_names: Sequence[str]) -> Chart:
    """Return the ROC curves of all classes, enlarged to the corner where they bend."""
    corner = _corner(curves, lambda curve: np.maximum(curve.x, 1 - curve.y))
    x = _Axis(0, corner, LEFT, WIDTH - RIGHT)
    axes = ("false positive rate", "true positive rate")
    return _of_classes("ROC", "area", curves, class_names, axes, x, corner)


def precision_recall(curves: "Curves", class_names: Sequence[str]) -> Chart:
    """Return the precision-recall curves of all classes, enlarged to the corner where they bend."""
    corner = _corner(curves, lambda curve: np.maximum(1 - curve.x, 1 - curve.y))
    x = _Axis(1 - corner, 1, LEFT, WIDTH - RIGHT)
    axes = ("recall", "precision")
    return _of_classes(
        "Precision and recall", "average precision", curves, class_names, axes, x, corner
    )


def _corner(curves: "Curves", distance: Callable[["Curve"], np.ndarray]) -> float:
    """Return the smallest part of the axes that shows the bend of the worst curve."""
    bends = [float(distance(curve).min()) for curve in curves.classes if curve is not None]
    worst = max(bends, default=1.0)
    return min((corner for corner in CORNERS if worst <= 0.6 * corner), default=1.0)


def _of_classes(
    title: str,
    area: str,
    curves: "Curves",
    class_names: Sequence[str],
    axes: tuple[str, str],
    x: _Axis,
    corner: float,
) -> Chart:
    y = _Axis(1 - corner, 1, HEIGHT - BOTTOM, TOP)
    lines = [
        Line("class", _thinned(curve, x, y), (), number, f"{name}: {area} {curve.area:.4f}")
        for number, (name, curve) in enumerate(zip(class_names, curves.classes, strict=True))
        if curve is not None
    ]
    summary = f"{title}: {area} {curves.micro.area:.4f} over all decisions"
    if curves.macro is not None:
        text = f"mean over classes: {area} {curves.macro.area:.4f}"
        lines.append(Line("macro", _thinned(curves.macro, x, y), (), None, text))
        summary += f", {curves.macro.area:.4f} in the mean over classes"
    shown = "" if corner == 1 else f" Only the corner up to {corner:g} from the best is drawn."
    return Chart(title, f"{summary}.{shown}", axes, x.ticks(), y.ticks(), tuple(lines))


def _thinned(curve: "Curve", x: _Axis, y: _Axis) -> str:
    """Return the path of a curve inside the axes, without points that coincide in the drawing."""
    inside = (curve.x > x.low) & (curve.x < x.high)
    ends = np.interp([x.low, x.high], curve.x, curve.y)
    xs, ys = [x.low, *curve.x[inside], x.high], [ends[0], *curve.y[inside], ends[1]]
    points: list[tuple[float, float]] = []
    for point in zip(map(x.place, xs), map(y.place, ys), strict=True):
        if points and abs(points[-1][0] - point[0]) + abs(points[-1][1] - point[1]) < 0.5:
            continue
        points.append(point)
    return _path(points)
