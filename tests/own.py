"""A small classifier of one's own, and pictures of two classes for it."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image

from cladec.models.training import seeded

SIDE = 16


def small_network(seed: int, activation: str = "softmax") -> keras.Model:
    with seeded(seed):
        images = keras.Input((SIDE, SIDE, 3))
        hidden = images
        for name, filters in (("early", 4), ("middle", 6)):
            hidden = keras.layers.Conv2D(filters, 3, 2, "same", activation="relu", name=name)(
                hidden
            )
        hidden = keras.layers.GlobalAveragePooling2D(name="pool")(hidden)
        scores = keras.layers.Dense(3, activation=activation, name="scores")(hidden)
        return keras.Model(images, scores, name="small")


def draw_pictures(folder: Path, side: int = SIDE) -> None:
    """Dark cats and bright dogs, in train/ and test/."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for label, name in enumerate(("cat", "dog")):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = 120 * label + 100 * random.random((side, side, 3))
                picture = Image.fromarray(pixels.astype("uint8"))
                picture.save(folder / split / name / f"{number}.png")


def without_classes(pictures: Path, folder: Path) -> Path:
    """The same pictures in one folder without class folders."""
    folder.mkdir()
    for path in sorted(pictures.glob("*/*/*.png")):
        name = "-".join(path.relative_to(pictures).parts)
        (folder / name).write_bytes(path.read_bytes())
    return folder
