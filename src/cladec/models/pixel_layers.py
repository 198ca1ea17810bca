"""This module puts layers in front of a classifier that give it the pixels it was trained on."""

from typing import Any

import keras
import numpy as np

from cladec.data.pixel_ranges import BYTES, OWN, Range, find_range
from cladec.errors import InputError
from cladec.models import cutting
from cladec.models.forms import image_classifier
from cladec.models.functions import FunctionModel
from cladec.models.given import loaded
from cladec.models.graphs import is_graph
from cladec.models.precision import keras_defaults
from cladec.models.selection import Select

NAME = "cladec.pixels."
"""What the name of the layer begins with that converts pixels; the name of the range follows."""

ORDER = "cladec.channels"
"""The name of the layer that reverses the channels."""


@keras_defaults()
def with_pixels(classifier: Any, pixels: str, **form: Any) -> Any:
    """Return a classifier of pixels in [0, 1], made of one that was trained on another range.

    This package feeds pixels in [0, 1] to every classifier. One that was trained on others is
    silently wrong until it is told which: this function puts layers in front of it.

    Args:
        classifier: an image classifier, or the path of its file; it stays unchanged.
        pixels: the range that it was trained on: "0-1"; "0-255"; "-1-1"; "imagenet-torch", with
            ImageNet's mean subtracted and divided by its standard deviation; or "imagenet-caffe",
            0 to 255 in the order blue, green, red with ImageNet's mean subtracted.
        **form: the options of `image_classifier`, for a classifier that takes several inputs.

    Returns:
        A functional model of the same name that shares its weights, images (N, H, W, C) in [0, 1]
        -> scores. It can be saved and loaded. For "0-1" the classifier itself. Functions of this
        package take images in [0, 255] as well for a classifier of "0-255".

    Raises:
        InputError: there is no such range, it is one of colour images and the classifier takes
            others, or the classifier has these layers already.

    Examples:
        >>> signed = cladec.with_pixels(classifier, "-1-1")
        >>> expected = classifier.predict(2 * images - 1, verbose=0)
        >>> np.allclose(signed.predict(images, verbose=0), expected, atol=1e-5)
        True
    """
    wanted = find_range(pixels)
    classifier = loaded(classifier)
    if form or not is_graph(classifier) or len(classifier.inputs or ()) != 1:
        classifier = image_classifier(classifier, **form)
    if wanted.name == OWN:
        return classifier
    if isinstance(classifier, FunctionModel):
        return classifier.on(wanted.of)
    _check_fits(classifier, wanted)
    (given,) = classifier.inputs
    image = keras.Input(given.shape[1:], name="cladec.pixels")
    channels_first = cutting.image_shape(classifier) != tuple(given.shape[1:])
    converted = _converted(image, wanted, axis=1 if channels_first else -1)
    # A Sequential that was never called has no `input`, but always a single one.
    structure = given if isinstance(classifier, keras.Sequential) else classifier.input
    answer = classifier(keras.tree.pack_sequence_as(structure, [converted]))
    return keras.Model(image, answer, name=classifier.name)


def declared(classifier: Any) -> str:
    """Return the range of pixels that was said of a classifier with `with_pixels`, or "0-1"."""
    for layer in getattr(classifier, "layers", ()):
        if layer.name.startswith(NAME):
            return layer.name.removeprefix(NAME)
        if isinstance(layer, keras.Model) and layer.name == classifier.name:
            return declared(layer)
    return OWN


def has_integer_pixels(classifier: Any) -> bool:
    """Return whether a classifier takes integers, which are pixels from 0 to 255."""
    return "int" in classifier.inputs[0].dtype


def takes_bytes(classifier: Any) -> bool:
    """Return whether a classifier is known to want pixels from 0 to 255."""
    return has_integer_pixels(classifier) or declared(classifier) == BYTES


def _converted(image: keras.KerasTensor, wanted: Range, axis: int) -> keras.KerasTensor:
    """Return the pixels of `image` in another range; the channels are on `axis`."""
    # Three dimensions mean the same whatever the data format in the settings of Keras.
    shape = (-1, 1, 1) if axis == 1 else (1, 1, -1)
    scale, offset = (
        np.reshape(value, shape).tolist() if isinstance(value, tuple) else value
        for value in (wanted.scale, wanted.offset)
    )
    pixels = keras.layers.Rescaling(scale, offset, name=NAME + wanted.name, dtype="float32")(image)
    return Select((2, 1, 0), axis=axis, name=ORDER)(pixels) if wanted.bgr else pixels


def _check_fits(classifier: keras.Model, wanted: Range) -> None:
    shape = tuple(classifier.inputs[0].shape[1:])
    if len(classifier.inputs) != 1 or len(shape) != 3:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in classifier.inputs)
        raise InputError(
            f"model {classifier.name!r} takes {shapes}: expected one image (None, H, W, C)"
        )
    known = declared(classifier)
    if known != OWN:
        raise InputError(
            f"model {classifier.name!r} has the layers for pixels of {known} already: expected the "
            "classifier without them, or leave the range out"
        )
    channels = cutting.image_shape(classifier)[2]
    if wanted.of_colour and channels != 3:
        raise InputError(
            f"pixels {wanted.name!r} are those of colour images with 3 channels, and model "
            f"{classifier.name!r} takes {channels}: expected '0-1', '0-255' or '-1-1'"
        )
    if has_integer_pixels(classifier) and wanted.name != BYTES:
        raise InputError(
            f"model {classifier.name!r} takes {classifier.inputs[0].dtype}: expected pixels "
            f"{BYTES!r}, which is known without being said"
        )
