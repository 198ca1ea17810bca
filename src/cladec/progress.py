"""Progress of long work on a terminal: which of how many, the losses, the time left."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

Report = Callable[[float, Mapping[str, float]], None]
"""Called with the share done, 0 to 1, and the values to show."""


class Progress:
    """One line that changes while a step runs, and one that stays when it is done.

    Where the output is no terminal only the lines that stay are written.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self.console, refresh_per_second=4, transient=True)
        self.steps = self.done = 0
        self._start = time.monotonic()

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def begin(self, steps: int) -> None:
        """Start counting and timing `steps` steps of about equal length."""
        self.steps, self.done, self._start = steps, 0, time.monotonic()

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self.console.print(Text(line))

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        """Run one step; what is yielded is called with how far it is and what to show."""
        start = time.monotonic()
        head = f"[{self.done + 1}/{self.steps}] {title}"
        shown = ""

        def report(share: float, values: Mapping[str, float]) -> None:
            nonlocal shown
            shown = "".join(f", {_words(name)} {value:.4g}" for name, value in values.items())
            self._live.update(Text(f"{head}: {share:.0%}{shown}, {self._time_left(share)} left"))

        report(0.0, {})
        yield report
        self.done += 1
        self.say(f"{head}: {time.monotonic() - start:.1f} s{shown}")

    def _time_left(self, share: float) -> str:
        done = self.done + share
        if done < 0.05:
            return "some time"
        seconds = (time.monotonic() - self._start) * (self.steps - done) / done
        return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _words(name: str) -> str:
    return name.replace("_loss", "").replace("_", " ")
