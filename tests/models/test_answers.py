"""The logits are those of the model's own answers, whatever stands behind its softmax."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.models import cutting


@keras.saving.register_keras_serializable(package="test_answers")
class OwnEnd(layers.Layer):
    """A layer of somebody's own, which ends in some function."""

    def __init__(self, function="softmax", **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.scores = layers.Dense(zoo.CLASSES)

    def build(self, input_shape):
        self.scores.build(input_shape)

    def call(self, inputs):
        scores = self.scores(inputs)
        return scores if self.function == "linear" else getattr(keras.ops, self.function)(scores)

    def get_config(self):
        return super().get_config() | {"function": self.function}


def flat(inputs):
    return layers.Flatten()(zoo.convolution()(inputs))


def average_of_two(inputs):
    hidden = flat(inputs)
    return layers.Average()(
        [layers.Dense(zoo.CLASSES, activation="softmax")(hidden) for _ in range(2)]
    )


ENDS = {
    "own_layer": lambda x: OwnEnd()(flat(x)),
    "own_layer_then_linear": lambda x: layers.Activation("linear")(OwnEnd()(flat(x))),
    "average_of_two": average_of_two,
    "function_of_tensorflow": lambda x: zoo.scored(zoo.convolution()(x), tf.nn.softmax),
    "softmax_of_a_map_averaged": lambda x: layers.GlobalAveragePooling2D()(
        layers.Conv2D(zoo.CLASSES, 3, activation="softmax")(x)
    ),
    "softmax_of_one_position": lambda x: layers.Flatten()(
        layers.Conv2D(zoo.CLASSES, 8, activation="softmax")(x)
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_softmax_of_the_logits_is_what_the_model_answers(end):
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    model = zoo.randomised(keras.Model(inputs, ENDS[end](inputs)))
    logits = keras.ops.convert_to_numpy(cutting.logits(model)(zoo.images()))
    expected = keras.ops.convert_to_numpy(zoo.answer(model, zoo.images()))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(tf.nn.softmax(logits), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: OwnEnd("linear")(flat(x)),
        lambda x: layers.Average()([OwnEnd("linear")(layers.Flatten()(x)) for _ in range(2)]),
        lambda x: zoo.scored(zoo.convolution()(x), None) / 2.5,
    ],
    ids=["own_layer", "average", "temperature"],
)
def test_answers_that_are_no_probabilities_are_the_logits(end):
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    model = zoo.randomised(keras.Model(inputs, end(inputs)))
    np.testing.assert_allclose(
        cutting.logits(model)(zoo.images()), zoo.answer(model, zoo.images()), rtol=1e-5
    )


@pytest.mark.parametrize(
    "end",
    [
        lambda x: OwnEnd("sigmoid")(flat(x)),
        lambda x: layers.Dropout(0.1)(zoo.scored(zoo.convolution()(x), "sigmoid")),
    ],
    ids=["own_layer", "then_dropout"],
)
def test_sigmoids_are_refused_wherever_they_stand(end):
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    with pytest.raises(InputError, match=r"sigmoid.*expected softmax|expected softmax.*sigmoid"):
        cutting.logits(zoo.randomised(keras.Model(inputs, end(inputs))))
