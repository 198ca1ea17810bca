"""The stages of long work in Python: told to the caller's function, or shown as a bar."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

from cladec.models.batches import part_of
from cladec.progress import OnProgress, Progress

Stage = Callable[[str], AbstractContextManager[OnProgress]]
"""What begins a stage by its title, and gives the function that takes its progress."""


@contextmanager
def stages(report: OnProgress | None, count: int) -> Iterator[Stage]:
    """Yield what begins each of `count` stages: it tells `report`, or shows a bar for None."""
    if report is None:
        with Progress() as progress:
            progress.begin(count)
            yield progress.step
        return
    parts = (part_of(report, number, count) for number in range(count))
    yield lambda title: nullcontext(cast(OnProgress, next(parts)))
