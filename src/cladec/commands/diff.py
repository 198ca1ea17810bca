"""`cladec diff`: compare what each layer of two classifiers keeps."""

import shlex

from cladec.commands.console import print_all, show, suggest
from cladec.commands.layer_settings import Difference
from cladec.experiments.two_models import diff

COLUMNS = {
    "layer": "layer",
    "before": "before",
    "after": "after",
    "difference": "difference",
    "difference_low": "low",
    "difference_high": "high",
    "noise": "noise",
    "verdict": "verdict",
}
"""The columns of the table that is printed, and their names there."""


def run(settings: Difference) -> None:
    """Compare two classifiers; print the differences by layer, and the files written."""
    settings.check()
    names = (settings.before.stem, settings.after.stem)
    found = diff(
        settings.before,
        settings.after,
        settings.dataset,
        layers=settings.layers,
        trained_on=settings.images,
        reference=settings.reference,
        names=names if names[0] != names[1] else ("before", "after"),
        **settings.options,
    )
    table = found.layers[list(COLUMNS)].rename(columns=COLUMNS)
    text = table.to_string(index=False, float_format=lambda value: f"{value:.4f}")
    show("\n".join([text, *found.caption()]))
    files = found.save(settings.out)
    print_all(files)
    suggest(f"open {shlex.quote(str(files[0]))} in a browser")
