"""Maps over images: what is drawn, read back from the figures themselves."""

import numpy as np
import pytest
from drawing import drawn

from cladec import plots


def test_signed_maps_are_red_for_and_blue_against():
    image = np.full((2, 2, 1), 0.5)
    colours = plots.heat_map(image, np.array([[1.0, -1.0], [0.0, 0.5]]))
    (first, against), (neutral, weaker) = colours
    assert first[0] > 2 * first[2]
    assert against[2] > 2 * against[0]
    assert np.ptp(neutral) == 0
    assert weaker[0] > weaker[2]
    assert weaker[1] > 2 * first[1]
    assert 0 <= colours.min() <= colours.max() <= 1


def test_unsigned_maps_are_sequential_and_zero_shows_the_image():
    image = np.array([[[0.0], [1.0], [0.5]]])
    colours = plots.heat_map(image, np.array([[0.0, 0.0, 2.0]]))[0]
    assert np.ptp(colours[0]) == np.ptp(colours[1]) == 0
    assert colours[1, 0] > colours[0, 0]
    assert colours[2, 0] > colours[2, 2]


def test_an_unsigned_map_far_from_zero_is_drawn_from_its_lowest_value():
    image, attribution = np.full((5, 5, 1), 0.5), np.arange(25.0).reshape(5, 5)
    np.testing.assert_allclose(
        plots.heat_map(image, attribution + 100),
        plots.heat_map(image, attribution),
    )


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e-30, 1e30])
def test_constant_maps_can_be_drawn(value):
    colours = plots.heat_map(np.full((3, 3, 3), 0.5), np.full((3, 3), value))
    assert np.isfinite(colours).all()


def test_one_extreme_pixel_does_not_hide_the_others():
    attribution = np.zeros((28, 28))
    attribution[3:8, 3:8], attribution[20, 20] = 1, 1000
    colours = plots.heat_map(np.zeros((28, 28, 1)), attribution)
    np.testing.assert_allclose(colours[5, 5], colours[20, 20])


@pytest.mark.parametrize("shape", [(28, 28, 1), (60, 40, 3)])
def test_side_by_side_wraps_and_names_every_method(shape):
    generator = np.random.default_rng(0)
    image = generator.random(shape)
    explanations = {f"method_{i}": generator.normal(size=shape[:2]) for i in range(7)}
    explanations["dream"] = generator.random(shape)
    axes = drawn(plots.side_by_side(image, explanations, "cat - dog"))
    titles = [axis.get_title() for axis in axes]
    assert titles == ["cat - dog", *(f"method {i}" for i in range(7)), "dream"]
    np.testing.assert_array_equal(axes[0].images[0].get_array(), np.squeeze(image))
    np.testing.assert_array_equal(axes[-1].images[0].get_array(), np.squeeze(explanations["dream"]))
    expected = plots.heat_map(image, explanations["method_3"])
    np.testing.assert_array_equal(axes[4].images[0].get_array(), expected)
    boxes = [axis.title.get_window_extent() for axis in axes[:2]]
    assert boxes[0].x1 < boxes[1].x0


def test_explanation_grid_has_a_row_per_image():
    images = np.random.default_rng(0).random((2, 8, 8, 1))
    figure = plots.explanation_grid(images, {"a_b": images[..., 0]}, ["one", "two"])
    axes = drawn(figure)
    assert [axis.get_title() for axis in axes] == ["image", "a b", "", ""]
    assert [axis.get_ylabel() for axis in axes] == ["one", "", "two", ""]
    expected = plots.heat_map(images[1], images[1, ..., 0])
    np.testing.assert_array_equal(axes[3].images[0].get_array(), expected)
