"""How good the decoders are: the recipe of cladec-mnist and ours on the same frozen classifier.

    python benchmarks/quality.py --dataset fashion_mnist
    python benchmarks/quality.py --dataset mnist --seeds 0 --accuracy

Trains both for alphas 0, 0.5, 0.99 and 1 and both layers with each seed, and prints mean and
standard deviation of the losses on the test images. The frozen classifier is the one that
create_models.py left in `--models`. Every result is kept in a CSV at once and is not measured
again, so a run that was stopped goes on. Three seeds take hours on a laptop.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import reference
import sweep

from cladec import models
from cladec.commands import main as command_line
from cladec.data.dataset import Dataset, Split, load
from cladec.models import batches, classifiers, cutting, loading, losses, recipes
from cladec.models.conditional import ConditionalClaDec, fit_conditional
from cladec.models.precision import fastest
from cladec.models.training import ReportProgress
from cladec.parallel.processes import Workers, default_workers
from cladec.progress import OnProgress, Progress

MEASURES = ("total_loss", "reconstruction_loss", "classification_loss")
ACCURACY = "evaluation_accuracy"
Callback = keras.callbacks.Callback


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
    recipes: tuple[str, ...] = ("reference", "ours")
    """Whose decoders to train: reference, ours, or conditional, one of ours for every alpha."""
    accuracy: bool = False
    """Train an evaluation classifier for each decoder too, by its own recipe: twice the time."""
    models: Path = Path("saved-models")
    """Folder of trained models: the frozen classifier is the one there."""
    results: Path = Path("benchmarks/quality.csv")
    """Where results are kept."""
    workers: int = field(default_factory=default_workers)
    """How many models are trained at once."""


@dataclass(frozen=True)
class Cell:
    """One decoder to train, and the alphas at which it is measured: one, if it was made for one."""

    dataset: str
    layer: str
    alphas: tuple[float, ...]
    seed: int
    recipe: str

    @property
    def title(self) -> str:
        """As progress shows it."""
        alphas = " ".join(map(recipes.alpha_text, self.alphas))
        return f"{self.recipe} {self.dataset} {self.layer} alpha {alphas} seed {self.seed}"

    def key(self, alpha: float) -> dict:
        """What a row of the results says that it is of."""
        names = {"dataset": self.dataset, "layer": self.layer, "alpha": alpha}
        return names | {"seed": self.seed, "recipe": self.recipe}


def train_reference(frozen: keras.Model, cell: Cell, data: Dataset, callback: Callback):
    """A decoder of the recipe of cladec-mnist."""
    keras.utils.set_random_seed(cell.seed)
    (alpha,) = cell.alphas
    model = reference.ReferenceClaDec(frozen, cell.layer, alpha)
    fit_by_reference(model, data, cell.seed, callback)
    return model


def fit_by_reference(model: keras.Model, data: Dataset, seed: int, callback: Callback) -> None:
    """Train a compiled model as the recipe of cladec-mnist does."""
    train, batch_size = data.train, reference.BATCH_SIZE
    shuffled = batches.Batches((train.images, train.labels), batch_size, shuffle_seed=seed)
    fed = batches.for_fit(shuffled)
    model.fit(**fed, epochs=reference.EPOCHS, verbose=0, callbacks=[callback])


def our_recipe(kind: str) -> recipes.Recipe:
    """What create_models.py trains with on this machine."""
    return replace(sweep.RECIPES[kind], precision=fastest())


def train_ours(frozen: keras.Model, cell: Cell, data: Dataset, callback: Callback):
    """A decoder of our recipe."""
    (alpha,) = cell.alphas
    options = {"recipe": our_recipe("cladec"), "seed": cell.seed, "callbacks": [callback]}
    return models.fit_cladec(frozen, cell.layer, data, alpha=alpha, **options)


def train_conditional(frozen: keras.Model, cell: Cell, data: Dataset, callback: Callback):
    """A decoder for every alpha."""
    options = {"recipe": our_recipe("conditional"), "seed": cell.seed, "callbacks": [callback]}
    return fit_conditional(frozen, cell.layer, data, **options)


def accuracy_of_reference(data: Dataset, seed: int, callback: Callback) -> float:
    """Test accuracy of an evaluation classifier of the recipe of cladec-mnist."""
    keras.utils.set_random_seed(seed)
    model = reference.compiled_classifier()
    fit_by_reference(model, data, seed, callback)
    return classifiers.accuracy(model, data.test)


def accuracy_of_ours(data: Dataset, seed: int, callback: Callback) -> float:
    """Test accuracy of an evaluation classifier of our recipe."""
    model = classifiers.build_classifier(data.image_shape, data.num_classes, seed=seed)
    options = {"recipe": our_recipe("classifier"), "seed": seed, "callbacks": [callback]}
    classifiers.fit_classifier(model, data, **options)
    return classifiers.accuracy(model, data.test)


RECIPES: dict[str, tuple[Callable, Callable]] = {
    "reference": (train_reference, accuracy_of_reference),
    "ours": (train_ours, accuracy_of_ours),
    "conditional": (train_conditional, accuracy_of_ours),
}


class Comparer:
    """Trains and measures cells, all on one dataset and one frozen classifier."""

    def __init__(self, quality: Quality):
        self.quality = quality
        self.material: tuple[Dataset, keras.Model] | None = None

    def __call__(self, cell: Cell, report: OnProgress) -> list[dict]:
        """The rows of one cell, one for each alpha."""
        if self.material is None:
            path = self.quality.models / cell.dataset / "vgg" / "classifier.keras"
            self.material = load(self.quality.dataset), loading.load_saved(path)
        data, frozen = self.material
        train, accuracy = RECIPES[cell.recipe]
        model = train(frozen, cell, data, ReportProgress(report))
        rows = []
        for alpha in cell.alphas:
            measures = losses_on_test_images(model, frozen, data, alpha)
            if self.quality.accuracy:
                decoded = decoded_data(model, data, alpha)
                measures[ACCURACY] = accuracy(decoded, cell.seed, ReportProgress(report))
            report(1.0, measures)
            rows.append(cell.key(alpha) | measures)
        return rows


def decoded_images(model: keras.Model, images: np.ndarray, alpha: float) -> np.ndarray:
    """What a decoder makes of images, at an alpha that it was trained for."""
    if isinstance(model, ConditionalClaDec):
        return model.predict(images, alpha=alpha)
    return batches.predict(model, images)


def losses_on_test_images(model, frozen: keras.Model, data: Dataset, alpha: float) -> dict:
    """Total, reconstruction and classification loss."""
    decoded = decoded_images(model, data.test.images, alpha)
    logits = batches.predict(cutting.logits(frozen), decoded)
    reconstruction = float(losses.reconstruction(data.test.images, decoded))
    classification = float(losses.classification(data.test.labels, logits))
    total = losses.mix(alpha, reconstruction, classification)
    return dict(zip(MEASURES, (total, reconstruction, classification), strict=True))


def decoded_data(model: keras.Model, data: Dataset, alpha: float) -> Dataset:
    """The dataset as the decoder shows it."""
    splits = (
        Split(decoded_images(model, split.images, alpha), split.labels)
        for split in (data.train, data.test)
    )
    return Dataset(data.name, *splits, data.class_names)


def compare(quality: Quality, progress: Progress) -> pd.DataFrame:
    """Measure what is missing in the results and return those of this dataset and these seeds."""
    kept = pd.read_csv(quality.results) if quality.results.exists() else pd.DataFrame()
    rows = kept.to_dict("records")
    missing = [cell for cell in cells_of(quality) if not is_measured(rows, cell, quality.accuracy)]
    progress.begin(len(missing))
    with Workers(Comparer(quality), quality.workers, progress) as workers:
        for cell, measured in workers.run(missing):
            keys = [cell.key(alpha) for alpha in cell.alphas]
            rows = [row for row in rows if not any(is_of(row, key) for key in keys)] + measured
            pd.DataFrame(rows).to_csv(quality.results, index=False, float_format="%.6f")
    table = pd.DataFrame(rows)
    return table[(table["dataset"] == quality.dataset) & table["seed"].isin(quality.seeds)]


def cells_of(quality: Quality) -> list[Cell]:
    """A decoder for each alpha, or one for all of them."""
    return [
        Cell(quality.dataset, layer, alphas, seed, recipe)
        for seed, layer, recipe in itertools.product(quality.seeds, quality.layers, quality.recipes)
        for alphas in (
            [quality.alphas] if recipe == "conditional" else [(alpha,) for alpha in quality.alphas]
        )
    ]


def is_of(row: dict, key: dict) -> bool:
    """Whether a kept row is of this cell and alpha."""
    return all(row[name] == value for name, value in key.items())


def is_measured(rows: list[dict], cell: Cell, accuracy: bool) -> bool:
    """Whether the kept rows hold what is asked of this cell."""
    held = [row for row in rows if not (accuracy and pd.isna(row.get(ACCURACY)))]
    return all(any(is_of(row, cell.key(alpha)) for row in held) for alpha in cell.alphas)


if __name__ == "__main__":
    with Progress() as progress:
        table = compare(command_line.settings(Quality, description=__doc__), progress)
    shown = [name for name in (*MEASURES, ACCURACY) if name in table]
    summary = table.groupby(["layer", "alpha", "recipe"])[shown].agg(["mean", "std", "count"])
    print(summary.to_string(float_format=lambda value: f"{value:.4f}"))
