"""How the time and the memory of a sweep grow with the images, the alphas and the layers.

    python benchmarks/scaling.py

Runs create_models.py and eval.py as a user does, on folders of noise in the shape of MNIST, and
prints seconds and peak memory: the resident memory of all processes together, in which what they
share counts for each.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cladec.commands import main as command_line

ROOT = Path(__file__).parent.parent
SECONDS = 0.2
BASE = (15_000, ("dense",), ("0.5",))
GROWN = (
    (30_000, ("dense",), ("0.5",)),
    (60_000, ("dense",), ("0.5",)),
    (15_000, ("dense",), ("0.5", "0.6", "0.7", "0.8")),
    (15_000, ("dense", "conv"), ("0.5",)),
)


@dataclass(frozen=True)
class Scaling:
    """Time sweeps of several sizes."""

    test_images: int = 1_000
    """Test images of each dataset."""


def write_dataset(folder: Path, train: int, test: int) -> None:
    """Noise of ten classes as a folder of PNG files."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for digit in range(10):
            (folder / split / str(digit)).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / split / str(number % 10) / f"{number}.png")


def peak_memory(process: subprocess.Popen) -> float:
    """GiB that a program and its processes hold at most until it ends."""
    peak, program = 0, psutil.Process(process.pid)
    while process.poll() is None:
        resident = 0
        for one in (program, *program.children(recursive=True)):
            try:
                resident += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak = max(peak, resident)
        time.sleep(SECONDS)
    return peak / 2**30


def measured(script: str, *options: object) -> tuple[float, float]:
    """Seconds and peak GiB of a script."""
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / script), *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        peak = peak_memory(process)
    if process.returncode:
        raise SystemExit(f"{script} failed")
    return time.perf_counter() - start, peak


def main(scaling: Scaling) -> None:
    """Run every size and print the table."""
    table = Table("images", "layers", "alphas", "train s", "train GiB", "eval s", "eval GiB")
    for images, layers, alphas in track((BASE, *GROWN), description="sweeps"):
        with tempfile.TemporaryDirectory() as name:
            folder, out = Path(name) / "noise", Path(name) / "models"
            write_dataset(folder, images, scaling.test_images)
            options = ["--datasets", folder, "--layers", *layers, "--alphas", *alphas]
            training = measured("create_models.py", *options, "--out", out)
            evaluation = measured("eval.py", "--models", out, "--out", Path(name) / "eval")
        cells = [f"{images:,}", ", ".join(layers), str(len(alphas))]
        for seconds, peak in (training, evaluation):
            cells += [f"{seconds:.0f}", f"{peak:.2f}"]
        table.add_row(*cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(command_line.settings(Scaling, description=__doc__))
