"""`cladec metrics`: how good a classifier is, and why it takes one class for another."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cladec import data
from cladec.commands.explain import save_arrays
from cladec.data.dataset import Dataset
from cladec.errors import InputError, check_at_least_one
from cladec.experiments import subject
from cladec.experiments.subject import Complain, Subject
from cladec.progress import Progress
from cladec.storage import model_files
from cladec.storage.tables import write_table
from cladec.text import printable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Metrics:
    """Measure a classifier on test images; explain one of its confusions."""

    model: Path
    """The classifier, a .keras file. Code in it is never executed."""
    dataset: str
    """digits (built in), any TensorFlow Datasets name, or a folder with train/<class>/*.png and
    test/<class>/*.png."""
    confusion: tuple[str, str] | None = None
    """A true and a predicted class, by name or number: explain the images of the one that are taken
    for the other."""
    methods: tuple[str, ...] = subject.METHODS
    """Names of the explainers for --confusion."""
    images: int = 8
    """At most how many images of --confusion to explain."""
    layer: str | None = None
    """For methods that look at a layer; without it each chooses its own."""
    models: Path = Path("saved-models")
    """Folder of trained models, for the method cladec: with a ClaDec and a RefAE of --model."""
    alpha: float | None = None
    """Which ClaDec to take; without it that of the smallest alpha."""
    seed: int = 0
    """Of all random numbers."""
    out: Path = Path("metrics")
    """Folder for the tables and figures."""

    def check(self) -> None:
        """Find what is wrong with the settings, without TensorFlow.

        Raises:
            InputError: an unknown method or dataset, a number out of range, a folder that cannot be
                written.
        """
        subject.check_methods(self.methods)
        check_at_least_one("images", self.images)
        data.check_name(self.dataset)
        model_files.check_writable(self.out)


def measure(
    settings: Metrics, progress: Progress, complain: Complain
) -> tuple["pd.DataFrame", list[Path]]:
    """Measure a classifier on the test images and save tables and figures.

    Args:
        settings: what to measure.
        progress: told of each method that explains a confusion.
        complain: called for a method, or a confusion, that cannot be explained.

    Returns:
        The report per class, and the files written.

    Raises:
        InputError: the settings, the model or the data are wrong.
    """
    from cladec import metrics

    settings.check()
    dataset = data.load(settings.dataset)
    methods = subject.check_methods(settings.methods) if settings.confusion else ()
    measured = subject.load_subject(
        settings.model,
        methods,
        layer=settings.layer,
        seed=settings.seed,
        data=dataset,
        models=settings.models,
        alpha=settings.alpha,
        progress=progress,
    )
    names = subject.class_names(measured.model, dataset)
    pair = _classes(settings.confusion, names) if settings.confusion else None
    probabilities = measured.probabilities(dataset.test.images)
    report = metrics.class_report(dataset.test.labels, probabilities, names)
    files = _save_measures(settings.out, dataset.test.labels, probabilities, names)
    files.append(write_table(report, settings.out / "report.csv"))
    if pair is not None:
        files += _explain_confusion(
            settings, measured, dataset, pair, probabilities, progress, complain
        )
    return report, files


def _save_measures(
    folder: Path, labels: np.ndarray, probabilities: np.ndarray, names: list[str]
) -> list[Path]:
    """The confusion matrices, curves and calibration, as figures and tables."""
    import pandas as pd

    from cladec import metrics, plots
    from cladec.experiments import figures

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
        files.append(figures.save(figure, folder / f"{name}.png"))
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
        figures.save(curves, folder / "curves.png"),
        figures.save(plots.reliability(calibration), folder / "calibration.png"),
        write_table(pd.DataFrame(bins), folder / "calibration.csv"),
    ]


def _explain_confusion(
    settings: Metrics,
    measured: Subject,
    dataset: Dataset,
    pair: tuple[int, int],
    probabilities: np.ndarray,
    progress: Progress,
    complain: Complain,
) -> list[Path]:
    """Why images of the one class are taken for the other: the predicted class, explained."""
    from cladec import plots
    from cladec.experiments import figures

    true, predicted = pair
    confused = (dataset.test.labels == true) & (probabilities.argmax(axis=1) == predicted)
    rows = np.flatnonzero(confused)[: settings.images]
    names = subject.class_names(measured.model, dataset)
    if not len(rows):
        complain(
            InputError(
                f"no test image of {names[true]} is taken for {names[predicted]}: look into "
                f"{settings.out / 'confusion.csv'} for those that are"
            )
        )
        return []
    images = dataset.test.images[rows]
    targets = np.full(len(rows), predicted)
    methods = subject.check_methods(settings.methods)
    maps = measured.explain_all(methods, images, targets, progress, complain)
    if not maps:
        return []
    titles = [f"{probabilities[row, predicted]:.0%}" for row in rows]
    title = f"{names[true]} taken for {names[predicted]} (its probability at the left)"
    figure = plots.explanation_grid(images, maps, titles, title=title)
    path = settings.out / f"confusion-{true}-{predicted}.png"
    arrays = {"images": images, "rows": rows, **maps}
    return [figures.save(figure, path), save_arrays(path.with_suffix(".npz"), arrays)]


def _classes(confusion: tuple[str, str], names: list[str]) -> tuple[int, int]:
    """The numbers of two classes given by name or number."""
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
