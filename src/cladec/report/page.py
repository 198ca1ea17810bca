"""Exhibitions, measures and rankings -> the text of the report."""

import base64
import hashlib
import importlib.resources
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from cladec.experiments.evaluation import METRICS
from cladec.experiments.runs import Run
from cladec.models.recipes import alpha_text
from cladec.report import charts, measure_tables, sprites
from cladec.report.contents import Decoded, Exhibition
from cladec.startup import own_version
from cladec.storage import model_files
from cladec.text import printable

if TYPE_CHECKING:
    from cladec.report.write import ReportFile

RANKING_COLUMNS = ("measure", "method", "mean", "low", "high", "rank", "higher_is_better")

CLASSIFIER = "classifier_sha256"
"""The column of a ranking with the checksum of the classifier whose explanations were ranked."""

MATRIX_CLASSES = 20
"""With more classes the largest confusions are listed instead of the matrix."""

SIDES = {"tile": 56, "map": 112, "large": 140}
"""Pixels of an image on the page, about: whole multiples of its own."""


@dataclass(frozen=True)
class Missing:
    """A part that is left out, and the command that makes it."""

    part: str
    command: str


def render(
    settings: "ReportFile",
    exhibitions: Sequence[Exhibition],
    measures: pd.DataFrame | None,
    rankings: Mapping[Path, pd.DataFrame | None],
) -> str:
    """The report as one HTML page.

    Args:
        settings: of the report.
        exhibitions: what is shown of each classifier.
        measures: the tidy table of what was measured of these models; None where nothing was.
        rankings: the tables of comparisons of these classifiers by their path; None where there is
            none, or one of another classifier.
    """
    script = _template_text("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    own = measure_tables.complete(measures)
    views = [_view(exhibition, own, settings.models) for exhibition in exhibitions]
    return environment.get_template("report.html").render(
        style=Markup(_template_text("report.css")),
        script=Markup(script),
        script_digest=digest,
        made=datetime.now(UTC),
        version=own_version(),
        views=views,
        table=measure_tables.wide(own) if (own["model"] != "classifier").any() else None,
        rankings=_rankings(rankings, views),
        missing=_missing(settings, exhibitions, own, rankings),
        chart=charts,
    )


def _shown(value: Any) -> Any:
    """Text as the page shows it."""
    is_text = isinstance(value, str | Path) and not isinstance(value, Markup)
    return printable(str(value)) if is_text else value


def _template_text(name: str) -> str:
    return importlib.resources.files("cladec.report").joinpath("templates", name).read_text("utf-8")


def _view(exhibition: Exhibition, measures: pd.DataFrame, models: Path) -> dict[str, Any]:
    """What the template shows of a exhibition."""
    tables = [
        measure_tables.of_variant(measures, exhibition, each.variant) for each in exhibition.decoded
    ]
    drawn = measure_tables.over_alpha(exhibition, tables)
    return {
        "exhibition": exhibition,
        "facts": _facts(exhibition, models),
        "positions": sprites.positions(len(exhibition.rows)),
        "across": sprites.columns(len(exhibition.rows)),
        "down": -(-len(exhibition.rows) // sprites.columns(len(exhibition.rows))),
        "sides": {name: _side(exhibition, side) for name, side in SIDES.items()},
        "confusions": _confusions(exhibition),
        "matrix": len(exhibition.class_names) <= MATRIX_CLASSES,
        "largest_confusion": int(_off_diagonal(exhibition.confusion).max()),
        "charts": drawn,
        "kinds": {line.kind for each in drawn.values() for chart in each for line in chart.lines},
        "data": _data(exhibition, tables),
    }


def _side(exhibition: Exhibition, pixels: int) -> int:
    """The width of an image on the page: a whole multiple of its own where that is small."""
    width = exhibition.image_shape[1]
    return width * max(1, round(pixels / width)) if width <= pixels else pixels


def _facts(exhibition: Exhibition, models: Path) -> dict[str, Any]:
    """What was trained when, for how long and with what."""
    runs = exhibition.group.runs
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


def _confusions(exhibition: Exhibition) -> list[tuple[int, int, int, int]]:
    """True and predicted class, test images, images shown; the most frequent first."""
    shown = list(zip(exhibition.labels, exhibition.predicted, strict=True))
    counts = _off_diagonal(exhibition.confusion)
    order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
    pairs = [divmod(int(place), len(counts)) for place in order]
    return [(i, j, int(counts[i, j]), shown.count((i, j))) for i, j in pairs]


def _data(exhibition: Exhibition, tables: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """What the script of the page needs; probabilities in thousandths."""
    return {
        "classes": list(map(printable, exhibition.class_names)),
        "rows": exhibition.rows.tolist(),
        "labels": exhibition.labels.tolist(),
        "predicted": exhibition.predicted.tolist(),
        "probabilities": _thousandths(exhibition.probabilities),
        "decoded": [_decoded_data(*pair) for pair in zip(exhibition.decoded, tables, strict=True)],
        "maps": [{"name": printable(maps.name), "count": maps.count} for maps in exhibition.maps],
    }


def _decoded_data(decoded: Decoded, table: pd.DataFrame) -> dict[str, Any]:
    reference = decoded.reference_probabilities
    curves = {measure_tables.TITLES[name]: measure_tables.curve(table, name) for name in METRICS}
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
    """The rankings by classifier and file."""
    models = [pair for view in views for pair in view["facts"]["models"]]
    titles = {record.get("sha256"): run.title for run, record in models}
    shown = {}
    for path, table in rankings.items():
        if table is not None:
            title = titles.get(table[CLASSIFIER].iloc[0]) if CLASSIFIER in table else None
            shown[f"{title}, {path}" if title else str(path)] = _ranking(table)
    return shown


def _ranking(table: pd.DataFrame) -> dict[str, Any]:
    """Methods in rows, measures in columns, each with where its interval lies in its column."""
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
    settings: "ReportFile",
    exhibitions: Sequence[Exhibition],
    measures: pd.DataFrame,
    rankings: Mapping[Path, pd.DataFrame | None],
) -> list[Missing]:
    """What is not in this report, with the command that makes it."""
    models = shlex.quote(str(settings.models))
    missing = []
    for exhibition in exhibitions:
        missing += _missing_decoders(exhibition, models)
        missing += _missing_measures(exhibition, measures, settings)
    foreign = [str(path) for path, table in rankings.items() if table is None and path.exists()]
    if foreign or all(table is None for table in rankings.values()):
        run = exhibitions[0].group.runs[0]
        path = shlex.quote(str(run.classifier_path(settings.models)))
        why = f" ({', '.join(foreign)} is not of these classifiers)" if foreign else ""
        missing.append(
            Missing(
                f"the ranking of the explainers{why}",
                f"cladec compare --model {path} --dataset {shlex.quote(run.dataset)}",
            )
        )
    return missing


def _missing_measures(
    exhibition: Exhibition, measures: pd.DataFrame, settings: "ReportFile"
) -> list[Missing]:
    """What was not measured of these very models."""
    group = exhibition.group
    of_group = measures[measure_tables.is_of(measures, group)]
    count, wanted = len(of_group[of_group["eval"] == "total_loss"]), len(group.measured)
    if count == wanted and exhibition.decoded:
        return []
    what = f"the losses and accuracies of {group.title} over alpha"
    part = f"{what} ({wanted - count} of {wanted} not measured)" if 0 < count < wanted else what
    models, out = (shlex.quote(str(path)) for path in (settings.models, settings.results))
    return [Missing(part, f"cladec evaluate --models {models} --out {out}")]


def _missing_decoders(exhibition: Exhibition, models: str) -> list[Missing]:
    run: Run = exhibition.group.runs[0]
    command = f"cladec train --datasets {shlex.quote(run.dataset)} --out {models}"
    if not exhibition.decoded:
        return [Missing(f"what the layers of {exhibition.group.title} keep", command)]
    missing = [
        Missing(f"{what} of layer {decoded.variant.label} of {exhibition.group.title}", command)
        for decoded in exhibition.decoded
        for what, is_there in (("RefAE", decoded.reference), ("ClaDec", decoded.pictures))
        if not is_there
    ]
    kinds = {decoded.variant.settings["decoder"] for decoded in exhibition.decoded}
    for kind, part in (
        ("conditional", "one network for every alpha, which the slider shows finely"),
        ("variational", "variational decoders"),
    ):
        if kind not in kinds:
            missing.append(Missing(f"{part}, of {exhibition.group.title}", f"{command} --{kind}"))
    return missing
