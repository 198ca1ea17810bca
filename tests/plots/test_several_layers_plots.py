"""The figures of several layers: what stands in them, and odd names as they are."""

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


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    depth = pd.DataFrame(
        interval("normalised_error", [0.01, 0.1, 0.5])
        | interval("fidelity", [1.0, 0.9, 0.6])
        | {"thumbnail_error": [0.02, 0.3, np.nan]}
    )
    layers = pd.DataFrame(
        {"layer": LAYERS, "noise": [0.01, 0.02, 0.03]} | interval("difference", [0.0, 0.1, -0.05])
    )
    rows = [
        {"layer": layer, "known": known, "noise": noise}
        for layer in LAYERS
        for known, noise in ((10, 0.0), (100, 0.0), (100, 1.0))
    ]
    leak = pd.DataFrame([{"layer": "", "known": 100, "noise": 0.0}, *rows])
    for name, factor in {"psnr": 20, "ssim": 1, "reidentified": 1}.items():
        leak = leak.assign(**interval(name, [factor * place / 10 for place in range(10)]))
    decoded = dict.fromkeys(LAYERS, IMAGES)
    long = "half of the channels of a layer at zero"
    both = {layer: {"before": IMAGES, long: IMAGES} for layer in LAYERS}
    said = ["cat - dog", "dog", "_a - $b$"]
    return {
        "depth": plots.kept_by_depth(IMAGES, decoded, depth, said, title=TITLE),
        "diff": plots.changed_by_layer(IMAGES, both, layers, title=TITLE),
        "chart": plots.differences_by_layer(layers),
        "leak": plots.leaked_by_layer({"original": IMAGES} | decoded, leak, title=TITLE),
    }


NAMES = pytest.mark.parametrize("name", ["depth", "diff", "chart", "leak"])


@NAMES
def test_nothing_lies_over_anything_else_or_outside(figures, name):
    figure = figures[name]
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


@NAMES
def test_odd_names_are_drawn_as_they_are(figures, name):
    figure = figures[name]
    ticks = [tick.get_text() for axis in figure.axes for tick in axis.get_xticklabels()]
    names = [text.lstrip("\N{ZERO WIDTH SPACE}").replace(r"\$", "$") for text in ticks]
    assert [layer for layer in LAYERS if layer not in names] == []


def test_the_leak_has_a_line_for_every_attacker_and_noise(figures):
    legends = [axis.get_legend() for axis in figures["leak"].axes if axis.get_legend()]
    assert [text.get_text() for text in legends[0].get_texts()] == ["10", "100"]
    assert [text.get_text() for text in legends[1].get_texts()] == ["0", "1"]


def test_the_noise_is_a_band_around_zero(figures):
    bars = figures["chart"].axes[0].patches
    assert [(bar.get_y(), bar.get_height()) for bar in bars] == [
        (-0.01, 0.02),
        (-0.02, 0.04),
        (-0.03, 0.06),
    ]
