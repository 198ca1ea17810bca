"""Every explainer on the same image: the figures of the page docs/explainers.md.

    python benchmarks/explainer_figures.py

One classifier of Fashion-MNIST, with the RefAE and the ClaDec of its dense layer; what is missing
in --models is trained. All methods with their defaults, asked for the class that is predicted.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import cladec
from cladec import plots
from cladec.metrics import effects_of_methods
from cladec.storage.outputs import save_figure

ROOT = Path(__file__).parent.parent
DATASET, LAYER = "fashion_mnist", "dense"
IMAGE = 83
"""The test image, an ankle boot that might be a sneaker: methods that compare probabilities find
nothing in an image that the classifier is sure of, whatever is hidden of it."""

ALL = "all"
"""The figure of all methods side by side."""


def main() -> None:
    """Draw a figure for each method, and one of all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("saved-models"))
    parser.add_argument("--image", type=int, default=IMAGE)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img" / "explainers")
    options = parser.parse_args()
    saved = classifier(options.models)
    image = saved.data.test.images[options.image : options.image + 1]
    shares = saved.probabilities(image)[0]
    title = f"{saved.class_names[shares.argmax()]} ({shares.max():.0%})"
    explanations = dict(explained(saved, image))
    effects = effects_of_methods(saved.classifier, image, explanations)
    one = {name: answer[0] for name, answer in explanations.items()}
    for name, answer in one.items():
        figure = plots.side_by_side(image[0], {name: answer}, title, effects=effects)
        save_figure(figure, options.out / f"{name}.png")
    maps = {name: answer for name, answer in one.items() if answer.ndim == 2}
    figure = plots.side_by_side(image[0], maps, title, effects=effects)
    save_figure(figure, options.out / f"{ALL}.png")


def classifier(models: Path) -> cladec.SavedClassifier:
    """The classifier, with the RefAE and the ClaDec that the method cladec compares."""
    sweep = cladec.Sweep(datasets=(DATASET,), layers=(LAYER,), alphas=(0.0,), out=models)
    return cladec.SavedClassifier(cladec.train_missing(sweep), models)


def explained(saved: cladec.SavedClassifier, image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each method's map (1, H, W), or image (1, H, W, C), by its name."""
    for name in cladec.EXPLAINERS:
        with warnings.catch_warnings():  # a map of zeros is a figure too
            warnings.simplefilter("ignore", cladec.InputWarning)
            yield name, saved.explain(image, method=name)


if __name__ == "__main__":
    main()
