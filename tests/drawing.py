"""What the tests of figures read back from a figure, and a row of the table that it shows."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def drawn(figure: Figure) -> list[Axes]:
    """The axes of a figure that show something, once it has been drawn."""
    pixels(figure)
    return [axis for axis in figure.axes if axis.axison]


def assert_nothing_is_cut_off(figure: Figure) -> None:
    """All that is drawn lies within the figure."""
    pixels(figure)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height


def row(**settings) -> dict:
    """A row of the tidy table: the whole dense layer by a plain ClaDec, unless said otherwise."""
    usual = {"layer": "dense", "model": "cladec", "alpha": None, "fraction": 1.0, "repeat": 0}
    return usual | {"units": "first", "decoder": "plain"} | settings
