"""What was measured of saved models: kept beside them, and as the two tables of an evaluation."""

import importlib.resources
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from cladec.errors import InputError
from cladec.experiments.runs import COLUMNS, VARIANTS, Run
from cladec.models.kinds import KINDS, PLAIN
from cladec.models.recipes import alpha_text
from cladec.storage import model_files

METRICS = (
    "total_loss",
    "reconstruction_loss",
    "classification_loss",
    "evaluation_accuracy",
    "fidelity",
)
"""What is measured of a saved model."""

RUNS_TABLE = "evaluation_runs.csv"
RESULT_TABLE = "evaluation_result.csv"

PUBLISHED = "published_results.csv"
"""Figures that the repository tomtuamnuq/cladec-mnist published for its own models."""


def keep_measures(
    run: Run, models: Path, classifier: dict[str, Any], measures: dict[str, float], folder: Path
) -> None:
    """Write what was measured of a run below `folder`; the rest as in `kept_measures`."""
    content = _basis(run, models, classifier) | {"measures": measures}
    model_files.write_json(run.evaluation_path(folder), content)


def kept_measures(
    run: Run, models: Path, classifier: dict[str, Any], *others: Path
) -> dict[str, float] | None:
    """What was measured on this very model and classifier before, if anything.

    Args:
        run: whose model was measured.
        models: folder of the trained models.
        classifier: the record of the classifier there.
        *others: folders where it may have been kept if not beside the model.

    Raises:
        InputError: the model is missing or damaged, or decodes another classifier.
    """
    basis = _basis(run, models, classifier)
    for folder in (models, *others):
        with suppress(InputError):
            content = model_files.read_json(run.evaluation_path(folder))
            measures = content.pop("measures", None)
            if content == basis:
                return measures
    return None


def _basis(run: Run, models: Path, classifier: dict[str, Any]) -> dict[str, Any]:
    """What the measures of a run depend on."""
    path = run.path(models)
    record, checksum = model_files.verify(path), classifier["sha256"]
    if run.depends_on_classifier and record.get("classifier_sha256") != checksum:
        raise InputError(
            f"{path} decodes another classifier than the one there: run create_models.py again "
            "to train it anew"
        )
    recipe = asdict(Run.from_record(classifier).recipe)
    return {"sha256": record["sha256"], "classifier_sha256": checksum, "recipe": recipe}


def unusable_measures(runs: list[Run], models: Path) -> list[str]:
    """A line for each file of measures that is damaged or of another model; it is measured anew."""
    lines = []
    for run in runs:
        path = run.evaluation_path(models)
        try:
            if path.exists() and model_files.read_json(path).get("sha256") != model_files.checksum(
                run.path(models)
            ):
                raise InputError(f"{path} is of another model")
        except InputError as error:
            lines.append(f"{error}: {run.title} is measured anew")
    return lines


def own_measures(runs: list[Run], models: Path, *others: Path) -> pd.DataFrame:
    """The tidy table of what was measured of these very models; empty where nothing was.

    Args:
        runs: the saved runs, from `saved_runs`.
        models: folder of the trained models.
        *others: folders where measures may have been kept that could not be beside the models.

    Raises:
        InputError: a model is missing or damaged, or decodes another classifier than the one there.
    """
    records = classifier_records(runs, models)
    rows: list[dict[str, Any]] = []
    for measured in (each for run in runs for each in run.measured()):
        record = records[measured.classifier_path(models)]
        rows += tidy_rows(measured, kept_measures(measured, models, record, *others) or {})
    return pd.DataFrame(rows)


def classifier_records(runs: list[Run], models: Path) -> dict[Path, dict[str, Any]]:
    """The records of the classifiers of runs, by their paths."""
    return {
        path: model_files.verify(path) for path in {run.classifier_path(models) for run in runs}
    }


def tidy_rows(run: Run, measures: dict[str, float]) -> list[dict[str, Any]]:
    """One row per metric that has a meaning for this kind of model."""
    about = {name: getattr(run, name) for name in COLUMNS} | {"dataset": run.name}
    return [
        about | {"eval": metric, "value": measures[metric]}
        for metric in METRICS
        if metric in measures
    ]


def wide_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The table people read: dataset x layer x eval; classifier, refAE and a column per alpha.

    Values are means over repeats; a classifier's stand in the rows of each of its layers, a plain
    RefAE's in those of decoders that share it too. What else sets runs apart (`VARIANTS`) has a
    column where it is not the same usual value in every row.
    """
    variants = [
        name for name, usual in VARIANTS.items() if (runs[name].fillna(usual) != usual).any()
    ]
    runs = runs.fillna(VARIANTS)
    decoders = _with_shared_references(runs[runs["model"] != "classifier"])
    alphas = decoders["alpha"].dropna().sort_values().map(alpha_text).unique()
    columns = decoders["alpha"].map(alpha_text, na_action="ignore").fillna("refAE")
    wide = decoders.assign(column=columns).pivot_table(
        index=["dataset", *variants, "layer", "eval"], columns="column", values="value", sort=False
    )
    wide = wide.reindex(columns=["refAE", *alphas]).reset_index()
    classifier = runs[runs["model"] == "classifier"]
    shared = [name for name in ("dataset", "architecture", "eval") if name in wide]
    values = classifier.set_index(shared)["value"].rename("classifier")
    wide = wide.join(values, on=shared)
    names = ["dataset", *variants, "layer", "eval", "classifier", "refAE", *alphas]
    return wide.rename_axis(columns=None)[names]


def _with_shared_references(decoders: pd.DataFrame) -> pd.DataFrame:
    """The rows, with those of a plain RefAE again for every kind that has none of its own."""
    place = ["dataset", "architecture", "layer", "fraction", "units"]
    plain = decoders[(decoders["model"] == "refae") & (decoders["decoder"] == PLAIN)]
    shared = [decoders]
    for kind in (name for name, kind in KINDS.items() if kind.fit_reference is None):
        places = decoders.loc[decoders["decoder"] == kind, place].drop_duplicates()
        shared.append(plain.merge(places, on=place).assign(decoder=kind))
    return pd.concat(shared)


def published() -> pd.DataFrame:
    """The published figures: dataset, layer, eval, model, alpha, value."""
    with importlib.resources.files("cladec.experiments").joinpath(PUBLISHED).open() as file:
        return pd.read_csv(file).rename(columns={"metric": "eval"})
