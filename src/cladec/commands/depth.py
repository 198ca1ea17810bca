"""`cladec depth`: show how much each layer of a classifier keeps of the pictures."""

from cladec.commands.console import print_all, show
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
    table = found.measures[COLUMNS].to_string(
        index=False, na_rep="", float_format=lambda value: f"{value:.3f}"
    )
    show(f"{table}\n{found.in_words()}")
    print_all(found.save(settings.out))
