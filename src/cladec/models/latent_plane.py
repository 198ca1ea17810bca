"""The plane of a variational model's first two latent dimensions: its points, and what lies there.

Row 0 of everything laid out on the plane is the highest z_2, column 0 the lowest z_1, as in a
picture; dimensions after the second are zero, where the codes are densest.
"""

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    import keras

    from cladec.models.variational import VariationalClaDec, VariationalRefAE


def quantiles(count: int) -> np.ndarray:
    """Where a normal distribution has `count` equal shares: the middle of each, ascending."""
    return stats.norm.ppf((np.arange(count) + 0.5) / count)


def latent_points(count: int) -> np.ndarray:
    """A grid that is as dense as the standard normal distribution, (count * count, 2), by rows."""
    return _grid(quantiles(count))


def plane_points(size: int, extent: float) -> np.ndarray:
    """The centres of size x size squares from -extent to extent, (size * size, 2), by rows."""
    return _grid(((np.arange(size) + 0.5) / size * 2 - 1) * extent)


def _grid(values: np.ndarray) -> np.ndarray:
    z_1, z_2 = np.meshgrid(values, values[::-1])
    return np.stack([z_1.ravel(), z_2.ravel()], axis=1).astype(np.float32)


def with_dimensions(points: np.ndarray, count: int) -> np.ndarray:
    """Points (N, D) with `count` dimensions: the last are left out, missing ones are zero."""
    result = np.zeros((len(points), count), np.float32)
    shared = min(count, points.shape[1])
    result[:, :shared] = points[:, :shared]
    return result


def extent_of(z_mean: np.ndarray) -> float:
    """Half the side of a square around zero that holds 99 % of the codes (N, D), at least 2."""
    farthest = np.abs(with_dimensions(z_mean, 2)).max(axis=1)
    return float(max(2.0, np.ceil(2 * np.quantile(farthest, 0.99)) / 2))


def decoded_plane(model: "VariationalClaDec | VariationalRefAE", count: int = 15) -> np.ndarray:
    """What a model decodes at `latent_points(count)`: (count * count, H, W, C) in [0, 1]."""
    return model.decode(with_dimensions(latent_points(count), model.latent_dim))


def classified_plane(
    model: "VariationalClaDec | VariationalRefAE",
    classifier: "keras.Model",
    *,
    extent: float = 3.0,
    size: int = 200,
) -> np.ndarray:
    """What the classifier says of the images that a model decodes all over the plane.

    Args:
        model: a trained variational model of a layer of `classifier`.
        classifier: ending in softmax or logits.
        extent: the plane goes from -extent to extent in both directions.
        size: points a side.

    Returns:
        Probabilities (size, size, K).
    """
    import keras

    from cladec.models import batches, cutting

    logits = cutting.logits(classifier)(model.decoder.outputs[0])
    answers = keras.Model(model.decoder.inputs[0], keras.ops.softmax(logits))
    points = with_dimensions(plane_points(size, extent), model.latent_dim)
    return batches.predict(answers, points).reshape(size, size, -1)
