"""Saved models -> measures on the test images -> a tidy and a wide table."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from cladec.data.dataset import USUAL_NAMES
from cladec.errors import InputError
from cladec.experiments import pictures
from cladec.experiments.measuring import Measurer, keep_measures, kept_measures
from cladec.experiments.runs import Run
from cladec.models.recipes import BETA, LATENT_DIM, alpha_text
from cladec.parallel.processes import check_workers, default_workers
from cladec.parallel.ray_cluster import Cluster
from cladec.progress import Progress
from cladec.storage import model_files
from cladec.storage.remote import Location
from cladec.storage.tables import write_table

if TYPE_CHECKING:
    import pandas as pd

METRICS = (
    "total_loss",
    "reconstruction_loss",
    "classification_loss",
    "evaluation_accuracy",
    "fidelity",
)
VARIANTS: dict[str, Any] = {
    "architecture": "vgg",
    "fraction": 1.0,
    "units": "first",
    "decoder": "plain",
    "latent_dim": LATENT_DIM,
    "beta": BETA,
}
"""What sets runs of a layer apart beside alpha, and its usual value."""

RUNS_TABLE = "evaluation_runs.csv"
RESULT_TABLE = "evaluation_result.csv"


@dataclass(frozen=True)
class Evaluation:
    """Measure saved models on their test images and write tables and pictures."""

    models: Location = Path("saved-models")
    """Folder of trained models, as create_models.py leaves it, or a URL."""
    out: Location = Path("eval")
    """Folder for evaluation_result.csv, evaluation_runs.csv and img/, or a URL."""
    data: Path | None = None
    """Where folders of pictures are now that were moved since: such a folder itself, or the one
    that they lie in."""
    workers: int = field(default_factory=default_workers)
    """How many models are measured at once, each in its own process with its share of the cores; 0
    measures in the process of the command itself, which starts sooner and dies with its work."""
    cluster: Annotated[Cluster, tyro.conf.arg(name="")] = field(default_factory=Cluster)

    def check(self) -> None:
        """Find what is wrong with the settings, without TensorFlow.

        Raises:
            InputError: a number out of range, no models, a folder that cannot be written.
        """
        check_workers(self.workers)
        if not self.models.is_dir():
            raise InputError(f"no trained models in {self.models}: run create_models.py first")
        pictures.check_within(self.data)
        model_files.check_writable(self.out)


def evaluate(evaluation: Evaluation, progress: Progress) -> "pd.DataFrame":
    """Measure every saved model and write both tables.

    Returns:
        The tidy table: one row per run and metric, columns dataset, architecture, layer, fraction,
        units, decoder, latent_dim, beta, model, alpha, repeat, eval, value.

    Raises:
        InputError: no models, a damaged one, or a folder that cannot be written.
    """
    import pandas as pd  # here, as it would double the time of --help

    evaluation.check()
    saved = pictures.located(saved_runs(evaluation.models), evaluation.models, evaluation.data)
    runs = [each for run in saved for each in run.measured()]
    evaluation.cluster.check([run.dataset for run in runs])
    for complaint in unusable_measures(runs, evaluation.models):
        progress.say(complaint)
    progress.begin(len(runs))
    models, count = evaluation.models.absolute(), evaluation.workers
    with evaluation.cluster.workers(Measurer(models), count, models, progress) as workers:
        measures = dict(workers.run(runs))
    if not all(run.evaluation_path(models).exists() for run in runs):
        progress.say(f"{models} cannot be written: the next evaluation measures again")
    runs_table = pd.DataFrame([row for run in runs for row in tidy_rows(run, measures[run])])
    result = wide_table(runs_table)
    write_table(runs_table, evaluation.out / RUNS_TABLE)
    write_table(result, evaluation.out / RESULT_TABLE)
    unkept = [run for run in runs if not run.evaluation_path(models).is_file()]
    records = _classifier_records(unkept, models)
    for run in unkept:
        record = records[run.classifier_path(models)]
        keep_measures(run, models, record, measures[run], evaluation.out)
    return runs_table


def saved_runs(models: Path) -> list[Run]:
    """The runs whose models lie below a folder, each classifier before what decodes it.

    Raises:
        InputError: there are none, or one is damaged or of another place; the file is named.
    """
    runs = []
    for record in sorted(models.rglob("*.json")):
        if not record.name.startswith(".") and not record.name.endswith(".evaluation.json"):
            runs.append(_saved_run(record.with_suffix(".keras"), models))
    if not runs:
        raise InputError(f"no trained models in {models}: run create_models.py first")
    return sorted(runs, key=_order)


def _saved_run(path: Path, models: Path) -> Run:
    try:
        record = model_files.verify(path)
        run = Run.from_record(record)
        pictures.Origin.from_record(record)
    except model_files.Unreadable:
        raise
    except InputError as error:
        raise InputError(
            f"{error}: run create_models.py again to train it anew, or delete "
            f"{model_files.record_path(path)}"
        ) from None
    if "name" not in record["run"] and run.dataset not in USUAL_NAMES:
        # Records had no name before, and that of a folder may be told no longer once it is gone.
        run = replace(run, name=path.parts[len(models.parts)])
    if run.path(models) != path:
        raise InputError(
            f"{path} holds {run.title}, which belongs into {run.path(models)}: move it and its "
            "record there, or out of this folder"
        )
    return run


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


def _order(run: Run) -> tuple:
    kinds = ("classifier", "refae", "cladec")
    return (
        run.name,
        run.architecture,
        run.layer or "",
        kinds.index(run.model),
        -1.0 if run.alpha is None else run.alpha,
        run.repeat,
    )


def own_measures(runs: list[Run], models: Path, *others: Path) -> "pd.DataFrame":
    """The tidy table of what was measured of these very models; empty where nothing was.

    Args:
        runs: the saved runs, from `saved_runs`.
        models: folder of the trained models.
        *others: folders where measures may have been kept that could not be beside the models.

    Raises:
        InputError: a model is missing or damaged, or decodes another classifier than the one there.
    """
    import pandas as pd

    records = _classifier_records(runs, models)
    rows: list[dict[str, Any]] = []
    for measured in (each for run in runs for each in run.measured()):
        record = records[measured.classifier_path(models)]
        rows += tidy_rows(measured, kept_measures(measured, models, record, *others) or {})
    return pd.DataFrame(rows)


def _classifier_records(runs: list[Run], models: Path) -> dict[Path, dict[str, Any]]:
    return {
        path: model_files.verify(path) for path in {run.classifier_path(models) for run in runs}
    }


def tidy_rows(run: Run, measures: dict[str, float]) -> list[dict[str, Any]]:
    """One row per metric that has a meaning for this kind of model."""
    return [
        {
            "dataset": run.name,
            "architecture": run.architecture,
            "layer": run.layer,
            "fraction": run.fraction,
            "units": run.units,
            "decoder": run.decoder,
            "latent_dim": run.latent_dim,
            "beta": run.beta,
            "model": run.model,
            "alpha": run.alpha,
            "repeat": run.repeat,
            "eval": metric,
            "value": measures[metric],
        }
        for metric in METRICS
        if metric in measures
    ]


def wide_table(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The table people read: dataset x layer x eval; classifier, refAE and a column per alpha.

    Values are means over repeats; a classifier's stand in the rows of each of its layers, a plain
    RefAE's in those of the conditional decoder too. What else sets runs apart (`VARIANTS`) has a
    column where it is not the same usual value in every row.
    """
    variants = [
        name for name, usual in VARIANTS.items() if (runs[name].fillna(usual) != usual).any()
    ]
    runs = runs.fillna(VARIANTS)
    decoders = _with_reference_of_conditional(runs[runs["model"] != "classifier"])
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


def _with_reference_of_conditional(decoders: "pd.DataFrame") -> "pd.DataFrame":
    """The rows, with those of a plain RefAE twice where a conditional decoder is beside it."""
    import pandas as pd

    place = ["dataset", "architecture", "layer", "fraction", "units"]
    places = decoders.loc[decoders["decoder"] == "conditional", place].drop_duplicates()
    plain = decoders[(decoders["model"] == "refae") & (decoders["decoder"] == "plain")]
    return pd.concat([decoders, plain.merge(places, on=place).assign(decoder="conditional")])
