"""When the reference is better fresh and when tuned: RefAE of few and of many photographs.

    python benchmarks/references.py

The residual network of `crops.py`, and RefAEs of one of its layers, trained on the first so many
crops: with an encoder from scratch, as in the paper, and from the weights of the network. The
better bound of what the layer could hold is the one with the lower error on new crops.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import crops
import pandas as pd

import cladec
from cladec.commands import main as command_line
from cladec.experiments.yardstick import Yardstick
from cladec.storage.tables import write_table

FILE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class References:
    """Train and measure the references."""

    layer: str = "out_3"
    """The layer of the network."""
    images: tuple[int, ...] = (100, 400, 2_000)
    """The crops that a RefAE is trained on."""
    seed: int = 0
    """The seed of crops, weights and order."""
    out: Path = FILE
    """The table."""


def main(settings: References) -> None:
    """Train both references of each number of crops, write and print their errors."""
    photographs = crops.crops(crops.Bench(seed=settings.seed))
    network = crops.trained(photographs, settings.seed)
    yardstick = Yardstick(network, photographs, settings.seed)
    rows = []
    for count in settings.images:
        few = cladec.Split(photographs.train.images[:count], photographs.train.labels[:count])
        for start in ("fresh", "tuned"):
            begin = time.perf_counter()
            options = {"start": start, "seed": settings.seed}
            refae = cladec.fit_refae(
                network, settings.layer, replace(photographs, train=few), **options
            )
            errors = yardstick.errors(refae.predict(yardstick.images, verbose=0))
            measured = yardstick.with_interval("normalised_error", errors)
            about = {"layer": settings.layer, "images": count, "start": start}
            rows.append(about | measured | {"seconds": time.perf_counter() - begin})
            print(rows[-1], flush=True)
            write_table(pd.DataFrame(rows), settings.out)


if __name__ == "__main__":
    main(command_line.settings(References, description=__doc__))
