"""Calls copies of a classifier's layers on a new input: the flat graph that `cutting` cuts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras

from cladec import keras_internals
from cladec.errors import InputError
from cladec.models import answers
from cladec.models.still import Still, disturbs

Path = tuple[tuple[str, int], ...]
"""Names from the outermost model on, each with the number of its call, counted from 1."""


@dataclass
class Replay:
    """Calls copies of a model's layers on a new input, unfolding nested models.

    Attributes:
        fresh: whether the copies get weights of their own.
        found: of every call of a layer: its output, the layer, and what it is called on.
        counts: how often a name was called in the model at a path.
        copies: of each layer or function, by the id of the original.
        calls: what gave each tensor, by its id, and what that was called on.
        channels_last: what shows a tensor with channels first as one with channels last, by id.
        learned: ids of the tensors behind a layer that learns.
    """

    fresh: bool
    found: dict[Path, tuple[keras.KerasTensor, keras.Layer, Any]] = field(default_factory=dict)
    counts: Counter[tuple[Path, str]] = field(default_factory=Counter)
    copies: dict[int, keras.Operation] = field(default_factory=dict)
    calls: answers.Calls = field(default_factory=dict)
    channels_last: dict[int, keras.KerasTensor] = field(default_factory=dict)
    learned: set[int] = field(default_factory=set)

    def named(self) -> tuple[dict[str, keras.KerasTensor], dict[str, tuple[keras.Layer, Any]]]:
        """The tensors and origins of a `Flat`; calls are numbered where there is more than one."""
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
        """Replay all of `model` on a tensor or several; `path` leads to it from the outermost."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                given = self.operation(path, layer, given)
            return given
        return _only(keras_internals.replay(model, [given], partial(self.operation, path)))

    def operation(self, path: Path, operation, *args, **kwargs):
        """Call one layer, nested model or `keras.ops` function of the graph."""
        self.counts[path, operation.name] += 1
        here = (*path, (operation.name, self.counts[path, operation.name]))
        given = _input(args, kwargs)
        if is_graph(operation):
            output = self.model(operation, given, here)
        else:
            output = self.call(operation, here, args, kwargs)
        if isinstance(operation, keras.Layer) and isinstance(output, keras.KerasTensor):
            self.found[here] = output, operation, given
        return output

    def call(self, operation, path: Path, args, kwargs):
        """Call the copy of `operation`, making it at its first call."""
        tensors = [each for each in keras.tree.flatten((args, kwargs)) if hasattr(each, "shape")]
        learned = any(id(tensor) in self.learned for tensor in tensors)
        copy = self.copies.get(id(operation))
        if copy is None:
            copy = self.copies[id(operation)] = self.copy(operation, path, learned)
        # A nested model frozen by `training=False` is trained whole in a RefAE.
        kwargs = {key: value for key, value in kwargs.items() if key != "training"}
        output = _only(copy(*args, **kwargs))
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
        """The same tensor, computed from itself with channels last, which can be looked at."""
        name = f"cladec.{len(self.channels_last)}"
        last = keras.layers.Permute((2, 3, 1), name=f"{name}.channels_last")(tensor)
        first = keras.layers.Permute((3, 1, 2), name=f"{name}.channels_first")(last)
        self.channels_last[id(first)] = last
        return first

    def copy(self, operation, path: Path, learned: bool):
        # A path is unique, a name is not: a nested model may use those of the layers around it.
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
        # Some of these are at work wherever nobody says that this is no training.
        return Still(copy, name=copy.name) if disturbs(operation, learned=learned) else copy


def _gives_channels_first(operation, tensors, output, channels_last: Mapping[int, Any]) -> bool:
    """Whether a layer or function gives (N, C, H, W): it says so, or keeps what it is given."""
    if not isinstance(output, keras.KerasTensor) or len(output.shape) != 4:
        return False
    said = getattr(operation, "data_format", None)
    if said is not None or type(operation).__name__ in ("Permute", "Transpose"):
        return said == "channels_first"
    return any(
        id(tensor) in channels_last and tensor.shape[2:] == output.shape[2:] for tensor in tensors
    )


def is_graph(operation) -> bool:
    """Whether a model does what its graph of layers says, without a `call` of its own."""
    is_model = isinstance(operation, keras.Sequential | keras.Function)
    return is_model and type(operation).call.__module__.startswith("keras.")


def _input(args, kwargs):
    """What a layer or a model of one input is called on, given by position or by keyword."""
    return args[0] if args else kwargs.get("inputs")


def _only(output):
    """What a list or a dict of one holds; everything else as it is."""
    inside = keras.tree.flatten(output)
    return inside[0] if len(inside) == 1 else output


def _activation_of_keras(operation) -> dict[str, str]:
    """What stands for `tf.nn.relu` and the like, which Keras has as well but cannot copy."""
    function = getattr(operation, "activation", None)
    name = getattr(function, "__name__", "").removesuffix("_v2")
    foreign = str(getattr(function, "__module__", "")).startswith(("tensorflow.", "jax."))
    return {"activation": name} if foreign and hasattr(keras.activations, name) else {}


def _way_out(operation) -> str:
    """What to do about a layer that cannot be copied."""
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
    """What Keras says is wrong with a layer, without the config before it or the example after."""
    text = str(error).strip()
    return (text.partition("Exception encountered: ")[2] or text).partition("\n\n")[0]


def _learns(layer: keras.Layer) -> bool:
    """Whether training changes the layer; the rest, like Normalization, belongs to the data."""
    return bool(layer.trainable_weights) or isinstance(layer, keras.layers.BatchNormalization)


def _copy_weights(source: keras.Layer, target: keras.Layer) -> None:
    target.set_weights(source.get_weights())
    # Normalization keeps what it computes from its weights outside of them.
    if hasattr(target, "finalize_state"):
        target.finalize_state()
