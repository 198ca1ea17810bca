"""Figures: what is drawn, read back from the figure itself and from its pixels."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cladec import plots
from cladec.plots.images import scale_axis


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


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


def test_measures_over_alpha():
    values = {0.0: 3.0, 0.5: 2.0, 1.0: 9.0}
    runs = [
        {"layer": "conv", "model": "cladec", "alpha": alpha, "eval": metric, "value": value + shift}
        for metric in plots.LABELS
        for alpha, value in values.items()
        for shift in (-1.0, 1.0)
    ]
    runs += [
        {"layer": "conv", "model": "refae", "alpha": None, "eval": metric, "value": 1.5}
        for metric in plots.LABELS
    ]
    figure = plots.measures_over_alpha(pd.DataFrame(runs), title="digits")
    assert len(figure.axes) == len(plots.LABELS)
    for axis in figure.axes:
        line, reference = axis.lines
        np.testing.assert_allclose(line.get_ydata(), list(values.values()))
        np.testing.assert_allclose(reference.get_ydata(), 1.5)
        assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "0.5", "1"]
    assert figure.axes[0].get_yscale() == "log"
    figure.savefig(io.BytesIO())


def test_measures_over_alpha_draw_no_layer_of_one_alpha_beside_layers_of_more():
    runs = pd.DataFrame(
        [
            {"layer": None, "model": "classifier", "alpha": None, "value": 0.5},
            {"layer": "conv", "model": "cladec", "alpha": 0.0, "value": 3.0},
            {"layer": "conv", "model": "cladec", "alpha": 1.0, "value": 9.0},
            {"layer": "conv", "model": "refae", "alpha": None, "value": 1.5},
            {"layer": "logits", "model": "cladec", "alpha": 0.0, "value": 4.0},
            {"layer": "logits", "model": "refae", "alpha": None, "value": 2.5},
        ]
    ).assign(eval="fidelity")
    both = {"ClaDec conv", "RefAE conv", "classifier"}
    assert names_of_lines(plots.measures_over_alpha(runs)) == both
    one = runs[runs["alpha"] != 1]
    assert names_of_lines(plots.measures_over_alpha(one)) == both | {
        "ClaDec logits",
        "RefAE logits",
    }


def names_of_lines(figure: Figure) -> set[str]:
    return {line.get_label() for axis in figure.axes for line in axis.lines}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((4, 45), ["4", "6", "10", "20", "30", "40"]),
        ((0.05, 400), ["0.1", "1", "10", "100"]),
        ((12, 19), ["12", "13", "14", "15", "16", "17", "18", "19"]),
    ],
)
def test_numbers_on_a_logarithmic_axis_are_written_as_people_do(limits, expected):
    figure = Figure()
    axis = figure.subplots()
    axis.set_ylim(limits)
    scale_axis(axis, "reconstruction_loss")
    pixels(figure)
    lower, upper = axis.get_ylim()
    ticks = [*axis.yaxis.get_major_ticks(), *axis.yaxis.get_minor_ticks()]
    shown = {t.get_loc(): t.label1.get_text() for t in ticks if lower <= t.get_loc() <= upper}
    assert [shown[place] for place in sorted(shown) if shown[place]] == expected
