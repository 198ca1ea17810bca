"""Ranks of explainers: the tests behind them, Holm's correction, and the letters of groups."""

from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from cladec.metrics import bootstrap
from cladec.metrics.comparisons import holm, letters
from cladec.metrics.ranking import LEVEL, rank


def test_rank_by_hand():
    values = {
        "good": {"deletion": np.full(5, 0.1), "insertion": np.full(5, 0.9)},
        "fair": {"deletion": np.full(5, 0.2), "insertion": np.full(5, 0.8)},
        "half": {"insertion": np.full(5, 0.1)},
    }
    table, pairs = rank(values)
    table = table.set_index(["measure", "method"])
    assert table["rank"].to_dict() == {
        ("deletion", "good"): 1,
        ("deletion", "fair"): 2,
        ("insertion", "good"): 1,
        ("insertion", "fair"): 2,
        ("insertion", "half"): 3,
    }
    assert list(table["group"]) == ["a", "b", "a", "b", "c"]
    assert list(table["question"].unique()) == ["faithfulness"]
    assert table.loc["insertion", "higher_is_better"].all()
    np.testing.assert_allclose(table["low"], table["mean"])
    np.testing.assert_allclose(table["high"], table["mean"])
    assert list(pairs["measure"]) == ["deletion"] + ["insertion"] * 3
    np.testing.assert_allclose(pairs["difference"], [-0.1, 0.1, 0.8, 0.7])


def test_rank_pairs_the_images():
    random = np.random.default_rng(0)
    images, noise = random.normal(0, 1, 60), random.normal(0, 0.05, (3, 60))
    # Images differ far more than methods do: only image by image can these be told apart.
    values = {
        "best": {"deletion": images + noise[0] - 0.1},
        "same": {"deletion": images + noise[1] - 0.1},
        "random": {"deletion": images + noise[2]},
    }
    table, pairs = rank(values)
    table = table.set_index("method")
    assert table["high"].min() > table["low"].max()  # each interval overlaps the others
    assert table["group"].to_dict() == {"best": "a", "same": "a", "random": "b"}
    assert table["rank"].to_dict() == {"best": 1, "same": 1, "random": 3}
    assert table["than_random"].to_dict() == {"best": "better", "same": "better", "random": ""}
    unpaired = {m: {"deletion": random.permutation(v["deletion"])} for m, v in values.items()}
    assert set(rank(unpaired)[0]["group"]) == {"a"}
    assert pairs["told_apart"].sum() == 2


def test_rank_says_what_is_worse_than_random_maps_and_what_may_be():
    random = np.random.default_rng(1)
    values = {
        "worse": {"mu_fidelity": random.normal(-1, 0.2, 50)},
        "alike": {"mu_fidelity": random.normal(0, 0.2, 50)},
        "random": {"mu_fidelity": random.normal(0, 0.2, 50)},
    }
    found = rank(values)[0].set_index("method")["than_random"].to_dict()
    assert found == {"worse": "worse", "alike": "not told apart", "random": ""}


def test_a_single_image_tells_nothing_apart():
    table, pairs = rank({"a": {"deletion": np.zeros(1)}, "b": {"deletion": np.ones(1)}})
    assert set(table["group"]) == {"a"}
    assert list(pairs["p"]) == [1.0]


def test_a_single_method_has_a_rank():
    table, pairs = rank({"a": {"deletion": np.arange(4.0)}})
    assert list(table["rank"]) == [1]
    assert len(pairs) == 0


def test_methods_that_are_alike_are_rarely_told_apart():
    random, count = np.random.default_rng(2), 40
    skewed = random.exponential(size=(count, 6, 50))
    found = 0
    for methods in skewed:
        _, pairs = rank({str(i): {"deletion": values} for i, values in enumerate(methods)})
        found += pairs["told_apart"].any()
    assert found <= scipy.stats.binom.ppf(0.999, count, LEVEL)


def test_p_values_are_those_of_a_t_test_where_values_are_normal():
    values = np.random.default_rng(3).normal(0.2, 1, (12, 100))
    expected = scipy.stats.ttest_1samp(values, 0, axis=1).pvalue
    np.testing.assert_allclose(bootstrap.p_values(values), expected, atol=0.02)
    naive = [naive_p_value(row, 4000) for row in values[:3]]
    np.testing.assert_allclose(bootstrap.p_values(values[:3]), naive, atol=0.02)


def naive_p_value(values: np.ndarray, draws: int) -> float:
    """Algorithm 16.2 of Efron and Tibshirani, a sample after the other, two-sided."""
    random, count = np.random.default_rng(7), len(values)

    def t(sample):
        return sample.mean() / (sample.std(ddof=1) / np.sqrt(count))

    centred = values - values.mean()
    drawn = [t(random.choice(centred, count)) for _ in range(draws)]
    return float(np.mean(np.abs(drawn) >= abs(t(values))))


def test_p_values_of_what_does_not_vary():
    same = np.array([[0.0] * 6, [1.0] * 6])
    np.testing.assert_allclose(bootstrap.p_values(same, draws=999), [1, 1 / 1000])


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1, 1])
    assert len(holm(np.zeros(0))) == 0


@pytest.mark.parametrize("seed", range(20))
def test_two_share_a_letter_just_where_they_are_not_told_apart(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 9))
    apart = np.triu(random.random((count, count)) < random.random(), 1)
    apart |= apart.T
    names = letters(apart)
    for one, other in combinations(range(count), 2):
        assert set(names[one]).isdisjoint(names[other]) == apart[one, other]
    # No letter can be left out: none stands for a part of what another stands for.
    groups = [{i for i in range(count) if letter in names[i]} for letter in set("".join(names))]
    assert not any(a < b for a in groups for b in groups)
    assert names[0].startswith("a")
