"""This module brings all forms of classifiers into one: one image in, one row of scores out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from cladec import checks
from cladec.errors import InputError
from cladec.models.functions import FunctionModel
from cladec.models.graphs import NoGraph, is_graph, takes_channels_first, traced

Size = int | Sequence[int] | None
"""(height, width), or one number for both."""

IMAGES = "cladec.size"
"""The name of the input of a model that was made of another."""

KEPT = "__cladec_forms__"
"""The attribute in which a model keeps its other forms. Keras saves what is in any attribute, but
for those with such a name."""


@keras.saving.register_keras_serializable(package="cladec")
class Given(keras.layers.Layer):
    """A layer that returns the same value for every image.

    Args:
        shape: the shape of the value.
        dtype: its type.
    """

    def __init__(self, shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.value = self.add_weight(
            shape=self.shape, initializer="zeros", trainable=False, name="value", dtype=self.dtype
        )

    def call(self, images):
        return keras.ops.broadcast_to(self.value, (keras.ops.shape(images)[0], *self.shape))

    def get_config(self):
        return super().get_config() | {"shape": self.shape}


@dataclass(frozen=True)
class _Options:
    """What was said of a model's inputs, outputs and size."""

    output: str | int | None
    image_input: str | int | None
    inputs: Mapping[str, Any]
    size: tuple[int, ...] | None
    shape: tuple[int, ...]

    @property
    def key(self) -> tuple:
        """What two equal choices share."""
        arrays = {str(name): checks.array(name, value) for name, value in self.inputs.items()}
        values = tuple((name, each.shape, each.tobytes()) for name, each in sorted(arrays.items()))
        return repr(self.output), repr(self.image_input), values, self.size, self.shape


def image_classifier(
    model: keras.Model | Callable[[np.ndarray], Any],
    *,
    output: str | int | None = None,
    image_input: str | int | None = None,
    inputs: Mapping[str, Any] | None = None,
    image_size: Size = None,
    images: Any = None,
) -> "keras.Model | FunctionModel":
    """Return a classifier of one image (N, H, W, C) with one output (N, K), made of `model`.

    A model that is that already is returned itself; otherwise the result shares its weights. Every
    function of this package that takes a classifier takes these options and calls this function.

    Args:
        model: a Sequential, functional or subclassed model, or a function images -> scores.
        output: the output with the scores, by its name or place, if the model has several.
        image_input: the input that takes the images, by its name or place; it need not be said if
            only one input has the shape of an image.
        inputs: the values of all other inputs by their names, the same for every image.
        image_size: (height, width), or one number for both, of a model that takes any size.
        images: images (N, H, W, C), whose size counts where `image_size` is not given.

    Returns:
        A functional model, whose layers have the same names as in `model`. A `FunctionModel` if
        `model` is a function, or a subclassed model whose `call` shows no layers.

    Raises:
        InputError: the model has several outputs, inputs or sizes and none is chosen, there is no
            such input or output, or a value does not fit its input.

    Examples:
        >>> heads = {"digit": classifier.output, "flat": classifier.get_layer("flatten").output}
        >>> both = keras.Model(classifier.inputs, heads)
        >>> cladec.explain(both, images[:2], method="saliency", output="digit").shape
        (2, 28, 28)
    """
    if not isinstance(model, keras.Model):
        return FunctionModel.of(model, images)
    if inputs is not None and not isinstance(inputs, Mapping):
        raise InputError(f"inputs is {inputs!r:.60}: expected the values by name, {{name: value}}")
    options = _Options(output, image_input, inputs or {}, _size(image_size), np.shape(images)[1:])
    kept = vars(model).setdefault(KEPT, {})
    if options.key not in kept:
        try:
            kept[options.key] = _formed(model, options)
        except NoGraph as error:
            if images is None or not (output is image_input is inputs is None):
                raise
            function = lambda images: model(images, training=False)  # noqa: E731
            return FunctionModel(model.name, function, images, why=str(error))
    return kept[options.key]


def needs_size(model: Any) -> bool:
    """Return whether a classifier takes images of any size, or shows none."""
    if not is_graph(model):
        return True
    return any(None in tensor.shape[1:] for tensor in getattr(model, "inputs", None) or ())


def _formed(model: keras.Model, options: _Options) -> keras.Model:
    graph = model if is_graph(model) else traced(model, _symbolic_inputs(model, options))
    if not graph.built or not getattr(graph, "inputs", None):
        raise InputError(
            f"model {model.name!r} is not built: give it an Input, or call it on an image"
        )
    inputs = _named(_structure(graph, "input"), [tensor.name for tensor in graph.inputs])
    outputs = _named(_structure(graph, "output"), getattr(graph, "output_names", []))
    image = _image_input(model.name, inputs, options)
    output = _chosen("output", model.name, outputs, options.output)
    values = _values(model.name, inputs, image, options.inputs)
    shape = _fixed_shape(graph, inputs[image], options)
    if len(inputs) == len(outputs) == 1 and shape == tuple(inputs[image].shape[1:]):
        return graph
    images = keras.Input(shape, dtype=inputs[image].dtype, name=IMAGES)
    given = [images if name == image else values[name](images) for name in inputs]
    packed = keras.tree.pack_sequence_as(_structure(graph, "input"), given)
    answers = keras.tree.flatten(graph(packed))
    return keras.Model(images, answers[list(outputs).index(output)], name=model.name)


def _structure(graph: keras.Model, what: str) -> Any:
    """Return the "input" or "output" of a graph, a tensor or several in a list or dict."""
    # A Sequential that was never called has neither, but always one of each.
    single = getattr(graph, f"{what}s")[0]
    return single if isinstance(graph, keras.Sequential) else getattr(graph, what)


def _named(structure: Any, names: Sequence[str]) -> dict[str, keras.KerasTensor]:
    """Return the tensors of an input or output by name, in their flat order."""
    tensors = keras.tree.flatten(structure)
    keys: Mapping[int, str] = {}
    if isinstance(structure, dict):
        keys = {id(tensor): key for key, tensor in structure.items()}
    if len(set(names)) != len(tensors):  # a layer with several outputs has one name for them
        names = [str(place) for place in range(len(tensors))]
    return {keys.get(id(each), name): each for each, name in zip(tensors, names, strict=True)}


def _chosen(
    what: str, model: str, named: Mapping[str, keras.KerasTensor], wanted: str | int | None
) -> str:
    """Return the name of the input or output that is wanted, or the only one for None."""
    names = list(named)
    if wanted is None and len(names) == 1:
        return names[0]
    if isinstance(wanted, str) and wanted in names:
        return wanted
    if isinstance(wanted, int) and -len(names) <= wanted < len(names):
        return names[wanted]
    there = ", ".join(f"{name!r} {tuple(tensor.shape)}" for name, tensor in named.items())
    option = "image_input" if what == "input" else what
    found = "several" if wanted is None else f"no {wanted!r:.60} among its"
    raise InputError(
        f"model {model!r} has {found} {what}s, {there}: name one of them as {option} "
        f"(--{option.replace('_', '-')} on the command line)"
    )


def _image_input(model: str, inputs: Mapping[str, keras.KerasTensor], options: _Options) -> str:
    """Return the name of the input of the images, the only one of their rank if none is wanted."""
    of_images = {name: each for name, each in inputs.items() if len(each.shape) == 4}
    if not of_images:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs.values())
        raise InputError(f"model {model!r} takes {shapes}: expected one image (None, H, W, C)")
    if options.image_input is None:
        return _chosen("input", model, of_images, None)
    name = _chosen("input", model, inputs, options.image_input)
    if name not in of_images:
        raise InputError(
            f"input {name!r} of model {model!r} takes {tuple(inputs[name].shape)}: expected one "
            "image (None, H, W, C)"
        )
    return name


def _fixed_shape(
    graph: keras.Model, image: keras.KerasTensor, options: _Options
) -> tuple[int, ...]:
    """Return the shape of the images, whose size is the model's own or, of any, the one given."""
    own, given = tuple(image.shape[1:]), options.shape
    channels_first = takes_channels_first(graph)
    if channels_first and given[:1] != own[:1]:
        given = given[-1:] + given[:-1]
    if options.size is not None:
        last = 0 if channels_first else -1
        channels = given[last] if given else own[last]
        given = (channels, *options.size) if channels_first else (*options.size, channels)
    if None not in own:
        if options.size is not None and given != own:
            raise InputError(
                f"model {graph.name!r} takes images of {own} only: leave image_size "
                f"{options.size} out"
            )
        return own
    if len(given) != 3 or None in given:
        raise InputError(
            f"model {graph.name!r} takes images of any size, {tuple(image.shape)}: give the size "
            "as image_size=(height, width) (--image-size on the command line)"
        )
    return tuple(size if mine is None else mine for mine, size in zip(own, given, strict=True))


def _values(
    model: str, inputs: Mapping[str, keras.KerasTensor], image: str, given: Mapping[str, Any]
) -> dict[str, Given]:
    """Return a layer for the value of each input but that of the images."""
    others = {name: tensor for name, tensor in inputs.items() if name != image}
    if set(others) != set(given):
        wanted = ", ".join(f"{name!r} {tuple(each.shape)}" for name, each in others.items())
        raise InputError(
            f"model {model!r} has the inputs {wanted or 'of the images alone'} beside the images, "
            f"and inputs gives {', '.join(map(repr, given)) or 'none'}: give the value of each of "
            "them, inputs={name: value} (--inputs name=value on the command line)"
        )
    return {name: _value(name, others[name], value) for name, value in given.items()}


def _value(name: str, tensor: keras.KerasTensor, value: Any) -> Given:
    array = checks.array(f"inputs[{name!r}]", value)
    shape = tuple(tensor.shape[1:])
    if array.shape[:1] == (1,) and array.ndim == len(shape) + 1:
        array = array[0]
    if array.ndim == 0 and set(shape) <= {1}:
        array = array.reshape(shape)
    numbers = array.dtype.kind in "biuf"
    fits = (
        numbers
        and array.ndim == len(shape)
        and all(size in (None, found) for size, found in zip(shape, array.shape, strict=True))
    )
    if not fits:
        raise InputError(
            f"inputs[{name!r}] is of type {array.dtype} and shape {array.shape}: expected numbers "
            f"of shape {shape}"
        )
    # PyTorch has no weights with a dot in their names.
    own_name = f"cladec-{name}".replace(".", "-")
    layer = Given(array.shape, dtype=tensor.dtype, name=own_name)
    layer.set_weights([array])
    return layer


def _symbolic_inputs(model: keras.Model, options: _Options) -> Any:
    """Return the inputs of a subclassed model, of the size of the images that are given."""
    if isinstance(model, keras.Function):  # with a call around its graph
        return model.input
    built = model.get_build_config() or {}
    known = built.get("input_shape")
    own = tuple(known[1:]) if known and isinstance(known[0], int | None) else (None,) * 3
    shape = options.shape or own
    if options.size is not None:
        shape = (*options.size, shape[-1])
    if len(shape) != 3 or None in shape:
        raise InputError(
            f"model {model.name!r} ({type(model).__name__}) does not say which images it takes: "
            "call it on an image first, or give the size as image_size=(height, width)"
        )
    if options.image_input is None:
        return keras.KerasTensor((None, *shape))
    others = {name: np.asarray(value) for name, value in options.inputs.items()}
    symbolic = {
        name: keras.KerasTensor((None, *value.shape), value.dtype.name)
        for name, value in others.items()
    }
    return symbolic | {str(options.image_input): keras.KerasTensor((None, *shape))}


def _size(size: Size) -> tuple[int, ...] | None:
    if size is None:
        return None
    sides = checks.wholes("image_size", size)
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise InputError(f"image_size is {size!r:.60}: expected pixels, or (height, width)")
    return sides[0], sides[-1]
