"""Metrics against scikit-learn's own averages, and against definitions written out."""

import numpy as np
import pytest
from sklearn import metrics as reference

from cladec import metrics
from cladec.errors import InputError

NAMES = ("a", "b", "c", "d")


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def answers(count=60, classes=4, present=4, decimals=1):
    """Labels of the first `present` classes and probabilities with many ties, mostly right."""
    generator = np.random.default_rng(3)
    labels = generator.integers(0, present, count)
    scores = generator.normal(size=(count, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, softmax(np.round(scores, decimals))


def auc_by_pairs(positive, scores):
    """The share of pairs that are ranked right; ties count half."""
    first, second = scores[positive][:, None], scores[~positive][None]
    return ((first > second) + 0.5 * (first == second)).mean()


def average_precision(positive, scores):
    """The sum over thresholds of (R_n - R_(n-1)) P_n."""
    total, recall_before = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        chosen = scores >= threshold
        recall = (positive & chosen).sum() / positive.sum()
        total += (recall - recall_before) * positive[chosen].mean()
        recall_before = recall
    return total


def test_confusion_matrix_counts_by_hand():
    labels, predicted = np.array([0, 0, 0, 1, 3]), np.array([0, 0, 1, 1, 2])
    counts = metrics.confusion_matrix(labels, predicted, 4)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    shares = metrics.confusion_matrix(labels, predicted, 4, normalised=True)
    np.testing.assert_allclose(shares[[0, 1, 3]].sum(axis=1), 1)
    np.testing.assert_allclose(shares[0], [2 / 3, 1 / 3, 0, 0])
    assert np.isnan(shares[2]).all()


@pytest.mark.parametrize("present", [4, 3])
def test_areas_are_those_of_the_definitions(present):
    labels, probabilities = answers(present=present)
    roc = metrics.roc_curves(labels, probabilities)
    precision_recall = metrics.precision_recall_curves(labels, probabilities)
    for k in range(present):
        positive, scores = labels == k, probabilities[:, k]
        assert roc.classes[k].area == pytest.approx(auc_by_pairs(positive, scores))
        expected = average_precision(positive, scores)
        assert precision_recall.classes[k].area == pytest.approx(expected)
    truth = np.eye(4, dtype=bool)[labels].ravel()
    assert roc.micro.area == pytest.approx(auc_by_pairs(truth, probabilities.ravel()))
    expected = average_precision(truth, probabilities.ravel())
    assert precision_recall.micro.area == pytest.approx(expected)


def test_an_absent_class_has_no_curve_and_is_left_out_of_the_mean():
    labels, probabilities = answers(present=3)
    for curves in (
        metrics.roc_curves(labels, probabilities),
        metrics.precision_recall_curves(labels, probabilities),
    ):
        assert curves.classes[3] is None
        mean = np.mean([curve.area for curve in curves.classes[:3]])
        assert curves.macro.area == pytest.approx(mean)


def test_labels_of_one_class_have_only_a_micro_curve():
    _, probabilities = answers(5)
    curves = metrics.roc_curves(np.zeros(5, int), probabilities)
    assert curves.classes == (None,) * 4
    assert curves.macro is None
    assert 0 <= curves.micro.area <= 1


def test_macro_auc_is_that_of_scikit_learn():
    labels, probabilities = answers()
    roc = metrics.roc_curves(labels, probabilities)
    expected = reference.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert roc.macro.area == pytest.approx(expected)


def test_the_area_under_a_mean_curve_is_the_mean_area():
    labels, probabilities = answers()
    roc = metrics.roc_curves(labels, probabilities).macro
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(roc.area)
    steps = metrics.precision_recall_curves(labels, probabilities).macro
    assert (np.diff(steps.x) * steps.y[1:]).sum() == pytest.approx(steps.area)
    assert (np.diff(steps.x) > 0).all()


def test_class_report_agrees_with_scikit_learn():
    labels, probabilities = answers()
    report = metrics.class_report(labels, probabilities, NAMES).set_index("class")
    predicted = probabilities.argmax(1)
    expected = reference.classification_report(
        labels, predicted, target_names=NAMES, output_dict=True
    )
    for row, theirs in (*((name, name) for name in NAMES), ("macro", "macro avg")):
        values = report.loc[row, ["precision", "recall", "f1", "images"]]
        np.testing.assert_allclose(values.astype(float), list(expected[theirs].values()))
    assert (report.loc["micro", ["precision", "recall", "f1"]] == expected["accuracy"]).all()
    assert list(report.index) == [*NAMES, "macro", "micro"]


def test_class_report_with_an_absent_and_a_never_predicted_class():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.7, 0.1, 0.2], [0.6, 0.3, 0.1], [0.2, 0.1, 0.7]])
    report = metrics.class_report(labels, probabilities, "abc").set_index("class")
    assert report.loc["b", "precision"] == 0
    assert report.loc["c", ["precision", "recall", "f1", "auc"]].isna().all()
    assert report.loc["c", "images"] == 0
    assert report.loc["macro", "recall"] == 0.5
    assert report.loc["micro", "recall"] == 0.5


def test_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.35, 0.65], [0.45, 0.55]])
    result = metrics.calibration(np.array([0, 1, 1, 1]), probabilities, bins=5)
    assert result.counts.tolist() == [0, 0, 1, 2, 1]
    np.testing.assert_allclose(result.accuracy[2:], [1, 0.5, 1])
    np.testing.assert_allclose(result.confidence[2:], [0.55, 0.675, 0.9])
    assert np.isnan(result.accuracy[:2]).all()
    expected = 1 / 4 * 0.45 + 2 / 4 * 0.175 + 1 / 4 * 0.1
    assert result.error == pytest.approx(expected)


def test_calibrated_answers_have_no_error_and_overconfident_ones_all():
    sure = np.tile([1.0, 0.0], (10, 1))
    assert metrics.calibration(np.zeros(10, int), sure).error == 0
    assert metrics.calibration(np.ones(10, int), sure).error == 1


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], "2 labels"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "expected 0 to 1"),
        ([0, 1], [[2.0, -1.0], [0.5, 0.5]], "softmax"),
        ([0.5, 1], [[0.5, 0.5], [0.5, 0.5]], "one integer"),
        ([0, 1], [[np.nan, 0.5], [0.5, 0.5]], "softmax"),
    ],
)
def test_arrays_that_do_not_fit(labels, probabilities, message):
    with pytest.raises(InputError, match=message):
        metrics.class_report(np.array(labels), np.array(probabilities), "ab")
