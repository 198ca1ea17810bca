"""This module finds a classifier's logits: the scores before its softmax."""

import math

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

INSIDE = ">"
"""The separator in the names of copied nested layers: TensorFlow allows few characters in a name,
and PyTorch allows no dot."""


def scores(
    inputs: keras.KerasTensor, outputs: keras.KerasTensor, calls: Calls
) -> keras.KerasTensor:
    """Return the logits of a classifier: the input of its softmax, or its output if it has none.

    Layers that change no value are skipped. After any other layer, such as an average or a custom
    layer, the outputs for random images decide: if they are probabilities, the logits are their
    logarithm.

    Args:
        inputs: the image tensor of a flat graph.
        outputs: the output of the classifier, (None, K).
        calls: the calls that produce the tensors in between.

    Raises:
        InputError: the outputs are neither logits nor probabilities that sum to one.
    """
    operation, given = calls[id(outputs)]
    while _leaves_answer(operation, given, outputs) and id(given) in calls:
        operation, given = calls[id(given)]
    activation = _activation(operation)
    if not _is_of_keras(operation) or (activation is None and not _learns(operation)):
        return _seen_on_images(inputs, outputs)
    if activation in (None, keras.activations.linear):
        return outputs
    if activation is keras.activations.softmax:
        return _before_softmax(operation, given, outputs)
    raise InputError(
        f"the classifier ends in {getattr(activation, '__name__', activation)!r} "
        f"(layer {operation.name!r}): expected softmax, or logits without an activation"
    )


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


def _before_softmax(
    operation: keras.Operation, given: keras.KerasTensor, outputs: keras.KerasTensor
) -> keras.KerasTensor:
    """Return the input of the softmax that ends an operation, in the shape of the output."""
    logits = given
    if _learns(operation):
        changes = {"activation": "linear", "name": f"{operation.name}{INSIDE}logits"}
        linear = type(operation).from_config(operation.get_config() | changes)
        logits = linear(given)
        linear.set_weights(operation.get_weights())
    if logits.shape[1:] != outputs.shape[1:]:
        logits = layers.Reshape(outputs.shape[1:], name="cladec.logits")(logits)
    return logits


def _seen_on_images(inputs: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    """Return the logits of an output whose kind only its values reveal."""
    images = np.random.default_rng(0).random((PROBED, *inputs.shape[1:]), np.float32)
    model = keras.Model(inputs, outputs)
    answers = ops.convert_to_numpy(ops.cast(model(images, training=False), "float32"))
    if answers.min() < 0.0 or answers.max() > 1.01:
        return outputs
    if np.abs(answers.sum(axis=1) - 1.0).max() < 0.01:  # bfloat16 does not sum to one exactly
        return ops.log(ops.maximum(ops.cast(outputs, "float32"), SMALLEST))
    raise InputError(
        f"the classifier answers {answers.min():.3g} to {answers.max():.3g}, which do not sum to "
        "one: expected softmax over the classes, or logits without an activation, not a sigmoid "
        "for each"
    )


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
