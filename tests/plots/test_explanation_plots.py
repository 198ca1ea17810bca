"""Figures of explanations: what is drawn, read back from the figures themselves."""

from itertools import pairwise

import numpy as np
import pytest
from drawing import assert_nothing_is_cut_off, drawn
from matplotlib.colors import to_hex

from cladec import plots
from cladec.metrics.effects import Effects


def images_of(figure):
    """The axes with images, not those of colour bars."""
    return [axis for axis in drawn(figure) if axis.images]


def bars_of(figure):
    """The axes of colour bars."""
    return [axis for axis in figure.axes if axis.collections]


def minus(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-")


def effects(of: str, changes: list[float]) -> Effects:
    return Effects(of, np.zeros(len(changes)), np.array(changes))


def test_long_names_of_classes_are_wrapped_and_not_cut_off():
    image = np.zeros((28, 28, 1))
    name = "German short-haired pointer of the neighbours"
    figure = plots.side_by_side(image, {"rise": np.eye(28)}, f"{name}\n98%")
    lines = images_of(figure)[0].get_title().split("\n")
    assert " ".join(lines[:-1]) == name
    assert lines[-1] == "98%"
    assert_nothing_is_cut_off(figure)


@pytest.mark.parametrize("shape", [(28, 28, 1), (60, 40, 3)])
def test_side_by_side_wraps_and_names_every_method(shape):
    generator = np.random.default_rng(0)
    image = generator.random(shape)
    explanations = {f"method_{i}": generator.normal(size=shape[:2]) for i in range(7)}
    explanations["dream"] = generator.random(shape)
    figure = plots.side_by_side(image, explanations, "cat\n98%")
    axes = images_of(figure)
    titles = [axis.get_title() for axis in axes]
    assert titles == ["cat\n98%", *(f"method {i}" for i in range(7)), "dream"]
    np.testing.assert_array_equal(axes[0].images[0].get_array(), np.squeeze(image))
    np.testing.assert_array_equal(axes[-1].images[0].get_array(), np.squeeze(explanations["dream"]))
    expected = plots.heat_map(image, explanations["method_3"])
    np.testing.assert_array_equal(axes[4].images[0].get_array(), expected)
    assert len(bars_of(figure)) == 7
    assert_nothing_is_cut_off(figure)
    assert figure.get_figwidth() * figure.dpi <= 1700


def test_a_map_below_the_floor_is_the_grey_image_and_says_so():
    image, tiny = np.full((9, 9, 1), 0.5), np.linspace(-1e-8, 1e-8, 81).reshape(9, 9)
    explanations = {"lime": tiny, "saliency": np.abs(tiny), "anchors": np.zeros((9, 9))}
    said = {"lime": effects("probability", [-3e-4]), "saliency": effects("score", [-2.0])}
    figure = plots.side_by_side(image, explanations, "cat", effects=said)
    _, lime, saliency, anchors = images_of(figure)
    grey = plots.heat_map(image, None)
    np.testing.assert_array_equal(lime.images[0].get_array(), grey)
    np.testing.assert_array_equal(anchors.images[0].get_array(), grey)
    assert np.abs(saliency.images[0].get_array() - grey).max() > 0.2
    below = [minus(axis.get_xlabel()) for axis in (lime, saliency, anchors)]
    assert below == ["nothing found:\nprobability -0.0003", "score -2", "empty rule"]
    notes = figure.texts[-1].get_text().replace("\n", " ")
    assert "Empty rule: the class stays whatever is hidden" in notes
    assert "Below 0.01 (score: 0.04) nothing was found" in notes
    assert_nothing_is_cut_off(figure)


@pytest.mark.parametrize(
    ("method", "value", "said"),
    [
        ("grad_cam", 0.0, "nothing found"),
        ("grad_cam", 3.0, "nothing found"),
        ("anchors", 0.0, "empty rule"),
        ("anchors", 1.0, "whole image"),
    ],
)
def test_a_map_that_is_the_same_everywhere_says_so_without_effects(method, value, said):
    image = np.zeros((4, 4, 1))
    figure = plots.side_by_side(image, {method: np.full((4, 4), value)}, "cat")
    assert images_of(figure)[1].get_xlabel() == said
    drawn_map = images_of(figure)[1].images[0].get_array()
    np.testing.assert_array_equal(drawn_map, plots.heat_map(image, None))


def test_explanation_grid_has_a_row_and_a_scale_for_each_method():
    images = np.random.default_rng(0).random((2, 8, 8, 1))
    maps = images[..., 0] * np.array([1.0, 5.0])[:, None, None]
    titles = ["one - one", "two, too - three"]
    answers = {"a_b": maps, "guided_backpropagation": -maps, "deep_dream": images}
    said = {"a_b": effects("score", [-1.0, 0.01])}
    figure = plots.explanation_grid(
        images, answers, titles, title="t", effects=said, marked=[False, True]
    )
    axes = images_of(figure)
    assert len(axes) == 8
    assert [axis.get_title() for axis in axes] == ["one\none", "two, too\nthree", *[""] * 6]
    assert to_hex(axes[1].title.get_color()) == to_hex("firebrick")
    names = [axis.get_ylabel() for axis in axes[::2]]
    assert names == ["image", "a b", "guided\nbackpropagation", "deep dream"]
    assert axes[2].texts[-1].get_text() == "below: change of\nthe score"
    # The second map says nothing, so that the scale is that of the first.
    np.testing.assert_array_equal(axes[3].images[0].get_array(), plots.heat_map(images[1], None))
    own = plots.Scale.of(maps[:1])
    expected = plots.heat_map(images[0], maps[0], own)
    np.testing.assert_array_equal(axes[2].images[0].get_array(), expected)
    both = plots.Scale.of(-maps)
    for axis, image, of_image in zip(axes[4:6], images, maps, strict=True):
        expected = plots.heat_map(image, -of_image, both)
        np.testing.assert_array_equal(axis.images[0].get_array(), expected)
    below = [minus(axis.get_xlabel()) for axis in axes[2:4]]
    assert below == ["-1", "nothing found:\n+0.01"]
    assert len(bars_of(figure)) == 2
    assert_nothing_is_cut_off(figure)


def test_a_signed_method_is_drawn_around_zero_even_if_nothing_speaks_against_the_class():
    maps = np.random.default_rng(0).random((2, 4, 4))
    figure = plots.explanation_grid(np.zeros((2, 4, 4, 1)), {"lime": maps}, ["a", "b"])
    expected = plots.heat_map(np.zeros((4, 4, 1)), maps[0], plots.Scale.of(maps, signed=True))
    np.testing.assert_array_equal(images_of(figure)[2].images[0].get_array(), expected)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (("lime",), "orange: speaks for the class; blue: speaks against it."),
        (("grad_cam",), "orange: matters."),
        (("lime", "grad_cam"), "orange: matters, or speaks for the class; blue: speaks against"),
        (("deep_dream",), ""),
    ],
)
def test_the_note_names_the_colours_that_are_there(methods, said):
    image = np.random.default_rng(0).random((6, 6, 3))
    maps = {name: image if name == "deep_dream" else image[..., 0] for name in methods}
    notes = plots.side_by_side(image, maps, "cat").texts[-1].get_text().replace("\n", " ")
    assert notes.startswith(said)
    assert said or not notes


@pytest.mark.parametrize("count", [1, 6, 9])
def test_all_methods_of_many_images_fit_the_widest_figure(count):
    images = np.random.default_rng(0).random((count, 6, 6, 3))
    maps = dict.fromkeys(("grad_cam_plus_plus", "activation_maximization"), images[..., 0])
    long = ["black-and-tan coonhound - Egyptian cat"] * count
    figure = plots.explanation_grid(images, maps, long)
    assert figure.get_figwidth() * figure.dpi <= 1700
    assert_nothing_is_cut_off(figure)
    titles = [axis.title.get_window_extent() for axis in images_of(figure)[:count]]
    assert all(one.x1 < other.x0 for one, other in pairwise(titles))


def test_rise_shows_what_lies_above_and_below_the_mean_of_a_map_and_says_so():
    images, maps = np.full((2, 4, 4, 1), 0.5), np.full((2, 4, 4), 0.5)
    maps[:, 0], maps[:, 1] = 0.52, 0.48
    figure = plots.explanation_grid(images, {"rise": maps}, ["cat", "dog"])
    shown = images_of(figure)[-1].images[0].get_array()
    assert shown[0, 0, 0] > shown[0, 0, 2]  # orange
    assert shown[1, 0, 2] > shown[1, 0, 0]  # blue
    np.testing.assert_allclose(shown[2:], plots.heat_map(images[0], None)[2:], atol=0.01)
    (bar,) = bars_of(figure)
    assert [minus(label.get_text()) for label in bar.get_yticklabels()] == ["-0.02", "0", "0.02"]
    assert "mean of each map" in figure.texts[-1].get_text().replace("\n", " ")
    flat = plots.explanation_grid(images, {"rise": np.full((2, 4, 4), 0.5)}, ["cat", "dog"])
    assert images_of(flat)[-1].get_xlabel() == "nothing found"
