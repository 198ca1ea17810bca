"""`cladec report`: saved models and their measures -> one HTML file."""

from cladec.commands.console import print_all
from cladec.commands.settings import ReportFile
from cladec.progress import Progress
from cladec.report.write import write_report


def run(settings: ReportFile) -> None:
    """Make the report of saved models and print where it is."""
    with Progress() as progress:
        file = write_report(
            settings.out,
            settings.models,
            methods=settings.methods,
            images=settings.images,
            rankings=settings.ranking,
            evaluation=settings.evaluation,
            data=settings.data,
            seed=settings.seed,
            workers=settings.workers,
            progress=progress,
        )
    print_all([file])
