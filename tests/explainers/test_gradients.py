"""Saliency, integrated gradients and class activation maps, against closed forms and loops."""

import keras
import naive
import numpy as np
import pytest
import zoo
from keras import layers

import cladec
from cladec.errors import InputError, InputWarning
from cladec.explainers.cams import grad_cam, grad_cam_plus_plus, hires_cam, layer_cam
from cladec.explainers.gradients import (
    gradient_input,
    integrated_gradients,
    saliency,
    smooth_grad,
    square_grad,
    var_grad,
)
from cladec.explainers.scores import LogitsModel
from cladec.models import cutting

COLOUR = (4, 4, 3)


def gradient_by_differences(model, image, target, step=1e-3):
    """d logit / d image from central differences."""
    logits = cutting.logits(model)
    moved = np.zeros((image.size, *image.shape), np.float32)
    moved.reshape(image.size, image.size)[np.diag_indices(image.size)] = step
    up, down = logits(image + moved).numpy(), logits(image - moved).numpy()
    return ((up - down)[:, target] / (2 * step)).reshape(image.shape)


def test_saliency_of_a_linear_model_is_its_weights():
    model, images = naive.linear(), zoo.images(3, COLOUR)
    expected = [np.abs(naive.weight_of(model, target)).max(axis=-1) for target in (2, 0, 1)]
    np.testing.assert_allclose(saliency(model, images, [2, 0, 1]), expected, rtol=1e-5)


def test_saliency_is_the_slope_of_the_logit_however_sure_the_classifier_is():
    model, images = zoo.build("softmax_in_dense"), zoo.images(2)
    sure = keras.models.clone_model(model)
    sure.set_weights([weight * 20 for weight in model.get_weights()])
    for classifier in (model, sure):
        slope = gradient_by_differences(classifier, images[0], 4)
        found = saliency(classifier, images[:1], 4)[0]
        np.testing.assert_allclose(found, np.abs(slope[..., 0]), rtol=0.02, atol=slope.max() / 100)


def test_saliency_explains_the_predicted_class_unless_told_otherwise():
    model, images = zoo.build("sequential"), zoo.images()
    predicted = model.predict_on_batch(images).argmax(axis=1)
    np.testing.assert_array_equal(saliency(model, images), saliency(model, images, predicted))
    assert not np.array_equal(
        saliency(model, images), saliency(model, images, (predicted + 1) % 10)
    )


def test_saliency_times_input_takes_the_maximum_after_the_product():
    model, images = naive.linear(), zoo.images(2, COLOUR)
    expected = np.abs(naive.weight_of(model, 1) * images).max(axis=-1)
    np.testing.assert_allclose(saliency(model, images, 1, times_input=True), expected, rtol=1e-5)


def test_smooth_samples_average_gradients_before_the_absolute_value():
    model, images = zoo.build("softmax_in_dense"), zoo.images(3)
    noise = np.random.default_rng(5).normal(0.0, 0.3, (7, *zoo.IMAGE_SHAPE)).astype(np.float32)
    found = saliency(model, images, 2, smooth_samples=7, noise=0.3, batch_size=4, seed=5)
    for image, map_found in zip(images, found, strict=True):
        slopes = [gradient_by_differences(model, image + shift, 2) for shift in noise]
        naive_map = np.abs(np.mean(slopes, axis=0))[..., 0]
        np.testing.assert_allclose(map_found, naive_map, atol=0.02 * naive_map.max())


def test_gradient_times_input_of_a_linear_model_sums_to_the_logit_less_its_bias():
    model, images = naive.linear(), zoo.images(3, COLOUR)
    found = gradient_input(model, images, [2, 0, 1])
    for image, map_found, target in zip(images, found, (2, 0, 1), strict=True):
        expected = (naive.weight_of(model, target) * image).sum(axis=-1)
        np.testing.assert_allclose(map_found, expected, rtol=1e-4, atol=1e-6)


def test_moments_of_noisy_gradients_are_those_of_a_loop():
    model, images = zoo.build("softmax_in_dense"), zoo.images(3)
    noise = np.random.default_rng(5).normal(0.0, 0.3, (7, *zoo.IMAGE_SHAPE))
    slopes = np.stack(
        [saliency_with_sign(model, images + shift.astype(np.float32), 2) for shift in noise]
    )
    options = {"samples": 7, "noise": 0.3, "seed": 5, "batch_size": 4}
    for method, expected in (
        (smooth_grad, np.abs(slopes.mean(axis=0))),
        (square_grad, (slopes**2).mean(axis=0)),
        (var_grad, slopes.var(axis=0)),
    ):
        found = method(model, images, 2, **options)
        np.testing.assert_allclose(found, expected[..., 0], rtol=1e-3, atol=1e-6)
    smooth = saliency(model, images, 2, smooth_samples=7, noise=0.3, seed=5)
    np.testing.assert_allclose(smooth_grad(model, images, 2, **options), smooth, rtol=1e-4)


def saliency_with_sign(model, images, target):
    return LogitsModel(model).gradients(images, np.full(len(images), target))


def test_the_gradient_of_a_linear_model_does_not_vary():
    model, images = naive.linear(), zoo.images(2, COLOUR)
    with pytest.warns(InputWarning, match="zeros alone"):
        found = cladec.explain(model, images, method="var_grad", targets=1, samples=5)
    assert not found.any()


def test_integrated_gradients_of_a_linear_model_are_weight_times_difference():
    model, images = naive.linear(), zoo.images(2, COLOUR)
    baseline = zoo.images(3, COLOUR)[2]
    found = integrated_gradients(model, images, 2, baseline=baseline, steps=1)
    expected = (naive.weight_of(model, 2) * (images - baseline)).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def squared() -> keras.Model:
    """Logits [sum of x^2, 0]: its integrated gradients from 0 are x^2."""
    inputs = keras.Input((2, 2, 1))
    flat = layers.Flatten()(inputs)
    total = keras.ops.sum(flat * flat, axis=-1, keepdims=True)
    return keras.Model(inputs, keras.ops.concatenate([total, total * 0.0], axis=-1))


def test_integrated_gradients_of_a_square_are_the_square():
    images = zoo.images(2, (2, 2, 1))
    found = integrated_gradients(squared(), images, 0, steps=3)
    np.testing.assert_allclose(found, images[..., 0] ** 2, rtol=1e-5)


@pytest.mark.parametrize("name", ["sequential", "rescaling", "nested_twice", "residual_add"])
def test_integrated_gradients_are_complete_to_one_percent(name):
    model, images = zoo.build(name), zoo.images()
    logits = cutting.logits(model)
    gained = (logits(images) - logits(images * 0 + 0.2)).numpy()[:, 3]
    maps = integrated_gradients(model, images, 3, baseline=0.2)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), gained, rtol=0.0101, atol=1e-4)


def test_more_steps_are_taken_only_where_completeness_asks_for_them():
    model, images = zoo.build("rescaling"), zoo.images()
    logits = cutting.logits(model)
    gained = (logits(images) - logits(images * 0)).numpy()[:, 3]
    coarse = integrated_gradients(model, images, 3, steps=2, max_steps=5)
    missing = np.abs(coarse.sum(axis=(1, 2)) / gained - 1.0)
    tolerance = float(np.median(missing))
    found = integrated_gradients(model, images, 3, steps=2, tolerance=tolerance, max_steps=6)
    fine = integrated_gradients(model, images, 3, steps=6, max_steps=6)
    expected = np.where((missing <= tolerance)[:, None, None], coarse, fine)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(coarse, fine, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0: expected 1 or more"),
        ({"baseline": 1.5}, r"baseline has values outside \[0, 1\]"),
        ({"baseline": np.nan}, r"baseline has values outside \[0, 1\]"),
        ({"baseline": np.zeros(2)}, r"baseline of shape \(2,\): expected a number, a colour"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"tolerance": np.nan}, "tolerance is nan"),
    ],
)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(InputError, match=message):
        integrated_gradients(naive.linear(), zoo.images(1, COLOUR), **options)


def pooled_by_mean() -> keras.Model:
    """Convolution to a grid of 4x4, mean over positions, logits: where CAM is known."""
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    hidden = layers.Conv2D(3, 3, 2, padding="same", activation="relu", name="conv")(inputs)
    logits = layers.Dense(4)(layers.GlobalAveragePooling2D()(hidden))
    return naive.drawn(keras.Model(inputs, logits))


@pytest.mark.parametrize("method", [grad_cam, hires_cam])
def test_cams_of_a_mean_over_positions_are_the_weighted_activations(method):
    model, images = pooled_by_mean(), zoo.images(3)
    activations = cutting.cut(model, "conv")(images)["codes"].numpy()
    weights = model.get_weights()[2][:, 1]
    for found, activation in zip(method(model, images, 1), activations, strict=True):
        expected = np.maximum(activation @ weights / 16, 0.0)
        np.testing.assert_allclose(found, naive.enlarged(expected, 8, 8), rtol=1e-4, atol=1e-6)


def test_cams_of_a_linear_head_follow_their_formulas():
    """Behind a Flatten the gradient of a layer is the head's weights, one for each position."""
    model, images = zoo.build("softmax_in_dense"), zoo.images(2)
    activations = cutting.cut(model, "conv")(images)["codes"].numpy()
    slopes = model.get_layer("scores").get_weights()[0][:, 7].reshape(activations.shape[1:])
    weights = slopes.mean(axis=(0, 1))
    cam = np.maximum((activations * weights).sum(axis=-1), 0.0)
    hires = np.maximum((activations * slopes).sum(axis=-1), 0.0)
    np.testing.assert_allclose(grad_cam(model, images, 7), cam, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        hires_cam(model, images, 7, layer="conv"), hires, rtol=1e-4, atol=1e-6
    )
    positive = np.maximum((activations * np.maximum(slopes, 0)).sum(axis=-1), 0.0)
    np.testing.assert_allclose(layer_cam(model, images, 7), positive, rtol=1e-4, atol=1e-6)
    for found, activation in zip(grad_cam_plus_plus(model, images, 7), activations, strict=True):
        expected = np.maximum(plus_plus(activation, slopes), 0.0)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert cam.max() > 0.0


def plus_plus(activation, slopes):
    """Grad-CAM++ of one image, channel by channel and position by position."""
    total = np.zeros(activation.shape[:2])
    for channel in range(activation.shape[-1]):
        weight = 0.0
        for place in np.ndindex(activation.shape[:2]):
            slope = slopes[(*place, channel)]
            below = 2 * slope**2 + slope**3 * activation[..., channel].sum()
            weight += slope**2 / below * max(slope, 0.0)
        total += weight * activation[..., channel]
    return total


@pytest.mark.parametrize(
    ("name", "layer"),
    [("nested_twice", "outer/inner/conv"), ("nested_twice", "conv"), ("residual_add", "sum")],
)
def test_cams_take_any_layer_with_a_grid(name, layer):
    model, images = zoo.build(name), zoo.images(2)
    assert not np.array_equal(
        hires_cam(model, images, 7, layer=layer), hires_cam(model, images, 7) * 0.0
    )


def test_the_last_spatial_layer_is_the_default():
    model, images = zoo.build("sequential"), zoo.images(2)
    pooled = next(layer.name for layer in model.layers if "pooling" in layer.name)
    np.testing.assert_array_equal(grad_cam(model, images), grad_cam(model, images, layer=pooled))


def test_a_layer_that_does_not_fit_is_an_error_that_lists_those_that_do():
    model, images = zoo.build("nested_end"), zoo.images(1)
    with pytest.raises(InputError, match=r"'dense' gives \(5,\), which has no spatial.* of conv$"):
        grad_cam(model, images, layer="dense")
    with pytest.raises(InputError, match=r"no layer 'cony' .*'conv'\?\); its layers are: conv$"):
        grad_cam(model, images, layer="cony")
    with pytest.raises(InputError, match="no layer of the model gives"):
        hires_cam(naive.linear(), zoo.images(1, COLOUR))
