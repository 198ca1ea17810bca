"""This module converts arguments, such as the path of a model file, to the declared types."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from itertools import takewhile
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, get_args, get_origin

import keras

from cladec import checks
from cladec.data.dataset import Dataset, Split, load
from cladec.data.forms import as_images, gathered, is_dataset
from cladec.errors import InputError
from cladec.models import cutting, loading
from cladec.models.forms import image_classifier, needs_size
from cladec.models.options import FORM

SOURCES = ("images", "data")
"""The arguments that say the size of the images."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def checked(function: Callable[Parameters, Result]) -> Callable[..., Result]:
    """Make a public function convert every unambiguous argument to its declared type.

    The models that a function takes first are classifiers: each may have any form that
    `image_classifier` takes, whose options are added to those of the function, or be the path of a
    file. An integer may be 1e3 or a numpy integer; None means the default. A `layer` of the
    classifier may be its index in `classifier.layers` or the layer itself. The function raises
    InputError for anything else; other types are not checked.
    """
    own = inspect.signature(function)
    classifiers = [each.name for each in takewhile(_is_model, own.parameters.values())]
    sources = [
        name
        for name, parameter in own.parameters.items()
        if name in SOURCES and parameter.annotation is not int  # which is a number of images
    ]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Result:
        form = {name: kwargs.pop(name) for name in FORM if classifiers and name in kwargs}
        bound = own.bind(*args, **kwargs)
        given = bound.arguments
        for name in classifiers:
            shown = {each: given[each] for each in sources if given.get(each) is not None}
            model = loaded(given[name])
            if needs_size(model):
                shown |= _with_shapes(shown)
                given.update(shown)
            images = images_of(next(iter(shown.values()), None))
            given[name] = image_classifier(model, images=images, **form)
        first = next(iter(given.values()))
        for name in given:
            if name not in classifiers:
                given[name] = _meant(own.parameters[name], given[name], first)
        return function(*bound.args, **bound.kwargs)

    if classifiers:
        options = inspect.signature(image_classifier).parameters
        parameters = (*own.parameters.values(), *(options[name] for name in FORM))
        call.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def _is_model(parameter: inspect.Parameter) -> bool:
    return parameter.annotation is keras.Model


def _with_shapes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the images or the data of a call in a form that shows their size."""
    shown: dict[str, Any] = {}
    if given.get("images") is not None:
        shown["images"] = as_images(given["images"])
    data = given.get("data")
    if isinstance(data, str | os.PathLike):
        shown["data"] = load(data)
    elif is_dataset(data):
        shown["data"] = gathered(data)
    return shown


def as_classifier(classifier: Any, *, images: Any = None, **form: Any) -> Any:
    """Return a classifier, or the one in a file, in the form that `image_classifier` returns.

    Args:
        classifier: a model in any form, a function, or a path.
        images: the images that say its size, if there are any.
        **form: the options of `image_classifier`.
    """
    return image_classifier(loaded(classifier), images=images, **form)


def loaded(classifier: Any) -> Any:
    """Return a classifier, loaded if it is a path."""
    is_path = isinstance(classifier, str | os.PathLike)
    return loading.load_model(classifier) if is_path else classifier


def images_of(data: Any) -> Any:
    """Return the images in what a function is given, if there are any; None without any."""
    if isinstance(data, Dataset):
        return data.train.images
    if isinstance(data, Split):
        return data.images
    if isinstance(data, tuple | list) and len(data) == 2:
        return images_of(data[0])
    return data if len(getattr(data, "shape", ())) == 4 else None


def _meant(parameter: inspect.Parameter, value: Any, classifier: Any) -> Any:
    """Return the converted `value` of one parameter of a function."""
    name, kind = parameter.name, parameter.annotation
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    kinds = [option for option in options if option is not NoneType]
    if value is None and len(kinds) < len(options):
        return None
    if value is None and parameter.default is not parameter.empty:
        return parameter.default
    if name == "layer":
        return layer_path(classifier, value)
    if name == "seed":
        return checks.whole(name, value, 0)
    convert = _CONVERSIONS.get(get_origin(kinds[0]) or kinds[0]) if len(kinds) == 1 else None
    return convert(name, value) if convert else value


def as_model(name: str, value: Any) -> keras.Model:
    """Return a Keras model, given as a model or as the path of its file.

    Args:
        name: the name of the argument, for the error message.
        value: the model or the path. No code in the file is executed, see `loading.load_network`.

    Raises:
        InputError: the value is neither, or the file cannot be loaded.
    """
    if isinstance(value, str | os.PathLike):
        return loading.load_network(value)
    if not isinstance(value, keras.Model):
        raise InputError(
            f"{name} is {value!r:.60}: expected a Keras model, or the path of a .keras or .h5 file"
        )
    return value


def layer_path(classifier: keras.Model, layer: Any) -> str:
    """Return the path of a layer, "outer/inner" inside a nested model.

    Args:
        classifier: a built Sequential or functional model.
        layer: the path or name, which is returned unchanged; the index of the layer in
            `classifier.layers`, -1 for the last; or the layer itself, at any depth.

    Raises:
        InputError: the layer is none of these, is not in the classifier, or is called repeatedly.
    """
    if isinstance(layer, str):
        return layer
    if not isinstance(layer, keras.Layer):
        layer = _layer_at(classifier, layer)
    origins = cutting.flatten(classifier).origins
    paths = [path for path, (origin, _) in origins.items() if origin is layer]
    if len(paths) == 1:
        return paths[0]
    if paths:
        raise InputError(
            f"layer {layer.name!r} is called {len(paths)} times: write one of {', '.join(paths)}"
        )
    if isinstance(layer, keras.layers.InputLayer):
        raise InputError(f"layer {layer.name!r} is the input, the images themselves: name another")
    raise InputError(
        f"layer {layer.name!r} ({type(layer).__name__}) is none of the classifier "
        f"{classifier.name!r}; its layers are: {', '.join(origins)}"
    )


def _layer_at(classifier: keras.Model, index: Any) -> keras.Layer:
    inner = [layer for layer in classifier.layers if layer.name == classifier.name]
    layers = (inner[0] if inner else classifier).layers
    try:
        return layers[checks.whole("layer", index)]
    except IndexError:
        count = len(layers)
        raise InputError(
            f"layer {index} is out of range: expected {-count} to {count - 1}, its place in "
            "the layers of the classifier"
        ) from None
    except InputError:
        raise InputError(
            f"layer is {index!r:.60}: expected the name of a layer, its place in the layers of the "
            "classifier, or the layer itself"
        ) from None


def _a_function(name: str, value: Any) -> Callable:
    if not callable(value):
        raise InputError(f"{name} is {value!r:.60}: expected a function of (share, values)")
    return value


_CONVERSIONS: dict[Any, Callable[[str, Any], Any]] = {
    int: checks.whole,
    float: checks.number,
    bool: checks.flag,
    keras.Model: as_model,
    Callable: _a_function,
}
"""The function that converts an argument to each declared type."""
