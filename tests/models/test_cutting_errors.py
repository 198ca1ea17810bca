"""Cutting: what cannot be cut, or names no layer, is told in one line that says what to do."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.models import cutting


class Scale(layers.Layer):
    """A layer that Keras cannot copy: an array as argument and no get_config."""

    def __init__(self, factors):
        super().__init__(name="scale")
        self.factors = factors

    def call(self, inputs):
        return inputs * self.factors


class Doubled(layers.Layer):
    """A layer that Keras cannot copy: it takes none of the arguments that every layer has."""

    def __init__(self):
        super().__init__()

    def call(self, inputs):
        return inputs * 2.0


class Subclassed(keras.Model):
    """A model whose graph nobody can see."""

    def __init__(self):
        super().__init__(name="mine")
        self.scores = layers.Dense(10)

    def call(self, inputs):
        return self.scores(keras.ops.reshape(inputs, (-1, 64)))


def ending_in(*last, shape=zoo.IMAGE_SHAPE):
    return keras.Sequential([keras.Input(shape), layers.Flatten(name="flat"), *last])


def two_inputs():
    first, second = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    return keras.Model([first, second], zoo.scored(layers.Add()([first, second])))


def any_size():
    images = keras.Input((None, None, 1))
    pooled = layers.GlobalAveragePooling2D()(images)
    return keras.Model(images, layers.Dense(10)(pooled))


def ending_in_function(function):
    images = keras.Input(zoo.IMAGE_SHAPE)
    return keras.Model(images, function(zoo.scored(images, None)))


BAD_MODELS = {
    "subclassed": (Subclassed, ["'mine'", "Subclassed", "call it on an image", "image_size"]),
    "not_a_model": (lambda: "vgg.keras", ["str", "Keras model"]),
    "unbuilt": (lambda: keras.Sequential([layers.Dense(10)], name="raw"), ["'raw'", "Input"]),
    "two_inputs": (two_inputs, ["several inputs", "image_input", "--image-input"]),
    "vectors": (lambda: ending_in(layers.Dense(10), shape=(9,)), ["(None, 9)", "one image"]),
    "any_size": (any_size, ["(None, None, None, 1)", "image_size", "--image-size"]),
    "map_of_scores": (
        lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3)]),
        ["(None, 6, 6, 2)", "(None, K)"],
    ),
    "tanh": (
        lambda: ending_in(layers.Dense(10, activation="tanh", name="last")),
        ["'tanh'", "'last'", "softmax"],
    ),
    "relu_layer": (lambda: ending_in(layers.Dense(10), layers.ReLU(name="r")), ["'r'", "softmax"]),
    "tanh_function": (lambda: ending_in_function(keras.ops.tanh), ["anh", "softmax"]),
    "no_config": (
        lambda: ending_in(Scale(np.ones(64, np.float32)), layers.Dense(10)),
        ["scale", "Scale", "get_config"],
    ),
    "no_keyword_arguments": (
        lambda: ending_in(Doubled(), layers.Dense(10)),
        ["Doubled", "keyword"],
    ),
    "lambda": (
        lambda: ending_in(layers.Lambda(lambda x: x, name="odd"), layers.Dense(10)),
        ["odd"],
    ),
    "own_activation": (lambda: ending_in(layers.Dense(10, zoo.images, name="own")), ["own"]),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_model_that_cannot_be_cut_is_told_in_one_line(name):
    build, words = BAD_MODELS[name]
    with pytest.raises(InputError) as caught:
        cutting.cut(build(), "flat")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("name", "layer", "words"),
    [
        ("sequential", "dens", ["no layer 'dens'", "did you mean 'dense'", "conv", "scores"]),
        ("sequential", "xyz", ["no layer 'xyz'", "its layers are: conv, "]),
        ("same_names_in_two_nested", "conv", ["ambiguous", "first/conv, second/conv"]),
        ("nested_twice", "inner/con", ["did you mean", "conv'"]),
    ],
)
def test_an_unknown_layer_is_told_in_one_line(name, layer, words):
    with pytest.raises(InputError) as caught:
        cutting.cut(zoo.build(name), layer)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
