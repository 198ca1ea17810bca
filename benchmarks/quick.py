"""Whether something became slow: ratios to the committed seconds, in about three minutes.

    python benchmarks/quick.py             print the ratios to quick.csv
    python benchmarks/quick.py --commit    write quick.csv anew, on a quiet machine

Times a training step of each kind, a decoder and its evaluation from the shell, each explainer on
digits, the report, and the start of a command. Machines differ: all seconds are also divided by
those of a product of matrices and of a loop in Python, by what they are made of. A ratio above 1.3
is marked. Seconds are processor seconds of all threads and processes, the least of some rounds.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from PIL import Image
from rich.console import Console
from rich.table import Table

import cladec
from cladec.commands import main as command_line
from cladec.explainers import EXPLAINERS

FILE = Path(__file__).with_suffix(".csv")
SLOWER = 1.3
"""The ratio from which on a time is marked."""

SIZE, SAMPLES = 8, 200
"""Images that are explained, and the masks or samples of a method."""

ROUNDS, SHORTEST = 3, 0.5
"""How often a time is measured at least, and for how many seconds."""


@dataclass(frozen=True)
class Bench:
    """Compare the times of this code with the committed ones."""

    commit: bool = False
    """Write the file anew instead of comparing."""
    file: Path = FILE
    """The committed seconds."""


def spent() -> float:
    """Processor seconds of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def least(do: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The processor seconds of the quickest of some rounds, of more if they are short."""
    seconds: list[float] = []
    while len(seconds) < rounds or sum(seconds) < SHORTEST:
        start = spent()
        do()
        seconds.append(spent() - start)
    return min(seconds)


def shell(*words: str | Path) -> None:
    """Run a command of the package."""
    command = [Path(sys.executable).with_name("cladec"), *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def product() -> None:
    """Multiply matrices for a while."""
    matrix = np.random.default_rng(0).random((1_500, 1_500), np.float32)
    for _ in range(10):
        matrix = matrix @ matrix
        matrix /= np.abs(matrix).max()


def loop() -> int:
    """Let Python count for a while."""
    return sum(number % 7 for number in range(5_000_000))


def digits() -> tuple:
    """The built-in digits and a classifier of them."""
    data = cladec.load("digits")
    model = cladec.build_classifier(data.image_shape, data.num_classes)
    return data, model


def trainings() -> dict[str, float]:
    """A pass over the digits by each kind of model, without tracing: the second less the first."""
    data, model = digits()
    one, five = (cladec.Recipe(epochs, 64, 1e-3, 0, 0) for epochs in (1, 5))
    fits: dict[str, Callable[[cladec.Recipe], object]] = {
        "classifier": lambda recipe: cladec.fit_classifier(model, data, recipe=recipe),
        "refae": lambda recipe: cladec.fit_refae(model, "conv", data, recipe=recipe),
        "cladec": lambda recipe: cladec.fit_cladec(model, "conv", data, alpha=0.5, recipe=recipe),
    }
    return {
        f"training: {name}": (least(partial(fit, five)) - least(partial(fit, one))) / 4
        for name, fit in fits.items()
    }


def explanations() -> dict[str, float]:
    """Each explainer on some digits, when it was traced before."""
    data, model = digits()
    recipe = cladec.Recipe(1, 64, 1e-3, 0, 0)
    decoder = cladec.fit_cladec(model, "conv", data, alpha=0.5, recipe=recipe)
    reference = cladec.fit_refae(model, "conv", data, start="fresh", recipe=recipe)
    images, found = data.test.images[:SIZE], {}
    given = {"decoder": decoder, "reference": reference, "backgrounds": data.train.images[:50]}
    drawn = dict.fromkeys(("masks", "samples"), SAMPLES)
    for method, row in EXPLAINERS.items():
        if row.makes_images or method == "anchors":
            continue
        options = {name: value for name, value in (given | drawn).items() if name in row.options}
        call = partial(cladec.explain, model, images, method=method, **options)
        call()
        found[f"explain: {method}"] = least(call)
    return found


def commands(folder: Path) -> dict[str, float]:
    """What a user waits for at the shell."""
    models = folder / "models"
    few = ["--datasets", "digits", "--layers", "dense", "--alphas", "0", "--epochs", "1"]
    evaluated = ["--models", models, "--out", folder / "eval"]
    found = {
        "start: --version": least(lambda: shell("--version")),
        "start: layers --help": least(lambda: shell("layers", "--help")),
        "train: 3 models of digits": least(lambda: shell("train", *few, "--out", models), 1),
        "evaluate: 3 models of digits": least(lambda: shell("evaluate", *evaluated), 1),
        "report: 3 models of digits": least(
            lambda: shell("report", "--models", models, "--out", folder / "report.html"), 1
        ),
    }
    picture, model = folder / "digit.png", next(models.rglob("classifier.keras"))
    Image.fromarray((255 * cladec.load("digits").test.images[0, :, :, 0]).astype(np.uint8)).save(
        picture
    )
    explain = ["--model", model, "--images", picture, "--methods", "grad_cam"]
    one = partial(shell, "explain", *explain, "--out", folder / "explained")
    return found | {"explain: one image": least(one, 1)}


def measure() -> pd.Series:
    """Seconds by name."""
    machine = {"machine: matrices": least(product), "machine: Python": least(loop)}
    with TemporaryDirectory() as folder:
        found = machine | trainings() | explanations() | commands(Path(folder))
    return pd.Series(found, name="seconds").rename_axis("what")


def compared(now: pd.Series, committed: pd.Series) -> Table:
    """A row for each time: the seconds, and the ratios to the committed ones."""
    table = Table("what", "seconds", "committed", "ratio", "for this machine")
    ratios = now / committed.reindex(now.index)
    matrices, python = ratios["machine: matrices"], ratios["machine: Python"]
    for what, ratio in ratios.items():
        is_python = str(what).startswith(("start", "report", "explain: one", "machine: Python"))
        own = ratio / (python if is_python else matrices)
        mark = " slower" if own > SLOWER else ""
        numbers = (now[what], committed.get(what, np.nan))
        texts = [*(f"{value:.3f}" for value in numbers), f"{ratio:.2f}", f"{own:.2f}{mark}"]
        table.add_row(str(what), *texts)
    return table


def main(bench: Bench) -> None:
    """Measure, and compare or write."""
    start, now = time.perf_counter(), measure()
    if bench.commit:
        now.round(4).to_csv(bench.file)
    else:
        committed = pd.read_csv(bench.file, index_col="what")["seconds"]
        Console(width=100).print(compared(now, committed))
    print(f"in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main(command_line.settings(Bench, description=__doc__))
