"""Our explainers and those of other libraries: the same maps, side by side, and their seconds.

    python benchmarks/peers.py                     both parts
    python benchmarks/peers.py --parts maps --images 2 --rounds 1
    python benchmarks/peers.py --parts speed --methods rise

The peers pin other versions of TensorFlow than ours, so they go into an environment of their own,
with builds of torch and torchvision that go with each other:

    python -m venv peers
    peers/bin/pip install "tensorflow-cpu==2.20.*" lime tf-keras-vis shap -e .
    peers/bin/pip install --no-deps xplique "tf_keras==2.20.*" tensorflow_probability
    peers/bin/pip install deprecated einops opencv-python-headless decorator
    peers/bin/pip install torch torchvision ttach tqdm
    peers/bin/pip install --no-deps captum grad-cam zennit

What is not installed is named and left out. The first part compares maps: every library gets the
same network, carried over to PyTorch layer by layer (`carry_over.py`), the same images, classes,
layers, segments, patches and numbers of samples. Correlations are Pearson's between its maps and
ours; random masks, samples and noise differ from library to library. The second part compares the
seconds of methods that call the network alone, on one image of 224x224, each library with the batch
that its network is fastest with, on `--threads` threads. All are timed from the network to the
maps, so that what they build or trace counts; the least time of some rounds is taken.
"""

import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cladec.commands import main as command_line

LIBRARIES = {
    "xplique": "xplique",
    "tf-keras-vis": "tf_keras_vis",
    "lime": "lime",
    "captum": "captum",
    "grad-cam": "pytorch_grad_cam",
    "zennit": "zennit",
}
"""The name to install each peer by, and the name to import it by."""

IN_TORCH = ("captum", "grad-cam", "zennit")
FILE = Path(__file__).with_suffix(".csv")
SPEED = ("rise", "occlusion", "lime", "kernel_shap")
"""The methods whose seconds are compared on large networks."""

COLUMNS = (
    "part",
    "subject",
    "method",
    "library",
    "ours_s",
    "seconds",
    "times",
    "correlation",
    "note",
)


@dataclass(frozen=True)
class Bench:
    """Compare our explainers with those of other libraries."""

    parts: tuple[str, ...] = ("maps", "speed")
    """"maps", "speed" or both."""
    images: int = 4
    """Images to explain in the first part."""
    rounds: int = 3
    """How often each is timed; the least time counts."""
    methods: tuple[str, ...] = ()
    """Which methods to compare; all by default."""
    threads: int = 2
    """Threads of each library."""
    out: Path = FILE
    """The table."""


def tables() -> dict[str, dict]:
    """The explainers of every library that is installed, by the method; ours come first."""
    import peer_keras

    found = {"cladec": peer_keras.OURS}
    found |= {"xplique": peer_keras.XPLIQUE, "tf-keras-vis": peer_keras.TF_KERAS_VIS}
    found["lime"] = peer_keras.LIME
    if _has("torch"):
        import peer_torch

        found |= {"captum": peer_torch.CAPTUM, "grad-cam": peer_torch.GRAD_CAM}
        found["zennit"] = peer_torch.ZENNIT
    return {name: found[name] for name in found if name == "cladec" or _has(LIBRARIES[name])}


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def start(threads: int) -> None:
    """Give every library this many threads."""
    from cladec.startup import start_keras

    start_keras(threads)
    if _has("torch"):
        import torch

        torch.set_num_threads(threads)


def subjects(part: str, images: int):
    """The networks and images of a part."""
    import peer_subjects

    if part == "maps":
        yield peer_subjects.digits(images, _has("torch"))
        yield peer_subjects.photographs(images, _has("torch"))
    else:
        for family in peer_subjects.TORCHVISION:
            yield peer_subjects.large(family, _has("torchvision"))


def rows_of(part: str, subject, bench: Bench):
    """A row for every method and library that has it."""
    import cladec

    libraries = tables()
    ours = libraries.pop("cladec")
    chosen = SPEED if part == "speed" else tuple(ours)
    for method in track([name for name in chosen if name in (bench.methods or chosen)], part):
        row = {"part": part, "subject": subject.name, "method": method}
        if method not in cladec.EXPLAINERS:
            yield row | {"library": "cladec", "note": "no such method yet"}
            continue
        own, own_seconds, note = timed(ours[method], subject, bench.rounds)
        if own is None:
            yield row | {"library": "cladec", "note": note}
            continue
        for library, maps in libraries.items():
            if method in maps:
                found, seconds, note = timed(maps[method], subject, bench.rounds)
                alike = part == "maps" and found is not None
                yield row | {
                    "library": library,
                    "ours_s": own_seconds,
                    "seconds": seconds,
                    "times": seconds / own_seconds,
                    "correlation": correlation(found, own) if alike else np.nan,
                    "note": note,
                }


def timed(maps, subject, rounds: int) -> tuple[np.ndarray | None, float, str]:
    """The maps, the least seconds of some rounds, and why there are none."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        try:
            found = maps(subject)
        except Exception as error:  # each library fails in ways of its own
            return None, np.nan, f"{type(error).__name__}: {error!s:.100}".replace("\n", " ")
        seconds.append(time.perf_counter() - start)
    return found, min(seconds), ""


def correlation(found: np.ndarray, expected: np.ndarray) -> float:
    """Pearson's correlation of two maps, averaged over the images."""
    pairs = zip(found, expected, strict=True)
    return float(np.mean([np.corrcoef(one.ravel(), two.ravel())[0, 1] for one, two in pairs]))


def printed(rows: pd.DataFrame, title: str) -> Table:
    """The rows of one network."""
    table = Table("method", "library", "ours, s", "s", "of ours", "correlation", "", title=title)
    for row in rows.itertuples():
        numbers = zip((row.ours_s, row.seconds, row.times, row.correlation), FORMATS, strict=True)
        texts = ["" if pd.isna(number) else form.format(number) for number, form in numbers]
        table.add_row(row.method, row.library, *texts, row.note)
    return table


FORMATS = ("{:.2f}", "{:.2f}", "{:.1f}x", "{:.3f}")


def of_other_parts(bench: Bench) -> pd.DataFrame:
    """The rows of the table that this run does not measure anew."""
    if not bench.out.is_file():
        return pd.DataFrame(columns=COLUMNS)
    rows = pd.read_csv(bench.out).fillna({"note": ""})
    return rows[~rows["part"].isin(bench.parts)]


def main(bench: Bench) -> None:
    """Print both tables and write them."""
    console = Console(width=120)
    for name, module in LIBRARIES.items():
        if not _has(module):
            console.print(f"{name} is not installed and left out: see the top of {__file__}")
    start(bench.threads)
    rows = of_other_parts(bench)
    for part in bench.parts:
        for subject in subjects(part, bench.images):
            new = pd.DataFrame(rows_of(part, subject, bench), columns=COLUMNS).fillna({"note": ""})
            rows = new if rows.empty else pd.concat([rows, new])
            console.print(printed(new, subject.name))
            rows.to_csv(bench.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main(command_line.settings(Bench, description=__doc__))
