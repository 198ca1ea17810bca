"""`cladec report`: saved models and their measures -> one HTML file that needs nothing else."""

from dataclasses import dataclass, field
from pathlib import Path

from cladec import artifacts, subject
from cladec.curator import BYTES, MAP_METHODS, Curator
from cladec.errors import InputError, check_at_least_one
from cladec.evaluate import RUNS_TABLE, saved_runs
from cladec.exhibits import groups
from cladec.progress import Progress
from cladec.tables import read_table
from cladec.workers import Workers, check_workers, default_workers


@dataclass(frozen=True)
class ReportFile:
    """Show saved models and their measures in one HTML file, to look at and to mail around."""

    models: Path = Path("saved-models")
    """Folder of trained models, as create_models.py leaves it."""
    evaluation: Path = Path("eval")
    """Folder of evaluation_runs.csv, as eval.py leaves it; without it measures are left out."""
    ranking: tuple[Path, ...] = (Path("comparison/ranking.csv"),)
    """Tables of cladec compare that rank explainers; what is not there is left out."""
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

    def check(self) -> None:
        """Find what is wrong with the settings, without TensorFlow.

        Raises:
            InputError: an unknown method, a number out of range, a folder that cannot be written.
        """
        if self.methods:
            subject.check_methods(self.methods, maps_only=True)
        check_at_least_one("images", self.images)
        check_workers(self.workers)
        if self.out.is_dir():
            raise InputError(
                f"--out {self.out} is a folder: name a file in it, such as report.html"
            )
        artifacts.check_writable(self.out.parent)


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
    from cladec import measure_tables, page

    settings.check()
    measures = read_table(settings.evaluation / RUNS_TABLE, measure_tables.COLUMNS)
    rankings = {path: read_table(path, page.RANKING_COLUMNS) for path in settings.ranking}
    work = groups(saved_runs(settings.models))
    methods = tuple(dict.fromkeys(settings.methods))
    space = BYTES / max(1, sum(bool(group.variants) for group in work))
    curator = Curator(settings.models, settings.images, space, methods, settings.seed)
    progress.begin(len(work))
    count = min(settings.workers, len(work))
    # One alone is made here: nothing is left to go on with, if it dies.
    with Workers(curator, count if count > 1 else 0, progress) as workers:
        exhibitions = dict(workers.run(work))
    text = page.render(settings, [exhibitions[group] for group in work], measures, rankings)
    artifacts.write(settings.out, lambda file: file.write_text(text, "utf-8"))
    return settings.out
