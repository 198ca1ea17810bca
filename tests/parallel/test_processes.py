"""Work in several processes: results, progress, failures, and what is left when it is stopped."""

import io
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from cladec.errors import InputError
from cladec.parallel.processes import Workers, crash_advice, default_workers
from cladec.progress import Progress


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


def square_or_die(piece: Piece, report) -> int:
    report(0.5, {})
    if piece.value < 0:
        os.kill(os.getpid(), -piece.value)
    return piece.value**2


def silent() -> Progress:
    return Progress(Console(file=io.StringIO(), width=100))


def work(job, pieces: list[Piece], count: int) -> tuple[dict, str]:
    progress = silent()
    progress.begin(len(pieces))
    with Workers(job, count, progress) as workers:
        results = dict(workers.run(pieces))
    return results, progress.console.file.getvalue()


def lines(shown: str) -> list[str]:
    """What was shown, without how long each took."""
    return [re.sub(r": \d+\.\d s.*", "", line) for line in shown.splitlines()]


PIECES = [Piece(f"square {number}", number) for number in range(6)]


def test_no_worker_is_this_process() -> None:
    results, shown = work(square, PIECES, 0)
    assert results == {piece: (piece.value**2, os.getpid()) for piece in PIECES}
    assert shown.splitlines()[0].startswith("[1/6] square 0: ")


def test_keras_that_does_not_start_is_told(monkeypatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "none")
    with pytest.raises(InputError, match="Keras does not start"):
        work(square, PIECES, 2)


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


def work_to_the_end(count: int, pieces: list[Piece], needs=None) -> tuple[dict, str, Progress]:
    """What is done beside what dies, and what is said of that."""
    progress, results = silent(), {}
    progress.begin(len(pieces))

    def do() -> None:
        with Workers(square_or_die, count, progress) as workers:
            for piece, result in workers.run(pieces, needs):
                results[piece.title] = result

    with pytest.raises(InputError) as caught:
        do()
    return results, str(caught.value), progress


def test_the_pieces_whose_processes_died_are_named_and_the_others_done() -> None:
    crash, kill = Piece("crash", -signal.SIGSEGV), Piece("kill", -signal.SIGKILL)
    pieces = [crash, Piece("first", 1), kill, Piece("needs crash", 2), Piece("needs first", 3)]
    needs = {pieces[3]: crash, pieces[4]: pieces[1]}
    results, told, progress = work_to_the_end(2, pieces, needs)
    assert results == {"first": 1, "needs first": 9}
    assert "died that did " in told
    assert "crash (killed by SIGSEGV)" in told
    assert "kill (killed by SIGKILL)" in told
    assert "1 that need the result were not begun" in told
    assert re.search(r"with --workers 1, .*memory.*; or with TF_ENABLE_ONEDNN_OPTS=0", told)
    assert sorted(lines(progress.console.file.getvalue())) == [
        "[1/5] first",
        "[2/5] needs first",
        "crash: its process died (killed by SIGSEGV); the others continue",
        "kill: its process died (killed by SIGKILL); the others continue",
    ]
    assert progress.running == []
    assert not multiprocessing.active_children()


def setting(piece: Piece, report) -> str | None:
    return os.environ.get(piece.title)


def test_what_the_advice_sets_reaches_the_processes(monkeypatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    results, _ = work(setting, [Piece("TF_ENABLE_ONEDNN_OPTS")], 1)
    assert list(results.values()) == ["0"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "TF_ENABLE_ONEDNN_OPTS=0 in the environment.* or with KERAS_BACKEND=jax"),
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "^KERAS_BACKEND=jax .* even without oneDNN"),
        ({"KERAS_BACKEND": "jax"}, "^KERAS_BACKEND=tensorflow"),
    ],
)
def test_nobody_is_advised_what_was_done(settings, words, monkeypatch) -> None:
    for name in ("TF_ENABLE_ONEDNN_OPTS", "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert re.search(words, crash_advice())


def test_one_worker_survives_what_kills_its_process() -> None:
    results, told, _ = work_to_the_end(1, [Piece("abort", -signal.SIGABRT), Piece("two", 2)])
    assert results == {"two": 4}
    assert "abort (killed by SIGABRT)" in told
    assert "memory" not in told
    assert "--workers" not in told


def fail_oddly(piece: Piece, report) -> None:
    raise KeyError(piece.title)


def test_an_unexpected_error_says_where_it_came_from() -> None:
    with pytest.raises(KeyError) as caught:
        work(fail_oddly, PIECES[:1], 1)
    assert "in fail_oddly" in "".join(caught.value.__notes__)


def test_the_default_is_two_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((1, 1), (2, 2), (16, 2), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert default_workers() == workers


SLEEPER = """
import sys
import time
from pathlib import Path

from cladec.progress import Progress
from cladec.parallel.processes import Workers
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


LOST = """
import gc
import os
import signal
import sys
import time

from cladec.parallel.stopping import lost_stops_repeated

number = getattr(signal, sys.argv[1])
if number == signal.SIGTERM:
    signal.signal(number, lambda *_: sys.exit(1))
else:
    signal.signal(number, signal.default_int_handler)


def callback(phase, info):
    if phase == "start":
        gc.callbacks.clear()
        signal.raise_signal(number)


gc.callbacks.append(callback)
try:
    with lost_stops_repeated():
        gc.collect()
        time.sleep(60)
    print("nothing stopped it")
except BaseException as error:
    print(type(error).__name__)
finally:
    print("cleaned up")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
@pytest.mark.parametrize(
    ("name", "raised"), [("SIGTERM", "SystemExit"), ("SIGINT", "KeyboardInterrupt")]
)
def test_a_stop_that_arrives_in_the_garbage_collector_still_stops(name: str, raised: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST, name], capture_output=True, text=True, timeout=40
    )
    assert done.stdout.split("\n")[:2] == [raised, "cleaned up"]
    assert not done.stderr


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see processes")
def test_no_process_outlives_a_killed_program(tmp_path: Path) -> None:
    program, processes = sleeping(tmp_path)
    assert len(processes) == 2
    program.kill()
    program.communicate(timeout=60)
    assert ended(processes)


UNGUARDED = """
import sys
from dataclasses import dataclass
from rich.console import Console
from cladec.errors import InputError
from cladec.parallel.processes import Workers
from cladec.progress import Progress

@dataclass(frozen=True)
class Piece:
    title: str

def square(piece, report):
    return 4

progress = Progress(Console(file=sys.stdout))
progress.begin(1)
try:
    with Workers(square, 1, progress) as workers:
        print(list(workers.run([Piece("square")])))
except InputError as error:
    print(error)
"""


def test_a_script_that_processes_cannot_import_is_told_why(tmp_path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(UNGUARDED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert 'below `if __name__ == "__main__":`' in " ".join(done.stdout.split()), done.stderr
    assert "ONEDNN" not in done.stdout
