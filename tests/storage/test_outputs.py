"""Saved figures are small enough for a page, a screen and a repository."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cladec.storage.outputs import LARGEST, WIDEST, save_figure


def figure_of(width: float, pixels: np.ndarray, dpi: int = 100) -> Figure:
    figure = Figure(figsize=(width, width / 2), dpi=dpi)
    figure.add_axes((0, 0, 1, 1)).imshow(pixels, interpolation="nearest", aspect="auto")
    return figure


def test_a_usual_figure_is_saved_as_it_is(tmp_path):
    path = save_figure(figure_of(4, np.eye(4)), tmp_path / "a.png")
    with Image.open(path) as image:
        assert image.size == (400, 200)
        assert image.mode == "RGBA"


def test_a_wide_figure_has_fewer_dots_an_inch(tmp_path):
    path = save_figure(figure_of(40, np.eye(4)), tmp_path / "a.png")
    with Image.open(path) as image:
        assert 0.99 * WIDEST < image.width <= WIDEST
        assert image.height == pytest.approx(image.width / 2, abs=1)


@pytest.mark.parametrize("side", [300, 900])
def test_a_large_figure_has_fewer_colours_and_then_fewer_dots(tmp_path, side):
    noise = np.random.default_rng(0).random((side, side, 3))
    path = save_figure(figure_of(side / 50, noise), tmp_path / "a.png")
    assert path.stat().st_size <= LARGEST
    with Image.open(path) as image:
        assert image.width >= 300
        colours = np.asarray(image.convert("RGB"), float)
    # It still is the same picture, as far as its colours are concerned.
    np.testing.assert_allclose(colours.mean(axis=(0, 1)), 127.5, atol=12)
