"""`cladec leak`: measure what the activations of each layer give away of the pictures."""

from cladec.commands.console import as_text, print_all, show
from cladec.commands.layer_settings import Leaking
from cladec.experiments.leaking import leak


def run(settings: Leaking) -> None:
    """Attack the layers of a classifier; print where to cut it, and the files written."""
    settings.check()
    found = leak(
        settings.classifier,
        settings.dataset,
        layers=settings.layers,
        known=settings.known,
        noise=settings.noise,
        gallery=settings.gallery,
        limit=settings.limit,
        **settings.options,
    )
    show(f"{as_text(found.cuts)}\n{found.in_words()}")
    print_all(found.save(settings.out))
