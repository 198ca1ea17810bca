"""Reports of a classifier: what is drawn, read back from the figures themselves."""

import numpy as np
import pytest
from drawing import drawn

from cladec import metrics, plots

NAMES = ("cat", "dog", "owl")
LABELS = np.array([0, 0, 1, 1, 1])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]]
)


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
    (axis,) = drawn(plots.confusion(matrix, NAMES, title="t"))
    assert [text.get_text() for text in axis.texts] == texts
    assert [label.get_text() for label in axis.get_yticklabels()] == list(NAMES)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")


def test_confusion_of_many_classes_shows_colours_only():
    names = [f"class {i}" for i in range(100)]
    (axis,) = drawn(plots.confusion(np.eye(100, dtype=int), names))
    assert not axis.texts
    assert len(axis.get_xticks()) == 50


def test_curves_are_named_with_their_areas():
    roc = metrics.roc_curves(LABELS, PROBABILITIES)
    precision_recall = metrics.precision_recall_curves(LABELS, PROBABILITIES)
    axes = drawn(plots.curves(roc, precision_recall, NAMES))
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
    upper, lower = drawn(plots.reliability(calibration))
    heights = [bar.get_height() for bar in upper.patches]
    np.testing.assert_allclose(heights, np.nan_to_num(calibration.accuracy))
    assert [bar.get_height() for bar in lower.patches] == calibration.counts.tolist()
    assert f"{calibration.error:.4f}" in upper.get_title()
