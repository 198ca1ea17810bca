"""Cut any Keras classifier at a named layer, whether Sequential, functional, nested or reloaded.

A classifier is replayed, layer by layer, on a fresh input: nested models are unfolded, every layer
is copied. The result is one flat functional model that shares nothing with the caller's, so that
freezing it, training it or cutting it leaves the caller's model as it was. (Building a model from
the tensors of a reloaded `Sequential` gives no gradient, and a lookup inside a nested model ends in
"Output not connected"; a replay has neither fault.)
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras

from cladec.errors import InputError
from cladec.selection import Select, Units

INPUT = "cladec.images"
"""Name of the input of what is cut; the dot keeps it apart from the names of the layers."""

UNITS = "cladec.units"
"""Name of the layer that keeps part of the codes."""


@dataclass(frozen=True)
class Flat:
    """A classifier unfolded into one flat graph with layers of its own.

    Attributes:
        inputs: the image tensor, (None, H, W, C).
        outputs: what the classifier answers, (None, K).
        logits: the scores before the softmax, (None, K); `outputs` itself where there is none.
        tensors: output of every layer, by path; a layer inside a nested model is "outer/inner".
        origins: the classifier's own layer at each path, and the tensor or tensors of this graph
            that its copy is called on.
    """

    inputs: keras.KerasTensor
    outputs: keras.KerasTensor
    logits: keras.KerasTensor
    tensors: Mapping[str, keras.KerasTensor]
    origins: Mapping[str, tuple[keras.Layer, Any]]

    def find(self, layer: str) -> keras.KerasTensor:
        """The output of `layer`, given by path or by a name that only one layer has.

        Raises:
            InputError: no layer, or more than one, has this name.
        """
        if layer in self.tensors:
            return self.tensors[layer]
        matches = [path for path in self.tensors if path.endswith(f"/{layer}")]
        if len(matches) == 1:
            return self.tensors[matches[0]]
        if matches:
            raise InputError(f"layer {layer!r} is ambiguous: write one of {', '.join(matches)}")
        near = difflib.get_close_matches(layer, self.tensors, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        names = ", ".join(self.tensors)
        raise InputError(f"the classifier has no layer {layer!r}{hint}; its layers are: {names}")


def flatten(classifier: keras.Model, *, fresh: bool = False) -> Flat:
    """Unfold a classifier into one flat graph of copied layers.

    Args:
        classifier: a built Sequential or functional model, images (N, H, W, C) -> classes (N, K).
        fresh: give the copies newly initialised, trainable weights instead of the classifier's.

    Raises:
        InputError: the model is no image classifier that can be cut; the message says why.
    """
    _check_classifier(classifier)
    image = classifier.inputs[0]
    inputs = keras.Input(shape=image.shape[1:], dtype=image.dtype, name=INPUT)
    replay = _Replay(fresh)
    outputs = replay.model(classifier, inputs)
    logits = replay.before_softmax(outputs)
    return Flat(inputs, outputs, logits, replay.tensors, replay.origins)


def cut(classifier: keras.Model, layer: str, units: Units = None) -> keras.Model:
    """A frozen copy of the classifier that gives both the codes of `layer` and the logits.

    Args:
        classifier: as for `flatten`.
        layer: path of the layer.
        units: indices of the units or channels that the codes are made of; None for all.

    Returns:
        A functional model, images (N, H, W, C) -> {"codes": (N, ...), "logits": (N, K)}, not
        trainable. `part` takes one of the two.

    Raises:
        InputError: the model cannot be cut or has no such layer or unit.
    """
    flat = flatten(classifier)
    codes = _selected(flat.find(layer), units)
    network = keras.Model(flat.inputs, {"codes": codes, "logits": flat.logits})
    network.trainable = False
    return network


def part(network: keras.Model, output: str) -> keras.Model:
    """The part of a `cut` network that computes one of its outputs, sharing its layers."""
    submodel = keras.Model(network.inputs[0], network.output[output], name=output)
    submodel.trainable = network.trainable
    return submodel


def logits(classifier: keras.Model) -> keras.Model:
    """A frozen copy of the classifier that answers with its scores before the softmax, (N, K)."""
    flat = flatten(classifier)
    model = keras.Model(flat.inputs, flat.logits, name="logits")
    model.trainable = False
    return model


def fresh_encoder(classifier: keras.Model, layer: str, units: Units = None) -> keras.Model:
    """The classifier up to `layer`, newly initialised and trainable: the encoder of RefAE.

    Arguments and errors as for `cut`.
    """
    flat = flatten(classifier, fresh=True)
    return keras.Model(flat.inputs, _selected(flat.find(layer), units), name="encoder")


def _selected(codes: keras.KerasTensor, units: Units) -> keras.KerasTensor:
    return codes if units is None else Select(units, name=UNITS)(codes)


def layer_shapes(classifier: keras.Model) -> dict[str, tuple[int | None, ...]]:
    """The path and output shape (without the batch) of every layer that can be named."""
    return {path: tensor.shape[1:] for path, tensor in flatten(classifier).tensors.items()}


def _check_classifier(model: keras.Model) -> None:
    name = getattr(model, "name", type(model).__name__)
    if not _is_graph(model):
        raise InputError(
            f"model {name!r} is a {type(model).__name__}: only Sequential and functional models "
            "without a call of their own can be cut at a layer"
        )
    if not model.built or not getattr(model, "inputs", None):
        raise InputError(f"model {name!r} is not built: give it an Input, or call it on an image")
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = ", ".join(str(tensor.shape) for tensor in model.inputs)
        raise InputError(f"model {name!r} takes {shapes}: expected one image (None, H, W, C)")
    if None in model.inputs[0].shape[1:]:
        raise InputError(
            f"model {name!r} takes images of any size, {model.inputs[0].shape}: build it with a "
            "fixed size, keras.Input((height, width, channels))"
        )
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2 or model.outputs[0].shape[1] < 2:
        shapes = ", ".join(str(tensor.shape) for tensor in model.outputs)
        raise InputError(
            f"model {name!r} answers {shapes}: expected one score for each of two or more classes, "
            "(None, K)"
        )


@dataclass
class _Replay:
    """Calls copies of a model's layers on a new input, unfolding nested models."""

    fresh: bool
    tensors: dict[str, keras.KerasTensor] = field(default_factory=dict)
    origins: dict[str, tuple[keras.Layer, Any]] = field(default_factory=dict)
    copies: dict[int, keras.Operation] = field(default_factory=dict)
    calls: dict[int, tuple] = field(default_factory=dict)

    def model(self, model, tensor, path: str = ""):
        """Replay all of `model` on `tensor`; `path` leads to it from the outermost model."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                tensor = self.operation(path, layer, tensor)
            return tensor
        # What keras.models.clone_model is made of; that function itself compiles its clone and
        # detaches the outputs of a nested model from the graph around it.
        return model._run_through_graph([tensor], call_fn=partial(self.operation, path))

    def operation(self, path: str, operation, *args, **kwargs):
        """Call one layer, nested model or `keras.ops` function of the graph."""
        if _is_graph(operation):
            output = self.model(operation, _input(args, kwargs), f"{path}{operation.name}/")
        else:
            output = self.call(operation, path, args, kwargs)
        if isinstance(operation, keras.Layer) and isinstance(output, keras.KerasTensor):
            self.tensors[f"{path}{operation.name}"] = output
            self.origins[f"{path}{operation.name}"] = operation, _input(args, kwargs)
        return output

    def call(self, operation, path: str, args, kwargs):
        """Call the copy of `operation`, making it at its first call."""
        copy = self.copies.get(id(operation))
        if copy is None:
            copy = self.copies[id(operation)] = self.copy(operation, path)
        # A nested model frozen by `training=False` is trained whole in a RefAE.
        kwargs = {key: value for key, value in kwargs.items() if key != "training"}
        output = copy(*args, **kwargs)
        if isinstance(copy, keras.Layer) and not (self.fresh and _learns(copy)):
            _copy_weights(operation, copy)
        self.calls[id(output)] = (copy, _input(args, kwargs))
        return output

    def copy(self, operation, path: str):
        # A path is unique, a name is not: a nested model may use those of the layers around it.
        name = f"{path}{operation.name}".replace("/", ".")
        try:
            config = operation.get_config()
            if "name" in config:
                config["name"] = name
            copy = type(operation).from_config(config)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise InputError(
                f"layer {path}{operation.name} ({type(operation).__name__}) cannot be copied: give "
                "its class a get_config that returns the arguments of its constructor, and take "
                f"functions that Keras can save ({_reason(error)})"
            ) from error
        copy.name = name
        if self.fresh and isinstance(copy, keras.Layer):
            copy.trainable = True
        return copy

    def before_softmax(self, outputs):
        """The tensor that the final softmax is applied to; `outputs` if there is none.

        Raises:
            InputError: the model ends in an activation that is neither softmax nor linear.
        """
        operation, inputs = self.calls[id(outputs)]
        activation = _activation(operation)
        if activation in (None, keras.activations.linear):
            return outputs
        if activation is not keras.activations.softmax:
            raise InputError(
                f"the classifier ends in {getattr(activation, '__name__', activation)!r} "
                f"(layer {operation.name!r}): expected softmax, or logits without an activation"
            )
        if not getattr(operation, "weights", None):
            return inputs
        config = operation.get_config() | {
            "activation": "linear",
            "name": f"{operation.name}.logits",
        }
        linear = type(operation).from_config(config)
        logits = linear(inputs)
        _copy_weights(operation, linear)
        return logits


def _is_graph(operation) -> bool:
    """Whether a model does what its graph of layers says, without a `call` of its own."""
    is_model = isinstance(operation, keras.Sequential | keras.Function)
    return is_model and type(operation).call.__module__.startswith("keras.")


def _input(args, kwargs):
    """What a layer or a model of one input is called on, given by position or by keyword."""
    return args[0] if args else kwargs.get("inputs")


def _activation(operation):
    """The activation that a layer or function of the graph ends in or is; None if there is none."""
    activation = getattr(operation, "activation", operation)
    if isinstance(activation, keras.Operation):
        activation = getattr(keras.activations, type(activation).__name__.lower(), None)
    return activation


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
