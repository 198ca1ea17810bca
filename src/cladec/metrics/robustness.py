"""Whether an attribution map depends on what it should: on the classifier, and on no noise.

Stability asks whether the map stays when the image hardly changes; randomisation, whether it
changes when the classifier has forgotten everything it learnt. A map of random numbers is perfect
in the second and bad in the first; a map that depends on the image alone is the reverse.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from scipy.stats import rankdata

from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.inputs import Targets, prepare
from cladec.metrics.correlations import pearson
from cladec.metrics.faithfulness import check_maps
from cladec.models import cutting
from cladec.models.training import seeded

MapMaker = Callable[[keras.Model, np.ndarray, np.ndarray], np.ndarray]
"""A function of (model, images, targets) that gives attribution maps (N, H, W)."""


def stability(
    explainer: MapMaker,
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    targets: Targets = None,
    *,
    radius: float = 0.05,
    samples: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """How fast the explanation changes with the image: a local Lipschitz constant; low is good.

        max over x' of |map(x) - map(x')| / |x - x'|,   x' = x + noise, uniform in [-radius, radius]

    (Alvarez-Melis and Jaakkola, "On the Robustness of Interpretability Methods", eq. 2, arXiv
    1806.08049.) Maps are divided by their Euclidean norm, so that methods can be compared.

    Args:
        explainer: what made `maps`.
        model: any built classifier.
        images: (N, H, W, C) in [0, 1].
        maps: `explainer(model, images, targets)`, (N, H, W).
        targets: a class for all, one for each, or None for the predicted ones; the noise does not
            change the class explained.
        radius: the radius of the noise, above 0; the noisy images are clipped to [0, 1].
        samples: noisy images of each image; the noise is the same for all of them.
        seed: the seed of the noise.

    Returns:
        (N,), 0 or more; 0 for maps that are constantly zero, which says nothing in their favour.

    Raises:
        InputError: an array does not fit the model, or an option is out of range.
    """
    at_least(1, samples=samples)
    if not 0 < radius <= 1:
        raise InputError(f"radius is {radius}: expected a number above 0, at most 1")
    _, images, classes = prepare(model, images, targets)
    maps = _unit(check_maps(images, maps))
    generator = np.random.default_rng(seed)
    largest = np.zeros(len(images))
    for _ in range(samples):
        noise = generator.uniform(-radius, radius, images.shape[1:]).astype(np.float32)
        noisy = np.clip(images + noise, 0, 1)
        change = _norms(maps - _unit(explainer(model, noisy, classes)))
        distance = np.maximum(_norms(noisy - images), np.finfo(np.float32).tiny)
        largest = np.maximum(largest, change / distance)
    return largest


def randomisation(
    explainer: MapMaker,
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    targets: Targets = None,
    *,
    layers: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """How much of the map is still there when the weights are random; near 0 is good.

    The rank correlation of the absolute values of the map and of that of the randomised classifier
    (Adebayo et al., "Sanity Checks for Saliency Maps", section 4, arXiv 1810.03292).

    Args:
        explainer: what made `maps`; a layer "inner/conv" is "inner.conv" in the model it is given.
        model: any built classifier; it is not changed.
        images: (N, H, W, C) in [0, 1].
        maps: `explainer(model, images, targets)`, (N, H, W).
        targets: a class for all, one for each, or None for the predicted ones.
        layers: how many layers with weights are randomised, from the output on; None for all.
            With 1, 2, 3, ... it is the cascading randomisation of the paper.
        seed: the seed of the random weights.

    Returns:
        (N,) in [-1, 1]; where a map is constant, 1 if the other one is as well, else 0.

    Raises:
        InputError: an array does not fit the model, or an option is out of range.
    """
    _, images, classes = prepare(model, images, targets)
    maps = check_maps(images, maps)
    others = explainer(randomised(model, layers=layers, seed=seed), images, classes)
    before, after = (np.abs(both).reshape(len(images), -1) for both in (maps, others))
    return np.array([_rank_correlation(a, b) for a, b in zip(before, after, strict=True)])


def randomised(model: keras.Model, *, layers: int | None = None, seed: int = 0) -> keras.Model:
    """A copy of a classifier with the weights of its last layers newly initialised.

    Args:
        model: any built classifier; nested models are unfolded, "inner/conv" becomes "inner.conv".
        layers: how many layers with weights, from the output on; None for all.
        seed: the seed of the weights.

    Raises:
        InputError: the model cannot be copied, or `layers` is below 1.
    """
    with seeded(seed):
        trained, fresh = (
            keras.Model(flat.inputs, flat.outputs)
            for flat in (cutting.flatten(model), cutting.flatten(model, fresh=True))
        )
    pairs = [
        pair for pair in zip(trained.layers, fresh.layers, strict=True) if pair[1].trainable_weights
    ]
    if layers is not None:
        at_least(1, layers=layers)
        for source, target in pairs[: max(0, len(pairs) - layers)]:
            target.set_weights(source.get_weights())
    return fresh


def random_explainer(seed: int = 0) -> MapMaker:
    """An explainer that knows nothing: uniform numbers in [0, 1), new ones at every call."""
    generator = np.random.default_rng(seed)

    def explainer(model: Any, images: np.ndarray, targets: Any) -> np.ndarray:
        return generator.random(images.shape[:3], dtype=np.float32)

    return explainer


def _norms(arrays: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(arrays.reshape(len(arrays), -1), dtype=float).sum(axis=1))


def _unit(maps: np.ndarray) -> np.ndarray:
    norms = _norms(maps)
    return maps / np.where(norms == 0, 1, norms)[:, None, None]


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; 1 where both are constant, 0 where one is."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float(np.ptp(first) == np.ptp(second))
    return pearson(rankdata(first), rankdata(second))
