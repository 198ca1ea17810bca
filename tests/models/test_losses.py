"""The losses against numbers worked out by hand and against loops written from the paper."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from cladec.models import losses

GENERATOR = np.random.default_rng(0)


def naive_reconstruction(images, decoded):
    sums = []
    for image, made in zip(images.astype(float), decoded.astype(float), strict=True):
        pixels = zip(image.ravel(), made.ravel(), strict=True)
        sums.append(sum((pixel - other) ** 2 for pixel, other in pixels))
    return sum(sums) / len(sums)


def naive_classification(labels, logits):
    entropies = []
    for label, scores in zip(labels, logits.astype(float), strict=True):
        powers = [math.exp(score - max(scores)) for score in scores]
        entropies.append(-math.log(powers[label] / sum(powers)))
    return sum(entropies) / len(entropies)


def test_reconstruction_by_hand():
    images = np.zeros((2, 2, 1, 3), np.float32)
    decoded = images.copy()
    decoded[0] = 0.5  # six values of a quarter
    decoded[1, 0, 0, 0] = 1.0
    assert float(losses.reconstruction(images, decoded)) == pytest.approx((1.5 + 1.0) / 2)
    assert float(losses.reconstruction(images, images)) == 0.0


@pytest.mark.parametrize(
    ("labels", "logits", "expected"),
    [
        ([0], [[0.0, 0.0]], math.log(2)),
        ([2], [[1.0, 1.0, 1.0, 1.0]], math.log(4)),
        ([1], [[0.0, math.log(3)]], math.log(4 / 3)),
        ([0, 1], [[0.0, 0.0], [0.0, math.log(3)]], (math.log(2) + math.log(4 / 3)) / 2),
        ([0], [[1000.0, 0.0]], 0.0),
        ([1], [[1000.0, 0.0]], 1000.0),
    ],
)
def test_classification_by_hand(labels, logits, expected):
    found = losses.classification(np.array(labels), np.array(logits, np.float32))
    assert float(found) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("shape", [(1, 2, 2, 1), (5, 3, 4, 3)])
def test_reconstruction_against_loops(dtype, shape):
    images, decoded = (GENERATOR.random(shape).astype(dtype) for _ in range(2))
    found = np.asarray(losses.reconstruction(images, decoded))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive_reconstruction(images, decoded), rtol=1e-5)


def test_reconstruction_of_half_precision_is_summed_in_single():
    images = np.zeros((1, 300, 300, 1), np.float16)
    found = losses.reconstruction(images, np.ones_like(images))
    assert float(found) == 90_000.0  # above the largest float16, 65,504


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("label_dtype", [np.int32, np.int64])
def test_classification_against_loops(dtype, label_dtype):
    logits = GENERATOR.normal(0, 4, (7, 5)).astype(dtype)
    labels = GENERATOR.integers(0, 5, 7).astype(label_dtype)
    found = np.asarray(losses.classification(labels, logits))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive_classification(labels, logits), rtol=1e-5)


@pytest.mark.parametrize(
    ("alpha", "expected"), [(0.0, 8.0), (0.25, 6.5), (0.5, 5.0), (0.99, 2.06), (1.0, 2.0)]
)
def test_mix_is_equation_1(alpha, expected):
    assert losses.mix(alpha, 8.0, 2.0) == pytest.approx(expected)
    tensors = np.float32(8.0), np.float32(2.0)
    assert float(losses.mix(alpha, *tensors)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_mix_at_its_ends_is_one_of_the_two(alpha):
    assert losses.mix(alpha, 0.1, 0.7) == (0.1, 0.7)[int(alpha)]


def naive_divergence(mean, log_variance):
    """KL(N(mean, variance) || N(0, 1)) as the integral that it is, in one dimension."""
    own, prior = stats.norm(mean, math.exp(log_variance / 2)), stats.norm()
    reach = 12 * own.std()
    return integrate.quad(
        lambda z: own.pdf(z) * (own.logpdf(z) - prior.logpdf(z)), mean - reach, mean + reach
    )[0]


def test_divergence_against_the_integral():
    z_mean = np.array([[0.0, 1.5], [-3.0, 0.2]], np.float32)
    z_log_var = np.array([[1.0, -4.0], [2.0, 0.0]], np.float32)
    expected = sum(map(naive_divergence, z_mean.ravel(), z_log_var.ravel())) / 2
    found = np.asarray(losses.kl_divergence(z_mean, z_log_var))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_divergence_against_samples():
    z_mean, z_log_var = GENERATOR.normal(size=(2, 3, 2)).astype(np.float32)
    own = stats.norm(z_mean, np.exp(z_log_var / 2))
    points = own.rvs((200_000, 3, 2), random_state=GENERATOR)
    ratio = own.logpdf(points) - stats.norm.logpdf(points)
    expected = ratio.sum(axis=2).mean()
    assert float(losses.kl_divergence(z_mean, z_log_var)) == pytest.approx(expected, rel=0.01)


def test_divergence_by_hand():
    nothing = np.zeros((4, 3), np.float32)
    assert float(losses.kl_divergence(nothing, nothing)) == 0.0
    assert float(losses.kl_divergence(nothing + 2, nothing)) == pytest.approx(6.0)
    wide = np.full((1, 1), math.log(4), np.float32)
    assert float(losses.kl_divergence(wide * 0, wide)) == pytest.approx((3 - math.log(4)) / 2)


def test_divergence_near_the_prior_is_no_rounding_error():
    z_log_var = np.full((1, 1), 1e-3, np.float32)
    found = float(losses.kl_divergence(z_log_var * 0, z_log_var))
    assert found == pytest.approx((math.expm1(1e-3) - 1e-3) / 2, rel=1e-3)


def test_divergence_of_half_precision_is_computed_in_single():
    z_log_var = np.full((1, 1), 20.0, np.float16)
    found = losses.kl_divergence(z_log_var * 0, z_log_var)
    assert float(found) == pytest.approx((math.exp(20) - 21) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "expected"), [((28, 28, 1), 1.0), ((56, 56, 1), 0.25), ((28, 28, 3), 1 / 3)]
)
def test_the_scale_makes_up_for_the_size_of_the_image(shape, expected):
    assert losses.scale(shape) == expected
    small, large = np.zeros((2, 28, 28, 1)), np.zeros((2, *shape))
    same = [
        losses.scale(of.shape[1:]) * losses.reconstruction(of, of + 0.5) for of in (small, large)
    ]
    assert float(same[1]) == pytest.approx(float(same[0]))


@pytest.mark.parametrize("of_the_mean", [0.001, 0.5, 0.9])
def test_alpha_of_a_mean_over_pixels_translates_as_documented(of_the_mean):
    odds = 784 * of_the_mean / (1 - of_the_mean)
    alpha, shape, reconstruction, classification = odds / (1 + odds), (32, 32, 3), 12.0, 0.7
    ours = losses.mix(alpha, losses.scale(shape) * reconstruction, classification)
    mean = losses.mix(of_the_mean, reconstruction / math.prod(shape), classification)
    assert ours / mean == pytest.approx(alpha / of_the_mean)
