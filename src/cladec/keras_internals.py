"""What the package uses of Keras that Keras does not promise to keep: all of it, and nothing else.

As seen in Keras 3.15. Where a new version breaks something, it is mended here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py
    import keras

LAYERS = "keras.src.layers"
"""Where Keras looks for a layer that a saved model names without its module."""


def is_of_keras(thing: Any, *parts: str) -> bool:
    """Whether Keras itself defines a class or function, in one of its `parts` if any are named.

    Public modules only hand on what is defined below `keras.src`, and no public list of it exists.
    """
    places = [f"keras.src.{part}." for part in parts] or ["keras.src."]
    return thing.__module__.startswith(tuple(places))


def all_layers(model: "keras.Layer") -> list["keras.Layer"]:
    """A layer or model and every layer in it; `model.layers` does not look into these."""
    return list(model._flatten_layers())


def origin(tensor: "keras.KerasTensor") -> tuple["keras.Operation", int]:
    """What computed a tensor of a graph, and in which of its calls, from 0: no public name."""
    operation, call, _ = tensor._keras_history
    return operation, call


def calls(operation: "keras.Operation") -> list[list["keras.KerasTensor"]]:
    """The tensors that an operation is given, for each of its calls in all graphs.

    `operation.input` is public, and refuses an operation that is called more than once.
    """
    return [node.input_tensors for node in operation._inbound_nodes]


def replay(model: "keras.Model", given: Any, call: Callable) -> Any:
    """The outputs of a functional model on `given`, `call(operation, ...)` calling each operation.

    It is what `keras.models.clone_model` is made of; that function itself compiles its clone and
    detaches the outputs of a nested model from the graph around it.
    """
    return model._run_through_graph(given, call_fn=call)


def load_hdf5(file: "h5py.File") -> "keras.Model":
    """The model in an open HDF5 file, without its optimizer; the public function needs a path."""
    from keras.src.legacy.saving import legacy_h5_format

    return legacy_h5_format.load_model_from_hdf5(file, compile=False, safe_mode=True)
