"""Anchors on rules that are known and against all sets of segments; KL-LUCB on simulated arms."""

from dataclasses import dataclass
from itertools import combinations, product

import keras
import naive
import numpy as np
import pytest
from keras import layers

from cladec.errors import InputError
from cladec.explainers.bandits import Arm, best_arms, bounds, exploration
from cladec.explainers.rules import anchors, find_anchors

QUARTERS = np.kron(np.arange(4).reshape(2, 2), np.ones((2, 2), int))
SIXTEENTHS = np.arange(16).reshape(4, 4)
WHITE, BLACK = np.ones((1, 4, 4, 1), np.float32), np.zeros((1, 4, 4, 1), np.float32)


def divergence(p, q):
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


def test_bounds_of_arms_that_always_or_never_hit_are_known():
    low, high = bounds(np.array([0, 30]), np.array([30, 30]), 2.0)
    np.testing.assert_allclose(low, [0, np.exp(-2 / 30)], atol=1e-5)
    np.testing.assert_allclose(high, [1 - np.exp(-2 / 30), 1], atol=1e-5)


@pytest.mark.parametrize(("hits", "samples"), [(1, 10), (25, 50), (190, 200)])
def test_bounds_are_where_the_divergence_reaches_the_level(hits, samples):
    mean = hits / samples
    low, high = bounds(hits, samples, 3.0)
    assert low < mean < high
    for bound in (low, high):
        assert samples * divergence(mean, bound) == pytest.approx(3.0, rel=1e-3)


def test_the_level_of_a_round_follows_the_theorem():
    inner = np.log(405.5 * 7 * 3**1.1 / 0.05)
    assert exploration(7, 3, 0.05) == pytest.approx(inner + np.log(inner))


@dataclass
class Biased(Arm):
    mean_of_draws: float = 0.0


def test_the_best_arms_are_found_with_few_draws_of_the_others():
    generator = np.random.default_rng(0)
    means = (0.1, 0.85, 0.5, 0.9, 0.2, 0.55, 0.05)
    arms = [Biased(mean_of_draws=mean) for mean in means]

    def sample(arm):
        arm.samples += 10
        arm.hits += generator.binomial(10, arm.mean_of_draws)

    for arm in arms:
        sample(arm)
    best = best_arms(arms, 2, sample, tolerance=0.1, delta=0.05)
    assert {arm.mean_of_draws for arm in best} == {0.85, 0.9}
    drawn = [arm.samples for arm in arms]
    assert max(drawn[0], drawn[4], drawn[6]) < drawn[5]


def test_arms_no_more_than_wanted_are_not_drawn():
    arms = [Arm(4, 1), Arm(4, 3)]
    assert best_arms(arms, 2, sample=None, tolerance=0.1, delta=0.1) == arms[::-1]


def both(first, second):
    """A classifier of class 1 where two pixels are bright, else of class 0."""
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(inputs)))
    kernel = np.zeros((16, 2))
    kernel[[first, second], 1] = 10.0
    model.set_weights([kernel, np.array([15.0, 0.0])])
    return model


def test_an_anchor_is_the_rule():
    anchor = find_anchors(both(2, 8), WHITE, segments=QUARTERS, fill=0.0)[0]
    assert anchor.chosen == (1, 2)
    assert (anchor.precision, anchor.coverage) == (1.0, 0.25)
    np.testing.assert_array_equal(anchor.map, np.isin(QUARTERS, (1, 2)))
    maps = anchors(both(2, 8), np.concatenate([BLACK, WHITE]), segments=QUARTERS, fill=0.0)
    assert maps.dtype == np.float32
    assert not maps[0].any()  # black stays class 0, whatever is hidden
    np.testing.assert_array_equal(maps[1], anchor.map)


def test_an_anchor_among_many_segments():
    anchor = find_anchors(both(6, 13), WHITE, segments=SIXTEENTHS, fill=0.0)[0]
    assert anchor.chosen == (6, 13)


def test_backgrounds_show_in_place_of_all_other_segments():
    model = both(2, 8)
    half = WHITE * (QUARTERS != 2)[None, ..., None]
    options = {"segments": QUARTERS, "seed": 1}
    for backgrounds, chosen in ((BLACK, (1, 2)), (half, (2,)), (WHITE, ())):
        anchor = find_anchors(model, WHITE, backgrounds=backgrounds, **options)[0]
        assert (anchor.chosen, anchor.precision) == (chosen, 1.0)
    mixed = np.concatenate([BLACK, half, WHITE, WHITE])
    assert find_anchors(model, WHITE, backgrounds=mixed, **options)[0].chosen == (1, 2)


def exact_precision(model, image, chosen):
    """Over all ways to hide, with probability 1/2 each, the quarters not chosen behind black."""
    kept = [row for row in product([False, True], repeat=4) if all(row[i] for i in chosen)]
    shown = np.array([image * np.array(row)[QUARTERS][..., None] for row in kept])
    answers = model.predict_on_batch(np.concatenate([image[None], shown])).argmax(axis=1)
    return (answers[1:] == answers[0]).mean()


@pytest.mark.parametrize("seed", range(4))
def test_anchors_are_the_smallest_sets_that_are_precise(seed):
    model = naive.drawn(naive.linear((4, 4, 1)), seed)
    images = np.random.default_rng(seed).random((2, 4, 4, 1), dtype=np.float32)
    found = find_anchors(model, images, segments=QUARTERS, fill=0.0, threshold=0.8, seed=seed)
    for image, anchor in zip(images, found, strict=True):
        precise = [
            size
            for size in range(5)
            for chosen in combinations(range(4), size)
            if exact_precision(model, image, chosen) >= 0.8
        ]
        assert len(anchor.chosen) == min(precise)
        exact = exact_precision(model, image, anchor.chosen)
        assert exact >= 0.8
        assert anchor.precision == pytest.approx(exact, abs=0.06)
        assert anchor.coverage == 0.5 ** len(anchor.chosen)


def test_a_class_that_is_not_predicted_has_no_anchor():
    anchor = find_anchors(both(2, 8), WHITE, 0, segments=QUARTERS, fill=0.0)[0]
    assert (anchor.chosen, anchor.coverage) == ((), 1.0)
    assert anchor.precision == pytest.approx(0.75, abs=0.2)  # one of the two is hidden
    assert not anchor.map.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.0}, "threshold is 1.0: expected a value between 0 and 1"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
        ({"margin": 0.0}, "margin is 0.0"),
        ({"delta": 1.0}, "delta is 1.0"),
        ({"hide": 0.0}, "hide is 0.0: expected a probability above 0"),
        ({"beam": 0}, "beam is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"backgrounds": WHITE * 2}, "pixels from 2 to 2"),
        ({"segments": 0}, "segments is 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(InputError, match=message):
        anchors(both(2, 8), WHITE, **options)


def test_progress_is_reported_to_the_end():
    shares = []
    images = np.concatenate([WHITE, BLACK])
    anchors(both(2, 8), images, segments=QUARTERS, report=lambda share, _: shares.append(share))
    assert shares == [0.5, 1.0]
