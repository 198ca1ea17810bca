"""Which explainers to trust: their measures on the same images, ranked, with intervals."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cladec.metrics import bootstrap
from cladec.metrics.measures import MEASURES

RANK = "mean_rank"
"""The name of the mean rank among the measures."""


def rank(values: dict[str, dict[str, np.ndarray]], seed: int = 0) -> pd.DataFrame:
    """Rank methods by every measure, and by the mean of these ranks.

    Args:
        values: by method and measure, a value for each image, (N,); a method may lack measures.
        seed: the seed of the bootstrap over images.

    Returns:
        A row per measure and method: measure, method, mean, low and high (95 % confidence
        interval), rank (1 is the best), higher_is_better. The measure "mean_rank" is the mean over
        the others of the ranks.
    """
    methods = [method for method in values if values[method]]
    measures = list(dict.fromkeys(name for of_method in values.values() for name in of_method))
    count = len(next(iter(next(iter(values.values())).values())))
    missing = np.full(count, np.nan)
    array = np.array([[values[m].get(name, missing) for m in methods] for name in measures])
    higher = [MEASURES[name].higher_is_better for name in measures]
    signs = np.where(higher, -1, 1)[:, None]
    draws = bootstrap.resampled_means(array, seed=seed)
    ranks = _ranks(array.mean(axis=-1) * signs)
    mean_ranks = np.nanmean(ranks, axis=0)
    drawn_ranks = np.nanmean(_ranks(draws * signs[..., None]), axis=0)
    rows = []
    for name, is_higher, means, drawn, places in (
        *zip(measures, higher, array.mean(axis=-1), draws, ranks, strict=True),
        (RANK, False, mean_ranks, drawn_ranks, _ranks(mean_ranks[None])[0]),
    ):
        low, high = bootstrap.interval(drawn)
        columns = {"measure": name, "method": methods, "mean": means, "low": low, "high": high}
        rows.append(pd.DataFrame(columns | {"rank": places, "higher_is_better": is_higher}))
    return pd.concat(rows, ignore_index=True).dropna().reset_index(drop=True)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the second axis, 1 for the lowest; NaN stays NaN."""
    return rankdata(values, axis=1, nan_policy="omit")
