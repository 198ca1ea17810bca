"""This module finds the graph of layers that a model is, or that its `call` makes."""

import inspect
from collections.abc import Iterator
from typing import Any

import keras

from cladec.errors import InputError

TRACED = "__cladec_traced__"
"""The attribute in which a model keeps the graphs of its `call`, by the shapes of the inputs. Keras
saves what is in any attribute, but for those with such a name."""


class NoGraph(InputError):
    """The `call` of a model uses what has no symbolic form."""


def is_graph(operation: Any) -> bool:
    """Return whether a model is just its graph of layers, without a `call` of its own."""
    is_model = isinstance(operation, keras.Sequential | keras.Function)
    return is_model and type(operation).call.__module__.startswith("keras.")


def graph_of(operation: Any, given: Any) -> keras.Model | None:
    """Return a model as a graph of layers; None for a layer, and for a model that has no graph.

    Args:
        operation: a layer, a function of a graph or a model.
        given: the tensors that it is called on.
    """
    if is_graph(operation):
        return operation
    if not isinstance(operation, keras.Model):
        return None
    try:
        return traced(operation, given)
    except NoGraph:
        return None


def traced(model: keras.Model, given: Any) -> keras.Model:
    """Return the functional model of the layers that the `call` of a model uses, made once.

    Args:
        model: a subclassed model; the layers are shared with it.
        given: its inputs, tensors or `keras.Input`s, in a list or dict if there are several.

    Raises:
        NoGraph: `call` uses what has no symbolic form; the message says what.
    """
    # Not by setattr: the graph would become a part of the model that it is the graph of.
    kept = vars(model).setdefault(TRACED, {})
    key = str(keras.tree.map_structure(lambda tensor: (tensor.shape, tensor.dtype), given))
    if key not in kept:
        kept[key] = _traced(model, given)
    return kept[key]


def _traced(model: keras.Model, given: Any) -> keras.Model:
    if isinstance(model, keras.Function):  # with a call around its graph
        given = keras.tree.pack_sequence_as(model.input, keras.tree.flatten(given))
    inputs = keras.tree.map_structure(
        lambda tensor: keras.Input(batch_shape=(None, *tensor.shape[1:]), dtype=tensor.dtype), given
    )
    options = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    try:
        return keras.Model(inputs, model.call(inputs, **options), name=model.name)
    except Exception as error:  # code of the user's own may raise anything
        raise NoGraph(
            f"model {model.name!r} ({type(model).__name__}) shows none of its layers, since its "
            f"call uses what has no symbolic form ({_first_line(error)}), not only layers of Keras "
            "and functions of keras.ops"
        ) from error


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text if len(text) <= 200 else f"{text[:196]} ..."


def operations(model: keras.Model) -> Iterator[keras.Operation]:
    """Yield the layers and functions of a graph, including those of nested graphs."""
    for operation in model.layers if isinstance(model, keras.Sequential) else model.operations:
        if is_graph(operation):
            yield from operations(operation)
        else:
            yield operation


def takes_channels_first(model: keras.Model) -> bool:
    """Return whether the first layer with a data format takes channels first."""
    for operation in operations(model):
        if type(operation).__name__ in ("Permute", "Reshape", "Transpose"):
            return False
        if getattr(operation, "data_format", None) is not None:
            return operation.data_format == "channels_first"
    return False


def only(output: Any) -> Any:
    """Return the element of a list or dict of one; return everything else unchanged."""
    inside = keras.tree.flatten(output)
    return inside[0] if len(inside) == 1 else output
