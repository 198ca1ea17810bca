"""SHAP values against closed forms, coalitions one by one and plain versions of both methods."""

import keras
import naive
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tensorflow.python.eager import execute
from tensorflow.python.framework import ops as tf_ops

from cladec.errors import InputError
from cladec.explainers import shapley
from cladec.explainers.gradients import shap_gradient
from cladec.explainers.scores import LogitsModel
from cladec.explainers.shapley import shap_deep

SHAPE = (4, 4, 3)
IMAGES = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
BACKGROUNDS = np.random.default_rng(1).random((5, *SHAPE), dtype=np.float32)
TARGETS = np.array([2, 0, 2])


@pytest.fixture(scope="module")
def linear():
    return naive.linear(SHAPE)


def small(*body):
    """A classifier of 4x4 grey images: a convolution `conv`, then `body`, with drawn weights."""
    hidden = [layers.Conv2D(2, 3, padding="same", name="conv"), *body]
    return naive.drawn(
        keras.Sequential([keras.Input((4, 4, 1)), *hidden, layers.Flatten(), layers.Dense(3)])
    )


@pytest.mark.parametrize("backgrounds", [None, BACKGROUNDS])
def test_deep_shap_of_a_linear_model_is_weight_times_difference(linear, backgrounds):
    found = shap_deep(linear, IMAGES, TARGETS, backgrounds=backgrounds, batch_size=2)
    usual = np.zeros(SHAPE) if backgrounds is None else backgrounds.mean(axis=0)
    for image, target, map_ in zip(IMAGES, TARGETS, found, strict=True):
        expected = (naive.weight_of(linear, target) * (image - usual)).sum(axis=-1)
        np.testing.assert_allclose(map_, expected, rtol=1e-4, atol=1e-5)


def test_expected_gradients_of_a_linear_model_are_weight_times_difference(linear):
    found = shap_gradient(linear, IMAGES, TARGETS, backgrounds=BACKGROUNDS[:1], samples=7)
    for image, target, map_ in zip(IMAGES, TARGETS, found, strict=True):
        expected = (naive.weight_of(linear, target) * (image - BACKGROUNDS[0])).sum(axis=-1)
        np.testing.assert_allclose(map_, expected, rtol=1e-4, atol=1e-5)
    black = shap_gradient(linear, IMAGES[:1], 1, samples=3)[0]
    expected = (naive.weight_of(linear, 1) * IMAGES[0]).sum(axis=-1)
    np.testing.assert_allclose(black, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("explainer", [shap_deep, shap_gradient])
def test_what_is_a_sum_over_pixels_has_the_values_of_all_coalitions(explainer):
    pixelwise = layers.Conv2D(5, 1, activation="relu")
    model = keras.Sequential([keras.Input((2, 2, 2)), pixelwise, layers.Flatten(), layers.Dense(3)])
    naive.drawn(model)
    image, *backgrounds = np.random.default_rng(2).random((4, 2, 2, 2), dtype=np.float32)

    def value(coalition):
        shown = np.isin(np.arange(4), list(coalition)).reshape(2, 2, 1)
        mixed = np.array([np.where(shown, image, background) for background in backgrounds])
        return model.predict_on_batch(mixed)[:, 1].mean()

    options = {"samples": 4000} if explainer is shap_gradient else {}
    found = explainer(model, image[None], 1, backgrounds=np.array(backgrounds), **options)
    tolerance = 0.05 if options else 1e-5
    expected = naive.shapley_values(value, 4)
    np.testing.assert_allclose(found.ravel(), expected, atol=tolerance * np.abs(expected).max())


def rescaled(before, background):
    """The multiplier of a ReLU by DeepLIFT's rescale rule: difference out by difference in."""
    return (np.maximum(before, 0) - np.maximum(background, 0)) / (before - background)


def test_deep_shap_is_the_rescale_rule_averaged_over_backgrounds():
    hidden = [layers.Dense(6, activation="relu"), layers.Dense(5, activation="relu")]
    model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), *hidden, layers.Dense(3)])
    first, first_bias, second, second_bias, last, _ = naive.drawn(model).get_weights()
    found = shap_deep(model, IMAGES, TARGETS, backgrounds=BACKGROUNDS, batch_size=3)
    for image, target, map_ in zip(IMAGES, TARGETS, found, strict=True):
        expected = np.zeros(SHAPE)
        for background in BACKGROUNDS:
            one, one_usual = (each.ravel() @ first + first_bias for each in (image, background))
            two, two_usual = (
                np.maximum(each, 0) @ second + second_bias for each in (one, one_usual)
            )
            multiplier = last[:, target] * rescaled(two, two_usual)
            multiplier = first @ (second @ multiplier * rescaled(one, one_usual))
            expected += multiplier.reshape(SHAPE) * (image - background) / len(BACKGROUNDS)
        np.testing.assert_allclose(map_, expected.sum(axis=-1), rtol=1e-3, atol=1e-4)


def test_expected_gradients_are_gradients_at_random_points_of_random_lines():
    model = small(layers.LeakyReLU(), layers.MaxPooling2D())
    image, *backgrounds = np.random.default_rng(2).random((4, 4, 4, 1), dtype=np.float32)
    found = shap_gradient(
        model, image[None], 1, backgrounds=np.array(backgrounds), samples=30, seed=9, batch_size=8
    )[0]
    generator = np.random.RandomState(9)
    expected = np.zeros((4, 4))
    for _ in range(30):
        background = backgrounds[generator.choice(3)]
        share = generator.uniform()
        point = tf.constant((share * image + (1 - share) * background)[None])
        with tf.GradientTape() as tape:
            tape.watch(point)
            logit = model(point, training=False)[0, 1]
        gradient = tape.gradient(logit, point).numpy()[0]
        expected += (gradient * (image - background)).sum(axis=-1) / 30
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("explainer", [shap_deep, shap_gradient])
def test_values_sum_to_the_logit_less_that_of_the_backgrounds(classifier, tiny, explainer):
    images, backgrounds = tiny.test.images[:2], tiny.train.images[:20]
    options = {"samples": 2000} if explainer is shap_gradient else {}
    found = explainer(classifier, images, 3, backgrounds=backgrounds, **options)
    logits = LogitsModel(classifier)
    expected = logits.predict(images)[:, 3] - logits.predict(backgrounds)[:, 3].mean()
    tolerance = 0.15 if options else 1e-3
    np.testing.assert_allclose(found.sum(axis=(1, 2)), expected, atol=tolerance * 5)


UNSUPPORTED = {
    "gelu": lambda: layers.Activation("gelu", name="culprit"),
    "leaky": lambda: layers.LeakyReLU(name="culprit"),
    "prelu": lambda: layers.PReLU(name="culprit"),
    "relu6": lambda: layers.ReLU(6.0, name="culprit"),
    "depthwise": lambda: layers.DepthwiseConv2D(2, name="culprit"),
    "separable": lambda: layers.SeparableConv2D(2, 2, name="culprit"),
    "layer norm": lambda: layers.LayerNormalization(name="culprit"),
    "group norm": lambda: layers.GroupNormalization(1, name="culprit"),
    "transposed": lambda: layers.Conv2DTranspose(2, 2, name="culprit"),
    "global max": lambda: layers.GlobalMaxPooling2D(name="culprit"),
    "nested": lambda: keras.Sequential([layers.LeakyReLU(name="culprit")], name="inner"),
}


def state_of_the_process():
    entries = {name: dict(entry) for name, entry in tf_ops._gradient_registry._registry.items()}
    position = np.random.get_state()[1:3]
    logger = tf.get_logger().level
    return entries, execute.record_gradient, position[0].tolist(), position[1], logger


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_layer_without_a_rule_is_named_and_the_process_left_clean(name):
    model = small(UNSUPPORTED[name]())
    images = IMAGES[..., :1]
    before = state_of_the_process()
    path = "inner/culprit" if name == "nested" else "culprit"
    with pytest.raises(InputError, match=f"no rule that fits layer '{path}'.*: use shap_gradient"):
        shap_deep(model, images)
    assert state_of_the_process() == before
    assert np.isfinite(shap_gradient(model, images, samples=5)).all()
    assert state_of_the_process() == before
    model.compile("sgd", "mse")
    model.fit(images, np.zeros((3, 3)), verbose=0)


def test_a_failure_within_shap_leaves_the_process_clean(monkeypatch):
    """The one known to leave every later gradient broken."""
    monkeypatch.setattr(shapley, "_check_rules", lambda *models: None)
    before = state_of_the_process()
    with pytest.raises(InputError, match="no rule that fits"):
        shap_deep(small(layers.LeakyReLU()), IMAGES[..., :1])
    assert state_of_the_process() == before
    point = tf.constant([2.0])
    with tf.GradientTape() as tape:
        tape.watch(point)
        square = tf.nn.leaky_relu(point) ** 2
    assert tape.gradient(square, point).numpy() == [4.0]


def test_a_function_without_a_rule_is_named():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(ops.sqrt(inputs))))
    with pytest.raises(InputError, match="no rule that fits the operation Sqrt of the model"):
        shap_deep(model, IMAGES[..., :1])


def test_values_that_do_not_sum_to_the_logit_are_refused(linear, monkeypatch):
    monkeypatch.setattr(shapley, "_deep_shap", lambda *arguments: np.zeros_like)
    with pytest.raises(InputError, match=r"miss the logit by up to .*: .*use shap_gradient"):
        shap_deep(linear, IMAGES)


@pytest.mark.parametrize("explainer", [shap_deep, shap_gradient])
def test_backgrounds_and_options_are_checked(linear, explainer):
    with pytest.raises(InputError, match=r"images of shape \(3, 4, 4, 1\)"):
        explainer(linear, IMAGES, backgrounds=IMAGES[..., :1])
    with pytest.raises(InputError, match="batch_size is 0"):
        explainer(linear, IMAGES, batch_size=0)
    with pytest.raises(InputError, match="samples is 0"):
        shap_gradient(linear, IMAGES, samples=0)


@pytest.mark.parametrize("explainer", [shap_deep, shap_gradient])
def test_progress_is_reported_to_the_end(linear, explainer):
    shares = []
    explainer(linear, IMAGES[:2], report=lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert {0.5, 1.0} <= set(shares)
