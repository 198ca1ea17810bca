"""Does `cladec.WatchLayer` tell the truth about a layer while it learns, and what does it cost?

    TFDS_DATA_DIR=... python benchmarks/watching.py
    TFDS_DATA_DIR=... python benchmarks/watching.py --cost

The network `vgg` learns Fashion-MNIST, watched, once from the right labels and once from labels
drawn at random, which it can only learn by heart. Its weights are kept after each epoch, and a
decoder is then trained in full for each of them, as `fit_cladec` does by itself, on the same
images. The numbers of both are a row of the table; what is printed is how they are correlated over
the epochs. With `--cost` it is only said what processor time watching takes beside an epoch of all
60,000 images.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import garments
import keras
import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

import cladec
from cladec.commands import main as command_line
from cladec.data.dataset import Dataset, Split
from cladec.experiments.yardstick import Yardstick
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

ROOT = Path(__file__).parent.parent
FILE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Watching:
    """Compare what is watched with decoders trained in full."""

    layer: str = "dense"
    """The layer of `vgg`."""
    train: int = 2_500
    """The images that the network learns, and that are watched."""
    epochs: int = 8
    """The epochs of the network."""
    labels: tuple[Literal["right", "random"], ...] = ("right", "random")
    """The labels that it learns from."""
    passes: int | None = None
    """The passes of the decoder after each epoch, instead of the usual ones."""
    cost: bool = False
    """Only measure what watching costs beside an epoch of 60,000 images."""
    seed: int = 0
    """The seed of everything."""
    out: Path = FILE
    """The table."""
    figures: Path = ROOT / "docs" / "img"
    """The folder for the figures."""


class Kept(keras.callbacks.Callback):
    """The weights of a network after each epoch."""

    def on_train_begin(self, logs=None):
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append((self.model.get_weights(), logs["accuracy"]))


class Clocked(cladec.WatchLayer):
    """A layer watched, with the processor seconds that watching takes."""

    processor = 0.0

    def on_epoch_end(self, epoch, logs=None):
        start = time.process_time()
        super().on_epoch_end(epoch, logs)
        self.processor = time.process_time() - start


def learner(data: Dataset, seed: int) -> keras.Model:
    """Return the network before it has learned anything; the order of its images is fixed too."""
    keras.utils.set_random_seed(seed)
    model = cladec.build_classifier(data.image_shape, data.num_classes)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return model


def watched(data: Dataset, settings: Watching, labels: np.ndarray, name: str) -> pd.DataFrame:
    """Return a row for each epoch: what was watched, and what a decoder trained in full says."""
    images, model = data.train.images, learner(data, settings.seed)
    watched_by = {"passes": settings.passes, "class_names": data.class_names}
    watch = cladec.WatchLayer(settings.layer, images, **watched_by)
    kept = Kept()
    options = {"epochs": settings.epochs, "batch_size": 64, "verbose": 0}
    model.fit(images, labels, callbacks=[watch, kept], **options)
    if name == "right":
        save_figure(watch.show(), settings.figures / "watching.png")
    else:
        save_figure(watch.show(), settings.figures / "watching-random.png")
    found = watch.history.assign(labels=name)
    split = replace(
        data,
        train=Split(watch._watched.train, np.zeros(len(watch._watched.train), int)),
        test=Split(watch._watched.test, np.zeros(len(watch._watched.test), int)),
    )
    for row, (weights, accuracy) in enumerate(kept.weights):
        model.set_weights(weights)
        decoder = cladec.fit_cladec(model, settings.layer, split, alpha=0.0, seed=settings.seed)
        yardstick = Yardstick(model, split, settings.seed)
        decoded = decoder.predict(yardstick.images, verbose=0)
        found.loc[row, "accuracy"] = accuracy
        found.loc[row, "full_error"] = yardstick.errors(decoded).mean()
        found.loc[row, "full_fidelity"] = yardstick.same(decoded).mean()
        print(found.iloc[row].to_dict(), flush=True)
    return found


def correlations(table: pd.DataFrame) -> None:
    """Print how far the numbers go together over the epochs."""
    for name, rows in table.groupby("labels"):
        for one, other in (("normalised_error", "full_error"), ("fidelity", "full_fidelity")):
            pair = rows[one], rows[other]
            straight, ranks = pearsonr(*pair).statistic, spearmanr(*pair).statistic
            print(f"{name} labels, {one}: Pearson {straight:.2f}, Spearman {ranks:.2f}")


def cost(settings: Watching) -> None:
    """Print the processor seconds of an epoch of all images, and of watching it."""
    data = garments.some_images(60_000)
    model = learner(data, settings.seed)
    watch = Clocked(settings.layer, data.train.images, passes=settings.passes)
    for number in (1, 2):
        start = time.process_time()
        model.fit(data.train.images, data.train.labels, 64, 1, verbose=0, callbacks=[watch])
        learning = time.process_time() - start - watch.processor
        share = watch.processor / learning
        print(
            f"epoch {number}: {learning:.1f} processor seconds to learn, {watch.processor:.1f} to "
            f"watch, {share:.0%}"
        )


def main(settings: Watching) -> None:
    """Measure, write the table and print the correlations."""
    if settings.cost:
        return cost(settings)
    data = garments.some_images(settings.train)
    drawn = np.random.default_rng(settings.seed).integers(10, size=len(data.train.labels))
    labels = {"right": data.train.labels, "random": drawn}
    tables = [pd.read_csv(settings.out)] if settings.out.exists() else []
    for name in settings.labels:
        tables = [table[table["labels"] != name] for table in tables]
        tables.append(watched(data, settings, labels[name], name))
        write_table(pd.concat(tables), settings.out)
    correlations(pd.concat(tables))


if __name__ == "__main__":
    main(command_line.settings(Watching, description=__doc__))
