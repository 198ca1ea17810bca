"""Write saved models and their measures to one self-contained HTML file."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cladec.errors import InputError
from cladec.experiments import records, results
from cladec.experiments.runs import Run, by_classifier, variants
from cladec.parallel.processes import Workers
from cladec.progress import Progress
from cladec.report import page
from cladec.report import rankings as rankings_of
from cladec.report.collector import Collector
from cladec.report.section import ClassifierRuns, LeftOut, Section
from cladec.startup import start_keras
from cladec.storage import model_files
from cladec.storage.tables import read_table

BYTES = 4_000_000
"""The approximate size of all pictures in a report that is small enough to mail."""


def write_report(
    out: Path,
    models: Path,
    *,
    methods: Sequence[str],
    images: int | None = None,
    rankings: Sequence[Path] = (),
    evaluation: Path | None = None,
    data: Path | None = None,
    seed: int = 0,
    workers: int = 0,
    progress: Progress,
) -> Path:
    """Make the report and write it, completely or not at all.

    Args:
        out: the file to write.
        models: the folder with the trained models.
        methods: the names of the explainers whose maps are shown.
        images: the number of test images shown for each classifier; None for as many as fit.
        rankings: tables of comparisons; those of other classifiers are left out.
        evaluation: the folder that eval.py wrote to; None for eval, beside the models.
        data: the present place of picture folders that were moved.
        seed: the seed of the random draws.
        workers: the number of classifiers to process at once; 0 uses only this process.
        progress: the display that shows each classifier.

    Returns:
        The file written.

    Raises:
        InputError: if there are no models, one is damaged, a table cannot be read, a dataset
            cannot be loaded, or no classifier can be shown.
    """
    measured_in = evaluation or models.parent / "eval"
    runs = records.located(records.saved_runs(models), models, data)
    measures = results.own_measures(runs, models, measured_in)
    tables = {path: _ranking(path, runs, models) for path in rankings}
    work = [ClassifierRuns(of_classifier) for of_classifier in by_classifier(runs)]
    space = BYTES / max(1, sum(bool(variants(each.runs)) for each in work))
    collector = Collector(models, images, space, tuple(dict.fromkeys(methods)), seed)
    progress.begin(len(work))
    count = min(workers, len(work))
    if count <= 1:
        start_keras()
    # A single section is made here, since no other work would continue if its process died.
    with Workers(collector, count if count > 1 else 0, progress) as processes:
        sections = dict(processes.run(work))
    shown = _shown([sections[each] for each in work], progress)
    table = measures if len(measures) else None
    text = page.render(shown, table, tables, models=models, evaluation=measured_in)
    model_files.write(out, lambda file: file.write_text(text, "utf-8"))
    return out


def _shown(made: list[Section | LeftOut], progress: Progress) -> list[Section]:
    """Return the sections, and say why other classifiers have none."""
    shown = [each for each in made if isinstance(each, Section)]
    reasons = [each.reason for each in made if isinstance(each, LeftOut)]
    if not shown:
        raise InputError(reasons[0])
    for reason in reasons:
        progress.say(f"left out: {reason}")
    return shown


def _ranking(path: Path, runs: list[Run], models: Path) -> pd.DataFrame | None:
    """Return the table of a comparison; None if it is missing or ranks another classifier."""
    table = read_table(path, rankings_of.COLUMNS)
    if table is None or rankings_of.CLASSIFIER not in table:
        return None
    own = {model_files.checksum(run.path(models)) for run in runs if run.model == "classifier"}
    return table if len(table) and set(table[rankings_of.CLASSIFIER]) <= own else None
