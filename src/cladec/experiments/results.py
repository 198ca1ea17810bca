"""Keep the measures of saved models beside them, and build the two tables of an evaluation."""

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
    "normalised_error",
    "thumbnail_error",
    "training_error",
    "classification_loss",
    "evaluation_accuracy",
    "fidelity",
)
"""The measures of a saved model; those that are not defined for it are left out."""

RUNS_TABLE = "evaluation_runs.csv"
RESULT_TABLE = "evaluation_result.csv"

PUBLISHED = "published_results.csv"
"""The results that the repository tomtuamnuq/cladec-mnist published for its own models."""


def keep_measures(
    run: Run, models: Path, classifier: dict[str, Any], measures: dict[str, float], folder: Path
) -> None:
    """Write the measures of a run below `folder`; see `kept_measures` for the other arguments."""
    content = _basis(run, models, classifier) | {"measures": measures}
    model_files.write_json(run.evaluation_path(folder), content)


def kept_measures(
    run: Run, models: Path, classifier: dict[str, Any], *others: Path
) -> dict[str, float] | None:
    """Return the measures that were kept for this model and classifier; None if there are none.

    Args:
        run: the run whose model was measured.
        models: the folder with the trained models.
        classifier: the record of the classifier in that folder.
        *others: other folders that may have the measures.

    Raises:
        InputError: if the model is missing or damaged, or decodes another classifier.
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
    """Return everything that the measures of a run depend on."""
    path = run.path(models)
    record, checksum = model_files.verify(path), classifier["sha256"]
    if run.depends_on_classifier and record.get("classifier_sha256") != checksum:
        raise InputError(
            f"{path} decodes another classifier than the one there: run create_models.py again "
            "to train it anew"
        )
    trained = Run.from_record(classifier)
    basis = {"sha256": record["sha256"], "classifier_sha256": checksum}
    basis["recipe"] = asdict(trained.recipe)
    # The same file may be said to have other classes.
    return basis if trained.given is None else basis | {"given": trained.given}


def unusable_measures(runs: list[Run], models: Path) -> list[str]:
    """Return one line for each file of measures that is damaged or belongs to another model."""
    lines = []
    for run in runs:
        path = run.evaluation_path(models)
        try:
            if path.exists() and model_files.read_json(path).get("sha256") != model_files.checksum(
                run.path(models)
            ):
                raise InputError(f"{path} belongs to another model")
        except InputError as error:
            lines.append(f"{error}: {run.title} is measured anew")
    return lines


def own_measures(runs: list[Run], models: Path, *others: Path) -> pd.DataFrame:
    """Return the tidy table of the measures of these models, which is empty if there are none.

    Args:
        runs: the saved runs, from `saved_runs`.
        models: the folder with the trained models.
        *others: other folders that may have measures.

    Raises:
        InputError: if a model is missing or damaged, or decodes another classifier.
    """
    records = classifier_records(runs, models)
    rows: list[dict[str, Any]] = []
    for measured in (each for run in runs for each in run.measured()):
        record = records[measured.classifier_path(models)]
        rows += tidy_rows(measured, kept_measures(measured, models, record, *others) or {})
    return pd.DataFrame(rows)


def classifier_records(runs: list[Run], models: Path) -> dict[Path, dict[str, Any]]:
    """Return the records of the runs' classifiers by the paths of these classifiers."""
    return {
        path: model_files.verify(path) for path in {run.classifier_path(models) for run in runs}
    }


def tidy_rows(
    run: Run, measures: dict[str, float], models: Path | None = None
) -> list[dict[str, Any]]:
    """Return one row per metric that is defined for this kind of model.

    Args:
        run: the run.
        measures: its measures.
        models: the folder with its model, whose record has the verdict on its training; or None.
    """
    about = {name: getattr(run, name) for name in COLUMNS} | {"dataset": run.name}
    about["reference"] = run.start if run.model == "refae" else None
    if models is not None:
        record = model_files.read_json(model_files.record_path(run.path(models)))
        about["verdict"] = record.get("verdict")
    networks = {"evaluation_accuracy": run.evaluated_by}
    return [
        about
        | {"evaluation_network": networks.get(metric), "eval": metric, "value": measures[metric]}
        for metric in METRICS
        if metric in measures
    ]


def completed(measures: pd.DataFrame) -> pd.DataFrame:
    """Fill the columns that distinguish runs with usual values, as an older table lacks some."""
    missing = {name: usual for name, usual in VARIANTS.items() if name not in measures}
    return measures.assign(**missing).fillna(VARIANTS)


def wide_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the table for readers: dataset x layer x eval; classifier, refAE, a column per alpha.

    Values are means over repeats. The values of a classifier appear in the rows of all its layers,
    and those of a plain RefAE also in the rows of decoders that share it. Each further setting of a
    run (`VARIANTS`) has a column unless all rows have the usual value; so has the start of a RefAE
    that is not fresh.
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
    if "reference" in decoders and (decoders["reference"] == "tuned").any():
        place = ["dataset", *variants, "layer"]
        starts = decoders.dropna(subset="reference").groupby(place)["reference"].first()
        wide = wide.join(starts, on=place)
        names.insert(names.index("refAE"), "reference")
    return wide.rename_axis(columns=None)[names]


def _with_shared_references(decoders: pd.DataFrame) -> pd.DataFrame:
    """Add copies of the rows of a plain RefAE for every kind that has no RefAE of its own."""
    place = ["dataset", "architecture", "layer", "fraction", "units"]
    plain = decoders[(decoders["model"] == "refae") & (decoders["decoder"] == PLAIN)]
    shared = [decoders]
    for kind in (name for name, kind in KINDS.items() if kind.fit_reference is None):
        places = decoders.loc[decoders["decoder"] == kind, place].drop_duplicates()
        shared.append(plain.merge(places, on=place).assign(decoder=kind))
    return pd.concat(shared)


def published() -> pd.DataFrame:
    """Return the published results: dataset, layer, eval, model, alpha, value."""
    with importlib.resources.files("cladec.experiments").joinpath(PUBLISHED).open() as file:
        return pd.read_csv(file).rename(columns={"metric": "eval"})
