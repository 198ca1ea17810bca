"""What all explainers share: checked images, target classes, and the scores of a classifier."""

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from cladec import checks
from cladec.data.pixel_ranges import way_out
from cladec.errors import InputError
from cladec.models import cutting, pixels
from cladec.models.cutting import Flat
from cladec.progress import OnProgress

BATCH_SIZE = 64
"""Images of one model call where the caller names no other number."""

EAGER_CALLS = 4
"""Tracing a model costs about as much as this many calls of it, so no fewer calls are traced."""

Targets = int | Sequence[int] | np.ndarray | None
"""The classes to explain: one for all images, one for each, or None for the predicted ones."""

Fill = float | Sequence[float] | np.ndarray
"""What stands for missing pixels: a number, a colour (C,) or an image (H, W, C), in [0, 1]."""


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


def prepare(
    model: keras.Model, images: Any, targets: Targets
) -> tuple[LogitsModel, np.ndarray, np.ndarray]:
    """The scores of `model`, the checked images (N, H, W, C) and a target class for each, (N,).

    Raises:
        InputError: what `LogitsModel`, `check_images` and `resolve_targets` raise.
    """
    logits = logits_model(model)
    images = check_images(model, images)
    return logits, images, resolve_targets(logits, images, targets)


def check_images(model: keras.Model, images: Any) -> np.ndarray:
    """The images as float32, (N, H, W, C) in [0, 1]; the array itself where it is that already.

    Those of a model with channels first may be (N, C, H, W) as well.

    Raises:
        InputError: they are not of the size and channels that `model` takes, a pixel is NaN or
            outside [0, 1], or there is none.
    """
    expected = cutting.image_shape(model)
    try:
        images = np.asarray(images, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"the images are no array of numbers of shape (N, H, W, C): {error}"
        ) from error
    if images.shape[1:] == tuple(model.inputs[0].shape[1:]) != expected:
        images = np.moveaxis(images, 1, -1)
    if images.ndim != 4 or images.shape[1:] != expected:
        raise InputError(
            f"images of shape {images.shape}: the model takes (N, {', '.join(map(str, expected))})"
            f"{'; write images[None] for a single one' if images.shape == expected else ''}"
        )
    if not len(images):
        raise InputError("there are no images: expected one or more")
    if np.isnan(images).any():
        raise InputError("a pixel of the images is NaN: expected numbers in [0, 1]")
    low, high = images.min(), images.max()
    if low < 0.0 or high > 1.0:
        raise InputError(
            f"pixels from {low:.4g} to {high:.4g}: expected values in [0, 1]; {way_out(expected)}"
        )
    return images


def resolve_targets(logits: LogitsModel, images: np.ndarray, targets: Targets) -> np.ndarray:
    """The class to explain of each image, (N,) int64; the predicted ones for None.

    Raises:
        InputError: they are no integers, not as many as the images, or no classes of the model.
    """
    if targets is None:
        return logits.predict(images).argmax(axis=1)
    return for_each_image("class", targets, len(images), logits.classes)


def for_each_image(name: str, numbers: Any, images: int, count: int) -> np.ndarray:
    """One number for each image, (images,) int64, of a single one or of one for each.

    Args:
        name: of what is numbered, for the error.
        numbers: an integer or (images,) integers, from 0 to `count` - 1.
        images: how many images there are.
        count: how many things are numbered.

    Raises:
        InputError: the numbers are no integers, not as many as the images, or out of range.
    """
    array = checks.array(name, numbers)
    if array.dtype.kind not in "iu" or array.shape not in ((), (images,)):
        raise InputError(
            f"{numbers!r:.60} is no {name}: expected the number of one, or of one for each of the "
            f"{images} images"
        )
    wrong = array[(array < 0) | (array >= count)]
    if wrong.size:
        raise InputError(f"{name} {wrong.flat[0]} is out of range: expected 0 to {count - 1}")
    return np.broadcast_to(array, images).astype(np.int64)


def at_least(minimum: float, **options: float) -> None:
    """Raises InputError for an option below `minimum`: `at_least(1, samples=samples)`."""
    for name, value in options.items():
        if not value >= minimum:
            raise InputError(f"{name} is {value}: expected {minimum} or more")


def batches(count: int, batch_size: int, report: OnProgress | None = None) -> Iterator[slice]:
    """The rows of each batch of `count` things, in order; `report` hears of each one done.

    Raises:
        InputError: a batch is to hold less than one.
    """
    at_least(1, batch_size=batch_size)
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        yield slice(start, stop)
        if report:
            report(stop / count, {})


def part_of(report: OnProgress | None, number: int, count: int) -> OnProgress | None:
    """What tells `report` how far the part `number`, from 0, of `count` equal parts is."""
    if report is None:
        return None
    return lambda share, values: report((number + share) / count, values)


def background_image(name: str, value: Any, image_shape: tuple[int, ...]) -> np.ndarray:
    """An option that stands for missing pixels, as an image (H, W, C) float32.

    Args:
        name: of the option, for the error.
        value: a number, a colour (C,) or an image (H, W, C), in [0, 1].
        image_shape: (H, W, C).

    Raises:
        InputError: it has another shape, or values outside [0, 1].
    """
    array = checks.array(name, value, np.float32)
    if array.shape not in ((), image_shape[-1:], image_shape):
        raise InputError(
            f"{name} of shape {array.shape}: expected a number, a colour {image_shape[-1:]} or an "
            f"image {image_shape}"
        )
    if not ((array >= 0.0) & (array <= 1.0)).all():
        raise InputError(f"{name} has values outside [0, 1]: expected pixels in [0, 1]")
    return np.broadcast_to(array, image_shape)


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


def last_spatial_layer(flat: Flat) -> str:
    """The path of the last layer with an output (H, W, channels) of more than one position.

    Raises:
        InputError: no layer has one, or tokens are learned behind it, as in a transformer.
    """
    fitting = list(spatial_layers(flat).tensors)
    if not fitting:
        raise InputError(
            "no layer of the model gives (height, width, channels) with more than one position: "
            "use a method that needs no such layer, saliency for instance"
        )
    paths = list(flat.tensors)
    for path in paths[paths.index(fitting[-1]) + 1 :]:
        shape = flat.tensors[path].shape[1:]
        if len(shape) == 2 and shape[0] != 1 and flat.origins[path][0].weights:
            raise InputError(
                f"the model learns from tokens, {path!r} of shape {shape}, behind its last layer "
                f"with a height and a width, {fitting[-1]!r}, which says little of the answer: "
                "name that one as layer all the same, or use a method that needs no layer"
            )
    return fitting[-1]


def spatial_layers(flat: Flat) -> Flat:
    """`flat` with no other layers than those of an output (H, W, channels), H or W above 1."""
    shapes = {path: tensor.shape[1:] for path, tensor in flat.tensors.items()}
    fitting = [path for path, shape in shapes.items() if len(shape) == 3 and max(shape[:2]) > 1]
    return replace(flat, tensors={path: flat.tensors[path] for path in fitting})


def find_spatial(flat: Flat, layer: str | None) -> keras.KerasTensor:
    """The output (N, H, W, channels) of `layer`, or of the last spatial layer for None.

    Raises:
        InputError: there is no such layer, or it has no spatial extent; the message lists those
            that have.
    """
    fitting = spatial_layers(flat)
    if layer is None:
        return flat.tensors[last_spatial_layer(flat)]
    named = flat.paths_of(layer)
    if named and not fitting.paths_of(layer):
        shape = flat.tensors[named[0]].shape[1:]
        raise InputError(
            f"layer {layer!r} gives {shape}, which has no spatial extent: choose one of "
            f"{', '.join(fitting.tensors)}"
        )
    return fitting.find(layer)
