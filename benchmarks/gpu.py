"""How long the main jobs take on the accelerator of this machine; `gpu.sh` installs and runs it.

    KERAS_BACKEND=jax python benchmarks/gpu.py                        every part
    KERAS_BACKEND=tensorflow python benchmarks/gpu.py --parts explainers

Parts: the sweep of MNIST as `create_models.py` trains it; explanations of a photograph of 224x224
by ResNet50; and ClaDec and RefAE of a layer of MobileNetV2 on 2,000 such photographs. The networks
have random weights, which take as long. Rows are added to the CSV: date, device, backend, part,
what, seconds. An explanation is the second of its kind, without tracing and compiling; a sweep is
the whole command. A part that fails or takes too long has no seconds, and the others go on.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pandas as pd
import photographs
from families import photograph

import cladec
from cladec.commands import main as command_line

ROOT = Path(__file__).parents[1]
COLUMNS = ("date", "device", "backend", "part", "what", "seconds")
FILE = Path(__file__).with_suffix(".csv")
SIZE = photographs.SIZE
METHODS = (
    *("saliency", "integrated_gradients", "smooth_grad", "grad_cam", "occlusion"),
    *("rise", "lime", "kernel_shap"),
)

Part = Literal["sweep", "explainers", "photographs"]
Rows = Iterator[tuple[str, float | None]]


@dataclass(frozen=True)
class Bench:
    """Time the main jobs on this machine."""

    parts: tuple[Part, ...] = ("explainers", "photographs", "sweep")
    """What to time."""
    dataset: str = "mnist"
    """What the sweep is trained on."""
    photographs: int = 2_000
    """How many crops of photographs the decoders are trained on."""
    seconds: int = 120
    """After which a command is stopped."""
    folder: Path = ROOT / "build" / "gpu"
    """For the photographs, the network and the models."""
    out: Path = FILE
    """The table, to which rows are added."""


def device() -> str:
    """The name of the accelerator that the backend computes with, or of the processor."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("TPU")
    details = tf.config.experimental.get_device_details(found[0]) if found else {}
    return details.get("device_name", "cpu")


def command_seconds(bench: Bench, *options: str) -> float | None:
    """The seconds of `create_models.py` with these options, None if it fails or is stopped."""
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "create_models.py"), "--workers", "1", *options]
    try:
        subprocess.run(command, check=True, timeout=bench.seconds, stdout=subprocess.DEVNULL)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return None
    return time.perf_counter() - start


def out_of(bench: Bench, name: str) -> list[str]:
    """The option with a new folder for models."""
    name = f"{name}-{keras.backend.backend()}-{time.time_ns()}"
    return ["--out", str(bench.folder / name)]


def sweep(bench: Bench) -> Rows:
    """Train the whole sweep of a dataset."""
    what = f"create_models.py --datasets {bench.dataset}"
    yield what, command_seconds(bench, "--datasets", bench.dataset, *out_of(bench, "sweep"))


def explainers(bench: Bench) -> Rows:
    """Explain one photograph twice with each method, and time the second."""
    model = keras.applications.ResNet50(weights=None, input_shape=(SIZE, SIZE, 3))
    images = photograph(SIZE)
    for method in METHODS:
        for _ in range(2):
            start = time.perf_counter()
            cladec.explain(model, images, method=method)
            seconds = time.perf_counter() - start
        yield f"{method}, ResNet50, 1 image", seconds


def many_photographs(bench: Bench) -> Rows:
    """Train ClaDec at alpha 0.99 and RefAE on crops of photographs."""
    folder, network = bench.folder / f"crops-{bench.photographs}", bench.folder / "mobilenet.keras"
    if not folder.exists():
        photographs.make(folder, bench.photographs)
    if not network.exists():
        classes = len(photographs.photographs())
        build = keras.applications.MobileNetV2
        build(weights=None, input_shape=(SIZE, SIZE, 3), classes=classes).save(network)
    options = ["--classifier", str(network), "--datasets", str(folder), "--epochs", "2"]
    options += ["--layers", "block_12_add", "--alphas", "0.99", *out_of(bench, "photographs")]
    yield f"{bench.photographs} photographs, 2 epochs", command_seconds(bench, *options)


PARTS: dict[Part, Callable[[Bench], Rows]] = {
    "sweep": sweep,
    "explainers": explainers,
    "photographs": many_photographs,
}


def main(bench: Bench) -> None:
    """Add a row for each time that was measured, and print it."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    known = [str(date.today()), device(), keras.backend.backend()]
    for part in bench.parts:
        for what, seconds in PARTS[part](bench):
            print(*known, part, what, seconds, sep=", ", flush=True)
            row = pd.DataFrame([[*known, part, what, seconds]], columns=COLUMNS)
            row.round(2).to_csv(bench.out, mode="a", header=not bench.out.exists(), index=False)


if __name__ == "__main__":
    main(command_line.settings(Bench, description=__doc__))
