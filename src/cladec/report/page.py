"""Render sections, measures and rankings as the HTML page of the report."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from cladec.experiments import pages
from cladec.models.recipes import ALPHAS, alpha_text
from cladec.plots import AlphaAxis, sprites
from cladec.report import charts, network
from cladec.report import measures as tables_of
from cladec.report import rankings as rankings_of
from cladec.report.missing import measure_command, missing_parts
from cladec.report.section import Decoded, Section
from cladec.startup import own_version
from cladec.storage import model_files
from cladec.text import printable

MATRIX_CLASSES = 20
"""With more classes, the page lists the largest confusions instead of the matrix."""

LEAST = 5
"""The probability in thousandths below which it is left out where there are many classes."""


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
    models_shown = [model for view in views for model in view["facts"]["models"]]
    return pages.template("cladec.report", "report.html").render(
        style=Markup(pages.text("cladec.report", "report.css")),
        script=Markup(script),
        script_digest=pages.digest(script),
        made=datetime.now(UTC),
        version=own_version(),
        views=views,
        table=tables_of.wide(own) if (own["model"] != "classifier").any() else None,
        rankings=rankings_of.shown(rankings, models_shown),
        missing=missing_parts(sections, own, rankings, models, evaluation),
        measure_command=measure_command(models, evaluation),
        chart=charts,
    )


def _view(section: Section, measures: pd.DataFrame, models: Path) -> dict[str, Any]:
    """Return the values of a section for the template."""
    tables = [tables_of.of_variant(measures, section, each.variant) for each in section.decoded]
    axis = AlphaAxis({*ALPHAS, *(alpha for each in section.decoded for alpha in each.alphas)})
    drawn = tables_of.over_alpha(section, tables, axis)
    across = sprites.columns(len(section.rows))
    return {
        "section": section,
        "facts": _facts(section, models),
        "positions": sprites.positions(len(section.rows)),
        "across": across,
        "down": -(-len(section.rows) // across),
        "is_small": sprites.is_small(section.image_shape),
        "nodes": network.nodes(section),
        "start": network.start(section),
        "confusions": _confusions(section),
        "matrix": len(section.class_names) <= MATRIX_CLASSES,
        "shares": section.confusion / np.maximum(section.confusion.sum(axis=1, keepdims=True), 1),
        "places": [charts.place_of(alpha, axis) for alpha in (0.0, 1.0)],
        "charts": drawn,
        "kinds": {line.kind for each in drawn for chart in each for line in chart.lines},
        "data": _data(section, tables, axis),
    }


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


def _confusions(section: Section) -> list[tuple[int, int, int, int]]:
    """Return (true class, predicted class, test images, shown images), most frequent first."""
    shown = list(zip(section.labels, section.predicted, strict=True))
    counts = section.confusion * (1 - np.eye(len(section.confusion), dtype=int))
    order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
    pairs = [divmod(int(place), len(counts)) for place in order]
    return [(i, j, int(counts[i, j]), shown.count((i, j))) for i, j in pairs]


def _data(section: Section, tables: Sequence[pd.DataFrame], axis: AlphaAxis) -> dict[str, Any]:
    """Return the data for the script of the page, with probabilities in thousandths."""
    return {
        "classes": list(map(printable, section.class_names)),
        "rows": section.rows.tolist(),
        "labels": section.labels.tolist(),
        "predicted": section.predicted.tolist(),
        "probabilities": _thousandths(section.probabilities),
        "decoded": [
            _decoded_data(decoded, table, axis)
            for decoded, table in zip(section.decoded, tables, strict=True)
        ],
        "maps": [
            {"count": maps.count, "effects": list(map(printable, maps.effects))}
            for maps in section.maps
        ],
    }


def _decoded_data(decoded: Decoded, table: pd.DataFrame, axis: AlphaAxis) -> dict[str, Any]:
    reference = decoded.reference_probabilities
    curves = {title: tables_of.curve(table, name) for name, title in tables_of.TITLES.items()}
    return {
        "layer": printable(decoded.variant.layer),
        "label": printable(decoded.variant.label),
        "alphas": [alpha_text(alpha) for alpha in decoded.alphas],
        "places": [charts.place_of(alpha, axis) for alpha in decoded.alphas],
        "cladec": [_thousandths(of_alpha) for of_alpha in decoded.probabilities],
        "said": decoded.probabilities.argmax(axis=-1).tolist() if decoded.alphas else [],
        "reference": None if reference is None else _thousandths(reference),
        "referenceSaid": None if reference is None else reference.argmax(axis=-1).tolist(),
        "lost": None if decoded.lost is None else np.round(decoded.lost, 2).tolist(),
        "measures": [
            {name: f"{curve[alpha]:.4g}" for name, curve in curves.items() if alpha in curve}
            for alpha in decoded.alphas
        ],
    }


def _thousandths(probabilities: np.ndarray) -> list:
    """Return the probabilities of each image (N, K); of many classes, those that count by class."""
    rounded = np.round(probabilities * 1000).astype(int)
    if rounded.shape[1] <= MATRIX_CLASSES:
        return rounded.tolist()
    return [{int(k): int(row[k]) for k in np.flatnonzero(row >= LEAST)} for row in rounded]
