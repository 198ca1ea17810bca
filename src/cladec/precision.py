"""The number format that a training computes in; weights and losses are float32 in every one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

Precision = Literal["float32", "mixed_bfloat16"]
"""mixed_bfloat16: activations and matrix products have 8 bits of precision instead of 24."""

PROCESSOR = Path("/proc/cpuinfo")


def fastest() -> Precision:
    """mixed_bfloat16 where the processor multiplies such matrices itself, else float32.

    Where it does not, TensorFlow emulates them and is slower than in float32.
    """
    try:
        abilities = PROCESSOR.read_text()
    except OSError:
        return "float32"
    return "mixed_bfloat16" if re.search(r"\b(avx512_bf16|amx_bf16)\b", abilities) else "float32"


@contextmanager
def computing_in(model: "keras.Model", precision: Precision) -> Iterator[None]:
    """Lets the float32 layers of `model` compute in `precision`, and takes it back at the end.

    Layers whose output is that of a model stay as they are: losses are computed from them.
    """
    layers = model._flatten_layers()
    outputs = {
        id(tensor._keras_history.operation)
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
