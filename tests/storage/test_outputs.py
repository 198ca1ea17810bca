"""Saved figures are small enough for a page, a screen and a repository."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cladec.storage import outputs
from cladec.storage.outputs import LARGEST, WIDEST, save_animation, save_figure


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


def animation_of(frames: int, path):
    noise = np.random.default_rng(0).random((frames, 20, 40, 3))
    return save_animation((figure_of(8.3, pixels) for pixels in noise), path, milliseconds=50)


def test_an_animation_goes_there_and_back(tmp_path):
    path = animation_of(4, tmp_path / "a.webp")
    assert path.stat().st_size <= outputs.LARGEST_ANIMATION
    with Image.open(path) as image:
        assert image.size == (830, 415)
        assert image.info["loop"] == 0
        durations = []
        for frame in range(image.n_frames):
            image.seek(frame)
            image.load()
            durations.append(image.info["duration"])
        assert durations == [250, 50, 50, 250, 50, 50]


def test_a_large_animation_has_fewer_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "LARGEST_ANIMATION", 5_000)
    path = animation_of(2, tmp_path / "a.webp")
    assert path.stat().st_size <= 5_000
    with Image.open(path) as image:
        assert image.width < 830
        assert image.width == pytest.approx(2 * image.height, abs=4)
