"""This module copies a classifier's layers into the flat graph that `cutting` cuts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras

from cladec import keras_internals
from cladec.errors import InputError
from cladec.models import answers
from cladec.models.graphs import graph_of, only
from cladec.models.still import Still, disturbs

OURS = "cladec."
"""What the names of layers begin with that stand in front of a classifier; they are not listed."""

Path = tuple[tuple[str, int], ...]
"""The names from the outermost model inwards, each with the number of its call, from 1."""


@dataclass
class Replay:
    """Calls copies of a model's layers on a new input, unfolding nested models.

    Attributes:
        fresh: whether the copies get newly initialised weights.
        name: the name of the whole model. A nested model of the same name is the classifier itself
            with something in front of it, so its layers are named as if nothing were.
        found: the output, the layer and the input of every call of a layer.
        counts: the number of calls of each name in the model at a path.
        copies: the copy of each layer or function, by the id of the original.
        calls: the operation that produces each tensor, and its input, by the id of the tensor.
        channels_last: the channels-last form of each channels-first tensor, by its id.
        learned: the ids of the tensors after a layer with trainable weights.
    """

    fresh: bool
    name: str
    found: dict[Path, tuple[keras.KerasTensor, keras.Layer, Any]] = field(default_factory=dict)
    counts: Counter[tuple[Path, str]] = field(default_factory=Counter)
    copies: dict[int, keras.Operation] = field(default_factory=dict)
    calls: answers.Calls = field(default_factory=dict)
    channels_last: dict[int, keras.KerasTensor] = field(default_factory=dict)
    learned: set[int] = field(default_factory=set)

    def named(self) -> tuple[dict[str, keras.KerasTensor], dict[str, tuple[keras.Layer, Any]]]:
        """Return the tensors and origins of a `Flat`; repeated calls of a layer are numbered."""
        tensors, origins = {}, {}
        for path, (output, layer, given) in self.found.items():
            steps = (
                name if self.counts[path[:depth], name] == 1 else f"{name}@{number}"
                for depth, (name, number) in enumerate(path)
            )
            text = "/".join(steps)
            tensors[text] = self.channels_last.get(id(output), output)
            origins[text] = layer, self.channels_last.get(id(given), given)
        return tensors, origins

    def model(self, model, given, path: Path = ()):
        """Replay all of `model`, found at `path`, on one tensor or several."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                given = self.operation(path, layer, given)
            return given
        outputs = keras_internals.replay(model, given, partial(self.operation, path))
        return only(outputs)

    def operation(self, path: Path, operation, *args, **kwargs):
        """Call one layer, nested model or `keras.ops` function of the graph."""
        given = _input(args, kwargs)
        graph = graph_of(operation, given) if _takes_only(given, args, kwargs) else None
        if graph is not None and operation.name == self.name and not path:
            return self.model(graph, given)
        self.counts[path, operation.name] += 1
        here = (*path, (operation.name, self.counts[path, operation.name]))
        if graph is not None:
            output = self.model(graph, given, here)
        else:
            output = self.call(operation, here, args, kwargs)
        is_layer = isinstance(operation, keras.Layer) and not operation.name.startswith(OURS)
        if is_layer and isinstance(output, keras.KerasTensor):
            self.found[here] = output, operation, given
        return output

    def call(self, operation, path: Path, args, kwargs):
        """Call the copy of `operation`, which is made at its first call."""
        tensors = [each for each in keras.tree.flatten((args, kwargs)) if hasattr(each, "shape")]
        learned = any(id(tensor) in self.learned for tensor in tensors)
        copy = self.copies.get(id(operation))
        if copy is None:
            copy = self.copies[id(operation)] = self.copy(operation, path, learned)
        # A RefAE also trains a nested model that `training=False` freezes.
        kwargs = {key: value for key, value in kwargs.items() if key != "training"}
        output = only(copy(*args, **kwargs))
        if isinstance(copy, keras.Layer) and not (self.fresh and _learns(copy)):
            _copy_weights(operation, copy)
        if _gives_channels_first(operation, tensors, output, self.channels_last):
            output = self.turned(output)
        for tensor in keras.tree.flatten(output):
            self.calls[id(tensor)] = copy, _input(args, kwargs)
            if learned or getattr(operation, "trainable_weights", None):
                self.learned.add(id(tensor))
        return output

    def turned(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Return the same tensor, computed through a channels-last form that can be decoded."""
        name = f"cladec.{len(self.channels_last)}"
        last = keras.layers.Permute((2, 3, 1), name=f"{name}.channels_last")(tensor)
        first = keras.layers.Permute((3, 1, 2), name=f"{name}.channels_first")(last)
        self.channels_last[id(first)] = last
        return first

    def copy(self, operation, path: Path, learned: bool):
        # Unlike a path, a name may occur again in a nested model.
        names = [name for name, _ in path]
        try:
            config = operation.get_config()
            if "name" in config:
                config["name"] = answers.INSIDE.join(names)
            copy = type(operation).from_config(config | _activation_of_keras(operation))
        except (NotImplementedError, TypeError, ValueError) as error:
            raise InputError(
                f"layer {'/'.join(names)} ({type(operation).__name__}) cannot be copied: "
                f"{_way_out(operation)} ({_reason(error)})"
            ) from error
        copy.name = answers.INSIDE.join(names)
        if self.fresh and isinstance(copy, keras.Layer):
            copy.trainable = True
        # Some of these layers are active unless they are called with `training=False`.
        return Still(copy, name=copy.name) if disturbs(operation, learned=learned) else copy


def _gives_channels_first(operation, tensors, output, channels_last: Mapping[int, Any]) -> bool:
    """Return whether a layer or function gives (N, C, H, W), by itself or like its input."""
    if not isinstance(output, keras.KerasTensor) or len(output.shape) != 4:
        return False
    said = getattr(operation, "data_format", None)
    if said is not None or type(operation).__name__ in ("Permute", "Transpose"):
        return said == "channels_first"
    return any(
        id(tensor) in channels_last and tensor.shape[2:] == output.shape[2:] for tensor in tensors
    )


def _takes_only(given, args, kwargs) -> bool:
    """Return whether a call is given no other tensors than its input."""
    tensors = [each for each in keras.tree.flatten((args, kwargs)) if hasattr(each, "shape")]
    return len(tensors) == len(keras.tree.flatten(given))


def _input(args, kwargs):
    """Return the single input of a call, given by position or by keyword."""
    return args[0] if args else kwargs.get("inputs")


def _activation_of_keras(operation) -> dict[str, str]:
    """Return the Keras name of an activation such as `tf.nn.relu`, which Keras cannot copy."""
    function = getattr(operation, "activation", None)
    name = getattr(function, "__name__", "").removesuffix("_v2")
    foreign = str(getattr(function, "__module__", "")).startswith(("tensorflow.", "jax."))
    return {"activation": name} if foreign and hasattr(keras.activations, name) else {}


def _way_out(operation) -> str:
    """Return advice for a layer that cannot be copied."""
    if type(operation).__name__ == "Lambda":
        return "put layers of Keras, functions of keras.ops or a class of your own in its place"
    if type(operation).__name__ == "TFSMLayer":
        return "it holds a SavedModel without layers: load the model that this was exported from"
    if hasattr(operation, "activation") and type(operation).__module__.startswith("keras."):
        return "name a function of keras.activations, or register yours with Keras"
    return (
        "give its class a get_config that returns the arguments of its constructor, and take "
        "functions that Keras can save"
    )


def _reason(error: Exception) -> str:
    """Return Keras's reason from an error, without the config before it or the example after it."""
    text = str(error).strip()
    return (text.partition("Exception encountered: ")[2] or text).partition("\n\n")[0]


def _learns(layer: keras.Layer) -> bool:
    """Return whether training changes the layer; others, like Normalization, belong to the data."""
    return bool(layer.trainable_weights) or isinstance(layer, keras.layers.BatchNormalization)


def _copy_weights(source: keras.Layer, target: keras.Layer) -> None:
    target.set_weights(source.get_weights())
    # Normalization keeps values computed from its weights outside of its weights.
    if hasattr(target, "finalize_state"):
        target.finalize_state()
