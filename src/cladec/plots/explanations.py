"""Explanations -> figures: maps over their images, one image or several."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.explainers.registry import EXPLAINERS
from cladec.metrics.effects import FLOORS, SHARE, Effects
from cladec.plots.heat_maps import Scale, draw_colour_bar, drawn_values, heat_map, number
from cladec.plots.images import (
    CELL,
    GAP,
    axes_at,
    brief,
    draw_image,
    draw_titles,
    image_axes,
    name_row,
    plain,
    row_height,
    title_height,
    words,
)

SIDE = 1.5
"""The width of an image among the explanations of a single one, in inches."""

COLUMNS = 6
"""Explanations side by side before a new line begins."""

LONGEST_NAME = 72
"""The letters of a name of a class above an image, in several lines."""

LONGEST_LINE = 26
"""Letters of a line above the image among its explanations."""

LEFT = 1.5
"""Where the images of a grid begin, in inches: what is left of them is for the names of methods."""

LINE = 0.14
"""The height of a line of small text, in inches."""

NOTE_LETTERS = 18
"""Letters of a note to an inch."""

COLOURS = {
    (False,): "orange: matters.",
    (True,): "orange: speaks for the class; blue: speaks against it.",
    (False, True): "orange: matters, or speaks for the class; blue: speaks against it.",
}
"""What the colours mean, by whether the maps of a figure are signed."""

ABOUT_EFFECTS = (
    "Numbers: how the probability of the class, or its score before the softmax, changes if the "
    f"{100 * SHARE:g} % of the pixels that the map marks most are blurred. Below "
    f"{FLOORS['probability']:g} (score: {FLOORS['score']:g}) nothing was found: no map is drawn."
)
NOTHING = "nothing found"
"""What is said of a map below the floor, or the same everywhere."""

RULES = ("empty rule", "whole image")
"""What is said of a rule that names no segment, and of one that names them all."""

ABOUT_MEANS = "{}: above and below the mean of each map, the answer to an image with random holes."
"""What is said of methods whose maps lie around their mean."""

ABOUT_RULES = (
    "Empty rule: the class stays whatever is hidden, or another class is predicted than explained. "
    "Whole image: no part of it is enough for the class."
)


@dataclass(frozen=True, eq=False)
class _Explained:
    """What one method says of images: maps on one scale, or images."""

    method: str
    answers: np.ndarray
    effects: Effects | None
    with_unit: bool = False
    """Whether the texts say what changes; else they are numbers."""

    @property
    def is_map(self) -> bool:
        return self.answers.ndim == 3

    @property
    def found(self) -> np.ndarray:
        """Whether each map tells anything, (N,): one that is the same everywhere does not."""
        found = np.array([np.ptp(answer) > 0 for answer in self.answers])
        return found if self.effects is None else found & self.effects.found

    @cached_property
    def drawn(self) -> np.ndarray:
        """What is drawn of the maps, (N, H, W)."""
        return drawn_values(self.answers, self.method)

    @property
    def scale(self) -> Scale:
        """Of the maps that tell anything, or of all if none does."""
        row = EXPLAINERS.get(self.method)
        told = self.drawn[self.found] if self.found.any() else self.drawn
        return Scale.of(told, signed=bool((told < 0).any()) or (row is not None and row.signed))

    @property
    def texts(self) -> list[str]:
        """What stands below each map: its effect, or that there is none."""
        if not self.is_map:
            return [""] * len(self.answers)
        row = EXPLAINERS.get(self.method)
        if row is not None and row.explains == "rule":
            return ["" if np.ptp(rule) else RULES[int(rule.any())] for rule in self.answers]
        if self.effects is None:
            return ["" if found else NOTHING for found in self.found]
        unit = f"{self.effects.of} " if self.with_unit else ""
        return [
            ("" if found else f"{NOTHING}:\n") + unit + _signed(change)
            for change, found in zip(self.effects.changes, self.found, strict=True)
        ]

    @property
    def is_around_mean(self) -> bool:
        """Whether the colours say what lies above and below the mean of a map."""
        return self.method in EXPLAINERS and EXPLAINERS[self.method].around_mean

    @property
    def lines(self) -> int:
        """The number of lines of the texts."""
        return max(1, *(len(text.splitlines()) for text in self.texts))

    def draw(self, axis: Axes, image: np.ndarray, row: int) -> None:
        """Draw the explanation of an image, and the text below it."""
        answer, found = self.answers[row], bool(self.found[row])
        if self.is_map:
            answer = heat_map(image, self.drawn[row] if found else None, self.scale)
        draw_image(axis, answer)
        colour = "black" if found else "firebrick"
        axis.set_xlabel(self.texts[row], fontsize=7, labelpad=2, color=colour)


def _signed(change: float) -> str:
    return f"{'+' if change > 0 else ''}{number(float(change))}" if change else "0"


def _explained(
    explanations: Mapping[str, np.ndarray],
    effects: Mapping[str, Effects] | None,
    *,
    with_unit: bool = False,
) -> list[_Explained]:
    effects = effects or {}
    return [
        _Explained(name, answers, effects.get(name), with_unit)
        for name, answers in explanations.items()
    ]


def side_by_side(
    image: np.ndarray,
    explanations: Mapping[str, np.ndarray],
    title: str,
    *,
    effects: Mapping[str, Effects] | None = None,
) -> Figure:
    """One image and its explanations, some in a row, each map with its colour bar.

    Args:
        image: (H, W, C) in [0, 1].
        explanations: method -> attribution map (H, W), or an image (H, W, C) in [0, 1].
        title: above the image itself, in up to two lines; a first one that is long is wrapped.
        effects: method -> what hiding the marked pixels of this image changes, from
            `metrics.effects_of_methods`. A map below the floor is not drawn, and says so.
    """
    of_image = {name: answer[None] for name, answer in explanations.items()}
    methods = _explained(of_image, effects, with_unit=True)
    rows = -(-(len(methods) + 1) // COLUMNS)
    columns = -(-(len(methods) + 1) // rows)
    height = SIDE * image.shape[0] / image.shape[1]
    below = LINE * max((each.lines for each in methods), default=0)
    pitch, step = SIDE + 0.15, height + below + 0.65
    width = 0.1 + max(columns, 3) * pitch
    notes = _notes(methods, width)
    heading = _heading(title)
    head = 0.35 + LINE * max(0, len(heading) - 2)
    figure = Figure(figsize=(width, rows * step + head - 0.15 + LINE * len(notes)), dpi=150)
    for place, explained in enumerate([None, *methods]):
        down, across = divmod(place, columns)
        left, top = 0.1 + across * pitch, head + down * step
        axis = axes_at(figure, left=left, top=top, width=SIDE, height=height)
        if explained is None:
            draw_image(axis, image)
            axis.set_title(plain("\n".join(heading)), fontsize=8)
            continue
        explained.draw(axis, image, 0)
        axis.set_title(words(explained.method), fontsize=8)
        if explained.is_map:
            under = {"left": left + 0.1 * SIDE, "top": top + height + below + 0.08}
            bar = axes_at(figure, **under, width=0.8 * SIDE, height=0.07)
            draw_colour_bar(bar, explained.scale, orientation="horizontal")
    _write_notes(figure, notes)
    return figure


def _heading(title: str) -> list[str]:
    """Return the lines of a title: the name of a class, wrapped if it is long, and one more."""
    name, *more = title.split("\n")[:2]
    lines = [brief(name, LONGEST_LINE)]
    if lines[0].endswith("…"):
        lines = textwrap.wrap(brief(name, LONGEST_NAME), LONGEST_LINE)
    return [*lines, *(brief(line, LONGEST_LINE) for line in more)]


def explanation_grid(
    images: np.ndarray,
    explanations: Mapping[str, np.ndarray],
    titles: Sequence[str],
    *,
    title: str = "",
    effects: Mapping[str, Effects] | None = None,
    marked: Sequence[bool] = (),
) -> Figure:
    """Images in columns, methods in rows, each method with one scale and its colour bar.

    Args:
        images: (N, H, W, C) in [0, 1].
        explanations: method -> attribution maps (N, H, W), or images (N, H, W, C) in [0, 1].
        titles: N, above the images: a class, or "true - predicted" in two lines.
        title: above the figure.
        effects: method -> what hiding the marked pixels changes, from
            `metrics.effects_of_methods`. A map below the floor is not drawn, and says so.
        marked: columns whose title is drawn in red, such as wrongly classified images.
    """
    methods, shape = _explained(explanations, effects), images.shape[1:3]
    top = title_height(titles) + (0.3 if title else 0.05)
    heights = [row_height(shape) + LINE * each.lines for each in methods]
    width = max(LEFT + len(images) * CELL + 0.75, 5.0)
    notes = _notes(methods, width)
    below = top + row_height(shape) + sum(heights)
    figure = Figure(figsize=(width, below + 0.15 + LINE * len(notes)), dpi=150)
    originals = image_axes(figure, 1, len(images), shape, left=LEFT, top=top)[0]
    for axis, image in zip(originals, images, strict=True):
        draw_image(axis, image)
    draw_titles(originals, titles, marked)
    name_row(originals[0], "image")
    place = top + row_height(shape)
    for explained, height in zip(methods, heights, strict=True):
        _draw_method(figure, explained, images, place)
        place += height
    if title:
        figure.suptitle(plain(title), fontsize=10, y=1 - 0.08 / figure.get_figheight(), va="top")
    _write_notes(figure, notes)
    return figure


def _draw_method(figure: Figure, explained: _Explained, images: np.ndarray, top: float) -> None:
    """Draw a row of a grid: what a method says of each image, its name and its colour bar."""
    shape = images.shape[1:3]
    axes = image_axes(figure, 1, len(images), shape, left=LEFT, top=top)[0]
    for row, (axis, image) in enumerate(zip(axes, images, strict=True)):
        explained.draw(axis, image, row)
    about = "" if explained.effects is None else f"below: change of\nthe {explained.effects.of}"
    name_row(axes[0], explained.method.replace("_", " "), about)
    if explained.is_map:
        left, height = LEFT + len(images) * CELL + 0.02, row_height(shape) - GAP
        bar = axes_at(figure, left=left, top=top, width=0.09, height=height)
        draw_colour_bar(bar, explained.scale)


def _notes(methods: Sequence[_Explained], width: float) -> list[str]:
    """Return what has to be known to read the figure, in lines."""
    kinds = tuple(sorted({each.scale.signed for each in methods if each.is_map}))
    notes = [COLOURS[kinds]] if kinds else []
    if any(each.effects is not None for each in methods):
        notes.append(ABOUT_EFFECTS)
    around = [words(each.method) for each in methods if each.is_around_mean]
    if around:
        notes.append(ABOUT_MEANS.format(", ".join(around)))
    if any(rule in each.texts for rule in RULES for each in methods):
        notes.append(ABOUT_RULES)
    return textwrap.wrap(" ".join(notes), int((width - 0.2) * NOTE_LETTERS))


def _write_notes(figure: Figure, notes: Sequence[str]) -> None:
    width, height = figure.get_size_inches()
    figure.text(
        *(0.1 / width, 0.06 / height), "\n".join(notes), fontsize=7, color="dimgrey", va="bottom"
    )
