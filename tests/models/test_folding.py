"""Batch normalisations merged into convolutions: the same answers, with fewer layers."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.models import cutting
from cladec.models.folding import folded

IMAGES = zoo.images(3, (9, 8, 3))

CONVOLUTIONS = {
    "plain": lambda **options: layers.Conv2D(4, 3, **options),
    "strided": lambda **options: layers.Conv2D(4, 3, strides=2, padding="same", **options),
    "grouped": lambda **options: layers.Conv2D(6, 2, groups=3, **options),
    "depthwise": lambda **options: layers.DepthwiseConv2D(3, depth_multiplier=2, **options),
    "separable": lambda **options: layers.SeparableConv2D(4, 3, **options),
}


def network(*between: keras.Layer) -> keras.Model:
    """A flat classifier with these layers in a row, weights drawn so that all have an effect."""
    row = [keras.Input((9, 8, 3)), *between, layers.ReLU(), layers.Flatten(), layers.Dense(4)]
    return zoo.randomised(cutting.logits(zoo.randomised(keras.Sequential(row))))


def normalizations(model: keras.Model) -> int:
    return sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)


def check_answers(model: keras.Model, other: keras.Model) -> None:
    expected = model.predict_on_batch(IMAGES)
    np.testing.assert_allclose(other.predict_on_batch(IMAGES), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False, "epsilon": 0.1}])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_convolution_does_the_work_of_the_normalisation_after_it(kind, use_bias, options):
    model = network(CONVOLUTIONS[kind](use_bias=use_bias), layers.BatchNormalization(**options))
    found = folded(model)
    assert normalizations(model) == 1
    assert normalizations(found) == 0
    check_answers(model, found)


@pytest.mark.parametrize(
    "between",
    [
        (layers.Conv2D(4, 3, activation="tanh"), layers.BatchNormalization()),
        (layers.Conv2D(4, 3), layers.ReLU(), layers.BatchNormalization()),
        (layers.Conv2D(4, 3), layers.BatchNormalization(axis=1)),
        (layers.Conv2D(4, 3, dtype="mixed_bfloat16"), layers.BatchNormalization()),
        (layers.BatchNormalization(), layers.Conv2D(4, 3)),
    ],
)
def test_what_a_convolution_cannot_do_stays(between):
    model = network(*(type(layer).from_config(layer.get_config()) for layer in between))
    found = folded(model)
    assert normalizations(found) == 1
    check_answers(model, found)


def test_a_product_that_others_take_too_stays_for_them():
    inputs = keras.Input((9, 8, 3))
    product = layers.Conv2D(3, 3, padding="same")(inputs)
    twice = [layers.BatchNormalization()(product) for _ in range(2)]
    pooled = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([product, *twice])))
    model = cutting.logits(zoo.randomised(keras.Model(inputs, layers.Dense(4)(pooled))))
    found = folded(model)
    assert normalizations(found) == 0
    assert sum(isinstance(layer, layers.Conv2D) for layer in found.layers) == 3
    check_answers(model, found)


def test_layers_called_more_than_once_are_merged_at_each_call():
    convolution, normalization = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization()
    model = network(convolution, normalization, layers.ReLU(), convolution, normalization)
    found = folded(model)
    assert normalizations(found) == 0
    check_answers(model, found)


def test_the_model_itself_is_left_as_it_was():
    model = network(layers.Conv2D(4, 3), layers.BatchNormalization())
    weights, names = model.get_weights(), [layer.name for layer in model.layers]
    before = model.predict_on_batch(IMAGES)
    folded(model)
    assert [layer.name for layer in model.layers] == names
    for weight, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    np.testing.assert_array_equal(model.predict_on_batch(IMAGES), before)
