"""What the table of `shortcuts.py` says: how well each method tells, with intervals."""

import numpy as np
import pandas as pd

USED, UNUSED = 0.5, 0.1
"""Of at least so many flipped answers the mark counts as used, of at most so many as not used."""


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return how well each method tells and points, with intervals over classifiers."""
    table = table[(table["flips"] >= USED) | (table["flips"] <= UNUSED)]
    rows = []
    for (dataset, method), of_method in table.groupby(["dataset", "method"], sort=False):
        used = (of_method["flips"] >= USED).to_numpy()
        row = {"dataset": dataset, "method": method, "used": used.sum(), "unused": (~used).sum()}
        row |= with_interval("tells", auroc, of_method["score"].to_numpy(), used)
        for name in ("points", "precision"):
            row |= with_interval(name, mean_of_used, of_method[name].to_numpy(), used)
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["dataset", "tells"], ascending=[True, False])


def auroc(scores: np.ndarray, used: np.ndarray) -> float:
    """Return the area under the ROC curve: the share of pairs that are in order, ties by half."""
    above = scores[used][:, None] - scores[~used]
    return float(((above > 0) + 0.5 * (above == 0)).mean()) if above.size else np.nan


def mean_of_used(values: np.ndarray, used: np.ndarray) -> float:
    """Return the mean over the classifiers that use the mark."""
    return float(values[used].mean()) if used.any() else np.nan


def with_interval(name: str, statistic, values: np.ndarray, used: np.ndarray) -> dict[str, float]:
    """Return a statistic and its interval of 95 %, by bootstrap within both kinds."""
    random = np.random.default_rng(0)
    kinds = [np.flatnonzero(used), np.flatnonzero(~used)]
    draws = []
    for _ in range(1_000):
        rows = np.concatenate([random.choice(kind, len(kind)) for kind in kinds if len(kind)])
        draws.append(statistic(values[rows], used[rows]))
    low, high = (
        np.nanquantile(draws, [0.025, 0.975]) if not np.isnan(draws).all() else (np.nan,) * 2
    )
    return {name: statistic(values, used), f"{name}_low": low, f"{name}_high": high}
