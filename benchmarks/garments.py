"""What layers are looked at in several benchmarks: a classifier of Fashion-MNIST, explained.

Both are trained once and kept, so that a program that was stopped goes on.
"""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from small_classifier import trained

import cladec
from cladec.data.dataset import Dataset, Split

TEST = 2_000
"""The number of test images that decoders are measured on."""


def some_images(train: int, test: int = TEST, *, first: int = 0) -> Dataset:
    """Return training images of Fashion-MNIST from the one with number `first` on, and a test."""
    data = cladec.load("fashion_mnist")
    rows = slice(first, first + train)
    return replace(
        data,
        train=Split(np.asarray(data.train.images[rows]), data.train.labels[rows]),
        test=Split(np.asarray(data.test.images[:test]), data.test.labels[:test]),
    )


def classifier(folder: Path, data: Dataset, *, seed: int = 0) -> keras.Model:
    """Return the network `vgg` trained on these images, from the folder if it is there."""
    path = folder / f"classifier-{seed}.keras"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        model = trained(data, len(data.train.images), seed=seed)
        model.save(path)
    return cladec.load_model(path)


def explained(folder: Path, layer: str, data: Dataset) -> cladec.LayerExplanation:
    """Return the explanation of a layer of that network, from the folder if it is there."""
    saved = folder / layer
    if not (saved / "explanation.json").exists():
        cladec.explain_layer(classifier(folder, data), layer, data).save(saved)
    return cladec.load_explanation(saved)
