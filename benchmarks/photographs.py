"""How much memory many photographs take, and how fast they train, on the disk and in memory.

    python benchmarks/photographs.py                       2,000 and 20,000 photographs; an hour
    python benchmarks/photographs.py --counts 2000         the smaller number alone; minutes

Random crops of the colour photographs of scikit-image, 224x224 in JPEG, labelled by photograph, are
as many as wanted. A ClaDec of a layer of MobileNetV2 is trained on them in a process of its own,
once with the pictures and codes on the disk, and once with both in memory as floats. From the disk,
the same step is also fed by `tf.data`, `keras.utils.PyDataset` and, where it is installed, `grain`
(`--feeds`). Printed are the peak of its resident memory, and the images of a second of training,
without the first steps. Bar: at most 3 GiB at both numbers, and images a second within a fifth of
arrays.
"""

import importlib.util
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import keras
import numpy as np
from feeds import FEEDS
from rich.console import Console
from rich.table import Table

import cladec
from cladec.commands import main as command_line
from cladec.data import stored_rows
from cladec.models import training

SIZE, QUALITY = 224, 90
WARM_UP = 5
"""The steps that are not timed: TensorFlow traces the model in the first."""


Feed = Literal["cladec", "tf.data", "PyDataset", "grain"]


@dataclass(frozen=True)
class Bench:
    """Measure memory and speed with many photographs."""

    counts: tuple[int, ...] = (2_000, 20_000)
    """The numbers of photographs; arrays in memory, and feeds that are not the package's own, are
    measured at the first."""
    feeds: tuple[Feed, ...] = ("cladec", "tf.data", "PyDataset", "grain")
    """The ways to feed the training from the disk."""
    classifier: Path | None = None
    """A classifier of 224x224 colour images; MobileNetV2 of random weights without it."""
    layer: str = "block_12_add"
    """The layer to decode."""
    alpha: float = 0.0
    """The weight of the classification; above 0 the classifier runs in every step."""
    steps: int = 60
    """The steps to train."""
    folder: Path | None = None
    """Where the photographs are, or are made; a temporary folder without it."""
    part: Literal["disk", "memory"] | None = None
    """Measure this alone, in this process, at the first number, with the first feed."""


def photographs() -> list[np.ndarray]:
    """The colour photographs of scikit-image that are large enough."""
    from skimage import data

    names = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry", "retina")
    return [getattr(data, name)() for name in names]


def make(folder: Path, count: int) -> None:
    """Write random crops into train/<photograph>/ and a tenth of them into test/<photograph>/."""
    from PIL import Image

    sources, random = photographs(), np.random.default_rng(0)
    for number in range(count):
        source = sources[number % len(sources)]
        top, left = (random.integers(0, side - SIZE + 1) for side in source.shape[:2])
        split = "test" if number // len(sources) % 10 == 0 else "train"
        path = folder / split / str(number % len(sources)) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        crop = source[top : top + SIZE, left : left + SIZE]
        Image.fromarray(np.ascontiguousarray(crop)).save(path, quality=QUALITY)


class Timer(keras.callbacks.Callback):
    """Times the steps after the first ones, and ends after as many as wanted."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps, self.done, self.start, self.seconds = steps, 0, 0.0, 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Count a step."""
        self.done += 1
        if self.done == WARM_UP:
            self.start = time.perf_counter()
        if self.done == WARM_UP + self.steps:
            self.seconds = time.perf_counter() - self.start
            self.model.stop_training = True


def peak() -> float:
    """The peak of the resident memory of this process in GiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 2**20


def measure(bench: Bench, folder: Path) -> dict[str, float]:
    """Load, encode and train, and return what was measured."""
    clock = time.perf_counter
    shape, start = (SIZE, SIZE, 3), clock()
    data = cladec.load(folder, shape=shape)
    if bench.part == "memory":
        stored_rows.IN_MEMORY = 2**62
        splits = [
            cladec.Split(np.asarray(part.images), part.labels) for part in (data.train, data.test)
        ]
        data = cladec.Dataset(data.name, *splits, data.class_names)
    decoded = clock() - start
    if bench.classifier is None:
        build = keras.applications.MobileNetV2
        classifier = build(weights=None, input_shape=shape, classes=data.num_classes)
    else:
        classifier = cladec.load_model(bench.classifier)
    start = clock()
    codes = cladec.compute_codes(classifier, bench.layer, data.train.images)
    encoded = clock() - start
    training.for_fit = FEEDS[bench.feeds[0]]  # all else stays the same
    timer, recipe = Timer(bench.steps), cladec.Recipe(epochs=99, batch_size=64, learning_rate=1e-3)
    model = cladec.fit_cladec(
        *(classifier, bench.layer, data),
        alpha=bench.alpha,
        recipe=recipe,
        codes=codes,
        callbacks=[timer],
    )
    images = bench.steps * per_step(model, recipe.batch_size)
    return {
        "peak": peak(),
        "decode": (len(data.train.labels) + len(data.test.labels)) / decoded,
        "encode": len(codes) / encoded,
        "train": images / timer.seconds,
    }


def per_step(model: keras.Model, batch_size: int) -> int:
    """The images of a step of the training."""
    from cladec.models import memory

    return memory.images_per_step(model, batch_size)


def in_process(bench: Bench) -> dict[str, float]:
    """Measure in a process of its own."""
    options = [
        f"--{name}={value}"
        for name, value in vars(bench).items()
        if name not in ("counts", "feeds") and value is not None
    ]
    lists = ["--counts", str(bench.counts[0]), "--feeds", bench.feeds[0]]
    command = [sys.executable, __file__, *lists, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def ways(bench: Bench, count: int) -> list[tuple[Literal["disk", "memory"], Feed]]:
    """The places of the pictures and the feeds that are measured at a number of photographs."""
    if count != bench.counts[0]:
        return [("disk", "cladec")]
    there = [feed for feed in bench.feeds if feed != "grain" or importlib.util.find_spec("grain")]
    return [*(("disk", feed) for feed in there), ("memory", "cladec")]


def main(bench: Bench) -> None:
    """Print a row for each number of photographs, each place and each feed."""
    if bench.part is not None:
        assert bench.folder is not None
        print(json.dumps(measure(bench, bench.folder)))
        return
    table = Table("photographs", "where", "feed", "peak GiB", "decoded/s", "encoded/s", "trained/s")
    with TemporaryDirectory() as temporary:
        for count in bench.counts:
            folder = (bench.folder or Path(temporary)) / str(count)
            if not folder.exists():
                make(folder, count)
            for part, feed in ways(bench, count):
                one = replace(bench, counts=(count,), feeds=(feed,), folder=folder, part=part)
                row = in_process(one)
                texts = [f"{row[name]:.{2 * (name == 'peak')}f}" for name in row]
                table.add_row(f"{count:,}", part, feed, *texts)
                print(count, part, feed, *texts, flush=True)
    Console().print(table)


if __name__ == "__main__":
    main(command_line.settings(Bench, description=__doc__))
