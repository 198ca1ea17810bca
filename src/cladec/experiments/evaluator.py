"""Measure saved models on the test images, and write a tidy table and a wide table.

The measures of a model are kept beside it (`.evaluation.json`), so that the next evaluation only
measures new models.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pandas as pd

from cladec.data.arrays import evenly_spread
from cladec.data.dataset import Split
from cladec.errors import InputError
from cladec.experiments import records, results
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.job import RunJob
from cladec.experiments.runs import Run
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics import normalised
from cladec.models import classifiers, cutting, evaluation_network, losses
from cladec.models.batches import PREDICTION_BATCH
from cladec.models.predictions import agreement
from cladec.models.training import ReportProgress
from cladec.parallel.processes import default_workers
from cladec.progress import OnProgress, Progress, shown
from cladec.storage.tables import write_table

TOLD = ("reconstruction_loss", "classification_loss", "evaluation_accuracy", "fidelity")
"""The measures that are told while others are still measured."""

SOME = 500
"""The most training images on which a decoder's training error is measured."""


def evaluate(evaluation: Evaluation, progress: Progress | None = None) -> pd.DataFrame:
    """Measure every saved model and write both tables.

    Args:
        evaluation: the folders of the models and of the tables.
        progress: a progress display; None shows a new one with a line for each model.

    Returns:
        The tidy table with one row per run and metric and the columns dataset, architecture, layer,
        fraction, units, decoder, latent_dim, beta, model, alpha, repeat, reference, verdict,
        evaluation_network, eval, value.

    Raises:
        InputError: if there are no models, one is damaged, or the folder cannot be written.

    Examples:
        >>> few = {"datasets": ("digits",), "layers": ("dense",), "alphas": (0.0,), "epochs": 1}
        >>> sweep = cladec.Sweep(**few, workers=0)
        >>> runs = cladec.train_missing(sweep)
        3 of 3 models are missing and are trained now
        [1/3] digits classifier: ...
        >>> table = cladec.evaluate(cladec.Evaluation(workers=0))
        [1/3] digits classifier: ...
        >>> sorted(table.loc[table["model"] == "classifier", "eval"])
        ['classification_loss', 'evaluation_accuracy', 'total_loss']
    """
    evaluation.check()
    saved = records.located(
        records.saved_runs(evaluation.models), evaluation.models, evaluation.data
    )
    runs = [each for run in saved for each in run.measured()]
    evaluation.cluster.check([run.dataset for run in runs])
    with shown(progress) as progress:
        measures = _measured(runs, evaluation, progress)
    rows = (results.tidy_rows(run, measures[run], evaluation.models) for run in runs)
    table = pd.DataFrame([row for rows_of_run in rows for row in rows_of_run])
    write_table(table, evaluation.out / results.RUNS_TABLE)
    write_table(results.wide_table(table), evaluation.out / results.RESULT_TABLE)
    models = evaluation.models.absolute()
    unkept = [run for run in runs if not run.evaluation_path(models).is_file()]
    classifiers_of = results.classifier_records(unkept, models)
    for run in unkept:
        record = classifiers_of[run.classifier_path(models)]
        results.keep_measures(run, models, record, measures[run], evaluation.out)
    return table


def measure_missing(
    runs: Sequence[Run],
    models: str | Path = "saved-models",
    *,
    evaluation_accuracy: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Measure those of some saved models that were not measured before.

    In contrast, `evaluate` measures all models of a folder and writes tables.

    Args:
        runs: the runs of the models, as `train_missing` returns them.
        models: the folder with the models, where the measures are kept too.
        evaluation_accuracy: whether to train a new network on the images of each decoder and
            measure it, which takes most of the time.
        workers: the number of models to measure at once; None for the number of `evaluate`.
        progress: a progress display; None shows a new one with a line for each model.

    Returns:
        The tidy table of all these models, see `evaluate`.

    Raises:
        InputError: if a model is missing or damaged.

    Examples:
        >>> few = {"datasets": ("digits",), "layers": ("dense",), "alphas": (0.0,), "epochs": 1}
        >>> runs = cladec.train_missing(cladec.Sweep(**few, workers=0))
        3 of 3 models are missing and are trained now
        [1/3] digits classifier: ...
        >>> table = cladec.experiments.measure_missing(runs, workers=0)
        3 of 3 models were not measured and are measured now
        [1/3] digits classifier: ...
        >>> sorted(table.loc[table["model"] == "refae", "eval"].unique())[:2]
        ['fidelity', 'normalised_error']
    """
    folder = Path(models).absolute()
    count = default_workers() if workers is None else workers
    wanted = Evaluation(folder, workers=count, evaluation_accuracy=evaluation_accuracy)
    records_of = results.classifier_records(list(runs), folder)
    measured, todo = [each for run in runs for each in run.measured()], []
    for run in measured:
        kept = results.kept_measures(run, folder, records_of[run.classifier_path(folder)])
        if not _is_complete(kept, evaluation_accuracy):
            todo.append(run)
    if todo:
        with shown(progress) as progress:
            count = len(measured)
            progress.say(f"{len(todo)} of {count} models were not measured and are measured now")
            _measured(todo, wanted, progress)
    return results.own_measures(list(runs), folder)


def _is_complete(
    measures: dict[str, float] | None, with_accuracy: bool
) -> TypeGuard[dict[str, float]]:
    """Return whether a model was measured, and its evaluation accuracy too where it is wanted."""
    return measures is not None and (not with_accuracy or "evaluation_accuracy" in measures)


def _measured(
    runs: list[Run], evaluation: Evaluation, progress: Progress
) -> dict[Run, dict[str, float]]:
    """Return the measures of each run."""
    models = evaluation.models.absolute()
    for complaint in results.unusable_measures(runs, models):
        progress.say(complaint)
    progress.begin(len(runs))
    with evaluation.cluster.workers(
        Measurer(models, evaluation.evaluation_accuracy), evaluation.workers, models, progress
    ) as workers:
        measures = dict(workers.run(runs))
    if not all(run.evaluation_path(models).exists() for run in runs):
        progress.say(f"{models} cannot be written: the next evaluation will measure again")
    return measures


class Measurer(RunJob):
    """Measures saved models on the test images.

    Args:
        models: the folder with the trained models.
        with_accuracy: whether the evaluation accuracy is measured, which trains a network each.
    """

    def __init__(self, models: Path, with_accuracy: bool = True):
        super().__init__(models)
        self.with_accuracy = with_accuracy

    def do(self, saved: SavedClassifier, run: Run, report: OnProgress) -> dict[str, float]:
        """Return the measures of a run, from the file beside its model if they are still valid."""
        kept = results.kept_measures(run, self.models, saved.record)
        if _is_complete(kept, self.with_accuracy):
            return kept
        if run.model == "classifier":
            measures = _measure_classifier(saved)
        else:
            measures = _measure_decoder(saved, run, report, accuracy=self.with_accuracy)
            report(1.0, {name: measures[name] for name in TOLD if name in measures})
        with suppress(InputError):  # models in a read-only folder can be measured
            results.keep_measures(run, self.models, saved.record, measures, self.models)
        return measures


def _measure_classifier(saved: SavedClassifier) -> dict[str, float]:
    loss = _classification_loss(saved, saved.test_logits)
    return {
        "total_loss": loss,
        "classification_loss": loss,
        "evaluation_accuracy": agreement(saved.predicted, saved.data.test.labels),
    }


def _measure_decoder(
    saved: SavedClassifier, run: Run, report: OnProgress, *, accuracy: bool
) -> dict[str, float]:
    images = saved.data.test.images
    decoded = saved.decode(run, images)
    logits = saved.logits(decoded)
    reconstruction = _mean_over_batches(losses.reconstruction, images, decoded)
    classification = _classification_loss(saved, logits)
    alpha = 0.0 if run.alpha is None else run.alpha
    scaled = losses.scale(saved.data.image_shape) * reconstruction
    measures = {
        "total_loss": losses.mix(alpha, scaled, classification),
        "reconstruction_loss": reconstruction,
        **_normalised(saved, run, reconstruction),
        "classification_loss": classification,
        "fidelity": agreement(saved.predictions(logits), saved.predicted),
    }
    if accuracy:
        measures["evaluation_accuracy"] = _evaluation_accuracy(saved, run, decoded, report)
    return measures


def _normalised(saved: SavedClassifier, run: Run, reconstruction: float) -> dict[str, float]:
    """Return the error as a share of the mean image's, beside that of a thumbnail of the code."""
    images, mean = saved.data.test.images, saved.mean_image
    nothing = normalised.squared_error(images, mean)
    if nothing == 0:  # every image is the mean image
        return {}
    learned = evenly_spread(saved.data.train.images, SOME)
    measures = {
        "normalised_error": reconstruction / nothing,
        "training_error": normalised.normalised_error(learned, saved.decode(run, learned), mean),
    }
    code_shape = saved.load(run).encoder.output_shape[1:]
    grid = normalised.grid_of(code_shape, *images.shape[1:3])
    if grid is not None:
        measures["thumbnail_error"] = normalised.thumbnail_error(images, grid, mean)
    return measures


def _classification_loss(saved: SavedClassifier, logits: np.ndarray) -> float:
    return _mean_over_batches(losses.classification, saved.data.test.labels, logits)


def _evaluation_accuracy(
    saved: SavedClassifier, run: Run, decoded_test: np.ndarray, report: OnProgress
) -> float:
    """Return the test accuracy of a new classifier that is trained only on decoded images."""
    train, test = saved.data.train, saved.data.test
    # The codes are the same for every alpha.
    inputs = {"codes": saved.codes(run, train.images)} if run.model == "cladec" else train.images
    decoded = replace(
        saved.data,
        train=Split(saved.decode(run, inputs), train.labels),
        test=Split(decoded_test, test.labels),
    )
    shape, seed = decoded.image_shape, run.run_seed
    recipe = Run.from_record(saved.record).recipe
    callbacks = [ReportProgress(report)]
    if run.given is not None:
        classes = cutting.num_classes(saved.classifier)
        fresh = (
            evaluation_network.like(saved.classifier, seed=seed)
            if run.evaluated_by == run.architecture
            else evaluation_network.of_architecture(run.evaluated_by, shape, classes, seed=seed)
        )
        return evaluation_network.learned(
            fresh, decoded, recipe=recipe, seed=seed, callbacks=callbacks
        )
    fresh = classifiers.build_classifier(shape, decoded.num_classes, run.architecture, seed=seed)
    classifiers.fit_classifier(fresh, decoded, recipe=recipe, seed=seed, callbacks=callbacks)
    return classifiers.accuracy(fresh, decoded.test)


def _mean_over_batches(loss: Callable, expected: np.ndarray, answers: np.ndarray) -> float:
    """Return the mean over images, computed from the means of batches."""
    total = 0.0
    for start in range(0, len(expected), PREDICTION_BATCH):
        rows = slice(start, start + PREDICTION_BATCH)
        total += float(loss(expected[rows], answers[rows])) * len(expected[rows])
    return total / len(expected)
