"""Grids of images: what is drawn, read back from the figure itself and from its pixels."""

import numpy as np
import pytest
from drawing import pixels

from cladec import plots


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_draws_every_image(channels):
    rows = {name: np.random.default_rng(0).random((4, 6, 5, channels)) for name in "abc"}
    figure = plots.image_grid(rows, ["w", "x", "y", "z"], marked=[False, True, False, False])
    axes = np.array(figure.axes).reshape(3, 4)
    for row, images in zip(axes, rows.values(), strict=True):
        for axis, image in zip(row, images, strict=True):
            np.testing.assert_array_equal(axis.images[0].get_array(), np.squeeze(image))
    assert [axis.get_title() for axis in axes[0]] == ["w", "x", "y", "z"]
    assert [axis.title.get_color() for axis in axes[0]].count("firebrick") == 1
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["a", "b", "c"]


def test_grey_is_drawn_grey_and_to_scale():
    image = np.full((1, 4, 4, 1), 0.5)
    figure = plots.image_grid({"half": image}, ["t"])
    axis = figure.axes[0]
    drawn = pixels(figure)
    box = axis.get_window_extent()
    centre = drawn[int(drawn.shape[0] - box.y0 - box.height / 2), int(box.x0 + box.width / 2)]
    np.testing.assert_allclose(centre, 128, atol=1)


def test_labels_are_not_cut_off():
    rows = {"ClaDec 0.9999": np.zeros((2, 8, 8, 1)), "original": np.zeros((2, 8, 8, 1))}
    figure = plots.image_grid(rows, ["Ankle boot - Sandal", "T-shirt/top - Shirt"])
    pixels(figure)
    whole = figure.bbox
    for axis in figure.axes:
        for text in (t for t in (axis.yaxis.label, axis.title) if t.get_text()):
            box = text.get_window_extent()
            assert whole.x0 <= box.x0 < box.x1 <= whole.x1
            assert whole.y0 <= box.y0 < box.y1 <= whole.y1
    titles = [axis.title.get_window_extent() for axis in figure.axes[:2]]
    assert titles[0].x1 < titles[1].x0
