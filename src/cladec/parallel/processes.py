"""Several pieces of work at once, each in a process of its own.

A model of this size does not keep two cores busy: two trainings of one thread each take less time
than the same two, one after the other, with two threads. And what kills a process, as a fault of
native code does, takes no other piece of work with it.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar

from cladec.errors import InputError
from cladec.progress import OnProgress, Progress, Step

SECONDS_TO_CLEAN_UP = 5
"""What a process that is stopped has to remove its temporary files."""


class Titled(Protocol):
    """A piece of work that has a name to show."""

    @property
    def title(self) -> str:
        """What is done."""


Piece = TypeVar("Piece", bound=Titled)
Job = Callable[[Any, OnProgress], Any]
"""Does one piece of work. It is copied into each process once, and may keep there what it needs
again."""


def default_workers() -> int:
    """Two, each with half of the cores; more need more memory than a laptop may have."""
    return min(2, os.cpu_count() or 1)


def check_workers(count: int) -> None:
    """Raises InputError for a number of processes below 0."""
    if count < 0:
        raise InputError(
            f"--workers is {count}: expected at least 1, or 0 for no process but the program's own"
        )


@dataclass(eq=False)
class _Worker:
    """A process, this end of the line to it, and the piece that it does."""

    process: BaseProcess
    line: Connection
    piece: Any = None
    step: Step | None = None


class Workers:
    """Processes that do the pieces of work they are given.

    Args:
        job: does a piece of work; it must survive pickling where `count` is above 0.
        count: of the processes; 0 for this very process, which ends if a piece of work kills it.
        progress: is told what runs and how far it is.
    """

    def __init__(self, job: Job, count: int, progress: Progress):
        self.job, self.count, self.progress = job, count, progress
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._busy:  # in the middle of their work
            worker.process.terminate()
        for worker in self._idle:
            worker.line.close()
        for worker in self._busy:
            worker.process.join(SECONDS_TO_CLEAN_UP)
            worker.process.kill()
        for worker in (*self._busy, *self._idle):
            worker.process.join()

    def run(
        self, pieces: Sequence[Piece], needs: Mapping[Piece, Piece] | None = None
    ) -> Iterator[tuple[Piece, Any]]:
        """Do every piece and yield each with its result as soon as it is done, in any order.

        Args:
            pieces: what is to be done.
            needs: the piece that must be done before a piece; itself it needs none.

        Raises:
            InputError: what a piece raised first; or, once the others are done, the names of the
                pieces whose processes died.
        """
        needs = needs or {}
        died: dict[Piece, str] = {}
        yield from self._run_all([piece for piece in pieces if piece not in needs], died)
        second = [piece for piece in pieces if piece in needs and needs[piece] not in died]
        yield from self._run_all(second, died)
        if died:
            raise lost(died, pieces, needs, _advice(set(died.values()), self.count))

    def _run_all(
        self, pieces: Sequence[Piece], died: dict[Piece, str]
    ) -> Iterator[tuple[Piece, Any]]:
        """Do pieces that need no other; into `died` goes what ended the process of a piece."""
        if not self.count:
            for piece in pieces:
                with self.progress.step(piece.title) as report:
                    result = self.job(piece, report)
                yield piece, result
            return
        waiting = list(reversed(pieces))
        while waiting or self._busy:
            while waiting and len(self._busy) < self.count:
                self._begin(waiting.pop())
            lines = {worker.line: worker for worker in self._busy}
            for line in wait(list(lines)):
                worker = lines[line]  # type: ignore[index]
                try:
                    kind, content = worker.line.recv()
                except (EOFError, OSError):
                    died[worker.piece] = self._bury(worker)
                    continue
                if kind == "failed":
                    raise content
                if kind == "done":
                    yield self._free(worker), content
                else:
                    self._show(worker, *content)

    def _begin(self, piece: Any) -> None:
        """Give a piece to an idle process, or to a new one."""
        if not self._idle:
            with _interrupts_held_back():
                self._idle.append(self._start())
        worker = self._idle.pop()
        worker.piece = piece
        self._busy.append(worker)
        with suppress(OSError):  # it died meanwhile, as its end of the line will tell
            worker.line.send(piece)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        line, other_end = context.Pipe()
        threads = max(1, (os.cpu_count() or 1) // self.count)
        process = context.Process(target=_serve, args=(other_end, threads))
        process.start()
        other_end.close()  # else its end would never be told
        with suppress(OSError):  # it died meanwhile, as its end of the line will tell
            line.send(self.job)
        return _Worker(process, line)

    def _show(self, worker: _Worker, share: float, values: Mapping[str, float]) -> None:
        worker.step = worker.step or Step(self.progress, worker.piece.title)
        worker.step.report(share, values)

    def _free(self, worker: _Worker) -> Any:
        """The piece that the process has done."""
        self._busy.remove(worker)
        self._idle.append(worker)
        if worker.step:
            worker.step.finish()
        worker.step = None
        return worker.piece

    def _bury(self, worker: _Worker) -> str:
        """What ended a process that died."""
        self._busy.remove(worker)
        worker.process.join()
        reason = _reason(worker.process.exitcode or 0)
        if worker.step:
            self.progress.running.remove(worker.step)
        self.progress.say(f"{worker.piece.title}: its process died ({reason}); the others go on")
        return reason


def lost(
    died: Mapping[Piece, str],
    pieces: Collection[Piece],
    needs: Mapping[Piece, Piece],
    advice: str,
) -> InputError:
    """What to say of pieces whose processes died while all others were done.

    Args:
        died: what ended the process of each.
        pieces: all pieces of the work.
        needs: the piece that must be done before a piece.
        advice: how to run the same command again.
    """
    names = ", ".join(f"{piece.title} ({reason})" for piece, reason in died.items())
    left_out = sum(needs.get(piece) in died for piece in pieces)
    hint = f", and {left_out} that need what is missing were not begun" if left_out else ""
    return InputError(
        f"the process died that did {names}{hint}; what else there is to do is done: run the same "
        f"command again {advice}"
    )


def _reason(code: int) -> str:
    names = {-number.value: f"killed by {number.name}" for number in signal.Signals}
    return names.get(code, f"exit code {code}")


def _advice(reasons: Collection[str], count: int) -> str:
    """How to run again what died, to judge by what ended the processes."""
    memory = "killed by SIGKILL"
    advice = []
    if memory in reasons:
        smaller = (
            "--workers 1" if count > 1 else "more memory (or, in training, a smaller --batch-size)"
        )
        advice.append(f"with {smaller}, since SIGKILL mostly means that memory was short")
    if set(reasons) - {memory}:
        advice.append(
            "with TF_ENABLE_ONEDNN_OPTS=0 in the environment, since a part of TensorFlow that "
            "crashes on some layers is then left out"
        )
    return "; or ".join(advice)


def _serve(line: Connection, threads: int) -> None:
    """A new process: it takes its share of the cores, does pieces, and ends with its parent."""
    signal.signal(signal.SIGTERM, _clean_up_and_end)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from cladec.startup import start_keras

    try:
        start_keras(threads)
        with suppress(EOFError):  # there is no more to do
            job = line.recv()  # what it imports may start Keras, so it comes after that
            while True:
                line.send(_work(job, line.recv(), line))
    except SystemExit:
        os._exit(1)  # without waiting for threads of TensorFlow


def _work(job: Job, piece: Any, line: Connection) -> tuple[str, Any]:
    def report(share: float, values: Mapping[str, float]) -> None:
        line.send(("told", (share, dict(values))))

    report(0.0, {})
    try:
        return "done", job(piece, report)
    except Exception as error:
        error.add_note(traceback.format_exc())  # what happened here cannot be seen from there
        return "failed", error


def _clean_up_and_end(*_: Any) -> None:
    raise SystemExit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which is for the one that started them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its start, else at that of the first process, lets them in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
