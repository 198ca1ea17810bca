"""A row of maps of what a layer lost, on one scale, with its unit and the sum of each image."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cladec.plots.heat_maps import Scale, draw_colour_bar, number
from cladec.plots.images import CELL, GAP, axes_at, image_axes, row_height

UNIT = "squared error\nof each pixel;\nbelow: of the image"
"""What the numbers of the row are."""

LINE = 0.18
"""The room for the sums below the maps, in inches."""


def draw_lost(
    figure: Figure, maps: np.ndarray, *, left: float, top: float, cell: float = CELL
) -> Axes:
    """Draw signed maps in a row, with their sums below, and a colour bar at the right.

    Args:
        figure: to draw into; the row takes its `row_height` and `LINE` of it.
        maps: (N, H, W), from `lost_information.lost_maps`.
        left: where the first map begins, in inches.
        top: where the row begins, in inches.
        cell: how far the maps are apart, in inches.

    Returns:
        The axes of the first map, which have no name yet.
    """
    scale, shape = Scale.around_zero(maps), maps.shape[1:]
    axes = image_axes(figure, 1, len(maps), shape, left=left, top=top, cell=cell)[0]
    for axis, of_image in zip(axes, maps, strict=True):
        axis.imshow(of_image, cmap=scale.colours, norm=scale.norm)
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel(number(of_image.sum(), 3), fontsize=7, labelpad=1.5)
    beside, height = left + len(maps) * cell + 0.02, row_height(shape, cell) - GAP
    bar = axes_at(figure, left=beside, top=top, width=0.1, height=height)
    draw_colour_bar(bar, scale)
    return axes[0]
