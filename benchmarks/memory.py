"""How much memory one photograph takes: every method on networks of `keras.applications`.

    python benchmarks/memory.py                            every network and method, in an hour
    python benchmarks/memory.py --networks ResNet50 --methods rise lime

Each cell is a process of its own, which builds the network with random weights, explains one image
of random pixels with the default options, and says how far its memory rose above what it was with
the network loaded, and how long that took, the building of graphs included.
"""

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from cladec import EXPLAINERS

METHODS = tuple(
    name for name, row in EXPLAINERS.items() if not row.makes_images and name != "cladec"
)
NETWORKS = ("MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny", "Xception")
SIZES = {"Xception": 299}
"""The side of the images of a network where it is not 224."""

LIMIT = 1800
"""The seconds after which a cell is given up."""


@dataclass(frozen=True)
class Bench:
    """Measure the memory and the time of explaining one image."""

    networks: tuple[str, ...] = NETWORKS
    """Networks of keras.applications."""
    methods: tuple[str, ...] = METHODS
    """Which methods to measure."""
    cell: bool = field(default=False, metadata={"hidden": True})
    """Measure the first network and method in this process."""


def peak() -> float:
    """The most memory that this process had so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(network: str, method: str) -> tuple[float, float]:
    """GiB above the loaded network, and seconds, of one explanation in this process."""
    import keras

    import cladec

    size = SIZES.get(network, 224)
    model = getattr(keras.applications, network)(weights=None)
    image = np.random.default_rng(0).random((1, size, size, 3), dtype=np.float32)
    keras.ops.convert_to_numpy(model(image, training=False))
    before, start = peak(), time.perf_counter()
    cladec.explain(model, image, method=method)
    return peak() - before, time.perf_counter() - start


def in_a_process(network: str, method: str) -> tuple[str, str]:
    """The two columns of a cell; a word in place of the first where it failed."""
    command = [sys.executable, str(Path(__file__)), "--cell"]
    command += ["--networks", network, "--methods", method]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "too long", f"> {LIMIT}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"died, {done.returncode}"])[-1][:60], ""
    gibibytes, seconds = map(float, done.stdout.split()[-2:])
    return f"{gibibytes:.2f}", f"{seconds:.1f}"


def main(bench: Bench) -> None:
    """Print the table, a row for each method."""
    if bench.cell:
        print(*measure(bench.networks[0], bench.methods[0]))
        return
    table = Table("method", *(f"{network} {unit}" for network in bench.networks for unit in "Gs"))
    for method in bench.methods:
        cells = [cell for network in bench.networks for cell in in_a_process(network, method)]
        table.add_row(method, *cells)
        print(method, *cells, flush=True)
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Bench))
