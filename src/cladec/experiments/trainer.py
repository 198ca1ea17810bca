"""Find the missing models of a sweep, and train them."""

import time
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from cladec.data.dataset import prepare
from cladec.errors import InputError
from cladec.experiments.estimates import plan_line
from cladec.experiments.first_look import tell_accuracy
from cladec.experiments.job import RunJob
from cladec.experiments.missing import needs, pending
from cladec.experiments.plans import Plan
from cladec.experiments.runs import Run
from cladec.experiments.saved_models import SavedClassifier
from cladec.experiments.sweep import FITTED, Sweep
from cladec.experiments.taking_over import take_over
from cladec.models import classifiers
from cladec.models.code_space import check_space_for_codes
from cladec.models.plateau import verdict
from cladec.models.training import ReportProgress
from cladec.models.training_rows import varied_if_few
from cladec.progress import OnProgress, Progress, shown
from cladec.storage import model_files


def train(sweep: Sweep, progress: Progress | None = None) -> None:
    """Train the missing models of `sweep`: the classifiers, then their decoders.

    A model with the same settings is kept. A model that is damaged, or was trained with other
    settings or on another classifier, is trained again and replaced.

    Raises:
        InputError: as in `Sweep.check` and `Sweep.with_layers`; also if a dataset cannot be loaded,
            a file of another program is in the way, or a loss becomes NaN (the run is not saved).
    """
    with shown(progress) as progress:
        plan, runs = _planned(sweep, progress)
        todo = pending(runs, sweep.out)
        _tell(sweep, plan, runs, todo, progress)
        for run, reason in todo.items():
            if reason:
                progress.say(f"{run.title} is trained anew: {reason}")
        _train(list(todo), sweep, progress)


def _tell(
    sweep: Sweep, plan: Plan, runs: list[Run], todo: Collection[Run], progress: Progress
) -> None:
    """Print what is to come: the models to train, about how long, and how much memory."""
    trained = [run for run in runs if run.given is None or run.model != "classifier"]
    if plan.given is not None:
        progress.say(f"{plan.given.file} as {plan.architecture}, layers {', '.join(plan.layers)}")
    workers = None if sweep.cluster.ray is not None else sweep.workers
    progress.say(plan_line(todo, trained, sweep.out, workers))


def train_missing(sweep: Sweep, progress: Progress | None = None) -> list[Run]:
    """Train the runs of `sweep` that have no model yet, and keep every model that exists.

    In contrast, `train` replaces models that were trained with other settings.

    Args:
        sweep: the sweep whose models are needed.
        progress: a progress display; None shows a new one with a line for each model.

    Returns:
        All runs of the sweep, each classifier before its decoders, for `SavedClassifier`.

    Raises:
        InputError: in the same cases as `train`.

    Examples:
        >>> few = {"datasets": ("digits",), "layers": ("dense",), "alphas": (0.0,), "epochs": 1}
        >>> sweep = cladec.Sweep(**few, workers=0)
        >>> runs = cladec.train_missing(sweep)
        3 of 3 models are missing and are trained now
        [1/3] digits classifier: ...
        >>> [run.title for run in runs]
        ['digits classifier', 'digits dense refae', 'digits dense cladec alpha 0']
    """
    with shown(progress) as progress:
        _, runs = _planned(sweep, progress, keep=True)
        todo = [run for run in runs if not model_files.is_there(run.path(sweep.out))]
        if todo:
            progress.say(f"{len(todo)} of {len(runs)} models are missing and are trained now")
        _train(todo, sweep, progress)
    return runs


def _planned(sweep: Sweep, progress: Progress, *, keep: bool = False) -> tuple[Plan, list[Run]]:
    """Return the plan and the runs of a sweep, and take over a user's own classifier.

    With `keep`, a copy of the classifier that exists is not replaced.
    """
    sweep.check()
    plan = sweep.plan()
    runs = sweep.runs(plan)
    if plan.given is None:
        return plan, runs
    for run in (run for run in runs if run.model == "classifier"):
        prepare(run.dataset, shape=FITTED)
        if keep and model_files.is_there(run.path(sweep.out)):
            continue
        if (reason := take_over(run, plan.given, sweep.out, progress)) is None:
            continue
        if reason:
            progress.say(f"{run.title} is copied anew: {reason}")
        if run.targets == "answers":
            progress.say(
                f"{run.dataset} has no classes: the classifier's own answers stand for them"
            )
        else:
            tell_accuracy(SavedClassifier([run], sweep.out), sweep.seed, progress)
    return plan, runs


def _train(todo: list[Run], sweep: Sweep, progress: Progress) -> None:
    for dataset in dict.fromkeys(run.dataset for run in todo):
        prepare(dataset, shape=FITTED if sweep.classifier else None)
    progress.begin(len(todo))
    out = sweep.out.absolute()
    layers = tuple(dict.fromkeys(run.layer for run in todo if run.layer is not None))
    with sweep.cluster.workers(Trainer(out, layers), sweep.workers, out, progress) as workers:
        for _ in workers.run(todo, needs(todo, out)):
            pass


class Trainer(RunJob):
    """Trains runs and saves them with their records.

    Args:
        models: the folder with the trained models.
        layers: the layers that are decoded, whose codes must fit the disk.
    """

    def __init__(self, models: Path, layers: tuple[str, ...] = ()):
        super().__init__(models)
        self.layers = layers
        self._checked: Path | None = None

    def do(self, saved: SavedClassifier, run: Run, report: OnProgress) -> None:
        """Train one run; before the first decoder of a classifier, see whether all codes fit."""
        if run.layer is not None and self._checked != saved.path:
            check_space_for_codes(saved.classifier, self.layers, saved.data.train.images)
            self._checked = saved.path
        start = time.perf_counter()
        try:
            model, history = _fit(saved, run, report)
        except InputError as error:
            raise InputError(f"{run.title}: {error}") from error
        record: dict[str, Any] = {
            "run": asdict(run),
            "history": history,
            "seconds": round(time.perf_counter() - start, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if run.model == "classifier":
            record["test_accuracy"] = _told_accuracy(model, saved, history, report)
        if learned := verdict(history):
            record["verdict"] = learned
        if saved.origin is not None:
            record["pictures"] = asdict(saved.origin)
        if run.depends_on_classifier:
            record["classifier_sha256"] = model_files.checksum(saved.path)
        model_files.save(model, run.path(self.models), record)


def _told_accuracy(
    model: keras.Model, saved: SavedClassifier, history: dict[str, list[float]], report: OnProgress
) -> float:
    """Return the accuracy of a new classifier on test images, and report it beside its training."""
    tested = classifiers.accuracy(model, saved.data.test)
    trained = {"loss": history["loss"][-1], "training_accuracy": history["accuracy"][-1]}
    report(1.0, trained | {"test_accuracy": tested})
    return tested


def _fit(
    saved: SavedClassifier, run: Run, report: OnProgress
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train the model of a run, and return it with its history."""
    options: dict[str, Any] = {
        "recipe": run.recipe,
        "seed": run.run_seed,
        "callbacks": [ReportProgress(report)],
    }
    if run.model == "classifier":
        shape, classes = saved.data.image_shape, saved.data.num_classes
        built = classifiers.build_classifier(shape, classes, run.architecture, seed=run.run_seed)
        return built, classifiers.fit_classifier(built, saved.data, **options)
    given = saved.classifier, run.layer, saved.data
    options |= {"units": saved.units(run), **run.settings}
    if run.model == "refae":
        model = run.kind.fit_refae(*given, start=run.start, **options)
    else:
        codes = saved.codes(run, varied_if_few(saved.data.train.images))
        model = run.kind.fit_cladec(*given, alpha=run.alpha, codes=codes, **options)
    return model, model.history.history
