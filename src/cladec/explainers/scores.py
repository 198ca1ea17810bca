"""The scores of a classifier and their gradients with respect to images, computed by TensorFlow."""

import itertools
import zlib
from collections.abc import Callable
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from cladec.errors import InputError
from cladec.models import cutting, pixels
from cladec.models.batches import BATCH_SIZE, batches

EAGER_CALLS = 4
"""Tracing a model costs about as much as this many calls of it, so no fewer calls are traced."""


class LogitsModel:
    """The scores of a classifier before its softmax, as arrays or as a differentiable tensor.

    Attributes:
        flat: the layers of a copy of the classifier, by path.
        model: that copy, frozen, images (N, H, W, C) -> logits (N, K).
        image_shape: (H, W, C).
        classes: K.

    Raises:
        InputError: the model is no image classifier that can be cut, or Keras runs on another
            backend than TensorFlow.
    """

    def __init__(self, classifier: keras.Model):
        _check_backend()
        self.flat = cutting.flatten(classifier)
        self.model = keras.Model(self.flat.inputs, self.flat.logits, name="logits")
        self.model.trainable = False
        self.image_shape: tuple[int, int, int] = self.flat.inputs.shape[1:]
        self.classes: int = self.model.outputs[0].shape[-1]
        self._kept: dict[tuple, Callable] = {}
        images = images_spec(self.image_shape)
        self._run = traced_later(self, images)
        self._differentiate = traced(
            self._target_gradients, images, tf.TensorSpec((None,), tf.int64)
        )

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """The logits of a tensor of images, (N, K) float32; a GradientTape can see through it."""
        return tf.cast(self.model(images, training=False), tf.float32)

    def predict(self, images: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """The logits of any number of images, (N, K) float32."""
        result = np.empty((len(images), self.classes), np.float32)
        for rows in batches(len(images), batch_size):
            result[rows] = self._run(tf.convert_to_tensor(images[rows]))
        return result

    def gradients(self, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """d logit / d image of the classes (N,) of images (N, H, W, C), as these, in one batch."""
        arguments = tf.constant(images, tf.float32), tf.constant(targets, tf.int64)
        return self._differentiate(*arguments).numpy()

    def _target_gradients(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = tf.gather(self(images), targets, batch_dims=1)
        return tape.gradient(scores, images, unconnected_gradients="zero")

    def keep(self, name: tuple, make: Callable[[], Callable]) -> Callable:
        """What `make` gives, made once for each name: functions that take long to trace."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def probabilities(self, images: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """The softmax of `predict`, (N, K) float32."""
        return softmax(self.predict(images, batch_size))


def _check_backend() -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"explanations are computed by TensorFlow, and Keras runs on {backend}: set "
            "KERAS_BACKEND=tensorflow; models saved on any backend can be loaded"
        )


_KEPT: WeakKeyDictionary[keras.Model, tuple[int, LogitsModel]] = WeakKeyDictionary()
"""The scores of each classifier that was explained and still exists, and of which weights."""


def logits_model(classifier: keras.Model) -> LogitsModel:
    """The scores of a classifier, made once and made anew when its weights have changed.

    Copying and tracing take longer than most explanations. What is given is shared: whoever
    changes it makes a `LogitsModel` instead. Warns of a classifier of other pixels than [0, 1].

    Raises:
        InputError: the model is no image classifier that can be cut.
    """
    checksum = 0
    for weight in classifier.get_weights():
        checksum = zlib.crc32(weight.tobytes(), checksum)
    kept = _KEPT.get(classifier)
    if kept is None or kept[0] != checksum:
        kept = _KEPT[classifier] = (checksum, LogitsModel(classifier))
        pixels.examine(classifier, kept[1].flat)
    return kept[1]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits (..., K), of the same shape; they sum to 1 over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def images_spec(image_shape: tuple[int, ...]) -> tf.TensorSpec:
    """Any number of images: a function traced for it is traced once, whatever the last batch."""
    return tf.TensorSpec((None, *image_shape), tf.float32)


def traced(function: Callable, *signature: tf.TensorSpec) -> Callable:
    """`function` of tensors as a graph, from the first call on: for what takes gradients.

    Run as it is, TensorFlow also computes the gradients of the weights, which nobody asked for: a
    third of the work, and one of them crashes TensorFlow 2.21 (a 1x1 convolution of stride 2).
    """
    return tf.function(function, input_signature=signature)


def traced_later(function: Callable, *signature: tf.TensorSpec) -> Callable:
    """`function` of tensors, run as it is at first, and as a graph once it is called often."""
    graph = traced(function, *signature)
    calls = itertools.count()

    def run(*tensors):
        return (function if next(calls) < EAGER_CALLS else graph)(*tensors)

    return run
