"""What a classifier answers with: the scores before its softmax, wherever that stands."""

import math

import keras
import numpy as np
from keras import layers, ops

from cladec.errors import InputError

Calls = dict[int, tuple[keras.Operation, keras.KerasTensor]]
"""Of each tensor of a graph, by its id: the operation that gives it, and what that was called on.
"""

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
"""Layers of Keras that, outside of training, give what they are given, at most in another order."""

SAME_IN_A_GRAPH = frozenset(("Transpose", "Squeeze", "ExpandDims", "Cast"))
"""Functions of Keras of which the same is true."""

SMALLEST = 1e-12
"""Probabilities below this count as this much, where their logarithm is taken."""

PROBED = 8

INSIDE = ">"
"""In the name of a copied layer, what stands between the names that lead to it: TensorFlow takes
few signs there, and PyTorch no dot."""


def scores(
    inputs: keras.KerasTensor, outputs: keras.KerasTensor, calls: Calls
) -> keras.KerasTensor:
    """The logits of a classifier: what its softmax is applied to, or what it answers itself.

    Layers that change no value are looked through. Behind others, an ensemble's average or a layer
    of the user's own, answers to random images tell: where they are probabilities, the logits are
    their logarithm, whose softmax they are.

    Args:
        inputs: the image tensor of a flat graph.
        outputs: the answer, (None, K).
        calls: of every tensor between them.

    Raises:
        InputError: the answers are neither logits nor probabilities that sum to one.
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
    """Whether a layer or function gives, outside of training, the numbers that it is given.

    By its type alone; a class of someone's own, even one made from these, may do anything.
    """
    name = type(operation).__name__
    if not type(operation).__module__.startswith("keras."):
        return False
    if name == "Activation":
        return operation.activation is keras.activations.linear
    return name in SAME_NUMBERS | SAME_IN_A_GRAPH


def _leaves_answer(operation, given, outputs: keras.KerasTensor) -> bool:
    """Whether an operation gives the whole answer just as it was given it."""
    whole = isinstance(given, keras.KerasTensor) and (
        math.prod(size or 0 for size in given.shape[1:]) == outputs.shape[1]
    )
    return whole and keeps_numbers(operation)


def _before_softmax(
    operation: keras.Operation, given: keras.KerasTensor, outputs: keras.KerasTensor
) -> keras.KerasTensor:
    """What an operation that ends in softmax applies it to, in the shape of the answer."""
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
    """The logits of answers of which only their values can tell what they are."""
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
    """Whether an operation does what Keras says, without a `call` of its own."""
    return type(operation).call.__module__.startswith("keras.")


def _learns(operation) -> bool:
    return bool(getattr(operation, "weights", None))


def _activation(operation):
    """The activation that a layer or function of the graph ends in or is; None if there is none."""
    activation = getattr(operation, "activation", operation)
    if isinstance(activation, keras.Operation):
        activation = getattr(keras.activations, type(activation).__name__.lower(), None)
    return activation
