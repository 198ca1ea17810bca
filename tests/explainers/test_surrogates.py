"""Segments, and LIME against a naive regression and on a model that is linear in segments."""

import keras
import naive
import numpy as np
import pytest
from keras import layers, ops

from cladec.errors import InputError
from cladec.explainers.segments import keep, segment, segmentations, without_detail
from cladec.explainers.surrogates import explain_lime, lime
from cladec.models.predictions import softmax

QUARTERS = np.kron(np.arange(4).reshape(2, 2), np.ones((2, 2), int))
"""The labels of the four quarters of a 4x4 image."""


def digit():
    """A grey digit of 28x28 pixels with a flat ground, [0, 1]."""
    from sklearn.datasets import load_digits

    small = np.pad(load_digits().images[0] / 16, 3)
    return np.kron(small, np.ones((2, 2)))[:28, :28, None].astype(np.float32)


def noise(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def photograph():
    """Coloured discs on a slope, 120x160."""
    rows, columns = np.mgrid[:120, :160]
    image = np.stack([rows / 119, columns / 159, np.full((120, 160), 0.3)], axis=-1)
    for top, left, radius in ((40, 50, 30), (80, 120, 25)):
        image[(rows - top) ** 2 + (columns - left) ** 2 < radius**2] = (0.9, 0.1, 0.8)
    return image.astype(np.float32)


@pytest.mark.parametrize(
    ("image", "count"),
    [
        (digit(), 40),
        (digit(), 15),
        (np.zeros((28, 28, 1), np.float32), 40),
        (noise(28, 28, 1), 40),
        (noise(32, 32, 3), 40),
        (noise(32, 32, 4), 20),
        (photograph(), 15),
        (photograph(), 50),
    ],
)
def test_segments_are_about_as_many_as_asked_and_connected(image, count):
    from skimage.measure import label

    labels = segment(image, count)
    assert labels.dtype == np.int64
    assert set(labels.ravel()) == set(range(labels.max() + 1))
    assert count / 2 <= labels.max() + 1 <= 1.5 * count
    assert all(label(labels == i).max() == 1 for i in range(labels.max() + 1))
    np.testing.assert_array_equal(segment(image, count), labels)


def test_segments_keep_to_edges():
    image = photograph()
    labels = segment(image, 50)
    disc = (image[..., 0] > 0.85) & (image[..., 2] > 0.7)
    crossing = [0.05 < disc[labels == i].mean() < 0.95 for i in range(labels.max() + 1)]
    assert sum(crossing) <= 2


def test_segments_of_tiny_images_are_no_single_pixels():
    labels = segment(noise(8, 8, 1), 40)
    assert 8 <= labels.max() + 1 <= 20
    assert segment(noise(1, 3, 1), 40).shape == (1, 3)


def test_given_segments_are_taken_for_one_image_or_all():
    images = noise(3, 4, 4, 1)
    for labels in segmentations(images, QUARTERS * 7 - 2):
        np.testing.assert_array_equal(labels, QUARTERS)
    each = np.stack([QUARTERS, QUARTERS.T, np.zeros_like(QUARTERS)])
    np.testing.assert_array_equal(list(segmentations(images, each)), each)
    first = list(segmentations(images, 3))[1]
    np.testing.assert_array_equal(first, segment(images[1], 3))


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (1, "segments is 1: expected at least 2"),
        (QUARTERS[:3], r"int64 array of shape \(3, 4\).* of shape \(4, 4\) or \(2, 4, 4\)"),
        (QUARTERS / 2, "segments is a float64 array"),
    ],
)
def test_segments_that_are_none_are_named(segments, message):
    with pytest.raises(InputError, match=message):
        list(segmentations(noise(2, 4, 4, 1), segments))


def test_hidden_segments_show_their_mean_or_the_fill():
    image = noise(4, 4, 3)
    means = without_detail(image, QUARTERS)
    for i in range(4):
        expected = np.tile(image[i == QUARTERS].mean(axis=0), (4, 1))
        np.testing.assert_allclose(means[i == QUARTERS], expected, rtol=1e-6)
    assert means.dtype == np.float32
    assert (without_detail(image, QUARTERS, 0.25) == 0.25).all()
    kept = np.array([[True, False, True, False], [False, False, False, True]])
    for row, found in zip(kept, keep(image, means, QUARTERS, kept), strict=True):
        for pixel in np.ndindex(4, 4):
            source = image if row[QUARTERS[pixel]] else means
            np.testing.assert_array_equal(found[pixel], source[pixel])


def linear_probability():
    """A classifier whose probability of class 0 is 0.1 + sum of weights * pixels."""
    inputs = keras.Input((4, 4, 1))
    sums = layers.Dense(1, name="sums")(layers.Flatten()(inputs))
    answers = layers.Softmax()(ops.log(ops.concatenate([sums, 1 - sums], axis=-1)))
    model = keras.Model(inputs, answers)
    weights = np.random.default_rng(3).uniform(-0.005, 0.05, (16, 1))
    model.set_weights([weights, np.array([0.1])])
    return model, weights.reshape(4, 4)


def test_lime_finds_what_is_linear_in_segments():
    model, weights = linear_probability()
    images = noise(2, 4, 4, 1)
    options = {"segments": QUARTERS, "fill": 0.0, "ridge": 1e-6, "samples": 60}
    found = explain_lime(model, images, 0, **options)
    for image, explanation in zip(images, found, strict=True):
        parts = weights * image[..., 0]
        expected = [parts[i == QUARTERS].sum() for i in range(4)]
        np.testing.assert_allclose(explanation.weights, expected, atol=1e-5)
        np.testing.assert_allclose(explanation.map, np.array(expected)[QUARTERS], atol=1e-5)
        np.testing.assert_array_equal(explanation.segments, QUARTERS)
        assert explanation.intercept == pytest.approx(0.1, abs=1e-5)
        assert explanation.score == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_array_equal(lime(model, images, 0, **options)[1], found[1].map)
    opposite = explain_lime(model, images, [0, 1], **options)[1]
    np.testing.assert_allclose(opposite.weights, -found[1].weights, atol=1e-5)


def test_lime_is_ridge_regression_weighted_by_nearness():
    model, image = naive.linear((4, 4, 3)), noise(1, 4, 4, 3)
    found = explain_lime(
        model, image, 2, segments=QUARTERS, samples=50, kernel_width=0.3, ridge=0.7, seed=5
    )[0]
    kernel, bias = model.get_weights()
    samples = np.random.default_rng(5).random((50, 4)) < 0.5
    samples[0] = True
    means = without_detail(image[0], QUARTERS)
    answers, nearness = [], []
    for kept in samples:
        shown = np.where(kept[QUARTERS][..., None], image[0], means)
        answers.append(softmax(shown.ravel() @ kernel + bias)[2])
        cosine = kept.sum() / (np.sqrt(kept.sum()) * 2) if kept.any() else 0.0
        nearness.append(np.exp(-((1 - cosine) ** 2) / (2 * 0.3**2)))
    design = np.column_stack([samples, np.ones(50)])
    penalty = np.diag([0.7] * 4 + [0.0])
    weighted = design.T * nearness
    *weights, intercept = np.linalg.solve(weighted @ design + penalty, weighted @ answers)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-3, atol=1e-6)
    assert found.intercept == pytest.approx(intercept, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "samples is 1: expected 2 or more"),
        ({"ridge": -1.0}, "ridge is -1.0"),
        ({"kernel_width": 0.0}, "kernel_width is 0.0: expected a value above 0"),
        ({"fill": 1.5}, "fill has values outside"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_lime_options_out_of_range_are_named(options, message):
    with pytest.raises(InputError, match=message):
        lime(naive.linear((4, 4, 1)), noise(1, 4, 4, 1), **options)


def test_progress_is_reported_to_the_end():
    shares = []
    images = noise(2, 4, 4, 1)
    lime(
        naive.linear((4, 4, 1)),
        images,
        samples=5,
        batch_size=4,
        report=lambda share, _: shares.append(share),
    )
    assert shares == [0.4, 0.5, 0.9, 1.0]
