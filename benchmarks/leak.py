"""Whether what leaks from a layer falls with depth and with noise, and grows with what is known.

    python benchmarks/leak.py
    python benchmarks/leak.py --classifier-images 10000 --known 100 2000 --gallery 500

A classifier is trained first on one part of a dataset, the attacker has pictures of another one.
The CSV is the table of `cladec.leak`; printed are the correlation (Spearman) of each measure with
depth, and with noise, over the layers.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr
from small_classifier import trained

import cladec
from cladec.commands import main as command_line
from cladec.storage.tables import write_table

MEASURES = ("psnr", "ssim", "reidentified")


@dataclass(frozen=True)
class Measurement:
    """Measure what leaks from the layers of a classifier."""

    dataset: str = "fashion_mnist"
    """The dataset."""
    classifier_images: int = 30_000
    """The first so many training images train the classifier; the attacker has of the others."""
    layers: tuple[str, ...] = ("all",)
    """The layers to attack."""
    known: tuple[int, ...] = (100, 1_000, 10_000)
    """The numbers of pictures that the attacker has."""
    noise: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    """The noise on the activations."""
    gallery: int = 1_000
    """The pictures to draw and to look among."""
    epochs: int | None = None
    """The passes over the images of decoders; None for the usual recipe."""
    seed: int = 0
    """The seed of weights and order."""
    out: Path = Path("benchmarks/leak.csv")
    """The table to write."""
    figure: Path = Path("leak")
    """The folder for the figure and the table of cuts."""


def main(settings: Measurement) -> None:
    """Attack every layer, write the tables and print what they say."""
    data = cladec.load(settings.dataset)
    classifier = trained(data, settings.classifier_images, seed=settings.seed)
    rest = slice(settings.classifier_images, None)
    others = data.train.images[rest], data.train.labels[rest]
    of_others = cladec.Dataset(data.name, cladec.Split(*others), data.test, data.class_names)
    found = cladec.leak(
        classifier,
        of_others,
        layers=settings.layers,
        known=settings.known,
        noise=settings.noise,
        gallery=settings.gallery,
        epochs=settings.epochs,
        seed=settings.seed,
    )
    write_table(found.measures, settings.out)
    found.save(settings.figure)
    print(found.cuts.to_string(), found.in_words(), sep="\n")
    print_correlations(found.measures[found.measures["layer"] != ""])


def print_correlations(rows: pd.DataFrame) -> None:
    """Print how each measure goes with depth without noise, and with noise in every layer."""
    most = rows[rows["known"] == rows["known"].max()]
    plain = most[most["noise"] == 0]
    for name in MEASURES:
        with_depth = spearmanr(range(len(plain)), plain[name]).statistic
        noisy = most.pivot(index="layer", columns="noise", values=name)
        falls = (noisy.diff(axis=1).iloc[:, 1:] < 0).to_numpy().mean()
        known = rows[rows["noise"] == 0].pivot(index="layer", columns="known", values=name)
        grows = (known.diff(axis=1).iloc[:, 1:] > 0).to_numpy().mean()
        print(
            f"{name}: Spearman's correlation with depth {with_depth:.2f}; lower at {falls:.0%} of "
            f"the steps to more noise, higher at {grows:.0%} of those to more pictures known"
        )


if __name__ == "__main__":
    main(command_line.settings(Measurement, description=__doc__))
