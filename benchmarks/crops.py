"""What the layers of a residual network keep of photographs: normalised error by depth.

    python benchmarks/crops.py

Random crops of twelve photographs that come with scikit-image, 96x96 pixels in colour, labelled by
the photograph: real pictures, and as many as one wants. A small residual network tells them apart;
three of its layers are explained with `cladec.explain_layer`. Some minutes on two cores.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from checkerboards import PERIODS
from skimage import data
from skimage.util import img_as_float32
from small_classifier import residual

import cladec
from cladec.commands import main as command_line
from cladec.metrics.checkerboard import checkerboard
from cladec.models import accuracy

COLOUR = (
    *("astronaut", "chelsea", "coffee", "hubble_deep_field", "immunohistochemistry"),
    *("retina", "rocket", "stereo_motorcycle"),
)

GREY = ("brick", "camera", "grass", "gravel")


@dataclass(frozen=True)
class Bench:
    """Train the network and explain its layers."""

    images: int = 2000
    """Crops to train on; a fifth as many are measured."""
    side: int = 96
    """Pixels of a side of a crop."""
    layers: tuple[str, ...] = ("out_1", "out_2", "out_3")
    """Layers of the network, from its input to its output."""
    alphas: tuple[float, ...] = (0.0, 0.5, 0.99)
    """The alphas to show."""
    epochs: int | None = None
    """Passes of the decoders over the crops, instead of those of the recipes."""
    seed: int = 0
    """The seed of crops and weights."""
    depth: bool = False
    """Only draw the layers by depth, with `cladec.depth`; `--layers all` takes every one."""
    out: Path = Path("crops")
    """The folder for the table, and for a figure and a page of each layer."""


def main(bench: Bench) -> None:
    """Print the table and write it with the figures."""
    bench.out.mkdir(parents=True, exist_ok=True)
    photographs = crops(bench)
    network = trained(photographs, bench.seed)
    if bench.depth:
        found = cladec.depth(
            network, photographs, layers=bench.layers, epochs=bench.epochs, seed=bench.seed
        )
        print(found.save(bench.out))
        return
    rows = []
    for name in bench.layers:
        options = {"alphas": bench.alphas, "epochs": bench.epochs, "seed": bench.seed}
        layer = cladec.explain_layer(network, name, photographs, **options)
        layer.show().savefig(bench.out / f"{name}.png")
        layer.report(bench.out / f"{name}.html")
        rows.append(row(layer, network, photographs.test.images))
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(bench.out / "crops.csv", index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format="{:.3f}".format))


def row(
    layer: cladec.LayerExplanation, network: keras.Model, images: np.ndarray
) -> dict[str, object]:
    """The numbers of one layer, some of them of new images (N, side, side, 3)."""
    errors, same = layer.normalised_error(), layer.fidelity()
    last = max(same)
    decoded = layer.decode(images, alpha=last)
    return {
        "layer": layer.layer,
        "code": "x".join(map(str, network.get_layer(layer.layer).output.shape[1:])),
        "RefAE": layer.measures["normalised_error"].iloc[0],
        "ClaDec 0": errors[0.0],
        "thumbnail": layer.facts.thumbnail_error,
        "lost": layer.lost_by_class["lost"].iloc[0],
        "same answer at 0": same[0.0],
        "same answer at the last alpha": same[last],
        "checkerboard at the last alpha": max(
            checkerboard(decoded, images, period=period) for period in PERIODS
        ),
    }


def crops(bench: Bench) -> cladec.Dataset:
    """Crops of every photograph, (N, side, side, 3), to train on and others to test on."""
    pictures = [picture(name) for name in (*COLOUR, *GREY)]
    generator = np.random.default_rng(bench.seed)
    splits = []
    for count in (bench.images, bench.images // 5):
        labels = generator.integers(len(pictures), size=count)
        images = np.empty((count, bench.side, bench.side, 3), np.float32)
        for image, label in zip(images, labels, strict=True):
            top, left = (generator.integers(n - bench.side) for n in pictures[label].shape[:2])
            image[:] = pictures[label][top : top + bench.side, left : left + bench.side]
        splits.append(cladec.Split(images, labels))
    return cladec.Dataset("crops", *splits, (*COLOUR, *GREY))


def picture(name: str) -> np.ndarray:
    """A photograph of scikit-image, (H, W, 3) in [0, 1]."""
    found = getattr(data, name)()
    pixels = img_as_float32(found[0] if isinstance(found, tuple) else found)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def trained(photographs: cladec.Dataset, seed: int) -> keras.Model:
    """The residual network, trained to tell the crops apart."""
    about = photographs.image_shape, photographs.num_classes
    network = residual(*about, (16, 32, 64), stem_stride=2)
    recipe = cladec.Recipe(epochs=16, batch_size=32, learning_rate=1e-2)
    cladec.fit_classifier(network, photographs, recipe=recipe, seed=seed)
    print(f"accuracy on new crops {accuracy(network, photographs.test):.3f}", flush=True)
    return network


if __name__ == "__main__":
    main(command_line.settings(Bench, description=__doc__))
