"""Run several pieces of work at once, each in its own process.

A model of this size does not keep two cores busy: two simultaneous trainings with one thread each
are faster than two successive ones with two threads. A crash in native code ends only one process.
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
from cladec.parallel.stopping import lost_stops_repeated
from cladec.progress import OnProgress, Progress, Step

SECONDS_TO_CLEAN_UP = 5
"""The time that a stopped process has to remove its temporary files."""


class Titled(Protocol):
    """A piece of work that has a name to show."""

    @property
    def title(self) -> str:
        """The name of the work."""


Piece = TypeVar("Piece", bound=Titled)
Job = Callable[[Any, OnProgress], Any]
"""A function that does one piece of work; each process keeps one copy of it."""


def default_workers() -> int:
    """Return at most two, because more processes may need more memory than a laptop has."""
    return min(2, os.cpu_count() or 1)


def check_workers(count: int) -> None:
    """Raise InputError for a number of processes below 0."""
    if count < 0:
        raise InputError(
            f"--workers is {count}: expected at least 1, or 0 to use only the command's own process"
        )


@dataclass(eq=False)
class _Worker:
    """A process, this end of the pipe to it, and its present piece of work."""

    process: BaseProcess
    line: Connection
    piece: Any = None
    step: Step | None = None


class Workers:
    """Processes that do pieces of work.

    Args:
        job: the function that does a piece of work; it must be picklable if `count` is above 0.
        count: the number of processes; 0 uses this process, which ends if a piece of work crashes.
        progress: the display that shows the running pieces.
    """

    def __init__(self, job: Job, count: int, progress: Progress):
        self.job, self.count, self.progress = job, count, progress
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._busy:  # these are interrupted in their work
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
        """Do every piece and yield it with its result as soon as it is done, in any order.

        Args:
            pieces: the pieces of work.
            needs: the piece that must be done before a piece; such a piece must not need another.

        Raises:
            InputError: the first error of a piece; or, once the others are done, an error that
                names the pieces whose processes died.
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
        """Do pieces that need no other, and record in `died` why the process of a piece ended."""
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
        with suppress(OSError):  # if the process has died, `recv` will show it
            worker.line.send(piece)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        line, other_end = context.Pipe()
        threads = max(1, (os.cpu_count() or 1) // self.count)
        process = context.Process(target=_serve, args=(other_end, threads))
        process.start()
        other_end.close()  # otherwise the end of the process would go unnoticed
        with suppress(OSError):  # if the process has died, `recv` will show it
            line.send(self.job)
        return _Worker(process, line)

    def _show(self, worker: _Worker, share: float, values: Mapping[str, float]) -> None:
        worker.step = worker.step or Step(self.progress, worker.piece.title)
        worker.step.report(share, values)

    def _free(self, worker: _Worker) -> Any:
        """Mark a process as idle, and return the piece that it has done."""
        self._busy.remove(worker)
        self._idle.append(worker)
        if worker.step:
            worker.step.finish()
        worker.step = None
        return worker.piece

    def _bury(self, worker: _Worker) -> str:
        """Remove a process that died, and return the reason."""
        self._busy.remove(worker)
        worker.process.join()
        reason = _reason(worker.process.exitcode or 0)
        if worker.step:
            self.progress.running.remove(worker.step)
        self.progress.say(f"{worker.piece.title}: its process died ({reason}); the others continue")
        return reason


def lost(
    died: Mapping[Piece, str],
    pieces: Collection[Piece],
    needs: Mapping[Piece, Piece],
    advice: str,
) -> InputError:
    """Return the error about pieces whose processes died while all others were done.

    Args:
        died: the pieces, and the reasons why their processes ended.
        pieces: all pieces of work.
        needs: the piece that must be done before a piece.
        advice: the change to make when the command is run again.
    """
    names = ", ".join(f"{piece.title} ({reason})" for piece, reason in died.items())
    left_out = sum(needs.get(piece) in died for piece in pieces)
    hint = f", and {left_out} that need the result were not begun" if left_out else ""
    return InputError(
        f"the process died that did {names}{hint}; all other work is done: run the same command "
        f"again {advice}"
    )


def _reason(code: int) -> str:
    names = {-number.value: f"killed by {number.name}" for number in signal.Signals}
    return names.get(code, f"exit code {code}")


def _advice(reasons: Collection[str], count: int) -> str:
    """Say how to run the command again, depending on why processes ended."""
    memory = "killed by SIGKILL"
    advice = []
    if memory in reasons:
        smaller = (
            "--workers 1" if count > 1 else "more memory (or, in training, a smaller --batch-size)"
        )
        advice.append(f"with {smaller}, since SIGKILL usually means that memory ran out")
    exited = {reason for reason in reasons if reason.startswith("exit code")}
    if exited:
        advice.append(
            'with its call below `if __name__ == "__main__":` if it is a script of your own, which '
            "every process imports, or for the reason that is printed above"
        )
    if set(reasons) - exited - {memory}:
        advice.append(f"with {crash_advice()}")
    return "; or ".join(advice)


def crash_advice() -> str:
    """Say what to set in the environment when native code crashes."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return "KERAS_BACKEND=tensorflow in the environment, if the other backend crashes"
    other = "KERAS_BACKEND=jax"
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return f"{other} in the environment, since TensorFlow crashes even without oneDNN"
    return (
        "TF_ENABLE_ONEDNN_OPTS=0 in the environment, which turns off a part of TensorFlow that "
        f"crashes on some layers, or with {other}, which does without TensorFlow"
    )


@lost_stops_repeated()
def _serve(line: Connection, threads: int) -> None:
    """Do pieces of work in a new process with its share of the cores; end with the parent."""
    signal.signal(signal.SIGTERM, _clean_up_and_end)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from cladec.startup import start_keras

    try:
        start_keras(threads)
        with suppress(EOFError):  # the work is done
            job = line.recv()  # may import Keras, so Keras is started before
            while True:
                line.send(_work(job, line.recv(), line))
    except InputError as error:  # Keras does not start
        line.send(("failed", error))
    except SystemExit:
        os._exit(1)  # without waiting for threads of TensorFlow


def _work(job: Job, piece: Any, line: Connection) -> tuple[str, Any]:
    def report(share: float, values: Mapping[str, float]) -> None:
        line.send(("told", (share, dict(values))))

    report(0.0, {})
    try:
        return "done", job(piece, report)
    except Exception as error:
        error.add_note(traceback.format_exc())  # the other process cannot see this traceback
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
    """Block Ctrl-C for the processes started here; only their parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its start unblocks SIGINT, so it is started first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
