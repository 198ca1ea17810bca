"""What a layer keeps at one glance, and the slider of an animation: read back from the figures."""

import numpy as np
import pytest
from drawing import assert_nothing_is_cut_off, pixels
from matplotlib.colors import to_hex

from cladec import plots
from cladec.plots import story

TITLES = ["T-shirt/top - Shirt", "Bag - Bag"]


def images(seed: int = 0, shape=(6, 6, 1)) -> np.ndarray:
    return np.random.default_rng(seed).random((2, *shape))


@pytest.mark.parametrize("shape", [(6, 6, 1), (8, 12, 3)])
def test_a_story_has_five_named_rows_in_their_order(shape):
    rows = {
        what: (name, images(seed, shape))
        for seed, (what, name) in enumerate(
            {"original": "original", "refae": "RefAE", "cladec": "ClaDec 0"}.items()
        )
    }
    rows["faithful"] = ("ClaDec 0.99", images(3, shape))
    maps = images(4, shape)[..., 0] - 0.5
    figure = plots.layer_story(rows, maps, TITLES, marked=[True, False], title="the dense layer")
    assert_nothing_is_cut_off(figure)
    pictures = [axis for axis in figure.axes if axis.images]
    names = [axis.get_ylabel() for axis in pictures[::2]]
    assert names == ["original", "RefAE", "ClaDec 0", "lost", "ClaDec 0.99"]
    expected = [rows[what][1] for what in ("original", "refae", "cladec")]
    for place, of_row in enumerate([*expected, maps, rows["faithful"][1]]):
        for axis, image in zip(pictures[2 * place : 2 * place + 2], of_row, strict=True):
            np.testing.assert_array_equal(axis.images[0].get_array(), np.squeeze(image))
    largest = np.abs(maps).max()
    assert [axis.images[0].get_clim() for axis in pictures[6:8]] == [(-largest, largest)] * 2
    assert to_hex(pictures[0].title.get_color()) == to_hex("firebrick")
    assert "the dense layer" in [text.get_text() for text in figure.texts]


def test_a_story_of_five_images_is_as_wide_as_a_page():
    five = np.zeros((5, 28, 28, 1))
    rows = dict.fromkeys(("original", "refae", "cladec", "faithful"), ("ClaDec 0.99", five))
    figure = plots.layer_story(rows, five[..., 0], ["Bag - Bag"] * 5)
    assert figure.get_figwidth() * figure.dpi == pytest.approx(830, abs=10)


def test_frames_show_each_alpha_with_its_answers_and_its_place():
    alphas = [0.0, 0.9, 1.0]
    decoded = {alpha: images(seed) for seed, alpha in enumerate(alphas, start=1)}
    answers = {0.0: ["Bag", "Bag"], 0.9: ["Shirt", "Bag"], 1.0: ["Shirt", "Coat"]}
    curves = {"same answer": [0.5, 0.9, 1.0]}
    frames = plots.alpha_frames(images(), decoded, answers, curves, TITLES, title="t")
    for alpha, figure in zip(alphas, frames, strict=True):
        assert_nothing_is_cut_off(figure)
        below, chart = figure.axes[2:4], figure.axes[4]
        for axis, image in zip(below, decoded[alpha], strict=True):
            np.testing.assert_array_equal(axis.images[-1].get_array(), image[..., 0])
        assert [axis.get_xlabel() for axis in below] == answers[alpha]
        colours = [axis.xaxis.label.get_color() for axis in below]
        same = [answer == of for answer, of in zip(answers[alpha], ("Shirt", "Bag"), strict=True)]
        assert colours == ["black" if each else "firebrick" for each in same]
        assert chart.get_title(loc="left") == {0.0: "alpha 0", 0.9: "alpha 0.90"}.get(
            alpha, "alpha 1"
        )
        assert [axes[0].get_ylabel() for axes in (figure.axes, below)] == ["original", "ClaDec"]
        assert chart.lines[-1].get_xdata()[0] == pytest.approx(story.SLIDER.place(alpha))
        np.testing.assert_array_equal(chart.lines[0].get_ydata(), curves["same answer"])
        assert pixels(figure).std() > 10
