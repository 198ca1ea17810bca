"""How good the decoders are: the published recipe and ours on the same frozen classifier.

    python benchmarks/quality.py --dataset fashion_mnist
    python benchmarks/quality.py --dataset mnist --seeds 0 --accuracy

Trains both for alphas 0, 0.5, 0.99 and 1 and both layers with each seed, and prints mean and
standard deviation of the losses on the test images. Every result is kept in a CSV at once and is
not measured again, so a run that was stopped goes on. Three seeds take hours on a laptop.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import reference
import tyro

from cladec import artifacts, batches, classifier, losses, models, submodel
from cladec.data import Dataset, Split, load

COLUMNS = ("dataset", "layer", "alpha", "seed", "recipe")
MEASURES = ("total_loss", "reconstruction_loss", "classification_loss")
ACCURACY = "evaluation_accuracy"


@dataclass(frozen=True)
class Quality:
    """Compare the decoders of both recipes."""

    dataset: str = "fashion_mnist"
    """What to train on."""
    layers: tuple[str, ...] = ("dense", "conv")
    """Layers to decode."""
    alphas: tuple[float, ...] = (0.0, 0.5, 0.99, 1.0)
    """Weights of the classification loss."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One training by each recipe for each seed."""
    accuracy: bool = False
    """Train an evaluation classifier for each decoder too, by its own recipe: twice the time."""
    models: Path = Path("saved-models")
    """Folder of trained models: the frozen classifier is the one there."""
    results: Path = Path("benchmarks/quality.csv")
    """Where results are kept."""


def train_reference(frozen: keras.Model, layer: str, data: Dataset, alpha: float, seed: int):
    """A decoder of the published recipe."""
    keras.utils.set_random_seed(seed)
    model = reference.ReferenceClaDec(frozen, layer, alpha)
    fit_by_reference(model, data.train.images, data.train.labels)
    return model


def fit_by_reference(model: keras.Model, images: np.ndarray, targets: np.ndarray) -> None:
    """Train a compiled model as the published recipe does."""
    batch_size, epochs = reference.BATCH_SIZE, reference.EPOCHS
    model.fit(images, targets, batch_size=batch_size, epochs=epochs, verbose=0)


def train_ours(frozen: keras.Model, layer: str, data: Dataset, alpha: float, seed: int):
    """A decoder of our recipe."""
    return models.fit_cladec(frozen, layer, data, alpha=alpha, seed=seed)


def accuracy_of_reference(data: Dataset, seed: int) -> float:
    """Test accuracy of an evaluation classifier of the published recipe."""
    keras.utils.set_random_seed(seed)
    model = reference.compiled_classifier()
    fit_by_reference(model, data.train.images, data.train.labels)
    return classifier.accuracy(model, data.test)


def accuracy_of_ours(data: Dataset, seed: int) -> float:
    """Test accuracy of an evaluation classifier of our recipe."""
    model = classifier.build_classifier(data.image_shape, data.num_classes, seed=seed)
    classifier.fit_classifier(model, data, seed=seed)
    return classifier.accuracy(model, data.test)


RECIPES: dict[str, tuple[Callable, Callable]] = {
    "reference": (train_reference, accuracy_of_reference),
    "ours": (train_ours, accuracy_of_ours),
}


def measure(model: keras.Model, frozen: keras.Model, data: Dataset, alpha: float) -> dict:
    """The losses on the test images."""
    decoded = batches.predict(model, data.test.images)
    logits = batches.predict(submodel.logits(frozen), decoded)
    reconstruction = float(losses.reconstruction(data.test.images, decoded))
    classification = float(losses.classification(data.test.labels, logits))
    total = losses.mix(alpha, reconstruction, classification)
    return dict(zip(MEASURES, (total, reconstruction, classification), strict=True))


def decoded_data(model: keras.Model, data: Dataset) -> Dataset:
    """The dataset as the decoder shows it."""
    splits = (
        Split(batches.predict(model, split.images), split.labels)
        for split in (data.train, data.test)
    )
    return Dataset(data.name, *splits, data.class_names)


def compare(quality: Quality) -> pd.DataFrame:
    """Measure what is missing in the results and return those of these settings."""
    data = load(quality.dataset)
    frozen = artifacts.load(quality.models / data.name / "vgg" / "classifier.keras")
    kept = pd.read_csv(quality.results) if quality.results.exists() else pd.DataFrame()
    rows = kept.to_dict("records")
    for cell in itertools.product(
        [data.name], quality.layers, quality.alphas, quality.seeds, RECIPES
    ):
        if any(is_measured(row, cell, quality.accuracy) for row in rows):
            continue
        _, layer, alpha, seed, recipe = cell
        train, accuracy = RECIPES[recipe]
        model = train(frozen, layer, data, alpha, seed)
        row = dict(zip(COLUMNS, cell, strict=True)) | measure(model, frozen, data, alpha)
        if quality.accuracy:
            row[ACCURACY] = accuracy(decoded_data(model, data), seed)
        print(row, flush=True)
        rows.append(row)
        pd.DataFrame(rows).to_csv(quality.results, index=False)
    table = pd.DataFrame(rows)
    return table[(table["dataset"] == data.name) & table["seed"].isin(quality.seeds)]


def is_measured(row: dict, cell: tuple, accuracy: bool) -> bool:
    """Whether a kept row is of this cell and holds what is asked for."""
    same = all(row[column] == value for column, value in zip(COLUMNS, cell, strict=True))
    return same and not (accuracy and pd.isna(row.get(ACCURACY)))


if __name__ == "__main__":
    table = compare(tyro.cli(Quality, description=__doc__))
    shown = [name for name in (*MEASURES, ACCURACY) if name in table]
    summary = table.groupby(["layer", "alpha", "recipe"])[shown].agg(["mean", "std", "count"])
    print(summary.to_string(float_format=lambda value: f"{value:.4f}"))
