"""Find the runs of a sweep whose models are missing, damaged or out of date."""

from dataclasses import asdict, replace
from pathlib import Path

from cladec.errors import InputError
from cladec.experiments import records
from cladec.experiments.runs import Run
from cladec.storage import model_files


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
            reason = reason_to_train(run, models, classifiers.get(run.dataset))
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


def reason_to_train(run: Run, models: Path, classifier: str | None) -> str | None:
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
    if saved.given != run.given:
        return "the file of the classifier, or what is said of it"
    saved = replace(saved, name=run.name, evaluation_network=run.evaluation_network)
    before, now = asdict(saved), asdict(run)
    before |= before.pop("recipe")
    now |= now.pop("recipe")
    changes = (f"{key} {before[key]} -> {now[key]}" for key in now if before[key] != now[key])
    return ", ".join(changes)
