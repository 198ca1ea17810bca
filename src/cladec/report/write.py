"""`cladec report`: saved models and their measures -> one HTML file that needs nothing else."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cladec.errors import InputError, check_at_least_one
from cladec.experiments import pictures, subject
from cladec.experiments.evaluation import own_measures, saved_runs
from cladec.experiments.runs import Run
from cladec.parallel.processes import Workers, check_workers, default_workers
from cladec.progress import Progress
from cladec.report.collect import BYTES, MAP_METHODS, Curator
from cladec.report.contents import groups
from cladec.storage import model_files
from cladec.storage.tables import read_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ReportFile:
    """Show saved models and their measures in one HTML file, to look at and to mail around."""

    models: Path = Path("saved-models")
    """Folder of trained models, as create_models.py and eval.py leave it."""
    data: Path | None = None
    """Where folders of pictures are now that were moved since: such a folder itself, or the one
    that they lie in."""
    evaluation: Path | None = None
    """Folder that eval.py wrote into, where measures lie that could not be kept beside the models;
    without it eval, beside the folder of models."""
    ranking: tuple[Path, ...] = (Path("comparison/ranking.csv"),)
    """Tables of cladec compare that rank explainers of these classifiers; others are left out."""
    images: int | None = None
    """Test images of each classifier to show: wrong ones, the most lost, and some of each class.
    Without it as many as keep the file below 5 MB, 24 to 64."""
    methods: tuple[str, ...] = MAP_METHODS
    """Names of explainers whose maps are shown; they are made with fewer samples than explain
    takes."""
    seed: int = 0
    """Of all random numbers."""
    workers: int = field(default_factory=default_workers)
    """How many classifiers are shown at once, each in its own process with its share of the cores;
    one alone is shown by the process of the command itself."""
    out: Path = Path("report.html")
    """The file to write."""

    @property
    def results(self) -> Path:
        """The folder that eval.py wrote into."""
        return self.evaluation or self.models.parent / "eval"

    def check(self) -> None:
        """Find what is wrong with the settings, without TensorFlow.

        Raises:
            InputError: an unknown method, a number out of range, a folder that cannot be written.
        """
        if self.methods:
            subject.check_methods(self.methods, maps_only=True)
        pictures.check_within(self.data)
        check_at_least_one("images", self.images)
        check_workers(self.workers)
        if self.out.is_dir():
            raise InputError(
                f"--out {self.out} is a folder: name a file in it, such as report.html"
            )
        model_files.check_writable(self.out.parent)


def write_report(settings: ReportFile, progress: Progress) -> Path:
    """Make the report and write it, whole or not at all.

    Args:
        settings: what is shown, and where it goes.
        progress: told of each classifier.

    Returns:
        The file written.

    Raises:
        InputError: the settings are wrong, there are no models, one is damaged, a table cannot be
            read, or a dataset cannot be loaded.
    """
    from cladec.report import page

    settings.check()
    runs = pictures.located(saved_runs(settings.models), settings.models, settings.data)
    measures = own_measures(runs, settings.models, settings.results)
    rankings = {path: _ranking(path, runs, settings.models) for path in settings.ranking}
    work = groups(runs)
    methods = tuple(dict.fromkeys(settings.methods))
    space = BYTES / max(1, sum(bool(group.variants) for group in work))
    curator = Curator(settings.models, settings.images, space, methods, settings.seed)
    progress.begin(len(work))
    count = min(settings.workers, len(work))
    # One alone is made here: nothing is left to go on with, if it dies.
    with Workers(curator, count if count > 1 else 0, progress) as workers:
        exhibitions = dict(workers.run(work))
    shown = [exhibitions[group] for group in work]
    text = page.render(settings, shown, measures if len(measures) else None, rankings)
    model_files.write(settings.out, lambda file: file.write_text(text, "utf-8"))
    return settings.out


def _ranking(path: Path, runs: list[Run], models: Path) -> "pd.DataFrame | None":
    """The table of a comparison; None where there is none, or not one of these classifiers."""
    from cladec.report import page

    table = read_table(path, page.RANKING_COLUMNS)
    if table is None or page.CLASSIFIER not in table:
        return None
    own = {model_files.checksum(run.path(models)) for run in runs if run.model == "classifier"}
    return table if len(table) and set(table[page.CLASSIFIER]) <= own else None
