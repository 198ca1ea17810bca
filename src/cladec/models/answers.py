"""This module finds a classifier's logits: the scores before its softmax or sigmoid."""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from cladec.errors import InputError

Calls = dict[int, tuple[keras.Operation, keras.KerasTensor]]
"""The operation that produces each tensor of a graph, and its input, by the id of the tensor."""

SAME_NUMBERS = frozenset(
    (
        *("Flatten", "Reshape", "Permute", "Identity", "ActivityRegularization"),
        *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"),
        *("GaussianDropout", "GaussianNoise", "RandomFlip", "RandomRotation", "RandomTranslation"),
        *("RandomZoom", "RandomShear", "RandomPerspective", "RandomElasticTransform"),
        *("RandomBrightness", "RandomContrast", "RandomHue", "RandomSaturation", "RandomInvert"),
        *("RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomErasing"),
        *("RandomGaussianBlur", "RandomGrayscale", "RandomPosterization"),
    )
)
"""Keras layers that leave the values unchanged outside of training, except for their order."""

SAME_IN_A_GRAPH = frozenset(("Transpose", "Squeeze", "ExpandDims", "Cast"))
"""Keras functions that leave the values unchanged as well."""

SMALLEST = 1e-12
"""Probabilities are raised to at least this before their logarithm is taken."""

PROBED = 8
"""The number of random images that reveal what an output is."""

PAIR = "cladec-pair"
"""The name of the layer that makes the logits of two classes from that of one unit; PyTorch has no
weights with a dot in their names."""

INSIDE = ">"
"""The separator in the names of copied nested layers: TensorFlow allows few characters in a name,
and PyTorch allows no dot."""


@dataclass(frozen=True)
class Answer:
    """What a classifier answers, whatever it ends in.

    Attributes:
        logits: (None, K): the scores before the softmax, or before the sigmoid of each label.
        multi_label: whether each score is that of a label, of which an image may have several or
            none; else the scores are those of classes, of which it has one.
    """

    logits: keras.KerasTensor
    multi_label: bool = False


def answer(inputs: keras.KerasTensor, outputs: keras.KerasTensor, calls: Calls) -> Answer:
    """Find the logits of a classifier: the input of its softmax or sigmoid, or its output.

    Layers that change no value are skipped. After any other layer, such as an average or a custom
    layer, the outputs for random images decide: if they are probabilities, the logits are computed
    from them. A single unit stands for two classes: from its logit z they have -z / 2 and z / 2, so
    that the softmax of these is 1 - sigmoid(z) and sigmoid(z).

    Args:
        inputs: the image tensor of a flat graph.
        outputs: the output of the classifier, (None, K).
        calls: the calls that produce the tensors in between.

    Raises:
        InputError: the outputs are neither logits nor probabilities.
    """
    found = _found(inputs, outputs, calls)
    if outputs.shape[1] > 1:
        return found
    pair = layers.Dense(2, use_bias=False, dtype="float32", name=PAIR)
    logits = pair(found.logits)
    pair.set_weights([np.array([[-0.5, 0.5]])])
    return Answer(logits)


def _found(inputs: keras.KerasTensor, outputs: keras.KerasTensor, calls: Calls) -> Answer:
    operation, given = calls[id(outputs)]
    while _leaves_answer(operation, given, outputs) and id(given) in calls:
        operation, given = calls[id(given)]
    activation = _activation(operation)
    if not _is_of_keras(operation) or (activation is None and not _learns(operation)):
        return _seen_on_images(inputs, outputs)
    if activation in (None, keras.activations.linear):
        return Answer(outputs)
    if activation is keras.activations.sigmoid:
        return Answer(_before(operation, given, outputs), multi_label=True)
    if activation is not keras.activations.softmax:
        raise InputError(
            f"the classifier ends in {getattr(activation, '__name__', activation)!r} (layer "
            f"{operation.name!r}): expected softmax, sigmoid, or logits without an activation"
        )
    if outputs.shape[1] == 1:
        raise InputError(
            "the classifier ends in a softmax over one unit, which is 1 for every image: use a "
            "sigmoid for two classes, or one unit for each class"
        )
    return Answer(_before(operation, given, outputs))


def keeps_numbers(operation: keras.Operation) -> bool:
    """Return whether a layer or function leaves its values unchanged outside of training.

    Only types of Keras itself count: a custom class, even a subclass of one, may do anything.
    """
    name = type(operation).__name__
    if not type(operation).__module__.startswith("keras."):
        return False
    if name == "Activation":
        return operation.activation is keras.activations.linear
    return name in SAME_NUMBERS | SAME_IN_A_GRAPH


def _leaves_answer(operation, given, outputs: keras.KerasTensor) -> bool:
    """Return whether an operation passes the whole output on unchanged."""
    whole = isinstance(given, keras.KerasTensor) and (
        math.prod(size or 0 for size in given.shape[1:]) == outputs.shape[1]
    )
    return whole and keeps_numbers(operation)


def _before(
    operation: keras.Operation, given: keras.KerasTensor, outputs: keras.KerasTensor
) -> keras.KerasTensor:
    """Return the input of the activation that ends an operation, in the shape of the output."""
    logits = given
    if _learns(operation):
        changes = {"activation": "linear", "name": f"{operation.name}{INSIDE}logits"}
        linear = type(operation).from_config(operation.get_config() | changes)
        logits = linear(given)
        linear.set_weights(operation.get_weights())
    if logits.shape[1:] != outputs.shape[1:]:
        logits = layers.Reshape(outputs.shape[1:], name="cladec.logits")(logits)
    return logits


def _seen_on_images(inputs: keras.KerasTensor, outputs: keras.KerasTensor) -> Answer:
    """Return the logits of an output whose kind only its values reveal."""
    images = np.random.default_rng(0).random((PROBED, *inputs.shape[1:]), np.float32)
    model = keras.Model(inputs, outputs)
    answers = ops.convert_to_numpy(ops.cast(model(images, training=False), "float32"))
    kind = kind_of(answers)
    if kind == "logits":
        return Answer(outputs)
    probabilities = ops.maximum(ops.cast(outputs, "float32"), SMALLEST)
    if kind == "softmax":
        return Answer(ops.log(probabilities))
    others = ops.maximum(1.0 - probabilities, SMALLEST)
    return Answer(ops.log(probabilities) - ops.log(others), multi_label=True)


def kind_of(answers: np.ndarray) -> str:
    """Return what answers (N, K) are: "softmax", "sigmoid" or "logits"."""
    if answers.min() < 0.0 or answers.max() > 1.01:
        return "logits"
    # Those of bfloat16 do not sum to one exactly.
    sums_to_one = answers.shape[1] > 1 and np.abs(answers.sum(axis=1) - 1.0).max() < 0.01
    return "softmax" if sums_to_one else "sigmoid"


def _is_of_keras(operation) -> bool:
    """Return whether an operation uses the `call` of Keras, not one of its own."""
    return type(operation).call.__module__.startswith("keras.")


def _learns(operation) -> bool:
    return bool(getattr(operation, "weights", None))


def _activation(operation):
    """Return the activation that a layer or function of the graph ends in; None without one."""
    activation = getattr(operation, "activation", operation)
    if isinstance(activation, keras.Operation):
        activation = getattr(keras.activations, type(activation).__name__.lower(), None)
    return activation
