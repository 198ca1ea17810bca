"""`cladec depth`: show how much each layer of a classifier keeps of the pictures."""

from cladec.commands.console import as_text, print_all, show
from cladec.commands.layer_settings import ByDepth
from cladec.experiments.by_depth import depth

COLUMNS = ["layer", "shape", "normalised_error", "thumbnail_error", "fidelity", "seconds"]
"""The columns of the table that is printed."""


def run(settings: ByDepth) -> None:
    """Decode the layers of a classifier; print the measures, and the files written."""
    settings.check()
    found = depth(
        settings.classifier,
        settings.dataset,
        layers=settings.layers,
        trained_on=settings.images,
        **settings.options,
    )
    show(f"{as_text(found.measures[COLUMNS])}\n{found.in_words()}")
    print_all(found.save(settings.out))
