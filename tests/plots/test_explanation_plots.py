"""Figures of explanations and reports: what is drawn, read back from the figures themselves."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cladec import metrics
from cladec.plots import explanations as explanation_plots

NAMES = ("cat", "dog", "owl")
LABELS = np.array([0, 0, 1, 1, 1])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]]
)


def drawn(figure):
    """The axes of a figure that show something, once it has been drawn."""
    FigureCanvasAgg(figure).draw()
    return [axis for axis in figure.axes if axis.axison]


def test_signed_maps_are_red_for_and_blue_against():
    image = np.full((2, 2, 1), 0.5)
    colours = explanation_plots.heat_map(image, np.array([[1.0, -1.0], [0.0, 0.5]]))
    (first, against), (neutral, weaker) = colours
    assert first[0] > 2 * first[2]
    assert against[2] > 2 * against[0]
    assert np.ptp(neutral) == 0
    assert weaker[0] > weaker[2]
    assert weaker[1] > 2 * first[1]
    assert 0 <= colours.min() <= colours.max() <= 1


def test_unsigned_maps_are_sequential_and_zero_shows_the_image():
    image = np.array([[[0.0], [1.0], [0.5]]])
    colours = explanation_plots.heat_map(image, np.array([[0.0, 0.0, 2.0]]))[0]
    assert np.ptp(colours[0]) == np.ptp(colours[1]) == 0
    assert colours[1, 0] > colours[0, 0]
    assert colours[2, 0] > colours[2, 2]


def test_an_unsigned_map_far_from_zero_is_drawn_from_its_lowest_value():
    image, attribution = np.full((5, 5, 1), 0.5), np.arange(25.0).reshape(5, 5)
    np.testing.assert_allclose(
        explanation_plots.heat_map(image, attribution + 100),
        explanation_plots.heat_map(image, attribution),
    )


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e-30, 1e30])
def test_constant_maps_can_be_drawn(value):
    colours = explanation_plots.heat_map(np.full((3, 3, 3), 0.5), np.full((3, 3), value))
    assert np.isfinite(colours).all()


def test_one_extreme_pixel_does_not_hide_the_others():
    attribution = np.zeros((28, 28))
    attribution[3:8, 3:8], attribution[20, 20] = 1, 1000
    colours = explanation_plots.heat_map(np.zeros((28, 28, 1)), attribution)
    np.testing.assert_allclose(colours[5, 5], colours[20, 20])


@pytest.mark.parametrize("shape", [(28, 28, 1), (60, 40, 3)])
def test_side_by_side_wraps_and_names_every_method(shape):
    generator = np.random.default_rng(0)
    image = generator.random(shape)
    explanations = {f"method_{i}": generator.normal(size=shape[:2]) for i in range(7)}
    explanations["dream"] = generator.random(shape)
    axes = drawn(explanation_plots.side_by_side(image, explanations, "cat - dog"))
    titles = [axis.get_title() for axis in axes]
    assert titles == ["cat - dog", *(f"method {i}" for i in range(7)), "dream"]
    np.testing.assert_array_equal(axes[0].images[0].get_array(), np.squeeze(image))
    np.testing.assert_array_equal(axes[-1].images[0].get_array(), np.squeeze(explanations["dream"]))
    expected = explanation_plots.heat_map(image, explanations["method_3"])
    np.testing.assert_array_equal(axes[4].images[0].get_array(), expected)
    boxes = [axis.title.get_window_extent() for axis in axes[:2]]
    assert boxes[0].x1 < boxes[1].x0


def test_explanation_grid_has_a_row_per_image():
    images = np.random.default_rng(0).random((2, 8, 8, 1))
    figure = explanation_plots.explanation_grid(images, {"a_b": images[..., 0]}, ["one", "two"])
    axes = drawn(figure)
    assert [axis.get_title() for axis in axes] == ["image", "a b", "", ""]
    assert [axis.get_ylabel() for axis in axes] == ["one", "", "two", ""]
    expected = explanation_plots.heat_map(images[1], images[1, ..., 0])
    np.testing.assert_array_equal(axes[3].images[0].get_array(), expected)


@pytest.mark.parametrize(
    ("normalised", "texts"),
    [
        (False, ["1", "1", "0", "1", "2", "0", "0", "0", "0"]),
        (True, [".50", ".50", "", ".33", ".67", "", "", "", ""]),
    ],
)
def test_confusion_writes_the_numbers(normalised, texts):
    predicted = PROBABILITIES.argmax(axis=1)
    matrix = metrics.confusion_matrix(LABELS, predicted, 3, normalised=normalised)
    (axis,) = drawn(explanation_plots.confusion(matrix, NAMES, title="t"))
    assert [text.get_text() for text in axis.texts] == texts
    assert [label.get_text() for label in axis.get_yticklabels()] == list(NAMES)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")


def test_confusion_of_many_classes_shows_colours_only():
    names = [f"class {i}" for i in range(100)]
    (axis,) = drawn(explanation_plots.confusion(np.eye(100, dtype=int), names))
    assert not axis.texts
    assert len(axis.get_xticks()) == 50


def test_curves_are_named_with_their_areas():
    roc = metrics.roc_curves(LABELS, PROBABILITIES)
    precision_recall = metrics.precision_recall_curves(LABELS, PROBABILITIES)
    axes = drawn(explanation_plots.curves(roc, precision_recall, NAMES))
    for axis, family, name in zip(axes, (roc, precision_recall), ("AUC", "AP"), strict=True):
        entries = [text.get_text() for text in axis.get_legend().get_texts()]
        assert [entry.split(" (")[0] for entry in entries] == [
            *("cat", "dog", "macro average", "micro average"),
        ]
        assert entries[0] == f"cat ({name} {family.classes[0].area:.3f})"
        np.testing.assert_array_equal(axis.lines[0].get_xdata(), family.classes[0].x)
        np.testing.assert_array_equal(axis.lines[-1].get_ydata(), family.micro.y)


def test_reliability_draws_accuracy_and_counts():
    calibration = metrics.calibration(LABELS, PROBABILITIES, bins=5)
    upper, lower = drawn(explanation_plots.reliability(calibration))
    heights = [bar.get_height() for bar in upper.patches]
    np.testing.assert_allclose(heights, np.nan_to_num(calibration.accuracy))
    assert [bar.get_height() for bar in lower.patches] == calibration.counts.tolist()
    assert f"{calibration.error:.4f}" in upper.get_title()


def test_ranking_puts_the_best_on_top_and_marks_the_floor():
    table = pd.DataFrame(
        {
            "method": ["lime", "random", "rise", "rise", "random", "lime"],
            "measure": ["deletion"] * 3 + ["mu_fidelity"] * 3,
            "mean": [0.2, 0.5, 0.1, 0.3, 0.0, 0.9],
            "rank": [2, 3, 1, 2, 3, 1],
            "higher_is_better": [False] * 3 + [True] * 3,
        }
    )
    table["low"], table["high"] = table["mean"] - 0.1, table["mean"] + 0.2
    axes = drawn(explanation_plots.ranking(table, floor="random", title="digits"))
    assert [axis.get_title() for axis in axes] == ["deletion", "mu fidelity"]
    for axis, order, floor in zip(
        axes, (["rise", "lime"], ["lime", "rise"]), (0.5, 0), strict=True
    ):
        # The first place is the lowest on the page.
        names = [label.get_text() for label in axis.get_yticklabels()]
        assert names[::-1] == [*order, "random"]
        assert axis.lines[0].get_xdata()[0] == floor
    intervals = axes[0].collections[0].get_segments()
    np.testing.assert_allclose(intervals[-1][:, 0], [0.0, 0.3])
    assert [axis.get_xlabel() for axis in axes] == ["lower is better", "higher is better"]
