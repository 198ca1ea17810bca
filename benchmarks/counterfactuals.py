"""Counterfactuals of a layer: do classifiers see in the pictures what they are said to show?

    TFDS_DATA_DIR=... python benchmarks/counterfactuals.py

A classifier of Fashion-MNIST (`vgg`, trained on `--train` images), its layers explained, and a
second classifier trained apart: on other images, from another seed. For right answers on test
images the nearest codes are sought that the rest of the network calls its second choice, or a class
drawn at random. The shares of the decoded pictures that the classifier and the second one call so
are set beside what there is without a search: the shares on the decoded pictures of the images as
they are (how often such pictures are seen rightly at all), and codes half way to, or at, the
nearest real image of the class. Distances are shares of the length of an image's own codes.
"""

from dataclasses import dataclass
from pathlib import Path

import garments
import keras
import numpy as np
import pandas as pd

import cladec
from cladec.commands import main as command_line
from cladec.experiments import layer_edits
from cladec.metrics import bootstrap
from cladec.models import batches
from cladec.storage.outputs import save_figure

ROOT = Path(__file__).parent.parent
FILE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Counterfactuals:
    """Search, and ask two classifiers."""

    layers: tuple[str, ...] = ("dense",)
    """The layers of `vgg`."""
    alphas: tuple[float, ...] = (0.0,)
    """The alphas to decode at."""
    train: int = 5_000
    """The number of training images."""
    images: int = 48
    """The number of test images."""
    folder: Path = Path("benchmark-models/garments")
    """Where what is trained is kept."""
    out: Path = FILE
    """The table."""
    figure: Path = ROOT / "docs" / "img" / "counterfactual.png"
    """The figure."""


SEARCHES = {
    "nearest codes": {"smoothness": 0.0, "likeness": 0.0},
    "without smoothness": {"smoothness": 0.0},
    "default": {},
}
"""The options of each search."""


def rightly_seen(
    layer: cladec.LayerExplanation, data: cladec.Dataset, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images that the classifier is right about, their classes and its second choices."""
    images, labels = data.test.images[: 2 * count], data.test.labels[: 2 * count]
    logits = batches.predict(layer.decoder.classifier, images)
    rows = np.flatnonzero(logits.argmax(axis=1) == labels)[:count]
    return images[rows], labels[rows], np.argsort(-logits[rows], axis=1)[:, 1]


def nearest_real(
    layer: cladec.LayerExplanation, codes: np.ndarray, targets: np.ndarray, real: np.ndarray
) -> np.ndarray:
    """Return the codes of the nearest training image that the classifier gives each class."""
    known = layer_edits.codes_of(layer, real)
    answers = batches.predict(layer.decoder.classifier, real).argmax(axis=1)
    flat, result = known.reshape(len(known), -1), np.empty_like(codes)
    for place, (code, target) in enumerate(zip(codes, targets, strict=True)):
        rows = np.flatnonzero(answers == target)
        away = np.square(flat[rows] - code.ravel()).sum(axis=1)
        result[place] = known[rows[away.argmin()]]
    return result


def row_of(seen: np.ndarray, second: np.ndarray, wanted: np.ndarray, distance, found) -> dict:
    """Return the shares of pictures that both classifiers call what was wanted."""
    row = {"images": len(wanted), "found": np.mean(found), "distance": np.mean(distance)}
    for name, answers in (("classifier", seen), ("second", second)):
        right = (answers == wanted).astype(float)
        low, high = bootstrap.interval(bootstrap.resampled_means(right[None]))
        row |= {name: right.mean(), f"{name}_low": low[0], f"{name}_high": high[0]}
    return row


def rows_of(
    layer: cladec.LayerExplanation, second: keras.Model, data: cladec.Dataset, alpha: float, n: int
) -> list[dict]:
    """Return a row for each search and each comparison."""
    images, labels, second_choice = rightly_seen(layer, data, n)
    drawn = np.random.default_rng(0).integers(1, data.num_classes, len(labels))
    rows = []

    def asked(pictures: np.ndarray) -> np.ndarray:
        return batches.predict(second, pictures).argmax(axis=1)

    def add(to: str, method: str, pictures, wanted, distance, found, seen) -> None:
        row = {"layer": layer.layer, "alpha": alpha, "to": to, "method": method}
        rows.append(row | row_of(seen, asked(pictures), wanted, distance, found))

    def decoded(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        edited = layer_edits.of_codes(layer, codes, images, alpha)
        return edited.decoded, edited.seen.argmax(axis=1)

    start = layer_edits.codes_of(layer, images)
    length = np.sqrt(np.square(start).reshape(len(start), -1).sum(axis=1))
    pictures, seen = decoded(start)
    add("itself", "decoded as it is", pictures, labels, 0.0, 1.0, seen)
    for to, targets in (("second choice", second_choice), ("random", (labels + drawn) % 10)):
        for method, options in SEARCHES.items():
            one = cladec.counterfactual(layer, images, targets, alpha=alpha, **options)
            seen = one.seen[:, -1].argmax(axis=1)
            add(to, method, one.path[:, -1], targets, one.distance, one.found, seen)
        real = nearest_real(layer, start, targets, data.train.images)
        for method, share in (("half way to a real image", 0.5), ("nearest real image", 1.0)):
            codes = layer_edits.blended(start, real, share)
            away = np.sqrt(np.square(codes - start).reshape(len(start), -1).sum(axis=1)) / length
            pictures, seen = decoded(codes)
            add(to, method, pictures, targets, away, 1.0, seen)
    return rows


def main(settings: Counterfactuals) -> None:
    """Measure, write the table, draw the figure and print the table."""
    data = garments.some_images(settings.train)
    apart = garments.some_images(settings.train, first=settings.train)
    second = garments.classifier(settings.folder, apart, seed=1)
    rows: list[dict] = []
    for name in settings.layers:
        layer = garments.explained(settings.folder, name, data)
        for alpha in settings.alphas:
            rows += rows_of(layer, second, data, alpha, settings.images)
            table = pd.DataFrame(rows)
            table.to_csv(settings.out, index=False, float_format="%.4f")
        if name == settings.layers[0]:
            few = data.test.labels == data.class_names.index("T-shirt/top")
            shirts = data.test.images[few][:4]
            save_figure(cladec.counterfactual(layer, shirts, to="Shirt").show(), settings.figure)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main(command_line.settings(Counterfactuals, description=__doc__))
