"""Regions that recur at one place in the images of a class, and on which its answer depends.

Nobody has to name a feature for that: each cell of a grid is replaced by the same cell of images of
other classes. A cell counts as far as the answers then change, and as far as it looks the same in
all images of the class while it differs between classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cladec.experiments.features import CELLS, Region

IMAGES = 48
"""The most images of a class whose cells are replaced."""

LEAST = 5
"""The least images of a class that can tell what recurs."""

Answers = Callable[[np.ndarray], np.ndarray]
"""A function of images (N, H, W, C) that returns classes (N,)."""


@dataclass(frozen=True, eq=False)
class Recurring:
    """A region that recurs in the images of a class.

    Attributes:
        label: the class.
        mask: where it is, (H, W) bool.
        changed: the share of the class's answers that change when the region is replaced.
        alike: the share of its variance that is between the classes, in [0, 1].
        shown: some images of the class, (n, H, W, C).

    Examples:
        >>> strongest = cladec.recurring_regions(classifier, (images[:800], labels[:800]))[0]
        >>> strongest.mask.shape, 0 <= strongest.changed <= 1
        ((28, 28), True)
    """

    label: int
    mask: np.ndarray
    changed: float
    alike: float
    shown: np.ndarray

    def feature(self, name: str) -> Region:
        """Return the region as a feature that can be pasted."""
        masks = np.repeat(self.mask[None].astype(np.float32), len(self.shown), axis=0)
        return Region(name, self.shown, np.full(len(self.shown), self.label), masks)


def find_recurring(
    answers: Answers, images: np.ndarray, labels: np.ndarray, *, seed: int = 0
) -> list[Recurring]:
    """Return the region of each class that recurs and that answers depend on, the strongest first.

    Classes with too few images that are answered rightly have none.

    Args:
        answers: the classifier.
        images: images (N, H, W, C).
        labels: their classes, (N,).
        seed: the seed of the choice of images and of what replaces a cell.
    """
    random, found = np.random.default_rng(seed), []
    right = answers(images) == labels
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero((labels == label) & right)
        others = np.flatnonzero(labels != label)
        if len(rows) < LEAST or not len(others):
            continue
        rows = random.permutation(rows)[:IMAGES]
        strangers = images[random.choice(others, len(rows))]
        found.append(_of_class(answers, images, images[rows], strangers, label))
    return sorted(found, key=lambda each: -each.changed * each.alike)


def _of_class(
    answers: Answers, everything: np.ndarray, images: np.ndarray, strangers: np.ndarray, label: int
) -> Recurring:
    """Return the strongest region of one class: neighbouring cells of at least half the best."""
    height, width = images.shape[1:3]
    cells = _grid(height, width)
    scores = np.zeros(cells.max() + 1)
    for cell in range(len(scores)):
        mask = cells == cell
        scores[cell] = _changed(answers, images, strangers, mask, label) * _alike(
            everything, images, mask
        )
    best = int(scores.argmax())
    strong = (scores >= max(scores[best] / 2, 1e-9))[cells]
    parts, _ = ndimage.label(strong)
    mask = parts == parts[cells == best].max() if strong.any() else cells == best
    changed = _changed(answers, images, strangers, mask, label)
    return Recurring(label, mask, changed, _alike(everything, images, mask), images)


def _grid(height: int, width: int) -> np.ndarray:
    """Return the number of the cell of each pixel, (H, W)."""
    rows = np.minimum(np.arange(height) * CELLS // height, CELLS - 1)
    columns = np.minimum(np.arange(width) * CELLS // width, CELLS - 1)
    return np.unique(CELLS * rows[:, None] + columns, return_inverse=True)[1].reshape(height, width)


def _changed(
    answers: Answers, images: np.ndarray, strangers: np.ndarray, mask: np.ndarray, label: int
) -> float:
    """Return the share of answers that change when a region becomes that of other images."""
    replaced = np.where(mask[..., None], strangers, images)
    return float((answers(replaced) != label).mean())


def _alike(everything: np.ndarray, images: np.ndarray, mask: np.ndarray) -> float:
    """Return 1 - variance within the class / variance over all images, in [0, 1]."""
    overall = float(everything[:, mask].var(axis=0).mean())
    within = float(images[:, mask].var(axis=0).mean())
    return float(np.clip(1 - within / overall, 0, 1)) if overall > 0 else 0.0
