"""Which explainers to trust: each measure on the same images, ranked by paired tests.

Measures answer different questions, so that each has a ranking of its own and none is averaged with
another.
"""

import numpy as np
import pandas as pd

from cladec.metrics import bootstrap, comparisons
from cladec.metrics.measures import MEASURES

FLOOR = "random"
"""The method whose map consists of random numbers, one for each pixel."""

LEVEL = 0.05
"""How likely a single false finding is among all pairs of methods of one measure."""

BETTER, WORSE, EQUAL = "better", "worse", "not told apart"
"""What a method is shown to be beside the random map."""


def rank(
    values: dict[str, dict[str, np.ndarray]], seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank methods by every measure, and tell which of them the images tell apart.

    Two methods are told apart if the mean of their differences, image by image, is not 0: by a
    bootstrap-t test with Holm's correction over all pairs of methods of the measure, at 5 %.

    Args:
        values: by method and measure, a value for each image, (N,); a method may lack measures.
        seed: the seed of the bootstrap over images.

    Returns:
        A row per measure and method, the best mean first: question, measure, method, mean, low and
        high (95 % confidence interval of the mean), rank (1 and the number of methods that are
        shown to be better), group (letters; methods that share one are not told apart), than_random
        ("better", "worse" or "not told apart"), higher_is_better, images.

        And a row per measure and pair: question, measure, method, other, difference (of the means),
        low and high (95 % interval of it), p, p_holm, told_apart.
    """
    measures = dict.fromkeys(name for of_method in values.values() for name in of_method)
    tables, tests = [], []
    for name in measures:
        of_measure = {m: of_method[name] for m, of_method in values.items() if name in of_method}
        pairs = _pairs(of_measure, seed)
        about = {"question": MEASURES[name].question, "measure": name}
        tables.append(_ranked(of_measure, pairs, MEASURES[name].higher_is_better, seed, about))
        tests.append(pairs.assign(**about)[[*about, *pairs.columns]])
    return pd.concat(tables, ignore_index=True), pd.concat(tests, ignore_index=True)


def _pairs(values: dict[str, np.ndarray], seed: int) -> pd.DataFrame:
    """Test every pair of methods by one measure."""
    methods, array = np.array(list(values)), np.array(list(values.values()), dtype=float)
    first, second = np.triu_indices(len(methods), 1)
    differences = array[first] - array[second]
    low, high = bootstrap.interval(bootstrap.resampled_means(differences, seed=seed))
    p_values = bootstrap.p_values(differences, seed=seed)
    corrected = comparisons.holm(p_values)
    columns = {"method": methods[first], "other": methods[second]}
    columns |= {"difference": differences.mean(axis=1), "low": low, "high": high}
    columns |= {"p": p_values, "p_holm": corrected, "told_apart": corrected <= LEVEL}
    return pd.DataFrame(columns)


def _ranked(
    values: dict[str, np.ndarray], pairs: pd.DataFrame, higher: bool, seed: int, about: dict
) -> pd.DataFrame:
    """Rank the methods of one measure, the best mean first."""
    means = {method: of_method.mean() for method, of_method in values.items()}
    methods = sorted(means, key=means.__getitem__, reverse=higher)
    apart = pd.DataFrame(False, index=methods, columns=methods)
    for pair in pairs[pairs["told_apart"]].itertuples():
        apart.loc[pair.method, pair.other] = apart.loc[pair.other, pair.method] = True
    told = apart.to_numpy()
    array = np.array([values[method] for method in methods])
    low, high = bootstrap.interval(bootstrap.resampled_means(array, seed=seed))
    columns = {"method": methods, "mean": array.mean(axis=1), "low": low, "high": high}
    # Of two methods that are told apart the one with the better mean stands first.
    columns |= {"rank": 1 + np.tril(told).sum(axis=1), "group": comparisons.letters(told)}
    columns |= {"than_random": _than_random(methods, apart)}
    columns |= {"higher_is_better": higher, "images": array.shape[1]}
    return pd.DataFrame(about | columns)


def _than_random(methods: list[str], apart: pd.DataFrame) -> list[str]:
    """Say of each method what it is beside the random map; nothing of that map itself."""
    if FLOOR not in methods:
        return [""] * len(methods)
    place = methods.index(FLOOR)
    sides = [BETTER if number < place else WORSE for number in range(len(methods))]
    told = zip(methods, sides, apart[FLOOR], strict=True)
    return ["" if m == FLOOR else side if differs else EQUAL for m, side, differs in told]
