"""A variational model's latent plane -> matplotlib figures. Nothing here computes a model."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from cladec.models.latent_plane import plane_points, quantiles, with_dimensions
from cladec.plots.images import plain

SIDE = 6.4
"""Side of the plane, in inches."""

LEGEND_ROWS = 26
"""Classes in a column of a legend."""


def latent_grid(images: np.ndarray, *, title: str = "") -> Figure:
    """Decoded latent points laid out on the plane, at quantiles of the normal distribution.

    Args:
        images: (G * G, H, W, C) in [0, 1], as `latent_plane.decoded_plane` gives them: row by row,
            from the highest z_2 down; grey where C is 1.
        title: above the figure.
    """
    side = round(len(images) ** 0.5)
    height, width, channels = images.shape[1:]
    mosaic = images.reshape(side, side, height, width, channels).swapaxes(1, 2)
    mosaic = mosaic.reshape(side * height, side * width, channels)
    size = (SIDE + 0.8, SIDE * height / width + 1)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axis = figure.subplots()
    axis.imshow(mosaic[..., 0] if channels == 1 else mosaic, cmap="gray", vmin=0, vmax=1)
    names = [f"{value:.2f}" for value in quantiles(side)]
    places = np.arange(side) + 0.5
    axis.set_xticks(places * width - 0.5, names, rotation=90, fontsize=8)
    axis.set_yticks(places * height - 0.5, names[::-1], fontsize=8)
    _name_axes(axis, title)
    return figure


def latent_codes(
    z: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    extent: float | None = None,
    title: str = "",
) -> Figure:
    """The codes of images on the plane, coloured by class.

    Args:
        z: (N, D), such as z_mean of the test images; the first two dimensions are drawn.
        labels: (N,) integer classes.
        class_names: K names.
        extent: the plane is drawn from -extent to extent; whole where it is not given.
        title: above the figure.
    """
    colours = class_colours(len(class_names))
    # In the order of the data, the last class of a sorted set would cover the others.
    order = np.random.default_rng(0).permutation(len(z))
    figure, axis = _plane(colours, class_names, "true class")
    first, second = with_dimensions(z, 2)[order].T
    axis.scatter(first, second, c=colours[labels[order]], s=6, alpha=0.6, linewidths=0)
    axis.set_aspect("equal", adjustable="datalim" if extent is None else "box")
    if extent is not None:
        axis.set(xlim=(-extent, extent), ylim=(-extent, extent))
    _name_axes(axis, title)
    return figure


def latent_classes(
    probabilities: np.ndarray, extent: float, class_names: Sequence[str], *, title: str = ""
) -> Figure:
    """The predicted class all over the plane; the less certain the classifier is, the paler.

    Args:
        probabilities: (S, S, K), row 0 at the highest z_2, from `latent_plane.classified_plane`.
        extent: the plane goes from -extent to extent in both directions.
        class_names: K names; the legend says which share of the standard normal distribution,
            the prior of the codes, falls to each class.
        title: above the figure.
    """
    colours = class_colours(len(class_names))
    predicted = probabilities.argmax(axis=-1)
    density = stats.norm.pdf(plane_points(len(predicted), extent)).prod(axis=1)
    shares = np.bincount(predicted.ravel(), density, len(class_names)) / density.sum()
    names = [f"{name} {share:.0%}" for name, share in zip(class_names, shares, strict=True)]
    figure, axis = _plane(colours, names, "predicted class\n(share of prior)")
    confidence = probabilities.max(axis=-1, keepdims=True)
    axis.imshow(
        1 - confidence * (1 - colours[predicted]), extent=(-extent, extent, -extent, extent)
    )
    _name_axes(axis, title)
    return figure


def class_colours(count: int) -> np.ndarray:
    """A colour for each of `count` classes, (count, 3) in [0, 1], all different."""
    for name, size in (("tab10", 10), ("tab20", 20)):
        if count <= size:
            return colormaps[name](np.arange(count))[:, :3]
    hue = np.arange(count) / count
    # Neighbouring hues differ in brightness and saturation too.
    saturation = np.resize([1.0, 0.6, 1.0], count)
    return hsv_to_rgb(np.stack([hue, saturation, np.resize([0.95, 0.8, 0.55], count)], axis=1))


def _plane(colours: np.ndarray, names: Sequence[str], heading: str) -> tuple[Figure, Axes]:
    """Square axes for the plane, and a legend of the classes to their right."""
    columns = -(-len(names) // LEGEND_ROWS)
    letters = max(map(len, [*names, *heading.splitlines()]))
    legend = columns * (0.45 + 0.085 * letters)
    left, bottom, width, height = 0.85, 0.6, SIDE + legend + 1.1, SIDE + 1.0
    figure = Figure(figsize=(width, height), dpi=120)
    # Not by an automatic layout: it does not know of axes that stay square.
    axis = figure.add_axes((left / width, bottom / height, SIDE / width, SIDE / height))
    handles = [
        Line2D([], [], linestyle="", marker="o", color=colour, label=plain(name))
        for colour, name in zip(colours, names, strict=True)
    ]
    anchor = (left + SIDE + 0.15) / width, (bottom + SIDE / 2) / height
    figure.legend(
        handles=handles,
        title=heading,
        loc="center left",
        bbox_to_anchor=anchor,
        borderaxespad=0,
        ncols=columns,
        columnspacing=1,
        handletextpad=0.2,
        fontsize=9,
        title_fontsize=9,
    )
    return figure, axis


def _name_axes(axis: Axes, title: str) -> None:
    axis.set(xlabel="$z_1$", ylabel="$z_2$")
    axis.set_title(plain(title), fontsize=10)
