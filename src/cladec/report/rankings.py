"""Prepare the tables of `cladec compare` for the report."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cladec.experiments.runs import Run

COLUMNS = ("measure", "method", "mean", "low", "high", "rank", "higher_is_better")

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
    """Return methods in rows and measures in columns, each with its interval in percent."""
    measures = list(dict.fromkeys(table["measure"]))
    by_method: dict[str, dict[str, Any]] = {}
    for measure in measures:
        rows = table[table["measure"] == measure]
        low, high = float(rows["low"].min()), float(rows["high"].max())
        for row in rows.itertuples():
            by_method.setdefault(str(row.method), {})[measure] = {
                "mean": row.mean,
                "low": row.low,
                "high": row.high,
                "places": [
                    round(100 * (value - low) / ((high - low) or 1.0), 2)
                    for value in (row.low, row.mean, row.high)
                ],
            }
    last = measures[-1]
    order = table[table["measure"] == last].sort_values("rank")["method"]
    better = table.groupby("measure")["higher_is_better"].first()
    return {
        "measures": [(measure, bool(better[measure])) for measure in measures],
        "methods": {method: by_method[method] for method in map(str, order)},
    }
