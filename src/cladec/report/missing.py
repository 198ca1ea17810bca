"""Name what is missing in a report, and the command that makes it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cladec.experiments.runs import Run
from cladec.models.kinds import KINDS, PLAIN
from cladec.report import measures as tables_of
from cladec.report.section import Section


@dataclass(frozen=True)
class Missing:
    """A part that is missing in the report, and the command that makes it."""

    part: str
    command: str


def missing_parts(
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
    return [Missing(part, measure_command(models, evaluation))]


def measure_command(models: Path, evaluation: Path) -> str:
    """Return the command that measures the models."""
    where, out = (shlex.quote(str(path)) for path in (models, evaluation))
    return f"cladec evaluate --models {where} --out {out}"


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
