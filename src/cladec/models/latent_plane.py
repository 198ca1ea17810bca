"""The plane of a variational model's first two latent dimensions, decoded and classified.

As in a picture, row 0 has the highest z_2 and column 0 the lowest z_1. All further dimensions are
zero, where the codes are densest.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    import keras

    from cladec.models.variational import VariationalClaDec, VariationalRefAE


def quantiles(count: int) -> np.ndarray:
    """Return the ascending medians of `count` equal shares of the standard normal distribution."""
    return stats.norm.ppf((np.arange(count) + 0.5) / count)


def latent_points(count: int) -> np.ndarray:
    """Return a grid as dense as the standard normal distribution, (count * count, 2), by rows."""
    return _grid(quantiles(count))


def plane_points(size: int, extent: float) -> np.ndarray:
    """Return the centres of size x size squares from -extent to extent, (size * size, 2)."""
    return _grid(((np.arange(size) + 0.5) / size * 2 - 1) * extent)


def _grid(values: np.ndarray) -> np.ndarray:
    z_1, z_2 = np.meshgrid(values, values[::-1])
    return np.stack([z_1.ravel(), z_2.ravel()], axis=1).astype(np.float32)


def with_dimensions(points: np.ndarray, count: int) -> np.ndarray:
    """Return points (N, D) cut, or padded with zeros, to `count` dimensions."""
    result = np.zeros((len(points), count), np.float32)
    shared = min(count, points.shape[1])
    result[:, :shared] = points[:, :shared]
    return result


def extent_of(z_mean: np.ndarray) -> float:
    """Return half the side of a square around zero with 99 % of the codes (N, D), at least 2."""
    farthest = np.abs(with_dimensions(z_mean, 2)).max(axis=1)
    return float(max(2.0, np.ceil(2 * np.quantile(farthest, 0.99)) / 2))


def decoded_plane(model: "VariationalClaDec | VariationalRefAE", count: int = 15) -> np.ndarray:
    """Decode `latent_points(count)` to images (count * count, H, W, C) in [0, 1]."""
    return model.decode(with_dimensions(latent_points(count), model.latent_dim))


def classified_plane(
    model: "VariationalClaDec | VariationalRefAE",
    classifier: "keras.Model",
    *,
    extent: float = 3.0,
    size: int = 200,
) -> np.ndarray:
    """Classify the images that a model decodes from all over the plane.

    Args:
        model: a trained variational model of a layer of `classifier`.
        classifier: a classifier that ends in softmax or logits.
        extent: the limit of the plane, from -extent to extent in both directions.
        size: the number of points per side.

    Returns:
        Probabilities (size, size, K).
    """
    import keras

    from cladec.models import batches, cutting

    logits = cutting.logits(classifier)(model.decoder.outputs[0])
    answers = keras.Model(model.decoder.inputs[0], keras.ops.softmax(logits))
    points = with_dimensions(plane_points(size, extent), model.latent_dim)
    return batches.predict(answers, points).reshape(size, size, -1)
