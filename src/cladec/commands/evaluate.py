"""`cladec evaluate` and eval.py: measure saved models, and write tables and figures."""

import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cladec.commands.console import print_all, show, suggest
from cladec.experiments import records, results
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.evaluator import evaluate
from cladec.experiments.figures import save_figures
from cladec.experiments.runs import VARIANTS
from cladec.progress import Progress

TOLD = (
    *("reconstruction_loss", "normalised_error", "classification_loss"),
    *("evaluation_accuracy", "fidelity"),
)
"""The measures that are printed."""

NAMED = ("classifier", "refAE")
"""The columns of the table that are not the alpha of a ClaDec."""


def run(evaluation: Evaluation) -> None:
    """Measure saved models, write tables and figures, and print the wide table."""
    with Progress() as progress:
        table = evaluate(evaluation, progress)
        runs = records.saved_runs(evaluation.models)
        runs = records.located(runs, evaluation.models, evaluation.data)
        files = save_figures(runs, table, evaluation.models, evaluation.out)
    show(result_text(results.wide_table(table)))
    print_all([evaluation.out / results.RESULT_TABLE, *files])
    given = ["--models", str(evaluation.models), "--evaluation", str(evaluation.out)]
    suggest(f"cladec report {shlex.join(given)}")


def result_text(wide: pd.DataFrame) -> str:
    """Return the main measures as text of at most 80 columns, a table for each layer."""
    places = list(wide.columns[: wide.columns.get_loc("eval")])
    models = [name for name in wide.columns[len(places) + 1 :] if name != "reference"]
    titles = {name: name if name in NAMED else f"ClaDec {name}" for name in models}
    parts = []
    for place, rows in wide.groupby(places, sort=False, dropna=False):
        measures = rows.set_index("eval")[models].rename(columns=titles).T
        told = measures[[name for name in TOLD if name in measures]].dropna(how="all")
        told.columns = pd.MultiIndex.from_tuples([_two_lines(str(name)) for name in told])
        text = told.to_string(na_rep="", float_format=lambda value: f"{value:.4g}")
        where = ", ".join(_placed(dict(zip(places, place, strict=True))))
        parts += [f"{where}\n{text}\n"]
    return "\n".join([*parts, f"Every measure is in {results.RESULT_TABLE}:"])


def _placed(place: Mapping[str, Any]) -> list[str]:
    """Name the dataset, the layer and each setting that is not the usual one."""
    others = {name: value for name, value in place.items() if name not in ("dataset", "layer")}
    unusual = [
        f"{name} {value}"
        for name, value in others.items()
        if not pd.isna(value) and value != VARIANTS[name]
    ]
    return [str(place["dataset"]), str(place["layer"]), *unusual]


def _two_lines(measure: str) -> tuple[str, str]:
    """Return the name of a measure as the two lines of the head of a column."""
    first, _, second = measure.rpartition("_")
    return first, second
