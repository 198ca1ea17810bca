"""Prepare the tables of `cladec compare` for the report."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from cladec.experiments.runs import Run

COLUMNS = (
    *("question", "measure", "method", "mean", "low", "high", "rank", "group", "than_random"),
    *("higher_is_better", "images"),
)

CLASSIFIER = "classifier_sha256"
"""The column of a ranking with the checksum of the explained classifier."""


def shown(
    rankings: Mapping[Path, pd.DataFrame | None], models: Iterable[tuple[Run, dict[str, Any]]]
) -> dict[str, dict[str, Any]]:
    """Return the rankings by classifier and file, whose titles the records of the models tell."""
    titles = {record.get("sha256"): run.title for run, record in models}
    found = {}
    for path, table in rankings.items():
        if table is not None:
            title = titles.get(table[CLASSIFIER].iloc[0]) if CLASSIFIER in table else None
            found[f"{title}, {path}" if title else str(path)] = _ranking(table)
    return found


def _ranking(table: pd.DataFrame) -> dict[str, Any]:
    """Return methods in rows and measures in columns, each with its interval in percent.

    The order of the methods is that of the first measure; every column can be sorted by.
    """
    measures = list(dict.fromkeys(table["measure"]))
    by_method: dict[str, dict[str, Any]] = {}
    for measure in measures:
        rows = table[table["measure"] == measure]
        low, high = float(rows["low"].min()), float(rows["high"].max())
        for row in rows.itertuples():
            by_method.setdefault(str(row.method), {})[measure] = {
                "group": str(row.group),
                "than_random": {"better": "better", "worse": "worse"}.get(str(row.than_random), ""),
                "mean": row.mean,
                "low": row.low,
                "high": row.high,
                "places": [
                    round(100 * (value - low) / ((high - low) or 1.0), 2)
                    for value in (row.low, row.mean, row.high)
                ],
            }
    first = table.groupby("measure").first()
    questions = [str(first["question"][measure]) for measure in measures]
    return {
        "images": int(table["images"].iloc[0]),
        "questions": [(question, len(list(same))) for question, same in groupby(questions)],
        "measures": [(measure, bool(first["higher_is_better"][measure])) for measure in measures],
        "methods": by_method,
    }
