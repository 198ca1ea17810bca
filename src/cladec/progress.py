"""Show the progress of long work on a terminal: the running steps, their losses, the time left."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cladec.text import printable

OnProgress = Callable[[float, Mapping[str, float]], None]
"""A function that is called with the share done, 0 to 1, and the values to show."""

SECONDS_BETWEEN = 60.0
"""How often a running step is told in a log, which has no lines that change."""


class Step:
    """One step of the work, from its start to `finish`.

    Attributes:
        title: the name of the step.
        share: the share done, 0 to 1.
    """

    def __init__(self, progress: "Progress", title: str):
        self.title, self.share = printable(title), 0.0
        self._progress, self._start, self._shown = progress, time.monotonic(), ""
        self._logged = self._start
        progress.running.append(self)
        progress.show()

    def __str__(self) -> str:
        return f"{self.title}: {self.share:.0%}{self._shown}"

    def report(self, share: float, values: Mapping[str, float]) -> None:
        """Show the share done and the values; this is an `OnProgress`."""
        self.share = share
        self._shown = "".join(f", {_words(name)} {value:.4g}" for name, value in values.items())
        self._progress.show()
        now = time.monotonic()
        if not self._progress.console.is_terminal and now - self._logged > SECONDS_BETWEEN:
            self._logged = now
            self._progress.say(str(self))

    def finish(self) -> None:
        """Count the step as done and print its final line."""
        progress = self._progress
        progress.running.remove(self)
        progress.done += 1
        seconds = time.monotonic() - self._start
        progress.say(
            f"[{progress.done}/{progress.steps}] {self.title}: {seconds:.1f} s{self._shown}"
        )
        progress.show()


class Progress:
    """Show a changing line for each running step, and print a final line for each finished one.

    If the output is not a terminal, the final lines are printed, and a line each minute for a step
    that runs longer.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self.console, refresh_per_second=4, transient=True)
        self.running: list[Step] = []
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
        """Print a line that stays on the terminal."""
        self.console.print(Text(printable(line)))

    @contextmanager
    def step(self, title: str) -> Iterator[OnProgress]:
        """Run one step and yield the function that reports its progress."""
        step = Step(self, title)
        yield step.report
        step.finish()

    def show(self) -> None:
        """Redraw the lines of the running steps."""
        summary = f"{self.done} of {self.steps} done, {self._time_left()} left"
        self._live.update(Text("\n".join([*map(str, self.running), summary])))

    def _time_left(self) -> str:
        done = self.done + sum(step.share for step in self.running)
        if done < 0.05:
            return "some time"
        seconds = (time.monotonic() - self._start) * (self.steps - done) / done
        return in_words(seconds)


@contextmanager
def shown(progress: Progress | None) -> Iterator[Progress]:
    """Yield the progress display of the caller, or a new one if there is none."""
    if progress is not None:
        yield progress
        return
    with Progress() as own:
        yield own


def in_words(seconds: float) -> str:
    """Return a time as people say it: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _words(name: str) -> str:
    return name.replace("val_", "held-out ").replace("_loss", "").replace("_", " ")
