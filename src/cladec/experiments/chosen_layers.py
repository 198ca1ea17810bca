"""The layers of a classifier that a comparison of several layers is about."""

from collections.abc import Sequence

import keras

from cladec.errors import InputError
from cladec.models import cutting, layers
from cladec.models.given import layer_path
from cladec.models.layer_choice import three_layers
from cladec.models.layers import ListedLayer

ALL, AUTO = "all", "auto"
"""Words in place of names: every layer that can be decoded; an early, a middle and the last one."""

Layers = str | Sequence[str]
"""The names of layers, or one of the words `ALL` and `AUTO`."""


def chosen_layers(classifier: keras.Model, given: Layers) -> list[ListedLayer]:
    """Return the layers that are meant, in their order from input to output.

    Args:
        classifier: a classifier that can be cut.
        given: "all", "auto", or the layers as `fit_cladec` takes them.

    Raises:
        InputError: there is no such layer, a layer cannot be decoded, or there is none to decode.
    """
    names = [given] if isinstance(given, str) else list(given)
    flat = cutting.flatten(classifier)
    listed = {layer.path: layer for layer in layers.listed(flat)}
    if names == [ALL]:
        found = [layer for layer in listed.values() if layer.reason is None]
        if found:
            return found
    if not names or names == [ALL]:
        raise InputError(f"there is no layer of {classifier.name!r} to decode: name at least one")
    if names == [AUTO]:
        names = list(three_layers(classifier))
    wanted = {_path(classifier, flat, name) for name in names}
    found = [layer for path, layer in listed.items() if path in wanted]
    for layer in found:
        _check_shape(layer)
    return found


def _path(classifier: keras.Model, flat: cutting.Flat, name: str) -> str:
    """Return the path of a layer that may be given by its name alone."""
    path = layer_path(classifier, name)
    flat.find(path)
    return flat.paths_of(path)[0]


def _check_shape(layer: ListedLayer) -> None:
    """Raise InputError for a layer whose output no decoder takes."""
    fault = layers.shape_fault(layer.shape)
    if fault is not None:
        raise InputError(f"layer {layer.path!r} cannot be decoded ({fault}): name another")
