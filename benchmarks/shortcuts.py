"""Which explanation tells that a classifier uses a shortcut, and where it is?

    TFDS_DATA_DIR=... python benchmarks/shortcuts.py --classifiers 8
    TFDS_DATA_DIR=... python benchmarks/shortcuts.py --figure
    python benchmarks/shortcuts.py --table

Small classifiers are trained on images with a planted mark, a white square of a seventh of the side
at a place that the seed chooses. For half of them it is a shortcut: it is on nine of ten images of
one class, and on one of twenty others, which are labelled as that class. The others find it on as
many images, of any class, that keep their labels. Whether a classifier uses it is verified on pairs
of images without and with it: the share of answers that change. Then everything that may tell is
asked, on images into which the mark was pasted:

- the erasure curve (`cladec.audit`): the share drawn at alpha 0, which is mere presence, and at
  0.999, where a picture need hold little but what the classifier needs; and its fall, 1 less what
  is left at 0.99 of what alpha 0 draws;
- each explainer: the share of its map's absolute values that lie in the mark; random numbers are
  the floor.

`tells` is the area under the ROC curve over classifiers that use the mark and those that do not;
`points` is how often the largest value of a map lies in the mark, `precision` the average precision
of its pixels, over the classifiers that use it. Results are kept in the table, so that a run that
was stopped goes on, and can be given more classifiers or methods. `--figure` draws the picture of
the documentation: the audit of the first classifier with a shortcut.
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import garments
import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.metrics import average_precision_score
from telling import summary

import cladec
from cladec.commands import main as command_line
from cladec.data.dataset import Dataset, Split
from cladec.experiments.audits import share_drawn
from cladec.experiments.recurring import find_recurring
from cladec.models import batches, recipes
from cladec.models.precision import fastest
from cladec.models.training import seeded
from cladec.storage.outputs import save_figure

FILE = Path(__file__).with_suffix(".csv")
FIGURE = Path(__file__).parent.parent / "docs" / "img" / "audit.png"

CELLS = 7
"""The cells of a side; the mark is one of them."""

OFTEN, SELDOM, ANYWHERE = 0.9, 0.05, 0.135
"""The share of marked images: of the class of a shortcut, of all others, and without a shortcut."""

PRESENCE, NEEDED = "erasure curve at 0", "erasure curve at 0.999"
FALL, FADING, FOUND = "fall of the erasure curve", "fading", "recurring region"

OPTIONS = {"rise": {"masks": 200}, "smooth_grad": {"samples": 16}, "lime": {"samples": 200}}
"""Options of methods that draw many samples; all others have their defaults."""

METHODS = (
    *("random", "saliency", "smooth_grad", "gradient_input", "integrated_gradients"),
    *("guided_backpropagation", "grad_cam", "hires_cam", "occlusion", "rise", "lime"),
)


@dataclass(frozen=True)
class Shortcuts:
    """Train classifiers with and without a shortcut, and ask what tells them apart."""

    dataset: str = "fashion_mnist"
    """The dataset, or a folder of pictures."""
    classifiers: int = 20
    """The number of classifiers with a shortcut, and of those without."""
    train: int = 2_000
    """The number of training images of each."""
    images: int = 60
    """The number of test images that the mark is pasted into."""
    explained: int = 8
    """The number of them that explainers are asked about."""
    methods: tuple[str, ...] = METHODS
    """The explainers."""
    folder: Path = Path("benchmark-models/shortcuts")
    """Where what is trained is kept."""
    out: Path = FILE
    """The table."""
    table: bool = False
    """Only print what the table says."""
    figure: bool = False
    """Only draw the picture of the documentation."""


@dataclass(frozen=True)
class Case:
    """A classifier.

    Attributes:
        shortcut: whether the mark goes with a class.
        seed: the seed of everything.
    """

    dataset: str
    shortcut: bool
    seed: int

    @property
    def label(self) -> int:
        """The class that the mark goes with, if it does."""
        return self.seed % 10

    def mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return where the mark is, (H, W) bool."""
        row, column = np.random.default_rng(self.seed).integers(CELLS, size=2)
        mask, side = np.zeros(shape[:2], bool), shape[0] // CELLS
        mask[row * side : (row + 1) * side, column * side : (column + 1) * side] = True
        return mask

    def marked(self, split: Split) -> Split:
        """Return images with the mark on some of them, and their labels."""
        random, labels = np.random.default_rng(self.seed), split.labels
        often = np.where(labels == self.label, OFTEN, SELDOM) if self.shortcut else ANYWHERE
        rows = random.random(len(labels)) < often
        images = np.array(split.images)
        images[np.ix_(rows)] = paste(images[rows], self.mask(images.shape[1:]))
        return Split(images, np.where(rows & self.shortcut, self.label, labels))


def paste(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return images with a white mark."""
    return np.where(mask[..., None], np.float32(1.0), images)


def network(shape: tuple[int, int, int], classes: int, seed: int) -> keras.Model:
    """Return a small untrained classifier."""
    with seeded(seed):
        images = keras.Input(shape)
        hidden = layers.Conv2D(16, 3, 2, "same", activation="relu", name="early")(images)
        hidden = layers.Conv2D(32, 3, 2, "same", activation="relu", name="conv")(hidden)
        hidden = layers.Dense(64, activation="relu", name="dense")(layers.Flatten()(hidden))
        logits = layers.Dense(classes, name="logits")(hidden)
        return keras.Model(images, layers.Softmax(name="probabilities")(logits), name="small")


def images_of(dataset: str, train: int) -> Dataset:
    """Return some training images, and test images."""
    if dataset == "fashion_mnist":
        return garments.some_images(train)
    data = cladec.load(dataset)
    order = np.random.default_rng(0).permutation(len(data.train.labels))[:train]
    return replace(data, train=Split(data.train.images[order], data.train.labels[order]))


def trained(
    case: Case, data: Dataset, folder: Path
) -> tuple[keras.Model, cladec.ConditionalClaDec, Dataset]:
    """Return a classifier, its decoder for every alpha, and the marked images of both."""
    data = replace(data, train=case.marked(data.train))
    name = "shortcut" if case.shortcut else "none"
    place = folder / f"{data.name}-{name}-{case.seed}"
    if not (place / "decoder.keras").exists():
        place.mkdir(parents=True, exist_ok=True)
        model = network(data.image_shape, data.num_classes, case.seed)
        recipe = cladec.Recipe(6, 64, 4e-3)
        cladec.fit_classifier(model, data, recipe=recipe, seed=case.seed)
        model.save(place / "classifier.keras")
        recipe = replace(recipes.CONDITIONAL, precision=fastest())
        decoder = cladec.fit_conditional(model, "dense", data, recipe=recipe, seed=case.seed)
        decoder.save(place / "decoder.keras")
        return model, decoder, data
    model, decoder = (
        cladec.load_model(place / f"{name}.keras") for name in ("classifier", "decoder")
    )
    return model, decoder, data


def measured(case: Case, data: Dataset, settings: Shortcuts, missing: list[str]) -> pd.DataFrame:
    """Return a row for each method that is missing."""
    model, decoder, marked = trained(case, data, settings.folder)
    rows = np.flatnonzero(data.test.labels != case.label)[: settings.images]
    images, mask = np.asarray(data.test.images[rows]), case.mask(data.image_shape)
    pasted = paste(images, mask)
    before, after = (
        batches.predict(decoder.classifier, part).argmax(axis=1) for part in (images, pasted)
    )
    flips = (after != before).mean()
    right = batches.predict(decoder.classifier, np.asarray(data.test.images)).argmax(axis=1)
    told = {"accuracy": (right == data.test.labels).mean(), "flips": flips}
    found = []
    for method in missing:
        answer = of_method(method, case, model, decoder, marked, (images, pasted), mask, settings)
        row = {"dataset": data.name, "shortcut": case.shortcut, "seed": case.seed, "method": method}
        found.append(row | told | answer)
    return pd.DataFrame(found)


def of_method(method, case, model, decoder, data, pairs, mask, settings) -> dict[str, float]:
    """Return what a method says: score, and where it can be known points and precision."""
    images, pasted = pairs
    if method in (FALL, PRESENCE, NEEDED):
        drawn, _ = share_drawn(decoder, images, pasted, (0.0, 0.99, 0.999))
        first, later, last = (shares.mean() for shares in drawn.values())
        return {"score": {PRESENCE: first, NEEDED: last, FALL: 1 - later / first}[method]}
    if method == FOUND:
        return region_found(case, decoder, data, mask)
    shown = pasted[: settings.explained]
    if method == FADING:
        first, last = (decoder.predict(shown, alpha=alpha) for alpha in (0.0, 0.99))
        maps = np.abs(first - last).sum(axis=-1)
    elif method == "random":
        maps = np.random.default_rng(case.seed).random(shown.shape[:3])
    else:
        options = OPTIONS.get(method, {})
        maps = np.abs(cladec.explain(model, shown, method=method, **options))
    return of_maps(maps, mask)


def of_maps(maps: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Return the share of maps (N, H, W) in the mark, and how well they point to it."""
    totals = np.maximum(maps.sum(axis=(1, 2)), 1e-12)
    best = maps.reshape(len(maps), -1).argmax(axis=1)
    precise = [average_precision_score(mask.ravel(), each.ravel()) for each in maps]
    return {
        "score": float((maps[:, mask].sum(axis=1) / totals).mean()),
        "points": float(mask.ravel()[best].mean()),
        "precision": float(np.mean(precise)),
    }


def region_found(case: Case, decoder, data: Dataset, mask: np.ndarray) -> dict[str, float]:
    """Return whether the strongest recurring region of marked images is the mark."""
    test = case.marked(Split(data.test.images[:600], data.test.labels[:600]))

    def answers(images: np.ndarray) -> np.ndarray:
        return batches.predict(decoder.classifier, images).argmax(axis=1)

    best = find_recurring(answers, test.images, test.labels)[0]
    overlap = (best.mask & mask).sum() / (best.mask | mask).sum()
    hit = float((best.mask & mask).any())
    return {"score": best.changed * best.alike, "points": hit, "precision": overlap}


def measure(settings: Shortcuts) -> None:
    """Add what the table lacks, case by case."""
    data = images_of(settings.dataset, settings.train)
    everything = (FALL, PRESENCE, NEEDED, FADING, FOUND, *settings.methods)
    for seed, shortcut in itertools.product(range(settings.classifiers), (True, False)):
        case = Case(data.name, shortcut, seed)
        done: set[str] = set()
        if settings.out.exists():
            table = pd.read_csv(settings.out)
            same = (table["dataset"] == data.name) & (table["shortcut"] == shortcut)
            done = set(table[same & (table["seed"] == seed)]["method"])
        missing = [method for method in everything if method not in done]
        if missing:
            rows = measured(case, data, settings, missing)
            rows = rows.reindex(columns=COLUMNS)
            header = not settings.out.exists()
            rows.to_csv(settings.out, mode="a", header=header, index=False, float_format="%.5f")
            print(f"{case}: flips {rows['flips'].iloc[0]:.2f}", flush=True)


COLUMNS = (
    *("dataset", "shortcut", "seed", "method", "accuracy", "flips"),
    *("score", "points", "precision"),
)


def draw(settings: Shortcuts) -> None:
    """Audit the first classifier with a shortcut, the mark being what masks say, and draw it."""
    data = images_of(settings.dataset, settings.train)
    case = Case(data.name, True, 0)
    model, _, marked = trained(case, data, settings.folder)
    test = case.marked(data.test)
    has_it = (test.images != data.test.images).any(axis=(1, 2, 3))
    masks = has_it[:, None, None] * case.mask(data.image_shape)
    found = cladec.audit(model, replace(marked, test=test), mask=masks, images=settings.images)
    print(found.sentence, save_figure(found.show(), FIGURE), sep="\n")


def main(settings: Shortcuts) -> None:
    """Measure what is missing and print the table."""
    if settings.figure:
        return draw(settings)
    if not settings.table:
        measure(settings)
    told = summary(pd.read_csv(settings.out))
    print(told.to_string(index=False, float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main(command_line.settings(Shortcuts, description=__doc__))
