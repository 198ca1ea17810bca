"""How long the full sweep takes: the recipe of cladec-mnist and ours, timed side by side.

    python benchmarks/sweep.py                 a bounded number of steps of each kind of model
    python benchmarks/sweep.py --full          our sweep and its evaluation, whole, as well

Each kind of model is trained for some steps by both, one after the other on the same machine, and
the time of a step is scaled up to the images that its recipe sees: 60,000 training images, MNIST
and Fashion-MNIST, ten alphas, two layers. How often ours sees them before it comes to a plateau is
read from the records of the models that create_models.py left in `--out`. Ours trains as many
models at once as create_models.py does, and its time is that of all of them divided by their
number.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np
import reference
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from cladec import models
from cladec.commands import main as command_line
from cladec.data.dataset import Dataset, Split
from cladec.models import classifiers, plateau, recipes
from cladec.models.precision import Precision, fastest
from cladec.parallel.processes import Workers, default_workers
from cladec.progress import OnProgress, Progress

DATASETS = 2
TRAINING_IMAGES = 60_000
WARM_UP_STEPS = 15

RECIPES = {
    "classifier": recipes.CLASSIFIER,
    "refae": recipes.REFAE,
    "cladec": recipes.CLADEC,
    "conditional": recipes.CONDITIONAL,
}


@dataclass(frozen=True)
class Bench:
    """Time the recipe of cladec-mnist and ours."""

    images: int = 12_800
    """Training images of each timed fit."""
    rounds: int = 2
    """How often each kind is timed by both recipes, in turn; the least time counts."""
    workers: int = field(default_factory=default_workers)
    """How many models ours trains at once."""
    precision: Precision = field(default_factory=fastest)
    """What the layers of ours compute in."""
    full: bool = False
    """Run our sweep and its evaluation whole, and time that."""
    out: Path = Path("saved-models")
    """Folder with the models of the full sweep, or for them."""
    eval_out: Path = Path("eval")
    """Folder for the tables and figures of the full sweep."""


@dataclass(frozen=True)
class Kind:
    """One kind of model of the sweep.

    Attributes:
        title: as printed.
        model: classifier, refae or cladec.
        count: models of this kind for one dataset.
        megaflops: million operations of one image and step of ours, a multiply-add counted twice.
        layer: the layer decoded.
        alpha: weight of the classification loss.
    """

    title: str
    model: str
    count: int
    megaflops: float
    layer: str = ""
    alpha: float = 0.0


KINDS = (
    Kind("classifiers, 22 of them for evaluation", "classifier", 23, 25),
    Kind("RefAE dense", "refae", 1, 33, "dense"),
    Kind("ClaDec dense, alpha 0", "cladec", 1, 10, "dense"),
    Kind("ClaDec dense, alpha > 0", "cladec", 9, 27, "dense", 0.5),
    Kind("RefAE conv", "refae", 1, 45, "conv"),
    Kind("ClaDec conv, alpha 0", "cladec", 1, 20, "conv"),
    Kind("ClaDec conv, alpha > 0", "cladec", 9, 37, "conv", 0.5),
)


class StepTimer(keras.callbacks.Callback):
    """Times the steps behind the warm-up, without the building and the end of a fit."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__()
        self.clock = clock
        self.times: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        """Note when a step has ended."""
        self.times.append(self.clock())

    def microseconds(self, batch_size: int) -> float:
        """Time of one image."""
        times = self.times[WARM_UP_STEPS:]
        return (times[-1] - times[0]) / (len(times) - 1) / batch_size * 1e6


def passes(saved: Path, is_wanted: Callable[[dict], bool]) -> float:
    """How often the saved models with such a run saw the training images, on average."""
    counts = []
    for path in sorted(saved.rglob("*.json")):
        record = json.loads(path.read_text())
        if "history" in record and is_wanted(record["run"]):
            rounds = len(record["history"]["loss"])
            counts.append(rounds * plateau.ROUND if "rate" in record["history"] else rounds)
    if not counts:
        sys.exit(f"no such models in {saved}: run create_models.py first")
    return statistics.mean(counts)


def passes_of(kind: Kind, saved: Path) -> float:
    """How often models of a kind saw the training images."""

    def is_wanted(run: dict) -> bool:
        usual = {"fraction": 1.0, "decoder": "plain", "model": kind.model}
        same_alpha = kind.model != "cladec" or (run["alpha"] == 0) == (kind.alpha == 0)
        return same_alpha and (run | usual | {"layer": kind.layer or None}) == run

    return passes(saved, is_wanted)


def random_data(count: int) -> Dataset:
    """Images of noise: the time of a step does not depend on what is in them."""
    random = np.random.default_rng(0)
    images = random.random((count, 28, 28, 1), dtype=np.float32)
    split = Split(images, random.integers(0, 10, count))
    return Dataset("noise", split, split, tuple("0123456789"))


def time_reference(kind: Kind, data: Dataset) -> float:
    """Microseconds per image of the recipe of cladec-mnist."""
    theirs = reference.compiled_classifier()
    images, labels, timer = data.train.images, data.train.labels, StepTimer()
    options = {"batch_size": reference.BATCH_SIZE, "verbose": 0, "callbacks": [timer]}
    if kind.model == "classifier":
        theirs.fit(images, labels, **options)
    elif kind.model == "refae":
        reference.compiled_refae(theirs, kind.layer).fit(images, images, **options)
    else:
        reference.ReferenceClaDec(theirs, kind.layer, kind.alpha).fit(images, labels, **options)
    return timer.microseconds(reference.BATCH_SIZE)


@dataclass(frozen=True)
class TimeOurs:
    """Microseconds per image of our recipe, in one of the processes that train at once."""

    bench: Bench

    def __call__(self, kind: Kind, report: OnProgress) -> float:
        """Train one model."""
        data, timer = random_data(self.bench.images), StepTimer()
        batch_size = RECIPES[kind.model].batch_size
        recipe = RECIPES[kind.model].with_changes(epochs=1, batch_size=batch_size)
        options = {
            "recipe": replace(recipe, precision=self.bench.precision),
            "callbacks": [timer],
        }
        own = classifiers.build_classifier((28, 28, 1), 10)
        if kind.model == "classifier":
            classifiers.fit_classifier(own, data, **options)
        elif kind.model == "refae":
            models.fit_refae(own, kind.layer, data, **options)
        else:
            models.fit_cladec(own, kind.layer, data, alpha=kind.alpha, **options)
        return timer.microseconds(batch_size)


def time_ours(kind: Kind, bench: Bench, workers: Workers) -> float:
    """Microseconds per image of as many trainings as there are processes, side by side."""
    times = [microseconds for _, microseconds in workers.run([kind] * bench.workers)]
    return statistics.mean(times) / bench.workers


def matrix_rate(dtype: str) -> float:
    """Floating-point operations per second of a large matrix product."""
    size = 2048
    left = tf.cast(tf.random.normal((size, size)), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.cast(tf.matmul(left, left), "float32")))
    product()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        product().numpy()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds)


def compare(bench: Bench, console: Console) -> float:
    """Time every kind of model, print the table, and return the seconds of the whole reference."""
    rates = {dtype: matrix_rate(dtype) for dtype in ("float32", "bfloat16")}
    for dtype, rate in rates.items():
        console.print(f"matrix product, {dtype}: {rate / 1e9:.0f} GFLOP/s")
    rate = rates["float32" if bench.precision == "float32" else "bfloat16"]
    columns = ["kind of model", "models of a dataset"]
    columns += [f"{who} {what}" for what in ("us/image", "images", "s") for who in ("ref.", "our")]
    columns += ["ratio", "of matrix rate"]
    table = Table(*columns, title=f"recipe of cladec-mnist and ours, {bench.precision}")
    data, totals, progress = random_data(bench.images), np.zeros(2), Progress(Console(quiet=True))
    with Workers(TimeOurs(bench), bench.workers, progress) as workers:
        time_ours(KINDS[0], bench, workers)  # Until every process has started.
        for kind in KINDS:
            pairs = [
                (time_reference(kind, data), time_ours(kind, bench, workers))
                for _ in range(bench.rounds)
            ]
            per_image = np.min(pairs, axis=0)
            epochs = np.array([reference.EPOCHS, passes_of(kind, bench.out)])
            seconds = per_image * epochs * TRAINING_IMAGES / 1e6 * kind.count
            totals += seconds
            table.add_row(
                kind.title,
                str(kind.count),
                *(f"{value:.0f}" for value in per_image),
                *(f"{count:,.0f}" for count in epochs * TRAINING_IMAGES),
                *(f"{value:.0f}" for value in seconds),
                f"{seconds[0] / seconds[1]:.1f}",
                f"{kind.megaflops / per_image[1] * 1e12 / rate:.0%}",
            )
    console.print(table)
    theirs, ours = DATASETS * totals
    console.print(
        f"training alone, {DATASETS} datasets, scaled up from {bench.images:,} images a model: "
        f"reference {theirs:,.0f} s, ours {ours:,.0f} s, ratio {theirs / ours:.2f}"
    )
    return float(theirs)


def run_full(bench: Bench, reference_seconds: float, console: Console) -> None:
    """Run our sweep and its evaluation as a user does, and time both."""
    root = Path(__file__).parent.parent
    commands = {
        "create_models.py": ["--out", bench.out],
        "eval.py": ["--models", bench.out, "--out", bench.eval_out],
    }
    total = 0.0
    for script, options in commands.items():
        start = time.perf_counter()
        workers = ["--workers", str(bench.workers)]
        subprocess.run([sys.executable, root / script, *options, *workers], check=True)
        seconds = time.perf_counter() - start
        total += seconds
        console.print(f"{script}: {seconds:,.0f} s")
    console.print(
        f"our whole run, with loading, building, decoding and figures: {total:,.0f} s, ratio to "
        f"the training alone of the reference {reference_seconds / total:.2f}"
    )


if __name__ == "__main__":
    settings = command_line.settings(Bench, description=__doc__)
    scaled_up = compare(settings, Console(width=150))
    if settings.full:
        run_full(settings, scaled_up, Console())
