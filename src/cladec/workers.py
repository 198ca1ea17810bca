"""Several pieces of work at once, each in a process of its own.

A model of this size does not keep two cores busy: two trainings of one thread each take less time
than the same two, one after the other, with two threads.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeVar

from cladec.errors import InputError
from cladec.progress import Progress, Report, Step

SECONDS = 0.25
"""How often what the processes told is shown."""

SECONDS_TO_CLEAN_UP = 5
"""What a process that is stopped has to remove its temporary files."""


class Titled(Protocol):
    """A piece of work that has a name to show."""

    @property
    def title(self) -> str:
        """What is done."""


Piece = TypeVar("Piece", bound=Titled)
Job = Callable[[Any, Report], Any]
"""Does one piece of work. It is copied into each process once, and may keep there what it needs
again."""


def default_workers() -> int:
    """Two, each with half of the cores; more need more memory than a laptop may have."""
    return min(2, os.cpu_count() or 1)


class Workers:
    """Processes that do the pieces of work they are given; one alone is this very process.

    Args:
        job: does a piece of work; it must survive pickling where `count` is more than one.
        count: of the processes.
        progress: is told what runs and how far it is.
    """

    def __init__(self, job: Job, count: int, progress: Progress):
        self.job, self.progress = job, progress
        self._pool: ProcessPoolExecutor | None = None
        if count > 1:
            context = multiprocessing.get_context("spawn")
            self._messages = context.SimpleQueue()
            self._others = multiprocessing.active_children()
            threads = max(1, (os.cpu_count() or 1) // count)
            self._pool = ProcessPoolExecutor(count, context, _start, (job, self._messages, threads))

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is None:
            return
        if kind is not None:
            self._stop()
        self._pool.shutdown(cancel_futures=True)

    def _stop(self) -> None:
        """End the processes in the middle of their work."""
        mine = [child for child in multiprocessing.active_children() if child not in self._others]
        for process in mine:
            process.terminate()
        for process in mine:
            process.join(SECONDS_TO_CLEAN_UP)
            process.kill()

    def run(
        self, pieces: Sequence[Piece], needs: Mapping[Piece, Piece] | None = None
    ) -> Iterator[tuple[Piece, Any]]:
        """Do every piece and yield each with its result as soon as it is done, in any order.

        Args:
            pieces: what is to be done.
            needs: the piece that must be done before a piece; itself it needs none.

        Raises:
            InputError: what a piece raised first, or a process was killed.
        """
        needs = needs or {}
        yield from self._run_all([piece for piece in pieces if piece not in needs])
        yield from self._run_all([piece for piece in pieces if piece in needs])

    def _run_all(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Any]]:
        if self._pool is not None:
            yield from self._run_in(self._pool, pieces)
            return
        for piece in pieces:
            with self.progress.step(piece.title) as report:
                result = self.job(piece, report)
            yield piece, result

    def _run_in(
        self, pool: ProcessPoolExecutor, pieces: Sequence[Piece]
    ) -> Iterator[tuple[Piece, Any]]:
        with _interrupts_held_back():
            futures = {
                pool.submit(_work, number, piece): number for number, piece in enumerate(pieces)
            }
        steps: dict[int, Step] = {}
        unfinished: set[Future] = set(futures)
        while unfinished:
            finished, unfinished = wait(unfinished, SECONDS, "FIRST_COMPLETED")
            self._hear(pieces, steps)
            for future in finished:
                number = futures[future]
                result = _result(future)
                steps.pop(number).finish()
                yield pieces[number], result

    def _hear(self, pieces: Sequence[Titled], steps: dict[int, Step]) -> None:
        """Show what the processes have told since."""
        while not self._messages.empty():
            number, share, values = self._messages.get()
            if number not in steps:
                steps[number] = Step(self.progress, pieces[number].title)
            steps[number].report(share, values)


def _result(future: Future) -> Any:
    try:
        return future.result()
    except BrokenProcessPool:
        raise InputError(
            "a process was killed, perhaps for want of memory: run the same command again, with "
            "--workers 1"
        ) from None


_job: Job
_messages: Any


def _start(job: Job, messages: Any, threads: int) -> None:
    """Make a new process ready: it gets its share of the cores, and ends when its parent does."""
    global _job, _messages
    _job, _messages = job, messages
    signal.signal(signal.SIGTERM, _clean_up_and_end)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from cladec.startup import start_keras

    start_keras(threads)


def _clean_up_and_end(*_: Any) -> None:
    raise SystemExit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _work(number: int, piece: Any) -> Any:
    """Do a piece of work in a process of `Workers`."""
    report = partial(_tell, number)
    report(0.0, {})
    try:
        return _job(piece, report)
    except SystemExit:
        os._exit(1)  # The executor would take it for the result of this piece and go on.


def _tell(number: int, share: float, values: Any) -> None:
    _messages.put((number, share, dict(values)))


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which is for the one that started them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
