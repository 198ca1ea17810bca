"""How the many forward passes of a sampling method are computed: folded, and in bfloat16.

Occlusion, RISE and LIME ask a classifier about hundreds of variants of an image. Where that is much
work, the batch normalisations are first merged into the convolutions, and on a processor that has
instructions for it, convolutions and matrix products take bfloat16 numbers, of 8 bits of precision
instead of 24. TensorFlow itself decides for each operation of its graph which of them may. A map
then differs by up to a tenth of its maximum, at a correlation above 0.99; `precision="float32"`
keeps all digits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import keras
import numpy as np

from cladec.errors import InputError
from cladec.explainers import backends
from cladec.models import precision as processor
from cladec.models.folding import folded

Precision = Literal["auto", "float32", "bfloat16"]
"""The numbers that a forward pass computes with; "auto" is bfloat16 where that is faster."""

Passes = Literal["plain", "folded", "bfloat16"]
"""Forward passes of the model as it is, with batch normalisation merged, or in bfloat16 as well."""

MUCH_WORK = 2**34
"""Bytes of activations of all passes, from which preparing a graph costs less than it saves."""

REWRITE = "auto_mixed_precision_onednn_bfloat16"
"""TensorFlow's name of the step that puts bfloat16 into a graph."""


def choose(precision: Precision, image_bytes: int, count: int) -> Passes:
    """Return how an explainer should compute its passes.

    Args:
        precision: what its caller asks for.
        image_bytes: the activations of the classifier for one image, see `memory`.
        count: the images that it will ask the classifier about.

    Raises:
        InputError: `precision` is unknown, or bfloat16 is not to be had.
    """
    if precision not in get_args(Precision):
        choices = ", ".join(get_args(Precision))
        raise InputError(f"precision is {precision!r:.60}: expected one of {choices}")
    if precision == "bfloat16" and keras.backend.backend() != "tensorflow":
        raise InputError(
            f"precision bfloat16 needs TensorFlow, and Keras runs on {keras.backend.backend()}: "
            "leave the precision out"
        )
    if precision == "bfloat16":
        return "bfloat16"
    if image_bytes * count < MUCH_WORK:
        return "plain"
    return "bfloat16" if precision == "auto" and _is_fast_in_bfloat16() else "folded"


def _is_fast_in_bfloat16() -> bool:
    if keras.backend.backend() != "tensorflow" or processor.fastest() == "float32":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


def compiled(logits: keras.Model, passes: Passes) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of images (N, H, W, C) to logits (N, K) float32, folded or in bfloat16."""
    model = folded(logits)

    def scores(images: Any) -> Any:
        return keras.ops.cast(model(images, training=False), "float32")

    run = backends.compiled(scores, model, keras.KerasTensor(model.inputs[0].shape, "float32"))
    if passes != "bfloat16":
        return run

    def in_bfloat16(images: np.ndarray) -> np.ndarray:
        with _rewritten():
            return run(images)

    return in_bfloat16


@contextmanager
def _rewritten() -> Iterator[None]:
    """Let TensorFlow put bfloat16 into the graphs that are called inside the context.

    It optimises a graph at its first call, once for each setting.
    """
    from tensorflow.config import optimizer

    before = optimizer.get_experimental_options().get(REWRITE, False)
    optimizer.set_experimental_options({REWRITE: True})
    try:
        yield
    finally:
        optimizer.set_experimental_options({REWRITE: before})
