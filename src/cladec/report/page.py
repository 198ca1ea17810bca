"""Render sections, measures and rankings as the HTML page of the report."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from cladec.experiments import pages
from cladec.experiments.runs import Run
from cladec.models.kinds import KINDS, PLAIN
from cladec.models.recipes import alpha_text
from cladec.plots import sprites
from cladec.report import charts
from cladec.report import measures as tables_of
from cladec.report.section import Decoded, Section
from cladec.startup import own_version
from cladec.storage import model_files
from cladec.text import printable

RANKING_COLUMNS = ("measure", "method", "mean", "low", "high", "rank", "higher_is_better")

CLASSIFIER = "classifier_sha256"
"""The column of a ranking with the checksum of the explained classifier."""

MATRIX_CLASSES = 20
"""With more classes, the page lists the largest confusions instead of the matrix."""

SIDES = {"tile": 56, "map": 112, "large": 140}
"""The approximate width of images on the page; small images are scaled by whole numbers."""


@dataclass(frozen=True)
class Missing:
    """A part that is missing in the report, and the command that makes it."""

    part: str
    command: str


def render(
    sections: Sequence[Section],
    measures: pd.DataFrame | None,
    rankings: Mapping[Path, pd.DataFrame | None],
    *,
    models: Path,
    evaluation: Path,
) -> str:
    """Return the report as one HTML page.

    Args:
        sections: the sections of the classifiers.
        measures: the tidy table of the measures of these models; None if nothing was measured.
        rankings: the tables of comparisons by their paths; None for a table that is missing or
            belongs to another classifier.
        models: the folder with the trained models.
        evaluation: the folder that eval.py writes to.
    """
    script = pages.text("cladec.report", "report.js")
    own = tables_of.complete(measures)
    views = [_view(section, own, models) for section in sections]
    return pages.template("cladec.report", "report.html").render(
        style=Markup(pages.text("cladec.report", "report.css")),
        script=Markup(script),
        script_digest=pages.digest(script),
        made=datetime.now(UTC),
        version=own_version(),
        views=views,
        table=tables_of.wide(own) if (own["model"] != "classifier").any() else None,
        rankings=_rankings(rankings, views),
        missing=_missing(sections, own, rankings, models, evaluation),
        chart=charts,
    )


def _view(section: Section, measures: pd.DataFrame, models: Path) -> dict[str, Any]:
    """Return the values of a section for the template."""
    tables = [tables_of.of_variant(measures, section, each.variant) for each in section.decoded]
    drawn = tables_of.over_alpha(section, tables)
    return {
        "section": section,
        "facts": _facts(section, models),
        "positions": sprites.positions(len(section.rows)),
        "across": sprites.columns(len(section.rows)),
        "down": -(-len(section.rows) // sprites.columns(len(section.rows))),
        "sides": {name: _side(section, side) for name, side in SIDES.items()},
        "confusions": _confusions(section),
        "matrix": len(section.class_names) <= MATRIX_CLASSES,
        "largest_confusion": int(_off_diagonal(section.confusion).max()),
        "charts": drawn,
        "kinds": {line.kind for each in drawn.values() for chart in each for line in chart.lines},
        "data": _data(section, tables),
    }


def _side(section: Section, pixels: int) -> int:
    """Return the width of an image on the page, a whole multiple if the image is small."""
    width = section.image_shape[1]
    return width * max(1, round(pixels / width)) if width <= pixels else pixels


def _facts(section: Section, models: Path) -> dict[str, Any]:
    """Return what was trained, when, for how long and with which versions."""
    runs = section.of.runs
    records = {
        run: model_files.read_json(model_files.record_path(run.path(models))) for run in runs
    }
    finished = sorted(record["finished"] for record in records.values())
    versions = {f"{k} {v}" for r in records.values() for k, v in r["versions"].items()}
    kinds: dict[str, list[float]] = {}
    for run, record in records.items():
        kinds.setdefault(run.model, []).append(record["seconds"])
    return {
        "first": finished[0],
        "last": finished[-1],
        "versions": sorted(versions),
        "kinds": {kind: (len(seconds), sum(seconds)) for kind, seconds in kinds.items()},
        "seconds": sum(record["seconds"] for record in records.values()),
        "models": [(run, records[run]) for run in runs],
    }


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))


def _confusions(section: Section) -> list[tuple[int, int, int, int]]:
    """Return (true class, predicted class, test images, shown images), most frequent first."""
    shown = list(zip(section.labels, section.predicted, strict=True))
    counts = _off_diagonal(section.confusion)
    order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
    pairs = [divmod(int(place), len(counts)) for place in order]
    return [(i, j, int(counts[i, j]), shown.count((i, j))) for i, j in pairs]


def _data(section: Section, tables: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Return the data for the script of the page, with probabilities in thousandths."""
    return {
        "classes": list(map(printable, section.class_names)),
        "rows": section.rows.tolist(),
        "labels": section.labels.tolist(),
        "predicted": section.predicted.tolist(),
        "probabilities": _thousandths(section.probabilities),
        "decoded": [_decoded_data(*pair) for pair in zip(section.decoded, tables, strict=True)],
        "maps": [{"name": printable(maps.name), "count": maps.count} for maps in section.maps],
    }


def _decoded_data(decoded: Decoded, table: pd.DataFrame) -> dict[str, Any]:
    reference = decoded.reference_probabilities
    curves = {title: tables_of.curve(table, name) for name, title in tables_of.TITLES.items()}
    return {
        "layer": printable(decoded.variant.label),
        "alphas": [alpha_text(alpha) for alpha in decoded.alphas],
        "cladec": _thousandths(decoded.probabilities),
        "reference": None if reference is None else _thousandths(reference),
        "lost": None if decoded.lost is None else np.round(decoded.lost, 2).tolist(),
        "measures": [
            {name: f"{curve[alpha]:.4g}" for name, curve in curves.items() if alpha in curve}
            for alpha in decoded.alphas
        ],
    }


def _thousandths(probabilities: np.ndarray) -> list:
    return np.round(probabilities * 1000).astype(int).tolist()


def _rankings(
    rankings: Mapping[Path, pd.DataFrame | None], views: Sequence[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the rankings by classifier and file."""
    models = [pair for view in views for pair in view["facts"]["models"]]
    titles = {record.get("sha256"): run.title for run, record in models}
    shown = {}
    for path, table in rankings.items():
        if table is not None:
            title = titles.get(table[CLASSIFIER].iloc[0]) if CLASSIFIER in table else None
            shown[f"{title}, {path}" if title else str(path)] = _ranking(table)
    return shown


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


def _missing(
    sections: Sequence[Section],
    measures: pd.DataFrame,
    rankings: Mapping[Path, pd.DataFrame | None],
    models: Path,
    evaluation: Path,
) -> list[Missing]:
    """Return the parts that are missing in this report, with the commands that make them."""
    missing = []
    for section in sections:
        missing += _missing_decoders(section, shlex.quote(str(models)))
        missing += _missing_measures(section, measures, models, evaluation)
    foreign = [str(path) for path, table in rankings.items() if table is None and path.exists()]
    if foreign or all(table is None for table in rankings.values()):
        run = sections[0].of.runs[0]
        path = shlex.quote(str(run.classifier_path(models)))
        why = f" ({', '.join(foreign)} ranks another classifier)" if foreign else ""
        missing.append(
            Missing(
                f"the ranking of the explainers{why}",
                f"cladec compare --model {path} --dataset {shlex.quote(run.dataset)}",
            )
        )
    return missing


def _missing_measures(
    section: Section, measures: pd.DataFrame, models: Path, evaluation: Path
) -> list[Missing]:
    """Return the measures that are missing for these models."""
    of = section.of
    of_classifier = measures[tables_of.is_of(measures, of)]
    count, wanted = len(of_classifier[of_classifier["eval"] == "total_loss"]), len(of.measured)
    if count == wanted and section.decoded:
        return []
    what = f"the losses and accuracies of {of.title} over alpha"
    part = f"{what} ({wanted - count} of {wanted} not measured)" if 0 < count < wanted else what
    where, out = (shlex.quote(str(path)) for path in (models, evaluation))
    return [Missing(part, f"cladec evaluate --models {where} --out {out}")]


def _missing_decoders(section: Section, models: str) -> list[Missing]:
    run: Run = section.of.runs[0]
    command = f"cladec train --datasets {shlex.quote(run.dataset)} --out {models}"
    if not section.decoded:
        return [Missing(f"what the layers of {section.of.title} keep", command)]
    missing = [
        Missing(f"{what} of layer {decoded.variant.label} of {section.of.title}", command)
        for decoded in section.decoded
        for what, is_there in (("RefAE", decoded.reference), ("ClaDec", decoded.pictures))
        if not is_there
    ]
    there = {decoded.variant.settings["decoder"] for decoded in section.decoded}
    for name, kind in KINDS.items():
        if name not in (PLAIN, *there):
            part = f"{kind.title}, of {section.of.title}"
            missing.append(Missing(part, f"{command} --decoder {name}"))
    return missing
