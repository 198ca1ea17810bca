"""Define the job that collects the sections of the report, which needs no Keras until it works."""

from dataclasses import dataclass
from pathlib import Path

from cladec.progress import OnProgress
from cladec.report.section import ClassifierRuns, LeftOut, Section


@dataclass(frozen=True)
class Collector:
    """A job for `Workers` that makes the section of a classifier.

    Attributes:
        models: the folder with the trained models.
        images: the number of images in a section; None for as many as `space` allows.
        space: the approximate size of the pictures of one section in bytes.
        methods: the explainers whose maps are drawn.
        seed: the seed of the random draws.
    """

    models: Path
    images: int | None
    space: float
    methods: tuple[str, ...]
    seed: int

    def __call__(self, of: ClassifierRuns, report: OnProgress) -> Section | LeftOut:
        # Keras takes seconds to import, and the process that writes the page does without it.
        from cladec.report.collect import section_of

        return section_of(of, self, report)
