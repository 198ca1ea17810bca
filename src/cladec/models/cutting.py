"""Cut any Keras classifier at a named layer, whether Sequential, functional, nested or reloaded.

A classifier is replayed, layer by layer, on a new input: nested models are unfolded and every layer
is copied. The result is one flat functional model that shares nothing with the caller's model, so
freezing, training or cutting it leaves that unchanged. (A model made from the tensors of a reloaded
`Sequential` gives no gradient, and layers inside a nested model are "Output not connected"; a
replay avoids both.)
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras

from cladec import keras_internals
from cladec.errors import InputError
from cladec.models import answers
from cladec.models.forms import image_classifier
from cladec.models.functions import FunctionModel
from cladec.models.graphs import takes_channels_first
from cladec.models.replay import Replay
from cladec.models.selection import Select, Units

INPUT = "cladec.images"
"""The name of the input of a cut model; the dot distinguishes it from the names of layers."""

MOMENTUM = 0.95
"""The share that new moving statistics keep at a step, at most: after the few hundred steps of a
training, those with Keras's own 0.99 would still be near those of the beginning."""

UNITS = "cladec.units"
"""The name of the layer that selects some of the units."""


_MULTI_LABEL: WeakKeyDictionary[keras.Model, bool] = WeakKeyDictionary()
"""What `flatten` found out of each classifier, so that it is not copied for that alone."""


@dataclass(frozen=True)
class Flat:
    """A classifier unfolded into one flat graph with layers of its own.

    Attributes:
        inputs: the image tensor, (None, H, W, C).
        outputs: the output of the classifier, (None, K).
        logits: the scores before the softmax or sigmoid, (None, K); `outputs` if there is none.
            A single unit has the logits of two classes, see `answers.answer`.
        multi_label: whether the scores are those of labels, see `answers.Answer`.
        tensors: the output of every layer by path, channels last; "outer/inner" is a layer inside
            a nested model, "layer@2" the second call of a layer that is called more than once.
        origins: the classifier's own layer at each path, and the inputs of its copy in this graph.
    """

    inputs: keras.KerasTensor
    outputs: keras.KerasTensor
    logits: keras.KerasTensor
    multi_label: bool
    tensors: Mapping[str, keras.KerasTensor]
    origins: Mapping[str, tuple[keras.Layer, Any]]

    def find(self, layer: str) -> keras.KerasTensor:
        """Return the output of `layer`, given by its path or its unique name.

        Raises:
            InputError: no layer, or more than one, has this name.
        """
        matches = self.paths_of(layer)
        if len(matches) == 1:
            return self.tensors[matches[0]]
        if matches:
            raise InputError(f"layer {layer!r} is ambiguous: write one of {', '.join(matches)}")
        near = difflib.get_close_matches(layer, self.tensors, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        names = ", ".join(self.tensors)
        raise InputError(f"the classifier has no layer {layer!r}{hint}; its layers are: {names}")

    def paths_of(self, layer: str) -> list[str]:
        """Return the paths that a path or name matches: several if it is called more than once."""
        if layer in self.tensors:
            return [layer]
        plain = {path: re.sub(r"@\d+(?=/|$)", "", path) for path in self.tensors}
        for names in ({path: path for path in self.tensors}, plain):
            found = [path for path, name in names.items() if f"/{name}".endswith(f"/{layer}")]
            if found:
                return found
        return []


def flatten(classifier: keras.Model, *, fresh: bool = False) -> Flat:
    """Unfold a classifier into one flat graph of copied layers.

    Args:
        classifier: a model, images (N, H, W, C) -> scores (N, K), see `forms.image_classifier`.
        fresh: whether the copies get newly initialised, trainable weights.

    Raises:
        InputError: the model cannot be cut; the message says why.
    """
    classifier = _checked(classifier)
    # Integer pixels would have no gradient.
    dtype = classifier.inputs[0].dtype
    dtype = dtype if "float" in dtype else "float32"
    inputs = keras.Input(shape=image_shape(classifier), dtype=dtype, name=INPUT)
    replay = Replay(fresh, classifier.name)
    start = inputs
    if "int" in classifier.inputs[0].dtype:  # there is only one range of integers, that of bytes
        start = keras.layers.Rescaling(255.0, name=f"{INPUT}.bytes", dtype="float32")(inputs)
    if takes_channels_first(classifier):
        first = keras.layers.Permute((3, 1, 2), name=f"{INPUT}.channels_first")(start)
        replay.channels_last[id(first)] = start
        start = first
    outputs = replay.model(classifier, start)
    if len(outputs.shape) == 1:
        unit = keras.layers.Reshape((1,), name=f"{INPUT}.unit")
        replay.calls[id(column := unit(outputs))] = unit, outputs
        outputs = column
    answer = answers.answer(inputs, outputs, replay.calls)
    _MULTI_LABEL[classifier] = answer.multi_label
    return Flat(inputs, outputs, answer.logits, answer.multi_label, *replay.named())


def image_shape(classifier: keras.Model) -> tuple[int, int, int]:
    """Return (H, W, C) of a classifier's images, even if the classifier takes (C, H, W)."""
    first, second, third = classifier.inputs[0].shape[1:]
    return (second, third, first) if takes_channels_first(classifier) else (first, second, third)


def num_classes(classifier: keras.Model) -> int:
    """Return the number of classes or labels; a single unit stands for two classes."""
    shape = classifier.outputs[0].shape
    return 2 if len(shape) == 1 else max(2, shape[-1])


def is_multi_label(classifier: keras.Model | FunctionModel) -> bool:
    """Return whether a classifier answers for labels, of which an image may have several."""
    if isinstance(classifier, FunctionModel):
        several = classifier.tried.shape[1] > 1
        return several and answers.kind_of(classifier.tried) == "sigmoid"
    if classifier not in _MULTI_LABEL:
        return flatten(classifier).multi_label
    return _MULTI_LABEL[classifier]


def cut(classifier: keras.Model, layer: str, units: Units = None) -> keras.Model:
    """Return a frozen copy of the classifier that outputs the codes of `layer` and the logits.

    Args:
        classifier: a classifier as for `flatten`.
        layer: the path of the layer.
        units: the indices of the units or channels to keep; None for all.

    Returns:
        A frozen functional model, images (N, H, W, C) -> {"codes": (N, ...), "logits": (N, K)}.
        `part` selects one of the two outputs.

    Raises:
        InputError: the model cannot be cut or has no such layer or unit.
    """
    flat = flatten(classifier)
    codes = _selected(flat.find(layer), units)
    network = keras.Model(flat.inputs, {"codes": codes, "logits": flat.logits})
    network.trainable = False
    return network


def part(network: keras.Model, output: str) -> keras.Model:
    """Return the part of a `cut` network that computes one of its outputs; layers are shared."""
    submodel = keras.Model(network.inputs[0], network.output[output], name=output)
    submodel.trainable = network.trainable
    return submodel


def split(
    inputs: keras.KerasTensor, codes: keras.KerasTensor, scores: keras.KerasTensor
) -> tuple[keras.Model, keras.Model]:
    """Split a flat graph at a layer into two models that share its weights.

    Args:
        inputs: the input of the graph.
        codes: the output of the layer.
        scores: an output of the graph.

    Returns:
        The models images (N, H, W, C) -> codes (N, ...) and [images, codes] -> scores; the latter
        needs the images for paths that bypass the layer.
    """
    given = keras.Input(batch_shape=codes.shape, dtype=codes.dtype)
    # keras.Model alone would lose the other calls of a layer that is called more than once.
    graph = keras.Function([inputs, codes], scores)
    return keras.Model(inputs, codes), keras.Model([inputs, given], graph([inputs, given]))


def rest(network: keras.Model) -> keras.Model:
    """Return what comes behind the layer of a `cut` network: [images, codes] -> logits (N, K).

    Layers are shared. The images matter only for paths that bypass the layer.
    """
    _, behind = split(network.inputs[0], network.output["codes"], network.output["logits"])
    behind.trainable = network.trainable
    return behind


def rest_alone(classifier: keras.Model, layer: str) -> keras.Model | None:
    """Return what comes behind a layer as a model codes -> logits (N, K), as a server would run it.

    None if there is none: a path bypasses the layer, or it comes after the logits.

    Raises:
        InputError: there is no such layer.
    """
    flat = flatten(classifier)
    codes = flat.find(layer)
    given = keras.Input(batch_shape=codes.shape, dtype=codes.dtype)
    try:
        graph = keras.Function(codes, flat.logits)
    except ValueError:  # the logits need more than the codes
        return None
    return keras.Model(given, graph(given))


def logits(classifier: keras.Model) -> keras.Model:
    """Return a frozen copy of the classifier that outputs its scores before the softmax, (N, K)."""
    flat = flatten(classifier)
    model = keras.Model(flat.inputs, flat.logits, name="logits")
    model.trainable = False
    return model


def fresh_encoder(classifier: keras.Model, layer: str, units: Units = None) -> keras.Model:
    """Return the classifier up to `layer`, newly initialised and trainable: the encoder of RefAE.

    Arguments and errors are those of `cut`.
    """
    flat = flatten(classifier, fresh=True)
    encoder = keras.Model(flat.inputs, _selected(flat.find(layer), units), name="encoder")
    for each in keras_internals.all_layers(encoder):
        if isinstance(each, keras.layers.BatchNormalization):
            each.momentum = min(each.momentum, MOMENTUM)
    return encoder


def tuned_encoder(classifier: keras.Model, layer: str, units: Units = None) -> keras.Model:
    """Return the classifier up to `layer` with its own weights, copied and trainable.

    Arguments and errors are those of `cut`.
    """
    flat = flatten(classifier)
    encoder = keras.Model(flat.inputs, _selected(flat.find(layer), units), name="encoder")
    encoder.trainable = True
    return encoder


def _selected(codes: keras.KerasTensor, units: Units) -> keras.KerasTensor:
    return codes if units is None else Select(units, name=UNITS)(codes)


def layer_shapes(classifier: keras.Model) -> dict[str, tuple[int | None, ...]]:
    """Return the output shape (without the batch) of every layer by its path."""
    return {path: tensor.shape[1:] for path, tensor in flatten(classifier).tensors.items()}


def _checked(model: keras.Model) -> keras.Model:
    """Return the classifier in the one form that can be cut."""
    name = getattr(model, "name", type(model).__name__)
    if type(model).__module__.startswith("tf_keras."):
        raise InputError(
            f"model {name!r} is a Keras 2 model from tf_keras: save it with model.save('name.h5') "
            "and pass the path of that file"
        )
    if isinstance(model, FunctionModel):
        raise InputError(f"{model.why}; use a method that asks it for answers alone")
    if not isinstance(model, keras.Model):
        raise InputError(f"the classifier is a {type(model).__name__}: expected a Keras model")
    classifier = image_classifier(model)
    output = classifier.outputs[0]
    if len(output.shape) not in (1, 2) or output.shape[1:] == (None,):
        raise InputError(
            f"model {name!r} answers {tuple(output.shape)}: expected one score for each class or "
            "label, (None, K)"
        )
    return classifier


def path_in_copy(classifier: keras.Model, layer: str) -> str:
    """Return the path of `layer` in a flat copy of the classifier."""
    operation, call = keras_internals.origin(flatten(classifier).find(layer))
    several = len(keras_internals.calls(operation)) > 1
    return f"{operation.name}@{call + 1}" if several else operation.name
