"""How few images and passes put the layers of a classifier in the same order as a full training.

    python benchmarks/depth.py
    python benchmarks/depth.py --dataset mnist --images 1000 10000 --full 60000 --full-epochs 10

A classifier is trained first, by its usual recipe. `cladec.depth` then decodes all of its layers at
several costs; the last one is the full training, to which the others are compared: Kendall's tau of
the layers in the order of their normalised errors, and the largest difference of an error. Each row
of the CSV is a layer at one cost.
"""

import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from question_tables import costs_of_depth
from small_classifier import trained

import cladec
from cladec.commands import main as command_line
from cladec.storage.tables import write_table


@dataclass(frozen=True)
class Measurement:
    """Compare cheap looks at all layers with a full one."""

    dataset: str = "fashion_mnist"
    """The dataset."""
    architecture: str = "vgg"
    """The architecture of the classifier."""
    classifier_images: int = 60_000
    """The images that the classifier is trained on."""
    layers: tuple[str, ...] = ("all",)
    """The layers to decode."""
    images: tuple[int, ...] = (1_000, 3_000, 10_000)
    """The images that decoders are trained on."""
    epochs: tuple[int | None, ...] = (None,)
    """The passes over them; None for as many as `cladec.depth` takes by itself."""
    full: int = 60_000
    """The images of the full training."""
    full_epochs: int = 4
    """The passes of the full training."""
    seed: int = 0
    """The seed of weights and order."""
    out: Path = Path("benchmarks/depth.csv")
    """The table to write."""
    figure: Path = Path("depth")
    """The folder for the figure and the table of the full training."""


def main(settings: Measurement) -> None:
    """Measure every cost, write the table and print how each agrees with the full training."""
    data = cladec.load(settings.dataset)
    options = {"architecture": settings.architecture, "seed": settings.seed}
    classifier = trained(data, settings.classifier_images, **options)
    costs = [*itertools.product(settings.images, settings.epochs)]
    tables = []
    for images, epochs in [*costs, (settings.full, settings.full_epochs)]:
        start = time.perf_counter()
        found = cladec.depth(
            classifier,
            data,
            layers=settings.layers,
            trained_on=images,
            epochs=epochs,
            seed=settings.seed,
        )
        seconds = time.perf_counter() - start
        about = {"dataset": data.name, "images": images, "epochs": epochs, "all_seconds": seconds}
        tables.append(found.measures.assign(**about))
        write_table(pd.concat(tables), settings.out)
    found.save(settings.figure)
    print(costs_of_depth(settings.out))


if __name__ == "__main__":
    main(command_line.settings(Measurement, description=__doc__))
