"""Work in several processes: results, progress, failures, and what is left when it is stopped."""

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from cladec.errors import InputError
from cladec.progress import Progress
from cladec.workers import Workers, default_workers


@dataclass(frozen=True)
class Piece:
    """A piece of work that a process can be sent."""

    title: str
    value: int = 0


def square(piece: Piece, report) -> tuple[int, int]:
    report(0.5, {"loss": piece.value / 2})
    return piece.value**2, os.getpid()


def fail(piece: Piece, report) -> None:
    if piece.value == 1:
        raise InputError("number one cannot be done")


def die(piece: Piece, report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def silent() -> Progress:
    return Progress(Console(file=io.StringIO(), width=100))


def work(job, pieces: list[Piece], count: int) -> tuple[dict, str]:
    progress = silent()
    progress.begin(len(pieces))
    with Workers(job, count, progress) as workers:
        results = dict(workers.run(pieces))
    return results, progress.console.file.getvalue()


PIECES = [Piece(f"square {number}", number) for number in range(6)]


def test_one_worker_is_this_process() -> None:
    results, shown = work(square, PIECES, 1)
    assert results == {piece: (piece.value**2, os.getpid()) for piece in PIECES}
    assert shown.splitlines()[0].startswith("[1/6] square 0: ")


def test_two_workers_do_the_same_in_processes_of_their_own() -> None:
    results, shown = work(square, PIECES, 2)
    assert {piece: value for piece, (value, _) in results.items()} == {
        piece: piece.value**2 for piece in PIECES
    }
    assert os.getpid() not in {process for _, process in results.values()}
    lines = shown.splitlines()
    assert sorted(line.split("] ")[1].split(":")[0] for line in lines) == [
        piece.title for piece in PIECES
    ]
    assert [line.split("]")[0] for line in lines] == [f"[{number}/6" for number in range(1, 7)]
    assert "loss 2.5" in shown
    assert not multiprocessing.active_children()


def test_an_error_of_a_worker_is_raised_here_and_ends_the_others() -> None:
    with pytest.raises(InputError, match="number one cannot be done"):
        work(fail, PIECES, 2)
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(InputError, match=r"killed.*--workers 1"):
        work(die, PIECES, 2)
    assert not multiprocessing.active_children()


def test_the_default_is_two_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (2, 2), (16, 2), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert default_workers() == workers


SLEEPER = """
import sys
import time
from pathlib import Path

from cladec.progress import Progress
from cladec.workers import Workers
from tests_sleeper import Piece, sleep

if __name__ == "__main__":
    with Workers(sleep, 2, Progress()) as workers:
        list(workers.run([Piece(str(number), sys.argv[1]) for number in range(4)]))
"""

SLEEP = """
import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Piece:
    title: str
    folder: str


def sleep(piece, report):
    started = Path(piece.folder) / f"{os.getpid()}.started"
    try:
        started.touch()
        time.sleep(300)
    finally:
        started.rename(started.with_suffix(".cleaned-up"))
"""


def sleeping(folder: Path) -> tuple[subprocess.Popen, list[int]]:
    """A program whose two processes are in the middle of their work, and their numbers."""
    (folder / "sleeper.py").write_text(SLEEPER)
    (folder / "tests_sleeper.py").write_text(SLEEP)
    program = subprocess.Popen(
        [sys.executable, str(folder / "sleeper.py"), str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.started"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    return program, [int(path.stem) for path in folder.glob("*.started")]


def ended(processes: list[int]) -> bool:
    """Whether none of the processes is left a while later."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not [number for number in processes if Path(f"/proc/{number}").exists()]:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see processes")
def test_interrupted_like_in_a_terminal(tmp_path: Path) -> None:
    program, processes = sleeping(tmp_path)
    assert len(processes) == 2
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert errors.count("KeyboardInterrupt") == 1, "only the program itself sees Ctrl-C"
    assert ended(processes)
    assert len(list(tmp_path.glob("*.cleaned-up"))) == 2


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see processes")
def test_no_process_outlives_a_killed_program(tmp_path: Path) -> None:
    program, processes = sleeping(tmp_path)
    assert len(processes) == 2
    program.kill()
    program.communicate(timeout=60)
    assert ended(processes)
