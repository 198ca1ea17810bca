"""Kill a sweep again and again, start it again each time, and compare with one left in peace.

    python benchmarks/faults.py                50 kills
    python benchmarks/faults.py --kills 5

A round trains models of the embedded digits and evaluates them. Its commands get SIGKILL at random
moments: so long after so many new files, or as soon as a file of some kind is being written. After
each kill the same command is started again at once, until both are through. Then the tables must be
those of an undisturbed round to the digit, what was finished before a kill must not have been
trained again, and no temporary file may be left. Rounds take turns with one process and two, each
with its own undisturbed round: another number of threads adds in another order.
"""

import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cladec.commands import main as command_line
from cladec.errors import InputError
from cladec.storage import model_files

ROOT = Path(__file__).resolve().parent.parent
SWEEP = ["--datasets", "digits", "--layers", "dense", "conv", "--alphas", "0", "0.99"]
SHORT = ["--epochs", "1", "--batch-size", "64"]
TABLES = ("evaluation_result.csv", "evaluation_runs.csv")

KINDS = {
    "training": ("new files", "new files", ".keras", ".json"),
    "evaluating": ("new files", "new files", ".json", ".csv", ".png"),
}
"""What to wait for before a kill, by the work that is killed."""

WRITING = {
    ".evaluation": "saving measures",
    ".csv": "writing a table",
    ".png": "writing a picture",
    ".keras": "saving a model",
    ".json": "saving a model",
}
"""What was going on, by a part of the name of an unfinished file."""


class Round:
    """One training and evaluation, killed and started again until it is through.

    Args:
        folder: where everything goes.
        workers: processes that train or measure.
        kills: how often to kill at most.
        gap: seconds, about what passes between two new files.
        generator: draws the moments.
    """

    def __init__(
        self, folder: Path, workers: int, kills: int, gap: float, generator: random.Random
    ):
        self.folder, self.workers, self.kills = folder, workers, kills
        self.gap, self.generator = gap, generator
        self.models, self.out, self.temporary = (
            folder / name for name in ("saved-models", "eval", "tmp")
        )
        self.temporary.mkdir(parents=True)
        self.where: Counter[str] = Counter()
        self.finished: dict[Path, int] = {}

    def run(self) -> None:
        """Do the whole round."""
        train = ["create_models.py", *SWEEP, *SHORT, "--out", str(self.models)]
        measure = ["eval.py", "--models", str(self.models), "--out", str(self.out)]
        for work, command in (("training", train), ("evaluating", measure)):
            while not self._is_through(work, command):
                pass

    def _is_through(self, work: str, command: list[str]) -> bool:
        with (self.folder / "log.txt").open("w+") as log:
            process = subprocess.Popen(
                [sys.executable, *command, "--workers", str(self.workers)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"TMPDIR": str(self.temporary)},
            )
            if self.where.total() < self.kills:
                self._await_moment(process, self.generator.choice(KINDS[work]))
                process.kill()
            process.wait()
            log.seek(0)
            if process.returncode not in (0, -9):
                sys.exit(f"{command[0]} ended with {process.returncode}: {log.read()}")
        if process.returncode:
            self.where[self._what_was_written() or work] += 1
            self.finished = finished(self.models) | self.finished
        return process.returncode == 0

    def _await_moment(self, process: subprocess.Popen, kind: str) -> None:
        """Wait until it is time to kill, or until the process has ended."""
        before = set(files(self.folder))
        new_files = self.generator.randint(0, 2)
        while process.poll() is None:
            new = {path for path in files(self.folder) if path.name[0] != "."} - before
            if kind == "new files" and len(new) >= new_files:
                # Before the first file there is the start as well.
                time.sleep(self.generator.uniform(0, (2 if new_files else 12) * self.gap))
                return
            if any(kind in path.name for path in unfinished(self.folder)):
                return
            time.sleep(0.001)

    def _what_was_written(self) -> str | None:
        for path in unfinished(self.folder):
            return next(words for part, words in WRITING.items() if part in path.name)
        return None

    def tables(self) -> list[bytes]:
        """The content of what the round has written."""
        return [(self.out / name).read_bytes() for name in TABLES]

    def faults(self, expected: list[bytes]) -> dict[str, int]:
        """How much is not as it should be."""
        now = finished(self.models)
        left = [path for folder in (self.models, self.out) for path in files(folder)]
        return {
            "tables that differ": sum(
                mine != theirs for mine, theirs in zip(self.tables(), expected, strict=True)
            ),
            "finished models trained again": sum(
                now.get(path) != written for path, written in self.finished.items()
            ),
            "temporary files left": sum(path.name[0] == "." for path in left),
            "empty folders left in TMPDIR": len(list(self.temporary.iterdir())),
        }


def files(folder: Path) -> Iterator[Path]:
    """The files below a folder, which others may be changing."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def unfinished(folder: Path) -> list[Path]:
    """Those that are being written."""
    return [path for path in files(folder) if ".unfinished" in path.name]


def finished(models: Path) -> dict[Path, int]:
    """The model files that are whole, each with when it was written."""
    whole = {}
    for path in files(models):
        if path.suffix == ".keras" and path.name[0] != ".":
            try:
                model_files.verify(path)
            except InputError:
                continue
            whole[path] = path.stat().st_mtime_ns
    return whole


def gap_of(undisturbed: Round) -> float:
    """Seconds between two new files of a round that was left in peace."""
    written = [path.stat().st_mtime for path in files(undisturbed.models)]
    return (max(written) - min(written)) / (len(written) - 1)


def main(kills: int = 50, seed: int = 0) -> None:
    """Kill a sweep so often and tell what came of it."""
    generator = random.Random(seed)
    where: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    undisturbed: dict[int, Round] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in itertools.count(1):
            left = kills - where.total()
            if not left:
                break
            workers = 2 - number % 2
            if workers not in undisturbed:
                in_peace = Round(folder / f"undisturbed-{workers}", workers, 0, 0.0, generator)
                in_peace.run()
                undisturbed[workers] = in_peace
            in_peace = undisturbed[workers]
            disturbed = Round(folder / str(number), workers, left, gap_of(in_peace), generator)
            disturbed.run()
            where.update(disturbed.where)
            faults.update(disturbed.faults(in_peace.tables()))
            killed = dict(disturbed.where)
            print(f"round {number}, {workers} workers: {killed}, {dict(faults)}", flush=True)
    print("\n| killed while | times |\n| --- | --- |")
    for words, times in where.most_common():
        print(f"| {words} | {times} |")
    print("\n| what may not be | found |\n| --- | --- |")
    for words, times in faults.items():
        print(f"| {words} | {times} |")


if __name__ == "__main__":
    command_line.settings(main, description=__doc__)
