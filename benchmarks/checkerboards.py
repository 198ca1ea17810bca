"""How much of a checkerboard the decoders of a folder draw: the energy at the stride of their grid.

    python benchmarks/checkerboards.py --models saved-models

A decoder that doubles its grid can draw a pattern every 2 pixels, and one doubling earlier every 4.
The share of the energy at these frequencies is divided by the same share of the test images: 1 is
as in the originals, below is smoother, far above is a checkerboard.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cladec.commands import main as command_line
from cladec.experiments.records import saved_runs
from cladec.experiments.runs import by_classifier
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics.checkerboard import checkerboard
from cladec.storage.tables import write_table

PERIODS = (2, 4)
"""The distances of the lines of a grid in pixels, after the last doubling and the one before."""

FILE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Checkerboards:
    """Measure the decoders of every whole layer."""

    models: Path = Path("saved-models")
    """The folder of the models."""
    images: int = 1_000
    """The most test images to decode."""
    out: Path = FILE
    """The table."""


def main(settings: Checkerboards) -> None:
    """Write and print a row for each decoder."""
    rows = []
    for runs in by_classifier(saved_runs(settings.models)):
        saved = SavedClassifier(runs, settings.models)
        images = saved.data.test.images[: settings.images]
        for run in saved.decoders:
            decoded = saved.decode(run, images)
            found = {f"at_{each}": checkerboard(decoded, images, period=each) for each in PERIODS}
            about = {"dataset": saved.dataset, "architecture": saved.architecture}
            rows.append(about | {"layer": run.layer, "alpha": run.alpha} | found)
    table = pd.DataFrame(rows)
    write_table(table, settings.out)
    print(table.to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    main(command_line.settings(Checkerboards, description=__doc__))
