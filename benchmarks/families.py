"""Every explainer on the families of keras.applications, at their own sizes: what works and costs.

    python benchmarks/families.py                                  all that families.csv lacks
    python benchmarks/families.py --families ResNet50 --methods grad_cam rise
    python benchmarks/families.py --table                          the table of what is there

The networks have random weights, with normalisations that fit them, since the signal would die out
otherwise, and explain one photograph. Each family and method runs in a
process of its own, so that one that dies or takes too long stops no other. Seconds are processor
seconds of all threads, which other work on the machine changes little, of a first explanation, with
copying and tracing; GiB are the peak of resident memory above what the process held when the
network was loaded. Methods that draw samples draw `--samples` of them, all
others have their default options; the decoders of "cladec" see a few crops of the photograph once.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from cladec.commands import main as command_line
from cladec.errors import InputError, InputWarning
from cladec.explainers import EXPLAINERS

SIZES = {
    "ResNet50": 224,
    "ResNet50V2": 224,
    "VGG16": 224,
    "MobileNetV2": 224,
    "MobileNetV3Small": 224,
    "EfficientNetB0": 224,
    "EfficientNetV2B0": 224,
    "DenseNet121": 224,
    "Xception": 299,
    "InceptionV3": 299,
    "ConvNeXtTiny": 224,
    "NASNetMobile": 224,
}
"""The pixels of each side of the images of a family."""

COLUMNS = ("family", "method", "result", "seconds", "gib")
METHODS = tuple(name for name, row in EXPLAINERS.items() if not row.makes_images)
FILE = Path(__file__).with_suffix(".csv")
MARK = "cell: "
"""What the line with the measurements starts with."""


@dataclass(frozen=True)
class Families:
    """Explain with every method on every family."""

    families: tuple[str, ...] = tuple(SIZES)
    """Names in keras.applications."""
    methods: tuple[str, ...] = METHODS
    """Methods that make maps."""
    samples: int = 200
    """Masks or samples of the methods that draw them; 0 for their defaults."""
    seconds: int = 600
    """After which a method is stopped."""
    out: Path = FILE
    """The table, to which is added what it lacks."""
    table: bool = False
    """Only print the table."""
    cell: bool = False
    """Explain in this process, with the first method on the first family, and print the result."""


def build(family: str):
    """A network with random weights, images (N, H, W, 3) -> 1,000 probabilities."""
    import keras

    keras.utils.set_random_seed(0)
    shape = (SIZES[family], SIZES[family], 3)
    model = getattr(keras.applications, family)(weights=None, input_shape=shape)
    normalise(model, photograph(SIZES[family]))
    return model


def normalise(model, images: np.ndarray) -> None:
    """Let every batch normalisation take its statistics from these images."""
    import keras

    kind = keras.layers.BatchNormalization
    normalisations = [layer for layer in model.layers if isinstance(layer, kind)]
    momenta = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum


def photograph(size: int) -> np.ndarray:
    """One photograph of these pixels a side, (1, H, W, 3) in [0, 1]."""
    from PIL import Image
    from skimage import data

    picture = Image.fromarray(data.astronaut()).resize((size, size))
    return np.asarray(picture, np.float32)[None] / 255


def options_of(method: str, model, samples: int) -> dict:
    """The number of samples, and what a method cannot do without."""
    names = EXPLAINERS[method].options
    options = {name: samples for name in ("masks", "samples") if samples and name in names}
    return options | (decoders_of(model) if "decoder" in names else {})


def decoders_of(model) -> dict:
    """A ClaDec and a RefAE of the last layer of channels, after one pass over a few crops."""
    import cladec
    from cladec.models import cutting

    shapes = cutting.layer_shapes(model)
    layer = [name for name, shape in shapes.items() if len(shape) == 3][-1]
    recipe = cladec.Recipe(1, batch_size=4, learning_rate=1e-3, least_images=0, least_steps=0)
    images = crops(model.input_shape[1], 16)
    data = images, model.predict(images, verbose=0).argmax(axis=1)
    decoder = cladec.fit_cladec(model, layer, data, alpha=0.5, recipe=recipe)
    reference = cladec.fit_refae(model, layer, data, start="fresh", recipe=recipe)
    return {"decoder": decoder, "reference": reference}


def crops(size: int, count: int) -> np.ndarray:
    """Random crops of a photograph of twice this size, (N, H, W, 3) in [0, 1]."""
    whole = photograph(2 * size)[0]
    places = np.random.default_rng(0).integers(0, size, (count, 2))
    return np.stack([whole[top : top + size, left : left + size] for top, left in places])


def explain_here(family: str, method: str, samples: int) -> dict[str, str | float]:
    """Build a network, explain a photograph with it, and say what came of it."""
    from cladec.startup import start_keras

    start_keras()
    model, images = build(family), photograph(SIZES[family])
    options = options_of(method, model, samples)
    model.predict_on_batch(images)
    before, start = resident("VmRSS"), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    result = outcome(method, model, images, options)
    seconds, gib = time.process_time() - start, (resident("VmHWM") - before) / 2**20
    return {"result": result, "seconds": round(seconds, 2), "gib": round(gib, 2)}


def outcome(method: str, model, images: np.ndarray, options: dict) -> str:
    """ "works", "zeros", or why not."""
    from cladec.explainers import explain

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        try:
            maps = explain(model, images, method=method, **options)
        except InputError as error:
            return f"refused: {error}"
    if any("zeros alone" in str(warning.message) for warning in caught):
        return "zeros"
    return "works" if maps.shape == images.shape[:3] else f"refused: a map of {maps.shape}"


def resident(name: str) -> int:
    """KiB of resident memory, now (VmRSS) or at most (VmHWM); Linux alone tells."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def explain_apart(family: str, method: str, bench: Families) -> dict[str, str | float]:
    """What `explain_here` says in a process of its own, or how that ended."""
    command = [sys.executable, __file__, "--cell", "--families", family, "--methods", method]
    command += ["--samples", str(bench.samples)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=bench.seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"result": "slow", "seconds": round(time.perf_counter() - start), "gib": np.nan}
    for line in output.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    how = f"signal {-process.returncode}"
    if process.returncode > 0:
        how = errors.strip().splitlines()[-1]
    return {"result": f"died: {how}", "seconds": np.nan, "gib": np.nan}


def measure(bench: Families) -> None:
    """Add the rows that the table lacks, one by one."""
    done = set()
    if bench.out.exists():
        done = set(map(tuple, pd.read_csv(bench.out)[["family", "method"]].to_numpy()))
    cells = [(family, method) for family in bench.families for method in bench.methods]
    for family, method in track([cell for cell in cells if cell not in done], "explaining"):
        row = {"family": family, "method": method, **explain_apart(family, method, bench)}
        rows = pd.DataFrame([row], columns=COLUMNS)
        rows.to_csv(bench.out, mode="a", header=not bench.out.exists(), index=False)


def markdown(rows: pd.DataFrame) -> str:
    """Seconds and GiB of each method and family, or a word; below it what the words stand for."""
    families = [family for family in SIZES if family in set(rows["family"])]
    lines = [" | ".join(["", "method", *families, ""]).strip()]
    lines.append("| --- " * (len(families) + 1) + "|")
    cells = {(row.family, row.method): text_of(row) for row in rows.itertuples()}
    for method in dict.fromkeys(rows["method"]):
        texts = [cells.get((family, method), "") for family in families]
        lines.append(" | ".join(["", method, *texts, ""]).strip())
    reasons = rows[rows["result"].str.contains(":")].drop_duplicates(["method", "result"])
    lines += ["", *(f"- {row.method}, {row.family}: {row.result}" for row in reasons.itertuples())]
    return "\n".join(lines)


def text_of(row) -> str:
    """ "1.2 s, 0.3 GiB", or the word that a result starts with."""
    word = row.result.split(":")[0]
    if word not in ("works", "zeros"):
        return word
    cost = f"{row.seconds:.1f} s, {row.gib:.1f} GiB"
    return cost if word == "works" else f"{word}, {cost}"


def main(bench: Families) -> None:
    """Explain what is missing and print the table."""
    if bench.cell:
        result = explain_here(bench.families[0], bench.methods[0], bench.samples)
        print(MARK + json.dumps(result))
        return
    if not bench.table:
        measure(bench)
    Console(width=400).print(markdown(pd.read_csv(bench.out)), markup=False, highlight=False)


if __name__ == "__main__":
    main(command_line.settings(Families, description=__doc__))
