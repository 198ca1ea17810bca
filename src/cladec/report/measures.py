"""Prepare the table of measures for the report: values and charts over alpha, and the table."""

import os
from collections.abc import Sequence
from typing import Any

import pandas as pd

from cladec.experiments.results import RESULT_TABLE, completed, published, wide_table
from cladec.experiments.runs import VARIANTS, Variant
from cladec.models.kinds import KINDS, PLAIN
from cladec.plots import AlphaAxis
from cladec.report import charts
from cladec.report.section import ClassifierRuns, Section
from cladec.storage.tables import csv_text

COLUMNS = ("dataset", "architecture", "layer", "model", "alpha", "repeat", "eval", "value")

TITLES = {
    "total_loss": "Total loss",
    "reconstruction_loss": "Reconstruction loss",
    "normalised_error": "Normalised error",
    "classification_loss": "Classification loss",
    "evaluation_accuracy": "Evaluation accuracy",
    "fidelity": "Fidelity",
}


def complete(measures: pd.DataFrame | None) -> pd.DataFrame:
    """Fill the columns that distinguish runs with usual values; None gives an empty table."""
    if measures is None:
        return pd.DataFrame(columns=list(dict.fromkeys([*COLUMNS, *VARIANTS])))
    return completed(measures)


def is_of(measures: pd.DataFrame, of: ClassifierRuns) -> pd.Series:
    """Return which rows belong to a classifier and its decoders."""
    is_own = measures["dataset"] == of.dataset
    return is_own & (measures["architecture"] == of.architecture)


def of_variant(measures: pd.DataFrame, section: Section, variant: Variant) -> pd.DataFrame:
    """Return the rows of a variant, and of the classifier and the RefAE to compare it with."""
    own = measures[is_of(measures, section.of)]
    matches = own["layer"] == variant.layer
    for name, value in variant.settings.items():
        if name != "decoder":
            matches &= own[name] == (VARIANTS[name] if value is None else value)
    kind = variant.settings["decoder"]
    reference = kind if KINDS[kind].fit_reference else PLAIN
    of_kind = own["decoder"] == own["model"].map({"cladec": kind, "refae": reference})
    return own[(own["model"] == "classifier") | (matches & of_kind)]


def curve(table: pd.DataFrame, metric: str) -> dict[float, float]:
    """Return alpha -> value of ClaDec as the mean over repeats."""
    rows = table[(table["model"] == "cladec") & (table["eval"] == metric)]
    means = rows.groupby("alpha")["value"].mean()
    return dict(zip(map(float, means.index), map(float, means), strict=True))


def _level(table: pd.DataFrame, model: str, metric: str) -> float | None:
    rows = table[(table["model"] == model) & (table["eval"] == metric)]
    return float(rows["value"].mean()) if len(rows) else None


def over_alpha(
    section: Section, tables: Sequence[pd.DataFrame], axis: AlphaAxis
) -> list[list[charts.Chart]]:
    """Return charts of the measures over alpha for each variant, with the published results."""
    theirs, dataset = published(), section.of.runs[0].dataset
    # A folder of pictures may have the name of a published dataset.
    theirs = theirs[(theirs["dataset"] == dataset) & (not os.path.isdir(dataset))]
    drawn = []
    for decoded, ours in zip(section.decoded, tables, strict=True):
        variant = decoded.variant
        comparable = variant.is_whole and section.of.architecture == "vgg"
        of_layer = theirs[(theirs["layer"] == variant.layer) & comparable]
        found = [_chart(metric, ours, of_layer, axis) for metric in TITLES]
        drawn.append([chart for chart in found if chart is not None])
    return drawn


def _chart(
    metric: str, ours: pd.DataFrame, theirs: pd.DataFrame, axis: AlphaAxis
) -> charts.Chart | None:
    curves = {"ours": curve(ours, metric), "published": curve(theirs, metric)}
    curves = {kind: values for kind, values in curves.items() if values}
    levels = {
        "refae": _level(ours, "refae", metric),
        "published-refae": _level(theirs, "refae", metric),
        "classifier": _level(ours, "classifier", metric),
    }
    if "ours" not in curves:
        return None
    return charts.over_alpha(
        TITLES[metric],
        curves,
        {kind: level for kind, level in levels.items() if level is not None},
        axis=axis,
        logarithmic=metric.endswith("_loss"),
    )


def wide(measures: pd.DataFrame) -> dict[str, Any]:
    """Return the table for readers, and its text as a file to download."""
    table = wide_table(measures)
    return {
        "name": RESULT_TABLE,
        "columns": [str(column) for column in table.columns],
        "rows": [[None if pd.isna(cell) else cell for cell in row] for row in table.to_numpy()],
        "text": csv_text(table),
    }
