"""SHAP values of pixels by the shap library, on TensorFlow: Deep SHAP."""

import re
from collections.abc import Callable
from itertools import product
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cladec import keras_internals
from cladec.errors import InputError, needing
from cladec.explainers import shap_internals
from cladec.explainers.inputs import Targets, background_images, prepare
from cladec.explainers.scores import LogitsModel
from cladec.models import answers
from cladec.models.batches import batches
from cladec.models.given import checked
from cladec.progress import OnProgress


@checked
def shap_deep(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    backgrounds: np.ndarray | None = None,
    batch_size: int | None = None,
    report: OnProgress | None = None,
) -> np.ndarray:
    """What each pixel adds to the target's logit, by Deep SHAP: DeepLIFT's rescale rule averaged
    over backgrounds.

    Exact for what is linear, and for functions of one pixel each; else an approximation. The values
    of an image sum to its logit less the mean logit of the backgrounds. Lundberg & Lee, "A Unified
    Approach to Interpreting Model Predictions", 2017, section 4.2.

    Args:
        model: a built Keras classifier of layers that the shap library has a rule for.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        backgrounds: images (M, H, W, C) that say what a pixel is compared with, some of the
            training images for instance; one black image by default.
        batch_size: backgrounds of one model call; a call takes twice as many images.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, signed, summed over channels.

    Raises:
        InputError: the images, targets or backgrounds are not as above, the library has no rule
            for a layer, which the message names, or Keras runs on another backend.
    """
    _check_backend()
    logits, images, targets = prepare(model, images, targets)
    backgrounds = background_images(model, backgrounds)
    if batch_size is None:  # a call takes each background with an image
        batch_size = max(1, logits.images_per_call(None, gradients=True) // 2)
    one_class, choose = _one_class(logits)
    with shap_internals.left_clean():
        _check_rules(logits, one_class)
        values = _deep_shap(logits, one_class, backgrounds, batch_size)
        maps = _maps(values, images, targets, choose, report)
    mean_logits = logits.predict(backgrounds).mean(axis=0)
    rows = np.arange(len(images))
    _check_sums(maps, (logits.predict(images) - mean_logits)[rows, targets])
    return maps


def _check_backend() -> None:
    # shap knows no JAX, and of PyTorch not the layers of Keras: there its values miss the logit.
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise InputError(
            f"shap_deep needs TensorFlow, and Keras runs on {backend}: use shap_gradient, or set "
            "KERAS_BACKEND=tensorflow, which loads models saved on any backend"
        )


def _one_class(logits: LogitsModel) -> tuple[keras.Model, Callable[[int], None]]:
    """A model that answers with one class's logit, (N, 1), and what chooses the class.

    One model for all classes, so that shap traces it once.
    """
    choice = keras.layers.Dense(1, use_bias=False, dtype="float32", name="cladec-choice")
    # shap calls a model with a list of inputs.
    model = keras.Model([logits.model.inputs[0]], choice(logits.model.outputs[0]))
    model.trainable = False

    def choose(target: int) -> None:
        choice.kernel.assign(np.eye(logits.classes, dtype=np.float32)[:, [target]])

    return model, choose


def _maps(
    values: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    targets: np.ndarray,
    choose: Callable[[int], None],
    report: OnProgress | None,
) -> np.ndarray:
    maps = np.empty(images.shape[:3], np.float32)
    for i, (image, target) in enumerate(zip(images, targets, strict=True)):
        choose(int(target))
        maps[i] = values(image).sum(axis=-1)
        if report is not None:
            report((i + 1) / len(images), {})
    return maps


def _deep_shap(
    logits: LogitsModel, one_class: keras.Model, backgrounds: np.ndarray, batch_size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Deep SHAP of one image, averaged over all backgrounds, of which a few are held at a time."""
    parts = [backgrounds[rows] for rows in batches(len(backgrounds), batch_size)]
    compared: list[np.ndarray] = []
    explainer = _shap().DeepExplainer(one_class, lambda image: compared)
    handled = shap_internals.handled_operations(explainer)

    def values(image: np.ndarray) -> np.ndarray:
        total = np.zeros(image.shape)
        for part in parts:
            compared[:] = [part]
            try:
                # The library's own check holds for the backgrounds it was built with.
                total += len(part) * _values(explainer, image, check_additivity=False)
            except (tf.errors.OpError, MemoryError):
                raise
            except Exception as error:  # shap's own, and AutoGraph hides their types
                raise (_no_rule(logits, handled[-1]) if handled else error) from error
        return total / len(backgrounds)

    return values


def _values(explainer: Any, image: np.ndarray, **options: Any) -> np.ndarray:
    """The SHAP values of one image, (H, W, C). One at a time: shap draws on from image to image."""
    return np.asarray(explainer.shap_values(image[None], **options)).reshape(image.shape)


def _shap():
    # A second or more, so only where it is used; it also imports all of matplotlib.
    with needing("shap", "SHAP"):
        import shap

    return shap


def _check_rules(logits: LogitsModel, one_class: keras.Model) -> None:
    """Raises InputError if shap has no rule for an operation between the images and the answer."""
    shape = one_class.inputs[0].shape
    spec = tf.TensorSpec((2, *shape[1:]), tf.float32)
    function = tf.function(lambda images: one_class([images], training=False), autograph=False)
    for operation in shap_internals.without_rule(function.get_concrete_function(spec).graph):
        raise _no_rule(logits, operation)


def _no_rule(logits: LogitsModel, operation: Any) -> InputError:
    return InputError(
        f"shap_deep has no rule that fits {_named(logits, operation)}: use shap_gradient, which "
        "takes every layer"
    )


def _named(logits: LogitsModel, operation: Any) -> str:
    """The layer of the caller's model that an operation of the graph belongs to."""
    kind = operation.type.removeprefix("shap_")
    # The scope of a layer is its name, as a rule with a number behind it.
    for number, scope in product((r"_\d+", ""), operation.name.split("/")):
        for path, tensor in logits.flat.tensors.items():
            if re.fullmatch(re.escape(path.replace("/", answers.INSIDE)) + number, scope):
                layer = type(keras_internals.origin(tensor)[0]).__name__
                return f"layer {path!r} ({layer}, operation {kind})"
    return f"the operation {kind} of the model"


def _check_sums(maps: np.ndarray, expected: np.ndarray) -> None:
    """Raises InputError if the values do not sum to the logit, less the backgrounds' mean."""
    difference = np.abs(maps.sum(axis=(1, 2)) - expected)
    if (difference > 0.01 * np.maximum(1, np.abs(expected))).any():
        raise InputError(
            f"the values of shap_deep miss the logit by up to {difference.max():.3g}: shap has no "
            "right rule for a function in the model; use shap_gradient, which takes every layer"
        )
