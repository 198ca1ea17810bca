"""Find the missing models of a sweep, and train them."""

import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from cladec.data.dataset import prepare
from cladec.errors import InputError
from cladec.experiments import records
from cladec.experiments.job import RunJob
from cladec.experiments.runs import Run
from cladec.experiments.saved_models import SavedClassifier
from cladec.experiments.sweep import Sweep
from cladec.models import classifiers
from cladec.models.training import ReportProgress
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
    sweep.check()
    runs = sweep.with_layers().runs()
    with shown(progress) as progress:
        todo = pending(runs, sweep.out)
        if kept := len(runs) - len(todo):
            progress.say(f"{kept} of {len(runs)} models are trained already and are skipped")
        for run, reason in todo.items():
            if reason:
                progress.say(f"{run.title} is trained anew: {reason}")
        _train(list(todo), sweep, progress)


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
        [1/3] digits classifier: ...
        >>> [run.title for run in runs]
        ['digits classifier', 'digits dense refae', 'digits dense cladec alpha 0']
    """
    sweep.check()
    runs = sweep.with_layers().runs()
    todo = [run for run in runs if not model_files.is_there(run.path(sweep.out))]
    with shown(progress) as progress:
        _train(todo, sweep, progress)
    return runs


def _train(todo: list[Run], sweep: Sweep, progress: Progress) -> None:
    for dataset in dict.fromkeys(run.dataset for run in todo):
        prepare(dataset)
    progress.begin(len(todo))
    out = sweep.out.absolute()
    with sweep.cluster.workers(Trainer(out), sweep.workers, out, progress) as workers:
        for _ in workers.run(todo, needs(todo, out)):
            pass


def needs(runs: list[Run], models: Path) -> dict[Run, Run]:
    """Map each run that decodes a classifier to that classifier's run, if it is trained as well."""
    classifiers = {run.path(models): run for run in runs if run.model == "classifier"}
    decoders = [run for run in runs if run.model != "classifier"]
    paths = {run: run.classifier_path(models) for run in decoders}
    return {run: classifiers[path] for run, path in paths.items() if path in classifiers}


def pending(runs: list[Run], models: Path) -> dict[Run, str]:
    """Return the runs to train, each with the reason why an existing file cannot be used.

    Raises:
        InputError: if a file that has no record, or that cannot be read, is in the way.
    """
    todo: dict[Run, str] = {}
    classifiers: dict[str, str | None] = {}
    for run in runs:
        try:
            reason = _reason_to_train(run, models, classifiers.get(run.dataset))
        except model_files.Unreadable as error:
            raise InputError(
                f"{error}; such a model is not replaced: make it readable, or choose another --out"
            ) from None
        if run.model == "classifier":
            path = run.path(models)
            classifiers[run.dataset] = model_files.checksum(path) if reason is None else None
        if reason is not None:
            todo[run] = reason
    return todo


def _reason_to_train(run: Run, models: Path, classifier: str | None) -> str | None:
    """Return None if the saved model can be used, "" if it is missing, else what is wrong."""
    path = run.path(models)
    if not model_files.is_there(path):
        return ""
    if not model_files.is_there(model_files.record_path(path)):
        raise InputError(
            f"{path} has no record {model_files.record_path(path).name} beside it, so it is not "
            "replaced: move it away, or choose another --out"
        )
    try:
        record = model_files.verify(path)
        saved = records.recognised(Run.from_record(record), record, run.dataset)
    except model_files.Unreadable:
        raise
    except InputError as error:
        return str(error)
    if saved != run:
        return f"settings changed ({_difference(saved, run)})"
    if run.depends_on_classifier and record.get("classifier_sha256") != classifier:
        return "its classifier changed"
    return None


def _difference(saved: Run, run: Run) -> str:
    before, now = asdict(replace(saved, name=run.name)), asdict(run)
    before |= before.pop("recipe")
    now |= now.pop("recipe")
    changes = (f"{key} {before[key]} -> {now[key]}" for key in now if before[key] != now[key])
    return ", ".join(changes)


class Trainer(RunJob):
    """Trains runs and saves them with their records."""

    def do(self, saved: SavedClassifier, run: Run, report: OnProgress) -> None:
        """Train one run."""
        start = time.perf_counter()
        try:
            model, history = _fit(saved, run, report)
        except InputError as error:
            raise InputError(f"{run.title}: {error}") from error
        record = {
            "run": asdict(run),
            "history": history,
            "seconds": round(time.perf_counter() - start, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if saved.origin is not None:
            record["pictures"] = asdict(saved.origin)
        if run.depends_on_classifier:
            record["classifier_sha256"] = model_files.checksum(saved.path)
        model_files.save(model, run.path(self.models), record)


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
        model = run.kind.fit_refae(*given, **options)
    else:
        model = run.kind.fit_cladec(*given, alpha=run.alpha, codes=saved.codes(run), **options)
    return model, model.history.history
