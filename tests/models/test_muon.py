"""Muon against a naive version in NumPy: which weights it takes as matrices, and its step."""

import keras
import numpy as np
import pytest

from cladec.models import muon
from cladec.models.muon import Muon


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """The nearest matrix with orthogonal columns (or rows), by its singular values."""
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    return left @ right


def step(shape: tuple[int, ...], optimizer: Muon) -> tuple[np.ndarray, np.ndarray]:
    """A gradient of this shape, and how a weight of zeros has moved after it."""
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    weight = keras.Variable(np.zeros(shape, np.float32))
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    return gradient, keras.ops.convert_to_numpy(weight)


@pytest.mark.parametrize("shape", [(30, 20), (3, 3, 4, 16), (2, 2, 16, 4), (3, 3, 8, 1)])
def test_a_kernel_moves_by_the_nearest_orthogonal_matrix(shape):
    gradient, moved = step(shape, Muon(0.1))
    matrix = gradient.reshape(-1, shape[-1])
    expected = -0.1 * 0.2 * np.sqrt(max(matrix.shape)) * orthogonal(matrix)
    moved = moved.reshape(matrix.shape)
    # Five iterations bring the singular values to 0.7 to 1.2, and leave the directions.
    assert np.corrcoef(moved.ravel(), expected.ravel())[0, 1] > 0.97
    ratios = np.linalg.svd(moved)[1] / np.linalg.svd(expected)[1].max()
    assert ratios.min() > 0.6
    assert ratios.max() < 1.3


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (16, 16), (300, 5), (1, 4)])
def test_the_orthogonal_matrix_is_that_of_keras(shape):
    optimizer, generator = Muon(0.1), np.random.default_rng(0)
    # Directions of a thousandth of the strongest: what is squared loses digits there first.
    matrix = generator.normal(size=shape) * np.geomspace(1, 1e-3, shape[1])
    matrix = keras.ops.convert_to_tensor(matrix.astype(np.float32))
    expected = optimizer.zeropower_via_newtonschulz5(matrix, optimizer.ns_steps)
    np.testing.assert_allclose(optimizer._orthogonal(matrix), expected, atol=5e-4)


@pytest.mark.parametrize("shape", [(), (7,), (3, 3, 2, 4)])
def test_what_is_no_matrix_or_too_large_moves_as_by_adam(shape, monkeypatch):
    monkeypatch.setattr(muon, "LARGEST", 3)
    gradient, moved = step(shape, Muon(0.1))
    expected = -0.1 * gradient / (np.abs(gradient) + 1e-4 / np.sqrt(1 - 0.95))
    np.testing.assert_allclose(moved, expected, rtol=1e-3)


def test_it_is_rebuilt_from_its_settings():
    optimizer = Muon(0.03, gradient_accumulation_steps=2)
    again = Muon.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.adam_beta_2 == 0.95
