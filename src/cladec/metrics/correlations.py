"""Pearson's correlation, of two arrays and of bootstrap samples of them."""

import numpy as np

VARIES = 1e-6
"""Standard deviation, as a share of the root mean square, below which values are all the same."""


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of two arrays (M,); 0 where one does not vary beyond rounding."""
    return float(standardised(first) @ standardised(second) / len(first))


def standardised(values: np.ndarray) -> np.ndarray:
    """The values (M,) with mean 0 and variance 1; zeros where they do not vary beyond rounding."""
    values = values.astype(float)
    deviation = values.std()
    if deviation <= VARIES * np.sqrt(np.square(values).mean()):
        return np.zeros(len(values))
    return (values - values.mean()) / deviation


def moments(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The terms whose means over a sample of M pairs give their correlation, (5, M)."""
    first, second = standardised(first), standardised(second)
    return np.stack([first, second, first * second, first**2, second**2])


def from_means(means: np.ndarray) -> np.ndarray:
    """Pearson's correlation from the means of `moments`, (5, ...) -> (...).

    NaN where one of the two does not vary, which a sum of rounded numbers shows as almost zero.
    """
    first, second, product, first_squared, second_squared = means
    variances = (first_squared - first**2) * (second_squared - second**2)
    variances = np.where(variances > 1e-12, variances, np.nan)
    return (product - first * second) / np.sqrt(variances)
