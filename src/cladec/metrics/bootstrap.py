"""How sure a mean over images is: resampling the images with replacement.

Efron and Tibshirani, "An Introduction to the Bootstrap", chapters 13 and 16.
`scipy.stats.bootstrap` gives the same intervals, but takes 7 times as long for 40 rows of 10,000
images and refuses a single image; it has no test.
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


def with_interval(name: str, values: np.ndarray, *, seed: int = 0) -> dict[str, float]:
    """The mean of values (N,) by its name, and its interval of 95 %, `_low` and `_high`.

    Examples:
        >>> with_interval("fidelity", np.array([0.5, 0.5]))
        {'fidelity': 0.5, 'fidelity_low': 0.5, 'fidelity_high': 0.5}
    """
    low, high = interval(resampled_means(values, seed=seed))
    return {name: float(values.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}


def p_values(values: np.ndarray, *, draws: int = 20_000, seed: int = 0) -> np.ndarray:
    """How likely means as far from 0 as these are if the true means are 0: a bootstrap-t test.

        t = mean / (s / sqrt(N - 1)),   p = (1 + number of |t*| >= |t|) / (1 + draws)

    t* is t of a bootstrap sample of the values less their mean (Efron and Tibshirani, algorithm
    16.2, two-sided). Dividing by the deviation s of each sample keeps small p values honest, which
    a correction for many tests relies on.

    Args:
        values: (T, N), T tests on the same N images; differences of two measures for a paired test.
        draws: bootstrap samples; no p value is below 1 / (1 + draws).
        seed: the seed of the samples.

    Returns:
        (T,), two-sided; 1 where all values are 0, and for a single image.
    """
    tests, count = values.shape
    if count < 2:
        return np.ones(tests)
    centred, random = values - values.mean(axis=1, keepdims=True), np.random.default_rng(seed)
    observed = np.abs(_t(values.mean(axis=1), np.square(centred).mean(axis=1), count))
    reached = np.zeros(tests)
    for begin in range(0, draws, 500):  # so that the samples of many images fit into memory
        size = min(500, draws - begin)
        weights = random.multinomial(count, np.full(count, 1 / count), size).T / count
        means = centred @ weights
        variances = np.square(centred) @ weights - np.square(means)
        reached += (np.abs(_t(means, variances, count)) >= observed[:, None]).sum(axis=1)
    return (1 + reached) / (1 + draws)


def _t(means: np.ndarray, variances: np.ndarray, count: int) -> np.ndarray:
    """Student's t; 0 for a mean of 0, infinite for another one that does not vary."""
    errors = np.sqrt(np.maximum(variances, 0) / (count - 1))
    infinite = np.where(means == 0, 0.0, np.inf)
    return np.divide(means, errors, out=infinite, where=errors > 0)
