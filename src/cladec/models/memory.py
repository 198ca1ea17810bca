"""This module measures how much memory there is, and how many images of one call fit into it."""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from weakref import WeakKeyDictionary

import keras

from cladec.keras_internals import all_layers

GIB = 2**30

BUDGET = GIB
"""The bytes that the activations of one model call may take."""

GRADIENTS = 2
"""A call with gradients keeps every activation, and the gradients of several."""

MOST = 64
"""The largest number of images of one call by default; more are no faster."""

_OF_ONE_IMAGE: WeakKeyDictionary[keras.Model, int] = WeakKeyDictionary()
"""The bytes of the activations of one image by the model that was asked for before."""

MACHINE = Path("/proc/meminfo")
PROCESS = Path("/proc/self/status")
CONTAINER = Path("/sys/fs/cgroup")


def images_per_call(model: keras.Model, *, gradients: bool = False, most: int = MOST) -> int:
    """Return how many images a model should be called on at once: at least 1, at most `most`."""
    bytes_of_one = max(1, image_bytes(model)) * (GRADIENTS if gradients else 1)
    return max(1, min(most, BUDGET // bytes_of_one))


def images_per_step(model: keras.Model, batch_size: int) -> int:
    """Return how many images of a batch one step of a training should take: at least 1.

    What a step runs are the models in the attribute `in_a_step`, or the model itself.
    """
    bytes_of_one = GRADIENTS * max(1, sum(map(image_bytes, getattr(model, "in_a_step", [model]))))
    return max(1, min(batch_size, BUDGET // bytes_of_one))


def image_bytes(model: keras.Model) -> int:
    """Return the bytes of the activations of all layers of a model for one image."""
    if model not in _OF_ONE_IMAGE:
        _OF_ONE_IMAGE[model] = sum(map(_bytes_of_output, all_layers(model)))
    return _OF_ONE_IMAGE[model]


def _bytes_of_output(layer: keras.Layer) -> int:
    """Return the bytes of what a layer gives for one image; 0 if its shape is not known."""
    with suppress(AttributeError):  # it was never called, or more than once
        outputs = keras.tree.flatten(layer.output)
        sizes = [math.prod(output.shape[1:]) for output in outputs if None not in output.shape[1:]]
        return 4 * sum(sizes)
    return 0


def free() -> int | None:
    """Return the bytes left by the machine, the process limits and the container; None if unknown.

    Memory that the system can reclaim, such as cached files, counts as free.
    """
    return min(_left(), default=None)


def _left() -> Iterator[int]:
    with suppress(OSError, KeyError):
        yield 1024 * _fields(MACHINE)["MemAvailable"]
    with suppress(OSError, KeyError, ImportError):
        import resource

        used = _fields(PROCESS)
        for limit, field in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
            most = resource.getrlimit(limit)[0]
            if most != resource.RLIM_INFINITY:
                yield max(0, most - 1024 * used[field])
    with suppress(OSError, KeyError, ValueError):
        most = int((CONTAINER / "memory.max").read_text())
        yield max(0, most - _fields(CONTAINER / "memory.stat")["anon"])


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers in a file with lines "name: number"."""
    return {name: int(value) for name, value in re.findall(r"(\w+):?\s+(\d+)", path.read_text())}
