"""What a classifier of emotions from elsewhere keeps of faces that it has never seen.

    python benchmarks/faces.py --classifier emotion_mini_xception.h5

The classifier takes grey faces of 64x64 pixels in [-1, 1]. The faces are the hundred of 25x25
pixels that come with scikit-image (of Labeled Faces in the Wild), enlarged. They have no labels:
what the classifier says of them is what their pictures are measured by. Its RefAE starts from its
own weights, as so few pictures cannot train an encoder. TensorFlow may crash in the gradient of a
1x1 convolution of few channels: set TF_ENABLE_ONEDNN_OPTS=0.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from skimage.data import lfw_subset
from skimage.transform import resize

import cladec
from cladec.commands import main as command_line

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FACES = 100
"""The pictures with a face, which come first; the others have none."""


@dataclass(frozen=True)
class Faces:
    """Decode layers of the classifier."""

    classifier: Path
    """The file of the classifier."""
    layers: tuple[str, ...] = ("activation_2",)
    """Its layers, from its input to its output."""
    alphas: tuple[float, ...] = (0.0, 0.5, 0.99)
    """The alphas to show."""
    epochs: int | None = None
    """Passes of the decoders over the faces, instead of those of the recipes."""
    seed: int = 0
    """The seed of weights and order."""
    depth: bool = False
    """Only draw the layers by depth, with `cladec.depth`; `--layers all` takes every one."""
    out: Path = Path("faces")
    """The folder for the table, and for a figure and a page of each layer."""


def main(settings: Faces) -> None:
    """Print the table and write it with the figures."""
    settings.out.mkdir(parents=True, exist_ok=True)
    classifier = cladec.load_model(settings.classifier)
    side = classifier.input_shape[1]
    faces = np.stack([resize(face, (side, side)) for face in lfw_subset()[:FACES]])
    given = faces[..., None].astype(np.float32)
    options: dict[str, Any] = {"pixels": "-1-1", "class_names": EMOTIONS}
    options |= {"epochs": settings.epochs, "seed": settings.seed}
    if settings.depth:
        found = cladec.depth(classifier, given, layers=settings.layers, **options)
        print(found.save(settings.out))
        return
    options |= {"reference": "tuned", "alphas": settings.alphas}
    tables = []
    for name in settings.layers:
        layer = cladec.explain_layer(classifier, name, given, **options)
        layer.show().savefig(settings.out / f"{name}.png")
        layer.report(settings.out / f"{name}.html")
        tables.append(layer.measures.assign(layer=name, thumbnail=layer.facts.thumbnail_error))
        pd.concat(tables).to_csv(settings.out / "faces.csv", index=False, float_format="%.4f")
        print(tables[-1].to_string(index=False, float_format="{:.3f}".format), flush=True)


if __name__ == "__main__":
    main(command_line.settings(Faces, description=__doc__))
