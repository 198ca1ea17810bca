"""Sobol indices and HSIC against naive sums, and on functions whose indices are known."""

import keras
import naive
import numpy as np
import pytest
from keras import layers, ops

from cladec.errors import InputError
from cladec.explainers.sensitivity import dependence, hsic, sobol, total_indices
from cladec.models.predictions import softmax

IMAGE = np.random.default_rng(0).random((1, 4, 4, 1), dtype=np.float32)


def sums(weights):
    """A classifier whose probability of class 0 is 0.2 + sum of weights (4, 4) * pixels."""
    inputs = keras.Input((4, 4, 1))
    chance = layers.Dense(1)(layers.Flatten()(inputs))
    model = keras.Model(
        inputs, layers.Softmax()(ops.log(ops.concatenate([chance, 1 - chance], axis=-1)))
    )
    model.set_weights([np.reshape(weights, (16, 1)), np.array([0.2])])
    return model


def test_sobol_indices_of_a_sum_are_its_shares_of_the_variance():
    weights = np.random.default_rng(1).uniform(0.0, 0.05, (4, 4))
    found = sobol(sums(weights), IMAGE, 0, grid=4, designs=1024)[0]
    variances = (weights * IMAGE[0, ..., 0]) ** 2
    np.testing.assert_allclose(found, variances / variances.sum(), atol=0.015)


def test_sobol_is_the_estimator_written_out():
    model, image = naive.linear((4, 4, 3)), np.random.default_rng(0).random((1, 4, 4, 3))
    from scipy.stats import qmc

    kernel, bias = model.get_weights()
    designs = qmc.Sobol(8, rng=np.random.default_rng(5)).random(16)
    first, second = designs[:, :4], designs[:, 4:]

    def answer(shown):
        faded = 0.25 + np.kron(shown.reshape(2, 2), np.ones((2, 2)))[..., None] * (image[0] - 0.25)
        return softmax(faded.ravel() @ kernel + bias)[1]

    plain = np.array([answer(row) for row in first])
    indices = []
    for cell in range(4):
        total = 0.0
        for row, other, before in zip(first, second, plain, strict=True):
            changed = row.copy()
            changed[cell] = other[cell]
            total += (before - answer(changed)) ** 2
        indices.append(total / (2 * 16 * plain.var(ddof=1)))
    expected = naive.enlarged(np.reshape(indices, (2, 2)), 4, 4)
    for batch_size in (None, 7):
        found = sobol(
            model, image, 1, designs=16, grid=2, fill=0.25, seed=5, batch_size=batch_size
        )[0]
        np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_hsic_is_the_trace_written_out():
    generator = np.random.default_rng(0)
    masks, answers = (generator.random((20, 5)) < 0.5).astype(float), generator.random(20)
    gaps = [abs(answers[i] - answers[j]) for i in range(20) for j in range(i)]
    width = np.median(gaps)
    similar = np.exp(-(np.subtract.outer(answers, answers) ** 2) / (2 * width**2))
    centring = np.eye(20) - 1 / 20
    for column, found in zip(masks.T, dependence(masks, answers), strict=True):
        same = 0.5 - np.subtract.outer(column, column) ** 2
        expected = np.trace(same @ centring @ similar @ centring) / 19**2
        assert found == pytest.approx(expected)


def test_hsic_finds_the_cells_that_the_answer_depends_on():
    weights = np.zeros((4, 4))
    weights[1, 2], weights[3, 0] = 0.4, -0.15
    found = hsic(sums(weights), np.ones_like(IMAGE), 0, grid=4, masks=2000)[0]
    assert found.argmax() == 6
    assert found[3, 0] == np.sort(found.ravel())[-2]
    others = np.delete(found.ravel(), (6, 12))
    assert others.max() < 0.1 * found[3, 0]


def test_what_never_changes_has_no_variance_and_no_dependence():
    np.testing.assert_array_equal(total_indices(np.full(12, 0.3, np.float32), 4), np.zeros(2))
    masks = np.eye(4)
    np.testing.assert_allclose(dependence(masks, np.full(4, 0.3)), 0.0, atol=1e-12)


def test_dependence_is_seen_where_most_answers_are_alike():
    masks = np.zeros((20, 2))
    masks[:3, 0] = masks[::2, 1] = 1
    found = dependence(masks, masks[:, 0])
    assert found[0] > 5 * found[1] >= 0


@pytest.mark.parametrize("method", [sobol, hsic])
def test_hidden_cells_show_the_fill_or_the_blurred_image(method):
    flat = np.full((1, 12, 12, 1), 0.5, np.float32)
    model = naive.linear((12, 12, 1))
    assert method(model, flat, 0, grid=3).max() > 0
    np.testing.assert_array_equal(method(model, flat, 0, grid=3, fill=0.5), 0)
    np.testing.assert_allclose(method(model, flat, 0, grid=3, fill="blur"), 0, atol=1e-6)
    spotted = flat.copy()
    spotted[0, 5, 5] = 1.0
    assert method(model, spotted, 0, grid=3, fill="blur").max() > 0


@pytest.mark.parametrize("method", [sobol, hsic])
def test_there_are_at_most_as_many_cells_as_pixels(method):
    model = naive.linear((4, 4, 1))
    np.testing.assert_array_equal(
        method(model, IMAGE, 0, grid=10**9), method(model, IMAGE, 0, grid=4)
    )


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (sobol, {"designs": 12}, "designs is 12: expected a power of two, such as 32"),
        (sobol, {"designs": 1}, "designs is 1: expected 2 or more"),
        (hsic, {"masks": 1}, "masks is 1: expected 2 or more"),
        (hsic, {"masks": 10**6}, "masks is 1000000: expected at most 10000"),
        (sobol, {"grid": 0}, "grid is 0: expected 1 or more"),
        (hsic, {"fill": "blurred"}, "fill"),
        (sobol, {"fill": 2.0}, "fill has values outside"),
    ],
)
def test_options_out_of_range_are_named(method, options, message):
    with pytest.raises(InputError, match=message):
        method(naive.linear((4, 4, 1)), IMAGE, **options)


def test_a_grid_of_too_many_cells_is_named():
    model = naive.linear((101, 2, 1))
    with pytest.raises(InputError, match="grid is 200: expected at most 100 cells a side"):
        sobol(model, np.zeros((1, 101, 2, 1)), grid=200)
