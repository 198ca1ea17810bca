"""Changed codes: do the pictures tell what the network makes of them, and how long a change takes.

    TFDS_DATA_DIR=... python benchmarks/edits.py

A classifier of Fashion-MNIST (`vgg`, trained on `--train` images), its layers explained. Units of
test images are switched off or doubled and codes blended. What the rest of the network says of the
changed codes is compared with what the whole classifier says of the picture that is decoded from
them. Then every control of `layer.widget()` is moved, and each change timed in processor time of
all threads, which other work on the machine changes little: on a quiet machine it takes no longer.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import garments
import numpy as np
import pandas as pd

import cladec
from cladec import plots
from cladec.commands import main as command_line
from cladec.experiments import layer_edits
from cladec.experiments.layer_edits import Edited
from cladec.experiments.layer_widget import Workbench
from cladec.metrics import bootstrap
from cladec.storage.outputs import save_figure

ROOT = Path(__file__).parent.parent
FILE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Edits:
    """Change codes, and measure."""

    layers: tuple[str, ...] = ("dense", "conv")
    """The layers of `vgg`."""
    alphas: tuple[float, ...] = (0.0, 0.5, 0.99)
    """The alphas to decode at."""
    train: int = 5_000
    """The number of training images."""
    images: int = 300
    """The number of test images whose codes are changed."""
    changes: int = 15
    """How often each control is moved."""
    folder: Path = Path("benchmark-models/garments")
    """Where what is trained is kept."""
    out: Path = FILE
    """The table."""
    figure: Path = ROOT / "docs" / "img" / "edits.png"
    """The figure."""


def changed(layer: cladec.LayerExplanation, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each kind of change and the changed codes of the images."""
    codes = layer_edits.codes_of(layer, images)
    yield "none", codes
    strong = [layer_edits.strongest(code) for code in codes]
    for name, count, by in (
        ("strongest off", 1, 0.0),
        ("ten strongest off", 10, 0.0),
        ("ten strongest doubled", 10, 2.0),
    ):
        yield (
            name,
            np.concatenate(
                [
                    layer_edits.scaled(code[None], dict.fromkeys(units[:count], by))
                    for code, units in zip(codes, strong, strict=True)
                ]
            ),
        )
    others = np.roll(codes, -1, axis=0)
    for share in (0.25, 0.5):
        yield f"blend {share}", layer_edits.blended(codes, others, share)


def rows_of(layer: cladec.LayerExplanation, images: np.ndarray, alpha: float) -> pd.DataFrame:
    """Return a row for each kind of change."""
    rows: list[dict] = []
    before: Edited | None = None
    for name, codes in changed(layer, images):
        edited = layer_edits.of_codes(layer, codes, images, alpha)
        before = before or edited
        told, seen = edited.probabilities, edited.seen
        answer = before.probabilities.argmax(axis=1)
        moved = told.argmax(axis=1) != answer
        agree = told.argmax(axis=1) == seen.argmax(axis=1)
        low, high = bootstrap.interval(bootstrap.resampled_means(agree[None].astype(float)))
        places = np.arange(len(images)), answer
        shifts = told[places] - before.probabilities[places], seen[places] - before.seen[places]
        known = min(map(np.std, shifts)) > 0
        rows.append(
            {
                "layer": layer.layer,
                "alpha": alpha,
                "change": name,
                "images": len(images),
                "answer_changed": moved.mean(),
                "agreement": agree.mean(),
                "low": float(low[0]),
                "high": float(high[0]),
                "agreement_where_changed": agree[moved].mean() if moved.any() else np.nan,
                "correlation_of_shifts": np.corrcoef(*shifts)[0, 1] if known else np.nan,
            }
        )
    return pd.DataFrame(rows)


def seconds_of_changes(layer: cladec.LayerExplanation, images: np.ndarray, count: int) -> list:
    """Return the seconds of each change of the controls, in turn."""
    bench = Workbench(layer, images, [str(number) for number in range(len(images))])
    random, controls = np.random.default_rng(0), bench.controls
    alphas = [alpha for _, alpha in controls["alpha"].options]
    moves = {
        controls["image"]: lambda turn: (turn + 1) % len(images),
        controls["other"]: lambda turn: (turn + 2) % len(images),
        controls["share"]: lambda turn: 0.05 * (1 + turn % 19),
        controls["alpha"]: lambda turn: alphas[(turn + 1) % len(alphas)],
        controls["off"]: lambda turn: [str(turn % 10), str(10 + turn % 11)],
        bench.sliders[0]: lambda turn: round(random.uniform(0, 3), 1),
    }
    seconds = []
    for turn in range(-3, count):  # the first calls trace
        for control, value in moves.items():
            start, old = time.process_time(), control.value
            control.value = value(turn)
            if turn >= 0 and control.value != old:
                seconds.append(time.process_time() - start)
    return seconds


def draw(layer: cladec.LayerExplanation, images: np.ndarray, path: Path) -> None:
    """Draw one image with its strongest units off and doubled, and a blend with another answer."""
    first_answers = layer.edit(images, {}).probabilities.argmax(axis=1)
    another = np.flatnonzero(first_answers != first_answers[0])[0]
    one, other = images[:1], images[[another]]
    units = layer_edits.strongest(layer_edits.codes_of(layer, one)[0], 6)
    shares, names = np.linspace(0, 1, len(units) + 1), layer.facts.class_names
    kinds = {
        "switched off": [layer.edit(one, {}), *(layer.edit(one, {u: 0}) for u in units)],
        "doubled": [layer.edit(one, {}), *(layer.edit(one, {u: 2}) for u in units)],
        "blended": [layer.blend(one, other, share) for share in shares],
    }
    rows = []
    for name, edits in kinds.items():
        answers = [edited.probabilities[0].argmax() for edited in edits]
        decoded = np.concatenate([edited.decoded for edited in edits])
        changed = [answer != answers[0] for answer in answers]
        rows.append(plots.Row(name, decoded, [names[answer] for answer in answers], changed))
    titles = ["as it is", *(f"unit {unit}" for unit in units)]
    save_figure(plots.image_rows(rows, titles), path)


def main(settings: Edits) -> None:
    """Measure, write the table, draw the figure and print both."""
    data = garments.some_images(settings.train)
    images, tables, times = data.test.images[: settings.images], [], {}
    for name in settings.layers:
        layer = garments.explained(settings.folder, name, data)
        tables += [rows_of(layer, images, alpha) for alpha in settings.alphas]
        times[name] = seconds_of_changes(layer, images[:8], settings.changes)
        table = pd.concat(tables)
        table.to_csv(settings.out, index=False, float_format="%.4f")
        if name == settings.layers[0]:
            draw(layer, images, settings.figure)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    for name, seconds in times.items():
        middle, slow = np.quantile(seconds, [0.5, 0.95]) * 1000
        about = f"{len(seconds)} changes of the widget, processor time of each"
        print(f"{name}: {about} {middle:.0f} ms, 95 % below {slow:.0f} ms")


if __name__ == "__main__":
    main(command_line.settings(Edits, description=__doc__))
