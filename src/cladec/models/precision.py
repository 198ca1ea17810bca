"""The number format of the computations in training; weights and losses are always float32."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cladec import keras_internals

if TYPE_CHECKING:
    import keras

Precision = Literal["float32", "mixed_bfloat16"]
"""In mixed_bfloat16, activations and matrix products have 8 bits of precision instead of 24."""

PROCESSOR = Path("/proc/cpuinfo")


def fastest() -> Precision:
    """Return mixed_bfloat16 if the processor supports it, else float32.

    Without hardware support, or the part of TensorFlow that uses it (oneDNN, which people turn off
    where it crashes), it is emulated and slower than float32.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return "float32"
    try:
        abilities = PROCESSOR.read_text()
    except OSError:
        return "float32"
    return "mixed_bfloat16" if re.search(r"\b(avx512_bf16|amx_bf16)\b", abilities) else "float32"


@contextmanager
def computing_in(model: "keras.Model", precision: Precision) -> Iterator[None]:
    """Let the float32 layers of `model` compute in `precision` inside the context.

    Layers that give the output of a model stay in float32, since losses are computed from them.
    """
    layers = keras_internals.all_layers(model)
    outputs = {
        id(keras_internals.origin(tensor)[0])
        for layer in layers
        for tensor in getattr(layer, "outputs", None) or ()
    }
    changed = [
        layer
        for layer in layers
        if layer.dtype_policy.name == "float32" and id(layer) not in outputs
    ]
    for layer in changed:
        layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer in changed:
            layer.dtype_policy = "float32"


@contextmanager
def keras_defaults() -> Iterator[None]:
    """Set Keras's own defaults inside the context; this is a decorator as well.

    A program, or `keras.json` in the user's home, may have set others, such as channels first or
    another number format; these are restored at the end.
    """
    from keras import config

    before = config.floatx(), config.image_data_format(), config.epsilon(), config.dtype_policy()
    _configure("float32", "channels_last", 1e-7, "float32")
    try:
        yield
    finally:
        _configure(*before)


def _configure(floatx: str, data_format: str, epsilon: float, policy: Any) -> None:
    from keras import config

    config.set_floatx(floatx)
    config.set_image_data_format(data_format)
    config.set_epsilon(epsilon)
    config.set_dtype_policy(policy)
