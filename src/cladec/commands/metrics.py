"""`cladec metrics`: measure a classifier, and explain why it takes one class for another."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from cladec import data, metrics, plots
from cladec.commands.classifier import explain_all, load_classifier
from cladec.commands.console import Complain, as_text, complaints, print_all, show, suggest
from cladec.commands.settings import Metrics
from cladec.errors import InputError
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics import bootstrap
from cladec.plots.images import brief
from cladec.progress import Progress
from cladec.storage.outputs import save_arrays, save_figure
from cladec.storage.tables import write_table
from cladec.text import printable

LONGEST_NAME = 24
"""The length of the name of a class in the printed report."""


def run(settings: Metrics) -> None:
    """Measure a classifier, and print the report and the files written."""
    with complaints() as complain:
        with Progress() as progress:
            report, confusion, files = measure(settings, progress, complain)
        show(report_text(report))
        print_all(files)
        suggest(next_command(settings, confusion))


def report_text(report: pd.DataFrame) -> str:
    """Return the report per class as text of at most 80 columns."""
    names = {"average_precision": "avg. precision", "auc": "ROC area"}
    told = report.rename(columns=names).assign(
        **{"class": [brief(name, LONGEST_NAME) for name in report["class"]]}
    )
    return as_text(told, decimals=4)


def next_command(settings: Metrics, confusion: tuple[int, int] | None) -> str:
    """Return the command that explains the most frequent confusion, or else compares methods."""
    given = f"--model {shlex.quote(str(settings.model))} --dataset {shlex.quote(settings.dataset)}"
    if confusion is None or settings.confusion is not None:
        return f"cladec compare {given}"
    return f"cladec metrics {given} --confusion {confusion[0]} {confusion[1]}"


def measure(
    settings: Metrics, progress: Progress, complain: Complain
) -> tuple[pd.DataFrame, tuple[int, int] | None, list[Path]]:
    """Measure a classifier on the test images, and save tables and figures.

    Args:
        settings: the classifier to measure, and the confusion to explain.
        progress: the display that shows each method that explains the confusion.
        complain: is called for a method that cannot be used, or a confusion without images.

    Returns:
        The report per class, the most frequent confusion (true and predicted class, None if there
        is none), and the files written.

    Raises:
        InputError: if the settings, the model or the data are wrong.
    """
    settings.check()
    decoded = settings.confusion is not None and "cladec" in settings.methods
    saved = load_classifier(settings, data.load(settings.dataset), progress, decoded=decoded)
    names = list(saved.class_names)
    pair = _classes(settings.confusion, names) if settings.confusion else None
    labels = saved.data.test.labels
    probabilities = saved.probabilities(saved.data.test.images)
    report = metrics.class_report(labels, probabilities, names)
    predicted = probabilities.argmax(axis=1)
    _tell_quality(labels, predicted, probabilities, progress)
    files = _save_measures(settings.out, labels, probabilities, names)
    files.append(write_table(report, settings.out / "report.csv"))
    if pair is not None:
        files += _explain_confusion(settings, saved, pair, probabilities, progress, complain)
    return report, _most_confused(labels, predicted, len(names)), files


def _tell_quality(
    labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, progress: Progress
) -> None:
    """Print the accuracy with its interval, and how far probabilities are from what is right."""
    right = (predicted == labels).astype(float)
    low, high = bootstrap.interval(bootstrap.resampled_means(right))
    progress.say(
        f"accuracy {right.mean():.4f} on {len(labels)} test images "
        f"(95 % interval {low:.4f} to {high:.4f})"
    )
    calibration = metrics.calibration(labels, probabilities)
    mean = probabilities.max(axis=1).mean()
    progress.say(
        f"expected calibration error {calibration.error:.4f} (0 is best); "
        f"mean probability {mean:.4f}"
    )


def _most_confused(labels: np.ndarray, predicted: np.ndarray, count: int) -> tuple[int, int] | None:
    """Return the true and the predicted class of the most frequent mistake."""
    matrix = metrics.confusion_matrix(labels, predicted, count)
    np.fill_diagonal(matrix, 0)
    true, taken = np.unravel_index(matrix.argmax(), matrix.shape)
    return (int(true), int(taken)) if matrix.any() else None


def _save_measures(
    folder: Path, labels: np.ndarray, probabilities: np.ndarray, names: list[str]
) -> list[Path]:
    """Save the confusion matrices, the curves and the calibration as figures and tables."""
    files = []
    for name, normalised in (("confusion", False), ("confusion-normalised", True)):
        matrix = metrics.confusion_matrix(
            labels, probabilities.argmax(axis=1), len(names), normalised=normalised
        )
        table = pd.DataFrame(matrix, columns=pd.Index(names))
        table.insert(0, "true", names)
        files.append(write_table(table, folder / f"{name}.csv"))
        title = "share of the true class" if normalised else "images"
        figure = plots.confusion(matrix, names, title=title)
        files.append(save_figure(figure, folder / f"{name}.png"))
    curves = plots.curves(
        metrics.roc_curves(labels, probabilities),
        metrics.precision_recall_curves(labels, probabilities),
        names,
    )
    calibration = metrics.calibration(labels, probabilities)
    bins = {
        "from": calibration.edges[:-1],
        "to": calibration.edges[1:],
        "images": calibration.counts,
        "confidence": calibration.confidence,
        "accuracy": calibration.accuracy,
    }
    return [
        *files,
        save_figure(curves, folder / "curves.png"),
        save_figure(plots.reliability(calibration), folder / "calibration.png"),
        write_table(pd.DataFrame(bins), folder / "calibration.csv"),
    ]


def _explain_confusion(
    settings: Metrics,
    saved: SavedClassifier,
    pair: tuple[int, int],
    probabilities: np.ndarray,
    progress: Progress,
    complain: Complain,
) -> list[Path]:
    """Explain the predicted class in images of one class that are taken for another."""
    (true, predicted), names, test = pair, saved.class_names, saved.data.test
    confused = (test.labels == true) & (probabilities.argmax(axis=1) == predicted)
    rows = np.flatnonzero(confused)[: settings.images]
    if not len(rows):
        complain(
            InputError(
                f"no test image of {names[true]} is taken for {names[predicted]}: choose two "
                f"classes that are confused in {settings.out / 'confusion.csv'}"
            )
        )
        return []
    images, targets = test.images[rows], np.full(len(rows), predicted)
    maps = explain_all(saved, settings, images, targets, progress, complain)
    if not maps:
        return []
    titles = [f"{probabilities[row, predicted]:.0%}" for row in rows]
    title = f"{names[true]} taken for {names[predicted]}, with its probability"
    effects = metrics.effects_of_methods(saved.classifier, images, maps, targets)
    figure = plots.explanation_grid(images, maps, titles, title=title, effects=effects)
    path = settings.out / f"confusion-{true}-{predicted}.png"
    arrays = {"images": images, "rows": rows, **maps}
    return [save_figure(figure, path), save_arrays(path.with_suffix(".npz"), arrays)]


def _classes(confusion: tuple[str, str], names: list[str]) -> tuple[int, int]:
    """Return the numbers of two classes that are given by name or number."""
    numbers = []
    for given in map(printable, confusion):
        if given in names:
            numbers.append(names.index(given))
        elif given.isdecimal() and int(given) < len(names):
            numbers.append(int(given))
        else:
            raise InputError(
                f"--confusion has no class {given!r}: choose from {', '.join(names)}, or a number "
                f"from 0 to {len(names) - 1}"
            )
    if numbers[0] == numbers[1]:
        raise InputError(f"--confusion names class {confusion[0]!r} twice: expected two classes")
    return numbers[0], numbers[1]
