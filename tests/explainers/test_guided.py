"""Guided backpropagation of every form of ReLU, against the rule written out."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.explainers.gradients import saliency
from cladec.explainers.guided import deconvnet, guided_backpropagation

SHAPE = (3, 3, 1)


def dense(units, **options):
    return layers.Dense(units, **options)


def inside(relu):
    """Both hidden layers in a model of their own."""
    return keras.Sequential([dense(12), relu(), dense(8), relu()])


def twice(function):
    """Two hidden layers with this function behind each."""
    return lambda hidden: function(dense(8)(function(dense(12)(hidden))))


def in_layers(activation):
    """Two hidden layers with an activation given by argument."""
    return lambda hidden: dense(8, activation=activation())(
        dense(12, activation=activation())(hidden)
    )


def in_wrapped_layers(hidden):
    """The ReLU of a layer that is inside another layer."""
    for units in (12, 8):
        steps = layers.Reshape((1, hidden.shape[-1]))(hidden)
        wrapped = layers.TimeDistributed(dense(units, activation="relu"))(steps)
        hidden = layers.Flatten()(wrapped)
    return hidden


def in_a_functional_model(hidden):
    start = keras.Input(hidden.shape[1:])
    return keras.Model(start, twice(keras.ops.relu)(start))(hidden)


FORMS = {
    "argument": in_layers(lambda: "relu"),
    "function_as_argument": in_layers(lambda: keras.ops.relu),
    "layer_as_argument": in_layers(layers.ReLU),
    "layer": twice(lambda hidden: layers.ReLU()(hidden)),
    "activation_layer": twice(layers.Activation("relu")),
    "function": twice(keras.ops.relu),
    "activation_function": twice(keras.activations.relu),
    "nested_layers": lambda hidden: inside(layers.ReLU)(hidden),
    "nested_functions": in_a_functional_model,
    "wrapped": in_wrapped_layers,
}

FORMS_UP_TO_6 = {
    "layer": twice(lambda hidden: layers.ReLU(6)(hidden)),
    "argument": in_layers(lambda: "relu6"),
    "function": twice(keras.ops.relu6),
    "nested_layers": lambda hidden: inside(lambda: layers.ReLU(max_value=6.0))(hidden),
}


def built(body) -> keras.Model:
    """Two hidden layers of `body` and two logits, with the same weights whatever the form."""
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, dense(2)(body(layers.Flatten()(inputs))), name="guided")
    generator = np.random.default_rng(3)
    model.set_weights([generator.normal(size=weight.shape) * 1.5 for weight in model.get_weights()])
    return model


def by_the_rule(model, image, target, maximum, *, masked=True):
    """The gradient of a logit, passed back by hand through both hidden layers.

    With a mask only where a ReLU lets its input through, as in guided backpropagation.
    """
    first, first_bias, second, second_bias, last, _ = model.get_weights()
    before = image.ravel() @ first + first_bias
    after = np.clip(before, 0.0, maximum) @ second + second_bias
    gradient = last[:, target]
    for values, weights in ((after, second), (before, first)):
        passed = (values > 0.0) & (values < maximum) if masked else 1.0
        gradient = weights @ (np.maximum(gradient, 0.0) * passed)
    return np.abs(gradient).reshape(SHAPE[:2])


def check(body, maximum):
    model, images = built(body), zoo.images(4, SHAPE)
    found = guided_backpropagation(model, images, 1)
    expected = [by_the_rule(model, image, 1, maximum) for image in images]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert found.max() > 1.0
    assert not np.allclose(found, saliency(model, images, 1), rtol=0.1)
    without = deconvnet(model, images, 1)
    expected = [by_the_rule(model, image, 1, maximum, masked=False) for image in images]
    np.testing.assert_allclose(without, expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(without, found, rtol=0.1)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_relu_is_guided(form):
    check(FORMS[form], np.inf)


@pytest.mark.parametrize("form", FORMS_UP_TO_6)
def test_every_form_of_relu_with_a_maximum_is_guided(form):
    check(FORMS_UP_TO_6[form], 6.0)


def test_a_reloaded_model_is_guided_as_well(tmp_path):
    model, images = built(FORMS["nested_functions"]), zoo.images(2, SHAPE)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        guided_backpropagation(reloaded, images), guided_backpropagation(model, images), rtol=1e-6
    )


def test_the_model_itself_is_not_guided():
    model, images = built(FORMS["function"]), zoo.images(2, SHAPE)
    before = saliency(model, images)
    guided_backpropagation(model, images)
    np.testing.assert_array_equal(saliency(model, images), before)


@pytest.mark.parametrize("slope", [layers.LeakyReLU, lambda: layers.ReLU(negative_slope=0.1)])
def test_a_model_without_a_relu_is_an_error(slope):
    model = built(twice(lambda hidden: slope()(hidden)))
    with pytest.raises(InputError, match=r"'guided' has no ReLU.*: use saliency"):
        guided_backpropagation(model, zoo.images(1, SHAPE))
