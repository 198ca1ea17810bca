"""Explanations -> figures: maps over their images, one image or several."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.plots.images import draw_image, plain, words

CELL = 1.5
"""Side of one explained image, in inches."""

COLUMNS = 6
"""Explanations side by side before a new line begins."""

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
        axis.set_title(words(method), fontsize=8)
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
        axis.set_title(words(name), fontsize=8)
    if title:
        figure.suptitle(plain(title))
    return figure


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
