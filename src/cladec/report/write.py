"""Saved models and their measures -> one HTML file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cladec.experiments import records, results
from cladec.experiments.runs import Run, by_classifier, variants
from cladec.parallel.processes import Workers
from cladec.progress import Progress
from cladec.report import page
from cladec.report.collect import BYTES, Collector
from cladec.report.section import ClassifierRuns
from cladec.storage import model_files
from cladec.storage.tables import read_table


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
    """Make the report and write it, whole or not at all.

    Args:
        out: the file to write.
        models: the folder of trained models.
        methods: the names of explainers whose maps are shown.
        images: how many test images of each classifier are shown; None for as many as fit.
        rankings: tables of comparisons; those of other classifiers are left out.
        evaluation: the folder that eval.py wrote into; None for eval, beside the models.
        data: where folders of pictures are now that were moved.
        seed: of whatever is drawn.
        workers: how many classifiers are shown at once; 0 for this very process.
        progress: told of each classifier.

    Returns:
        The file written.

    Raises:
        InputError: there are no models, one is damaged, a table cannot be read, or a dataset cannot
            be loaded.
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
    # One alone is made here: nothing is left to go on with, if it dies.
    with Workers(collector, count if count > 1 else 0, progress) as processes:
        sections = dict(processes.run(work))
    shown = [sections[each] for each in work]
    table = measures if len(measures) else None
    text = page.render(shown, table, tables, models=models, evaluation=measured_in)
    model_files.write(out, lambda file: file.write_text(text, "utf-8"))
    return out


def _ranking(path: Path, runs: list[Run], models: Path) -> pd.DataFrame | None:
    """The table of a comparison; None where there is none, or not one of these classifiers."""
    table = read_table(path, page.RANKING_COLUMNS)
    if table is None or page.CLASSIFIER not in table:
        return None
    own = {model_files.checksum(run.path(models)) for run in runs if run.model == "classifier"}
    return table if len(table) and set(table[page.CLASSIFIER]) <= own else None
