"""Kernel SHAP against Shapley values by their definition, and against the shap library."""

import naive
import numpy as np
import pytest

from cladec.errors import InputError
from cladec.explainers.coalitions import coalitions, kernel_shap, shapley_values
from cladec.explainers.segments import without_detail
from cladec.models.predictions import softmax

STRIPS = np.repeat(np.arange(6), 4)[:, None].repeat(4, axis=1)
"""The labels of the six strips of a 24x4 image."""


def game(model, image, target):
    """The probability of the target where some of the strips are shown, of (B, 6) bool."""
    kernel, bias = model.get_weights()
    hidden = without_detail(image, STRIPS)

    def answers(kept):
        shown = [
            np.where(np.isin(STRIPS, np.flatnonzero(row))[..., None], image, hidden)
            for row in np.atleast_2d(kept)
        ]
        return softmax(np.reshape(shown, (len(shown), -1)) @ kernel + bias)[:, target]

    return answers


def shapley_values_of(answers):
    """Those of the six strips, by their definition."""
    return naive.shapley_values(lambda shown: answers(np.isin(range(6), list(shown)))[0], 6)


@pytest.fixture(scope="module")
def subject():
    model = naive.linear((24, 4, 1))
    image = np.random.default_rng(0).random((24, 4, 1), dtype=np.float32)
    return model, image, game(model, image, 2)


def strips_of(maps):
    """The value of each strip of a map, which is the same at all its pixels."""
    strips = maps.reshape(6, 16)
    assert (strips == strips[:, :1]).all()
    return strips[:, 0]


def test_few_segments_have_exact_shapley_values(subject):
    model, image, answers = subject
    found = strips_of(kernel_shap(model, image[None], 2, segments=STRIPS, samples=64)[0])
    np.testing.assert_allclose(found, shapley_values_of(answers), atol=1e-5)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:shap")
def test_few_segments_have_the_values_of_the_shap_library(subject):
    import shap

    model, image, answers = subject
    explainer = shap.KernelExplainer(answers, np.zeros((1, 6)))
    expected = explainer.shap_values(np.ones((1, 6)), nsamples=64, silent=True)[0]
    found = strips_of(kernel_shap(model, image[None], 2, segments=STRIPS)[0])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_samples_come_near_the_exact_values_and_keep_their_sum(subject):
    model, image, answers = subject
    expected = shapley_values_of(answers)
    runs = [
        strips_of(kernel_shap(model, image[None], 2, segments=STRIPS, samples=40, seed=seed)[0])
        for seed in range(5)
    ]
    total = (answers(np.ones(6, bool)) - answers(np.zeros(6, bool))).item()
    np.testing.assert_allclose(np.sum(runs, axis=1), total, atol=1e-5)
    assert np.abs(np.mean(runs, axis=0) - expected).max() < 0.1 * np.abs(expected).max()


def test_coalitions_are_drawn_in_pairs_with_the_weights_of_the_kernel():
    kept, weights = coalitions(12, 4002, 0)
    assert kept.shape == (4002, 12)
    assert not kept[0].any()
    assert kept[-1].all()
    np.testing.assert_array_equal(kept[1:-1], ~kept[1:-1][::-1])
    np.testing.assert_array_equal(weights, [0, *[1] * 4000, 0])
    sizes = np.bincount(kept[1:-1].sum(axis=1), minlength=12)[1:] / 4000
    expected = np.array([1 / (size * (12 - size)) for size in range(1, 12)])
    np.testing.assert_allclose(sizes, expected / expected.sum(), atol=0.02)
    np.testing.assert_allclose(kept.mean(axis=0), 0.5, atol=1e-9)


@pytest.mark.parametrize(("segments", "samples"), [(1, 4), (2, 4), (5, 32), (9, 80)])
def test_what_is_additive_is_found_whatever_the_samples(segments, samples):
    kept, weights = coalitions(segments, samples, 3)
    effects = np.random.default_rng(1).normal(size=segments)
    found = shapley_values(kept, weights, 0.3 + kept @ effects)
    np.testing.assert_allclose(found, effects, atol=1e-9)


def test_too_few_samples_share_what_they_cannot_tell_apart():
    kept, weights = coalitions(30, 6, 0)
    values = shapley_values(kept, weights, kept.mean(axis=1))
    np.testing.assert_allclose(values, 1 / 30, atol=1e-9)


def test_too_few_samples_to_compare_are_named():
    with pytest.raises(InputError, match="samples is 3: expected 4 or more"):
        kernel_shap(naive.linear(), np.zeros((1, 4, 4, 3)), samples=3)
