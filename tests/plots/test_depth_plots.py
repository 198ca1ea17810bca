"""The figure of all layers: nothing lies over anything else, odd names are as they are."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cladec import plots

IMAGES = np.linspace(0, 1, 3 * 8 * 6).reshape(3, 8, 6, 1)
LAYERS = ["block_1/conv", "$x$", "_dense"]
TITLE = "a classifier, some data: a line of usual length\nthe second line, $5"


def interval(name: str, values: list[float]) -> dict[str, np.ndarray]:
    found = np.array(values)
    return {name: found, f"{name}_low": found - 0.01, f"{name}_high": found + 0.02}


@pytest.fixture
def figure() -> Figure:
    measures = pd.DataFrame(
        interval("normalised_error", [0.01, 0.1, 0.5])
        | interval("fidelity", [1.0, 0.9, 0.6])
        | {"thumbnail_error": [0.02, 0.3, np.nan]}
    )
    said = ["cat - dog", "dog", "_a - $b$"]
    decoded = dict.fromkeys(LAYERS, IMAGES)
    return plots.kept_by_depth(IMAGES, decoded, measures, said, title=TITLE)


def test_nothing_lies_over_anything_else_or_outside(figure):
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 <= box.x1 <= width
        assert 0 <= box.y0 <= box.y1 <= height
        for other in boxes[:number]:
            assert min(box.x1, other.x1) - max(box.x0, other.x0) < 2 or (
                min(box.y1, other.y1) - max(box.y0, other.y0) < 2
            )


def test_odd_names_are_drawn_as_they_are(figure):
    ticks = [tick.get_text() for axis in figure.axes for tick in axis.get_xticklabels()]
    names = [text.lstrip("\N{ZERO WIDTH SPACE}").replace(r"\$", "$") for text in ticks]
    assert [layer for layer in LAYERS if layer not in names] == []
