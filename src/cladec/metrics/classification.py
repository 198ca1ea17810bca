"""How good a classifier is on labelled images: arrays in, tables and curves out.

A class without an image among the labels has no recall and no curve: its entries are NaN, and
averages over classes (macro) leave it out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn import metrics

from cladec.errors import InputError


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve over thresholds, and what it amounts to.

    Attributes:
        x: false positive rate or recall, (T,) in [0, 1], ascending.
        y: true positive rate or precision, (T,) in [0, 1].
        area: area under the ROC curve, or average precision, in [0, 1].
    """

    x: np.ndarray
    y: np.ndarray
    area: float


@dataclass(frozen=True, eq=False)
class Curves:
    """One-vs-rest curves.

    Attributes:
        classes: a curve per class; None where the labels hold no image of it, or no other.
        micro: the curve of all decisions "image i is of class k" together.
        macro: mean over the classes that have a curve; None where none has.
    """

    classes: tuple[Curve | None, ...]
    micro: Curve
    macro: Curve | None


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence against accuracy, in bins of equal width.

    Attributes:
        edges: (B + 1,) ascending from 0 to 1.
        confidence: mean probability of the predicted class, (B,); NaN in an empty bin.
        accuracy: share of right answers, (B,); NaN in an empty bin.
        counts: images, (B,).
        error: expected calibration error, in [0, 1].
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray
    error: float


def confusion_matrix(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int, *, normalised: bool = False
) -> np.ndarray:
    """Images of true class i (row) that are predicted as class j (column), (K, K).

    Args:
        labels: true classes, integers (N,).
        predicted: predicted classes, integers (N,).
        num_classes: K.
        normalised: shares of each true class in [0, 1] instead of counts; NaN for an absent class.

    Raises:
        InputError: the lengths differ, or a class is not in 0 ... K - 1.
    """
    _check_classes(labels, num_classes, "labels")
    _check_classes(predicted, num_classes, "predicted classes")
    if len(labels) != len(predicted):
        raise InputError(f"{len(labels)} labels but {len(predicted)} predictions: pass one each")
    counts = metrics.confusion_matrix(labels, predicted, labels=range(num_classes))
    if not normalised:
        return counts
    images = counts.sum(axis=1, keepdims=True).astype(float)
    return counts / np.where(images == 0, np.nan, images)


def class_report(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """Precision, recall, F1, average precision and ROC AUC per class, and their averages.

    Args:
        labels: true classes, integers (N,).
        probabilities: the probability of each class, (N, K) in [0, 1].
        class_names: K names.

    Returns:
        A row per class, then "macro" (mean over the classes present) and "micro" (all decisions
        together: precision, recall and F1 are then the accuracy). Columns class, precision,
        recall, f1, average_precision, auc, images. Precision is 0 for a class never predicted.

    Raises:
        InputError: the arrays do not fit each other.
    """
    _check_probabilities(labels, probabilities)
    precision_recall = precision_recall_curves(labels, probabilities)
    roc = roc_curves(labels, probabilities)
    count, predicted = len(class_names), probabilities.argmax(axis=1)
    scores = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(count), zero_division=0
    )
    report = pd.DataFrame(dict(zip(("precision", "recall", "f1", "images"), scores, strict=True)))
    report.insert(0, "class", list(class_names))
    report.insert(4, "average_precision", [_area(curve) for curve in precision_recall.classes])
    report.insert(5, "auc", [_area(curve) for curve in roc.classes])
    measures = list(report.columns[1:6])
    report.loc[report["images"] == 0, measures] = np.nan
    macro = report[measures].mean()
    accuracy = float((predicted == labels).mean())
    micro = [accuracy] * 3 + [precision_recall.micro.area, roc.micro.area]
    rows = [["macro", *macro, len(labels)], ["micro", *micro, len(labels)]]
    averages = pd.DataFrame(rows, columns=report.columns)
    return pd.concat([report, averages], ignore_index=True)


def roc_curves(labels: np.ndarray, probabilities: np.ndarray) -> Curves:
    """Receiver operating characteristic: true over false positive rate, one class against the rest.

    The macro curve is the mean of the classes' true positive rates at every false positive rate,
    so that the area below it is the mean of their areas.

    Args:
        labels: true classes, integers (N,).
        probabilities: the probability of each class, (N, K) in [0, 1].

    Raises:
        InputError: the arrays do not fit each other.
    """
    return _curves(labels, probabilities, _roc_curve, _mean_roc)


def precision_recall_curves(labels: np.ndarray, probabilities: np.ndarray) -> Curves:
    """Precision over recall, one class against the rest, with average precision as the area.

    Average precision is the sum over thresholds of (R_n - R_(n-1)) P_n: the curve is a staircase.
    The macro curve is the mean of the classes' precisions at every recall.

    Args:
        labels: true classes, integers (N,).
        probabilities: the probability of each class, (N, K) in [0, 1].

    Raises:
        InputError: the arrays do not fit each other.
    """
    return _curves(labels, probabilities, _precision_recall_curve, _mean_precision)


def calibration(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 15) -> Calibration:
    """Whether a probability of 0.9 means 90 % right answers.

        error = sum over bins of (images of the bin / N) * |accuracy - confidence|

    (Guo et al., "On Calibration of Modern Neural Networks", eq. 3, arXiv 1706.04599.)

    Args:
        labels: true classes, integers (N,).
        probabilities: the probability of each class, (N, K) in [0, 1].
        bins: B, of equal width over [0, 1]; each holds its upper edge.

    Raises:
        InputError: the arrays do not fit each other, or `bins` is below 1.
    """
    _check_probabilities(labels, probabilities)
    if bins < 1:
        raise InputError(f"bins is {bins}: expected at least 1")
    edges = np.linspace(0, 1, bins + 1)
    confidence = probabilities.max(axis=1).astype(float)
    right = probabilities.argmax(axis=1) == labels
    places = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(places, minlength=bins)
    images = np.where(counts == 0, np.nan, counts)
    mean_confidence = np.bincount(places, confidence, bins) / images
    accuracy = np.bincount(places, right, bins) / images
    error = float(np.nansum(counts * np.abs(accuracy - mean_confidence)) / len(labels))
    return Calibration(edges, mean_confidence, accuracy, counts, error)


def _curves(labels: np.ndarray, probabilities: np.ndarray, curve: Callable, mean: Callable):
    """The curves of every class, of all decisions together, and their mean."""
    _check_probabilities(labels, probabilities)
    truth = np.eye(probabilities.shape[1], dtype=bool)[labels]
    mixed = truth.any(axis=0) & ~truth.all(axis=0)
    classes = tuple(
        curve(truth[:, k], probabilities[:, k]) if mixed[k] else None for k in range(len(mixed))
    )
    present = [curve for curve in classes if curve is not None]
    micro = curve(truth.ravel(), probabilities.ravel())
    return Curves(classes, micro, mean(present) if present else None)


def _roc_curve(truth: np.ndarray, scores: np.ndarray) -> Curve:
    false_positive, true_positive, _ = metrics.roc_curve(truth, scores)
    return Curve(false_positive, true_positive, float(metrics.auc(false_positive, true_positive)))


def _precision_recall_curve(truth: np.ndarray, scores: np.ndarray) -> Curve:
    precision, recall, _ = metrics.precision_recall_curve(truth, scores, drop_intermediate=True)
    area = float(metrics.average_precision_score(truth, scores))
    return Curve(recall[::-1], precision[::-1], area)


def _mean_roc(curves: Sequence[Curve]) -> Curve:
    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    # At a vertical step a curve has two values, the limits from the left and from the right.
    x = np.repeat(grid, 2)
    sides = np.nextafter(x, np.tile([-1.0, 2.0], len(grid)))
    y = np.mean([np.interp(sides, curve.x, curve.y) for curve in curves], axis=0)
    return Curve(x, y, float(np.mean([curve.area for curve in curves])))


def _mean_precision(curves: Sequence[Curve]) -> Curve:
    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    y = np.mean([curve.y[np.searchsorted(curve.x, grid)] for curve in curves], axis=0)
    return Curve(grid, y, float(np.mean([curve.area for curve in curves])))


def _area(curve: Curve | None) -> float:
    return np.nan if curve is None else curve.area


def _check_classes(classes: np.ndarray, num_classes: int, what: str) -> None:
    if classes.ndim != 1 or len(classes) == 0 or not np.issubdtype(classes.dtype, np.integer):
        raise InputError(
            f"{what} are a {classes.dtype} array of shape {classes.shape}: expected one integer "
            "per image, and at least one image"
        )
    if classes.min() < 0 or classes.max() >= num_classes:
        raise InputError(
            f"{what} run from {classes.min()} to {classes.max()}: expected 0 to {num_classes - 1}"
        )


def _check_probabilities(labels: np.ndarray, probabilities: np.ndarray) -> None:
    if probabilities.ndim != 2 or len(probabilities) != len(labels):
        raise InputError(
            f"probabilities of shape {probabilities.shape} for {len(labels)} labels: expected a "
            "row per image and a column per class"
        )
    _check_classes(labels, probabilities.shape[1], "labels")
    if not (probabilities.min() >= 0 and probabilities.max() <= 1.0 + 1e-6):
        raise InputError(
            f"probabilities run from {probabilities.min():g} to {probabilities.max():g}: expected "
            "0 to 1, so apply the softmax first"
        )
