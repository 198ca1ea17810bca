"""`cladec report`: write saved models and their measures to one HTML file."""

import shlex

from cladec.commands.console import print_all, suggest
from cladec.commands.settings import ReportFile
from cladec.progress import Progress
from cladec.report.write import write_report


def run(settings: ReportFile) -> None:
    """Write the report of saved models, and print its path."""
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
    suggest(f"open {shlex.quote(str(file))} in a browser")
