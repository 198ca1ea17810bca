"""The logits are those of the model's own answers, whatever stands behind its softmax."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo
from keras import layers

import cladec
from cladec.errors import InputError
from cladec.explainers.scores import logits_model
from cladec.models import cutting, predictions


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


SIGMOIDS = {
    "activation": lambda x, units: zoo.scored(zoo.convolution()(x), "sigmoid", units),
    "then_dropout": lambda x, units: layers.Dropout(0.1)(
        zoo.scored(zoo.convolution()(x), "sigmoid", units)
    ),
    "layer": lambda x, units: layers.Activation("sigmoid")(zoo.scored(x, None, units)),
    "function": lambda x, units: keras.ops.sigmoid(zoo.scored(x, None, units)),
    "average": lambda x, units: layers.Average()(
        [layers.Dense(units, activation="sigmoid")(layers.Flatten()(x)) for _ in range(2)]
    ),
}


def model_of(end, *given):
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    return zoo.randomised(keras.Model(inputs, end(inputs, *given)))


@pytest.mark.parametrize("end", SIGMOIDS)
def test_sigmoids_are_the_probabilities_of_labels(end):
    model = model_of(SIGMOIDS[end], 3)
    scores = logits_model(model)
    assert scores.multi_label
    expected = keras.ops.convert_to_numpy(model(zoo.images()))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(scores.probabilities(zoo.images()), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("end", SIGMOIDS)
def test_one_sigmoid_is_the_probability_of_class_1(end):
    model = model_of(SIGMOIDS[end], 1)
    scores = logits_model(model)
    assert not scores.multi_label
    assert scores.classes == cutting.num_classes(model) == 2
    expected = keras.ops.convert_to_numpy(model(zoo.images()))
    both = np.hstack([1 - expected, expected])
    np.testing.assert_allclose(scores.probabilities(zoo.images()), both, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("squeezed", [False, True])
def test_one_logit_is_shared_among_two_classes(squeezed):
    def end(x):
        logit = zoo.scored(x, None, 1)
        return keras.ops.squeeze(logit, -1) if squeezed else logit

    model = model_of(end)
    expected = keras.ops.convert_to_numpy(model(zoo.images())).reshape(-1, 1)
    found = cutting.logits(model)(zoo.images())
    np.testing.assert_allclose(found, np.hstack([-expected, expected]) / 2, rtol=1e-5)
    shared = cladec.explain(model, zoo.images(2), method="saliency", targets=1)
    np.testing.assert_allclose(
        shared, cladec.explain(model, zoo.images(2), method="saliency", targets=0), rtol=1e-4
    )


def test_a_softmax_over_one_unit_is_told():
    with pytest.raises(InputError, match="1 for every image: use a sigmoid"):
        cutting.logits(model_of(lambda x: zoo.scored(x, "softmax", 1)))


def test_probabilities_of_large_scores_do_not_overflow():
    scores = np.array([[1e4, -1e4, 0.0]], np.float32)
    with np.errstate(over="raise"):
        np.testing.assert_array_equal(predictions.sigmoid(scores), [[1, 0, 0.5]])
        np.testing.assert_array_equal(predictions.softmax(scores), [[1, 0, 0]])
    assert predictions.predicted(scores, multi_label=False).tolist() == [0]
    assert predictions.predicted(scores, multi_label=True).tolist() == [[True, False, False]]


def test_agreements_are_shares_of_the_labels():
    classes = predictions.agreements(np.array([1, 2, 0]), np.array([1, 0, 0]))
    assert classes.tolist() == [1.0, 0.0, 1.0]
    labels = np.array([[True, False, True, False], [True, True, True, True]])
    same = predictions.agreements(labels, np.array([[True, False, False, False], [True] * 4]))
    assert same.tolist() == [0.75, 1.0]


def test_an_image_differs_if_any_of_its_labels_does():
    assert predictions.differ(np.array([1, 2]), np.array([1, 0])).tolist() == [False, True]
    labels = np.array([[True, False], [True, True]])
    assert predictions.differ(labels, np.ones((2, 2), bool)).tolist() == [True, False]
