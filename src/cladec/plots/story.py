"""What a layer keeps, at one glance: one picture to begin with, and one that moves with alpha."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.models.recipes import ALPHAS
from cladec.plots.alpha_axis import AlphaAxis
from cladec.plots.images import (
    BETWEEN,
    axes_at,
    brief,
    draw_image,
    draw_titles,
    image_axes,
    name_row,
    plain,
    row_height,
    title_height,
)
from cladec.plots.lost import LINE, draw_lost

CELL = 1.2
"""How far the columns of images are apart, in inches."""

LEFT = 1.75
"""Where the images begin, in inches: what is left of them is for the names of the rows."""

RIGHT = 0.6
"""What is left free at the right, for the numbers of a colour bar, in inches."""

DOTS = 100
"""Dots an inch: five images are as wide as the text of a page, 825 pixels."""

SLIDER = AlphaAxis(ALPHAS)
"""The slider of an animation: the axis of the charts of a report."""

NAMED = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0)
"""The alphas that are written below the slider."""

ABOUT = {
    "original": "what the classifier sees",
    "refae": "an autoencoder of the\nsame size: what such\na decoder could show",
    "cladec": "decoded from the layer:\nwhat it still knows",
    "lost": "squared error of ClaDec\nless that of RefAE;\nbelow: of the image",
    "faithful": "what is left if the answer\nhas to stay the same",
    "frame": "decoded from the layer;\nbelow: what the classifier\nsays of it",
}
"""What the rows of a story, and of a frame, are about."""


def layer_story(
    rows: Mapping[str, tuple[str, np.ndarray]],
    maps: np.ndarray,
    titles: Sequence[str],
    *,
    marked: Sequence[bool] = (),
    title: str = "",
) -> Figure:
    """What a layer keeps and loses of a few images: originals, decoded, lost, and for the answer.

    Args:
        rows: "original", "refae", "cladec" and "faithful" -> the name of the row, and its images
            (N, H, W, C) in [0, 1]: the last are those of a ClaDec of a high alpha.
        maps: what was lost, (N, H, W), signed, from `lost_information.lost_maps`.
        titles: N, "true - predicted".
        marked: columns whose title is red, such as wrongly classified images.
        title: above the figure; says of which dataset and layer it is.
    """
    shape = maps.shape[1:]
    height, top = row_height(shape, CELL), 0.4 + title_height(titles)
    width = LEFT + len(titles) * CELL + RIGHT
    figure = Figure(figsize=(width, top + 5 * height + LINE + 0.05), dpi=DOTS)
    place = top
    for what in ("original", "refae", "cladec", "lost", "faithful"):
        if what == "lost":
            first = draw_lost(figure, maps, left=LEFT, top=place, cell=CELL)
            name_row(first, "lost", ABOUT[what], size=10)
            place += height + LINE
            continue
        name, images = rows[what]
        axes = image_axes(figure, 1, len(titles), shape, left=LEFT, top=place, cell=CELL)[0]
        for axis, image in zip(axes, images, strict=True):
            draw_image(axis, image)
        if what == "original":
            draw_titles(axes, titles, marked)
        name_row(axes[0], name, ABOUT[what], size=10)
        place += height
    _write_title(figure, title)
    return figure


def _write_title(figure: Figure, title: str) -> None:
    place = 0.5, 1 - 0.1 / figure.get_figheight()
    figure.text(*place, plain(title), fontsize=12, va="top", ha="center")


def alpha_frames(
    images: np.ndarray,
    decoded: Mapping[float, np.ndarray],
    answers: Mapping[float, Sequence[str]],
    curves: Mapping[str, Sequence[float]],
    titles: Sequence[str],
    *,
    marked: Sequence[bool] = (),
    title: str = "",
) -> Iterator[Figure]:
    """Images as they are decoded at one alpha after the other, above a slider.

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        decoded: alpha -> what a decoder of every alpha makes of them, in their order.
        answers: alpha -> the classes that the classifier gives to these.
        curves: name -> a share in [0, 1] at each alpha, drawn over the slider.
        titles: N, "true - predicted"; an answer that is not the predicted class is red.
        marked: columns whose title is red, such as wrongly classified images.
        title: above the figure.

    Yields:
        The same figure for every alpha, to be drawn before the next one is asked for.
    """
    shape, alphas = images.shape[1:3], list(decoded)
    height, top = row_height(shape, CELL), 0.4 + title_height(titles)
    width = LEFT + len(titles) * CELL + RIGHT
    below = top + 2 * height + LINE
    figure = Figure(figsize=(width, below + 2.0), dpi=DOTS)
    originals, axes = (
        image_axes(figure, 1, len(titles), shape, left=LEFT, top=place, cell=CELL)[0]
        for place in (top, top + height)
    )
    for axis, image in zip([*originals, *axes], [*images, *decoded[alphas[0]]], strict=True):
        draw_image(axis, image)
    draw_titles(originals, titles, marked)
    name_row(originals[0], "original", ABOUT["original"], size=10)
    name_row(axes[0], "ClaDec", ABOUT["frame"], size=10)
    wide = len(titles) * CELL - 0.05
    chart = axes_at(figure, left=LEFT, top=below + 0.35, width=wide, height=1.1)
    _draw_curves(chart, alphas, curves)
    marker = chart.axvline(SLIDER.low, color="black", linewidth=2)
    _write_title(figure, title)
    predicted = [each.split(BETWEEN, 1)[-1] for each in titles]
    for alpha in alphas:
        for axis, image in zip(axes, decoded[alpha], strict=True):
            axis.images[0].set_data(np.squeeze(image))
        for axis, answer, expected in zip(axes, answers[alpha], predicted, strict=True):
            colour = "black" if answer == expected else "firebrick"
            axis.set_xlabel(plain(brief(answer)), fontsize=8, color=colour, labelpad=1.5)
        marker.set_xdata([SLIDER.place(alpha)] * 2)
        chart.set_title(f"alpha {_short(alpha)}", fontsize=11, loc="left")
        yield figure


def _short(alpha: float) -> str:
    """An alpha in as many digits as tell it from 1."""
    if alpha in (0.0, 1.0):
        return f"{alpha:g}"
    return f"{alpha:.{max(2, int(-np.log10(1 - alpha)) + 1)}f}"


def _draw_curves(
    axis: Axes, alphas: Sequence[float], curves: Mapping[str, Sequence[float]]
) -> None:
    places = [SLIDER.place(alpha) for alpha in alphas]
    for number, (name, values) in enumerate(curves.items()):
        axis.plot(places, values, color=f"C{number}", linewidth=2, label=plain(name))
    axis.set_xticks([SLIDER.place(alpha) for alpha in NAMED], [f"{alpha:g}" for alpha in NAMED])
    edge = 0.01 * (SLIDER.high - SLIDER.low)
    reach = SLIDER.low - edge, SLIDER.high + edge
    axis.set(xlim=reach, ylim=(0, 1.05), xlabel="alpha (not to scale)")
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.25, 1.0), ncols=2, frameon=False)
