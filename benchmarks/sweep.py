"""How long the full sweep takes: the published recipe and ours, timed side by side.

    python benchmarks/sweep.py                 a bounded number of steps of each kind of model
    python benchmarks/sweep.py --full          our sweep and its evaluation, whole, as well

Each kind of model is trained for some hundred steps by both, one after the other on the same
machine, and the time of a step is scaled up to the images that its recipe sees: 60,000 training
images, MNIST and Fashion-MNIST, ten alphas, two layers.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import reference
import tensorflow as tf
import tyro
from rich.console import Console
from rich.table import Table

from cladec import classifier, models, recipes
from cladec.data import Dataset, Split

DATASETS = 2
TRAINING_IMAGES = 60_000
WARM_UP_STEPS = 20


@dataclass(frozen=True)
class Bench:
    """Time the published recipe and ours."""

    images: int = 12_800
    """Training images of each timed fit."""
    rounds: int = 2
    """How often each kind is timed by both recipes, in turn; the least time counts."""
    full: bool = False
    """Run our sweep and its evaluation whole, and time that."""
    out: Path = Path("saved-models")
    """Folder for the models of the full sweep."""


@dataclass(frozen=True)
class Kind:
    """One kind of model: how many of it a dataset needs, and how both recipes train it.

    Attributes:
        name: as printed.
        count: models of this kind for one dataset.
        flops: floating-point operations of one image and step, a multiply-add counted twice.
        reference: trains it by the published recipe with a callback.
        ours: trains it by ours with a callback.
        recipe: ours.
    """

    name: str
    count: int
    flops: float
    reference: Callable[[keras.callbacks.Callback], None]
    ours: Callable[[keras.callbacks.Callback], None]
    recipe: recipes.Recipe


class StepTimer(keras.callbacks.Callback):
    """Times the steps behind the warm-up, without the building and the end of a fit."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        """Note when a step has ended."""
        self.times.append(time.perf_counter())

    def microseconds(self, batch_size: int) -> float:
        """Time of one image."""
        times = self.times[WARM_UP_STEPS:]
        return (times[-1] - times[0]) / (len(times) - 1) / batch_size * 1e6


def random_data(count: int) -> Dataset:
    """Images of noise: the time of a step does not depend on what is in them."""
    random = np.random.default_rng(0)
    images = random.random((count, 28, 28, 1), dtype=np.float32)
    split = Split(images, random.integers(0, 10, count))
    return Dataset("noise", split, split, tuple("0123456789"))


def kinds(data: Dataset) -> list[Kind]:
    """Every kind of model of the sweep, ready to be timed by both recipes."""
    images, labels = data.train.images, data.train.labels
    theirs, own = reference.compiled_classifier(), classifier.build_classifier((28, 28, 1), 10)

    def fit_reference(model: keras.Model, targets: np.ndarray) -> Callable:
        options = {"batch_size": reference.BATCH_SIZE, "epochs": 1, "verbose": 0}
        return lambda timer: model.fit(images, targets, callbacks=[timer], **options)

    def once(recipe: recipes.Recipe) -> recipes.Recipe:
        return recipe.with_changes(epochs=1, batch_size=recipe.batch_size)

    def fit_classifier(timer: keras.callbacks.Callback) -> None:
        fresh = classifier.build_classifier((28, 28, 1), 10)
        classifier.fit_classifier(fresh, data, recipe=once(recipes.CLASSIFIER), callbacks=[timer])

    found = [
        Kind(
            "classifier and evaluation classifiers",
            23,
            25e6,
            fit_reference(reference.compiled_classifier(), labels),
            fit_classifier,
            recipes.CLASSIFIER,
        )
    ]
    for layer, decoder_flops in (("dense", 5e6), ("conv", 20e6)):
        codes = models.compute_codes(own, layer, images)
        found.append(
            Kind(
                f"RefAE {layer}",
                1,
                25e6 + decoder_flops,
                fit_reference(reference.compiled_refae(theirs, layer), images),
                lambda timer, layer=layer: models.fit_refae(
                    own, layer, data, recipe=once(recipes.REFAE), callbacks=[timer]
                ),
                recipes.REFAE,
            )
        )
        for alpha, count, name in ((0.0, 1, "alpha 0"), (0.5, 9, "alpha > 0")):
            found.append(
                Kind(
                    f"ClaDec {layer} {name}",
                    count,
                    decoder_flops + (17e6 if alpha else 0.0),
                    fit_reference(reference.ReferenceClaDec(theirs, layer, alpha), labels),
                    lambda timer, layer=layer, alpha=alpha, codes=codes: models.fit_cladec(
                        own,
                        layer,
                        data,
                        alpha=alpha,
                        codes=codes,
                        recipe=once(recipes.CLADEC),
                        callbacks=[timer],
                    ),
                    recipes.CLADEC,
                )
            )
    return found


def timed(train: Callable[[keras.callbacks.Callback], None], batch_size: int) -> float:
    """Microseconds per image of one fit."""
    timer = StepTimer()
    train(timer)
    return timer.microseconds(batch_size)


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


def compare(bench: Bench, console: Console) -> None:
    """Time every kind of model and print the table and the ratio of the whole sweep."""
    rates = {dtype: matrix_rate(dtype) for dtype in ("float32", "bfloat16")}
    for dtype, rate in rates.items():
        console.print(f"matrix product, {dtype}: {rate / 1e9:.0f} GFLOP/s")
    columns = ["kind of model", "models of a dataset"]
    columns += [f"{who} {what}" for what in ("us/image", "images", "s") for who in ("ref.", "our")]
    columns += ["ratio", "of float32 rate"]
    table = Table(*columns, title="reference recipe and ours")
    totals = np.zeros(2)
    for kind in kinds(random_data(bench.images)):
        pairs = [
            (timed(kind.reference, reference.BATCH_SIZE), timed(kind.ours, kind.recipe.batch_size))
            for _ in range(bench.rounds)
        ]
        per_image = np.min(pairs, axis=0)
        seen = np.array([reference.EPOCHS, kind.recipe.epochs]) * TRAINING_IMAGES
        seconds = per_image * seen / 1e6 * kind.count
        totals += seconds
        table.add_row(
            kind.name,
            str(kind.count),
            *(f"{value:.0f}" for value in per_image),
            *(f"{count:,}" for count in seen),
            *(f"{value:.0f}" for value in seconds),
            f"{seconds[0] / seconds[1]:.1f}",
            f"{kind.flops / per_image[1] * 1e6 / rates['float32']:.0%}",
        )
    console.print(table)
    console.print(
        f"training of the full sweep, {DATASETS} datasets, scaled up from {bench.images} images a "
        f"model: reference {DATASETS * totals[0]:,.0f} s, ours {DATASETS * totals[1]:,.0f} s, "
        f"ratio {totals[0] / totals[1]:.2f}"
    )


def run_full(bench: Bench, console: Console) -> None:
    """Run our sweep and its evaluation as a user does, and time both."""
    root = Path(__file__).parent.parent
    for script, option in (("create_models.py", "--out"), ("eval.py", "--models")):
        start = time.perf_counter()
        subprocess.run([sys.executable, root / script, option, bench.out], check=True)
        console.print(f"{script}: {time.perf_counter() - start:,.0f} s")


if __name__ == "__main__":
    settings = tyro.cli(Bench, description=__doc__)
    compare(settings, Console(width=150))
    if settings.full:
        run_full(settings, Console())
