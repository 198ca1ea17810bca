"""Whether `cladec.diff` tells the truth: models whose change is known, layer by layer.

    python benchmarks/diff.py
    python benchmarks/diff.py --only itself "90 % pruned" --classifier-images 5000

A classifier is trained first, and compared with itself; with the same one where half of the
channels of a layer are zero; with its weights rounded to 8 bits, each output channel on a scale of
its own; with the smallest 90 % of the weights of every kernel zero; and with one that was trained
with another seed. Each row of the CSV is a layer of one comparison.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from small_classifier import trained

import cladec
from cladec.commands import main as command_line
from cladec.storage.tables import write_table


@dataclass(frozen=True)
class Measurement:
    """Compare a classifier with others whose change is known."""

    dataset: str = "fashion_mnist"
    """The dataset."""
    classifier_images: int = 10_000
    """The images that the classifiers are trained on."""
    layers: tuple[str, ...] = ("block_1", "conv", "dense")
    """The layers to decode."""
    halved: str = "convolution_2"
    """The layer of which half of the channels are zeroed."""
    trained_on: int = 2_000
    """The images that decoders are trained on."""
    measured_on: int = 2_000
    """The test images that the differences are means of."""
    epochs: int | None = None
    """The passes over the images of decoders; None for the usual recipe."""
    seed: int = 0
    """The seed of weights and order."""
    out: Path = Path("benchmarks/diff.csv")
    """The table to write."""
    pages: Path = Path("diff")
    """The folder for the page and the figure of each comparison."""
    only: tuple[str, ...] = ()
    """The comparisons to make, such as "itself" or "90 % pruned"; all unless some are named."""


def copied(classifier: keras.Model) -> keras.Model:
    """Return a copy with the same weights."""
    model = keras.models.clone_model(classifier)
    model.set_weights(classifier.get_weights())
    return model


def with_kernels(
    classifier: keras.Model, change: Callable[[np.ndarray], np.ndarray]
) -> keras.Model:
    """Return a copy of which every kernel is changed."""
    model = copied(classifier)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(change(keras.ops.convert_to_numpy(layer.kernel)))
    return model


def halved(classifier: keras.Model, name: str) -> keras.Model:
    """Return a copy that has every second channel of a layer at zero."""
    model = copied(classifier)
    kernel, bias = model.get_layer(name).get_weights()
    keep = np.arange(len(bias)) % 2
    model.get_layer(name).set_weights([kernel * keep, bias * keep])
    return model


def in_eight_bits(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (..., channels) rounded to -127 to 127 steps of each output channel."""
    step = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)), keepdims=True) / 127
    return np.round(kernel / np.maximum(step, 1e-12)) * step


def pruned(kernel: np.ndarray, share: float = 0.9) -> np.ndarray:
    """Return a kernel whose smallest weights are zero."""
    return np.where(np.abs(kernel) > np.quantile(np.abs(kernel), share), kernel, 0.0)


def main(settings: Measurement) -> None:
    """Make every comparison, print what it says, and write the table."""
    data = cladec.load(settings.dataset)
    classifier = trained(data, settings.classifier_images, seed=settings.seed)
    others = {
        "itself": lambda: copied(classifier),
        f"half of {settings.halved} zero": lambda: halved(classifier, settings.halved),
        "8 bits": lambda: with_kernels(classifier, in_eight_bits),
        "90 % pruned": lambda: with_kernels(classifier, pruned),
        "another seed": lambda: trained(data, settings.classifier_images, seed=settings.seed + 1),
    }
    tables = []
    for name in settings.only or others:
        found = cladec.diff(
            classifier,
            others[name](),
            data,
            layers=settings.layers,
            trained_on=settings.trained_on,
            measured_on=settings.measured_on,
            names=("whole", name),
            epochs=settings.epochs,
            seed=settings.seed,
        )
        about = {"compared_with": name, "first_change": found.first_change or "none"}
        differ = found.answers[found.answers["class"] == "another answer"]["images"].iloc[0]
        tables.append(found.layers.assign(**about, other_answers=differ))
        write_table(pd.concat(tables), settings.out)
        found.save(settings.pages / name.replace(" ", "-").replace("%", "percent"))
        columns = ["layer", "before", "after", "difference", "noise", "verdict"]
        print(f"{name}: {'; '.join(found.caption())}\n{found.layers[columns].to_string()}")


if __name__ == "__main__":
    main(command_line.settings(Measurement, description=__doc__))
