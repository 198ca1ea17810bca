"""Activation maximization and DeepDream, against linear models and single steps by hand."""

import naive
import numpy as np
import pytest
import zoo

from cladec.errors import InputError
from cladec.explainers.synthesis import activation_maximization, deep_dream
from cladec.models import cutting

COLOUR = (4, 4, 3)


def scaled(gradient):
    return gradient / np.sqrt(np.mean(gradient**2))


def roughness(images):
    """Mean absolute difference of neighbouring pixels."""
    return np.abs(np.diff(images, axis=1)).mean() + np.abs(np.diff(images, axis=2)).mean()


def test_the_maximum_of_a_linear_score_is_a_pixel_for_each_positive_weight():
    model = naive.linear()
    signs = np.random.default_rng(0).choice([-2.0, 1.0], model.layers[2].kernel.shape)
    model.layers[2].kernel.assign(signs)
    found = activation_maximization(model, targets=[2, 0])
    expected = np.stack([naive.weight_of(model, 2) > 0, naive.weight_of(model, 0) > 0])
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_without_images_and_targets_there_is_one_for_every_class():
    model = zoo.build("sequential")
    found = activation_maximization(model, steps=20)
    assert found.shape == (10, *zoo.IMAGE_SHAPE)
    logits, grey = cutting.logits(model), activation_maximization(model, steps=0)
    assert (grey == grey[:1]).all()
    assert np.abs(grey - 0.5).max() < 0.3
    gained = np.diag(logits(found).numpy()) - np.diag(logits(grey).numpy())
    assert (gained > 0.0).all()


def test_one_step_is_the_scaled_gradient():
    model, images = naive.linear(), zoo.images(2, COLOUR)
    found = activation_maximization(model, images, 1, steps=1, step_size=0.3)
    step = 0.3 * scaled(naive.weight_of(model, 1))
    np.testing.assert_allclose(found, np.clip(images + step, 0.0, 1.0), rtol=1e-5)


def test_the_predicted_class_is_maximized_where_there_are_images():
    model, images = zoo.build("sequential"), zoo.images(3)
    predicted = model.predict_on_batch(images).argmax(axis=1)
    found = activation_maximization(model, images, steps=3)
    np.testing.assert_array_equal(found, activation_maximization(model, images, predicted, steps=3))
    assert not np.array_equal(found, activation_maximization(model, images, 9 - predicted, steps=3))


def test_a_neuron_changes_only_the_pixels_that_it_sees():
    model = zoo.build("softmax_in_dense")
    before = activation_maximization(model, layer="conv", units=1, steps=0)
    after = activation_maximization(model, layer="conv", units=1, position=(2, 5), steps=20)
    changed = np.argwhere(before[0, ..., 0] != after[0, ..., 0])
    np.testing.assert_array_equal(changed.min(axis=0), (1, 4))
    np.testing.assert_array_equal(changed.max(axis=0), (3, 6))
    answers = cutting.part(cutting.cut(model, "conv"), "codes")
    assert answers(after)[0, 2, 5, 1] > answers(before)[0, 2, 5, 1]


def test_a_channel_is_maximized_on_average_over_its_positions():
    model, images = zoo.build("softmax_in_dense"), zoo.images(1)
    kernel = model.get_layer("conv").kernel.numpy()
    active = cutting.cut(model, "conv")(images)["codes"].numpy()[0, ..., 2] > 0
    gradient = np.zeros((10, 10))
    for row, column in np.argwhere(active):
        gradient[row : row + 3, column : column + 3] += kernel[..., 0, 2]
    step = 0.01 * scaled(gradient[1:9, 1:9])
    found = activation_maximization(model, images, layer="conv", units=2, steps=1, step_size=0.01)
    np.testing.assert_allclose(found[0, ..., 0], np.clip(images[0, ..., 0] + step, 0, 1), rtol=1e-4)


def test_total_variation_is_what_its_weight_makes_it():
    """On a logit without a slope only the roughness is left, whose gradient is known."""
    model = naive.linear((3, 3, 1))
    model.set_weights([weight * 0 for weight in model.get_weights()])
    image = np.full((1, 3, 3, 1), 0.5, np.float32)
    image[0, 1, 1, 0] = 0.9
    found = activation_maximization(model, image, 0, steps=1, step_size=0.1, total_variation=1.0)
    gradient = -np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    np.testing.assert_allclose(
        found[0, ..., 0], image[0, ..., 0] + 0.1 * scaled(gradient), rtol=1e-5
    )
    same = activation_maximization(model, image, 0, steps=1)
    np.testing.assert_array_equal(same, image)


def test_blur_and_total_variation_make_smoother_images():
    model = zoo.build("sequential")
    rough = roughness(activation_maximization(model, steps=20))
    assert roughness(activation_maximization(model, steps=20, blur=1.0)) < 0.8 * rough
    assert roughness(activation_maximization(model, steps=20, total_variation=1.0)) < 0.8 * rough


def test_blur_spreads_a_single_pixel_as_a_gaussian():
    model = naive.linear((9, 9, 1))
    kernel = np.zeros((9, 9, 3))
    kernel[4, 4] = 1.0
    model.set_weights([kernel.reshape(81, 3), np.zeros(3)])
    image = np.full((1, 9, 9, 1), 0.5, np.float32)
    found = activation_maximization(model, image, 0, steps=1, step_size=0.05, blur=0.7)
    squares = np.add.outer((np.arange(9) - 4) ** 2, (np.arange(9) - 4) ** 2)
    expected = 0.05 * scaled(np.where(squares <= 18, np.exp(-squares / (2 * 0.7**2)), 0.0))
    np.testing.assert_allclose(found[0, ..., 0] - 0.5, expected, atol=1e-4)


def test_jitter_moves_the_image_under_the_gradient_and_back():
    model, image = naive.linear(), zoo.images(1, COLOUR)
    shift = np.random.default_rng(4).integers(-2, 3, (1, 2))[0]
    assert shift.any()
    found = activation_maximization(model, image, 1, steps=1, step_size=0.1, jitter=2, seed=4)
    step = 0.1 * scaled(np.roll(naive.weight_of(model, 1), -shift, axis=(0, 1)))
    np.testing.assert_allclose(found[0], np.clip(image[0] + step, 0.0, 1.0), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": 10}, "class 10 is out of range: expected 0 to 9"),
        ({"layer": "conv", "units": [0, 3]}, "unit 3 is out of range: expected 0 to 2"),
        ({"layer": "conv", "units": 1.5}, "1.5 is no unit"),
        ({"layer": "conv", "position": (8, 0)}, r"position \(8, 0\): expected .* of \(8, 8\)"),
        ({"layer": "conv", "position": (1,)}, r"position \(1,\): expected one"),
        ({"position": (1, 1)}, r"position \(1, 1\): the layer has no positions"),
        ({"layer": "cnv"}, "no layer 'cnv'"),
        ({"layer": "conv", "images": zoo.images(1)}, "units must say which of the 3 units"),
        ({"steps": -1}, "steps is -1"),
        ({"jitter": -1}, "jitter is -1"),
    ],
)
def test_what_cannot_be_maximized_is_an_error(options, message):
    with pytest.raises(InputError, match=message):
        activation_maximization(zoo.build("softmax_in_dense"), **options)


def logit_gradient(model, image):
    """The gradient of the mean square of the logits of a `linear` model."""
    kernel, bias = model.get_weights()
    logits = image.ravel() @ kernel + bias
    return (2 / len(bias) * kernel @ logits).reshape(image.shape)


def test_one_step_of_one_octave_is_the_scaled_gradient():
    model, images = naive.linear(), zoo.images(2, COLOUR)
    found = deep_dream(model, images, layer="logits", octaves=1, steps=1, step_size=0.2)
    for image, dreamed in zip(images, found, strict=True):
        expected = np.clip(image + 0.2 * scaled(logit_gradient(model, image)), 0.0, 1.0)
        np.testing.assert_allclose(dreamed, expected, rtol=1e-4, atol=1e-6)


def test_octaves_go_from_a_coarse_grid_to_the_pixels():
    model, image = naive.linear(), zoo.images(1, COLOUR)[0]
    found = deep_dream(
        model, image[None], layer="logits", octaves=2, octave_scale=2.0, steps=1, step_size=0.1
    )[0]
    coarse = logit_gradient(model, image).reshape(2, 2, 2, 2, 3).mean(axis=(1, 3))
    coarse = np.stack([naive.enlarged(coarse[..., i], 4, 4) for i in range(3)], axis=-1)
    between = np.clip(image + 0.1 * scaled(coarse), 0.0, 1.0)
    expected = np.clip(between + 0.1 * scaled(logit_gradient(model, between)), 0.0, 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("sequential", "dense"), ("nested_twice", "outer/inner/conv"), ("residual_add", None)],
)
def test_a_dream_raises_the_activations_of_any_layer(name, layer):
    model, images = zoo.build(name), zoo.images(3) * 0.5 + 0.25
    dreamed = deep_dream(model, images, layer=layer)
    answers = cutting.part(cutting.cut(model, layer or "sum"), "codes")
    before, after = (
        (answers(x).numpy().reshape(3, -1) ** 2).mean(axis=1) for x in (images, dreamed)
    )
    assert (after > before).all()


def test_a_dream_may_be_of_one_channel():
    model, images = zoo.build("softmax_in_dense"), zoo.images(2)
    dreams = [deep_dream(model, images, layer="conv", channel=channel) for channel in (0, 2)]
    answers = cutting.part(cutting.cut(model, "conv"), "codes")
    strength = [(answers(dream).numpy() ** 2).mean(axis=(0, 1, 2)) for dream in dreams]
    assert strength[0][0] > strength[1][0]
    assert strength[1][2] > strength[0][2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel": 3}, "channel 3 is out of range: expected 0 to 2"),
        ({"octaves": 0}, "octaves is 0"),
        ({"octave_scale": 0.5}, "octave_scale is 0.5: expected 1 or more"),
        ({"layer": "cnv"}, "no layer 'cnv'"),
    ],
)
def test_what_cannot_be_dreamed_is_an_error(options, message):
    with pytest.raises(InputError, match=message):
        deep_dream(zoo.build("softmax_in_dense"), zoo.images(1), **options)
