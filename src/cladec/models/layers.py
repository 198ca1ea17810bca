"""The layers of a classifier: which can be decoded, and which have a height and a width."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras

from cladec.errors import InputError
from cladec.models import answers, cutting
from cladec.models.cutting import Flat
from cladec.text import printable


@dataclass(frozen=True)
class ListedLayer:
    """One layer of a classifier.

    Attributes:
        path: its name, "outer/inner" inside a nested model, as `fit_cladec` takes it.
        type: its class, Conv2D for instance.
        shape: of its output, without the batch; None where a size is not fixed.
        reason: one phrase that says why decoding it is impossible or idle; None if it is neither.
    """

    path: str
    type: str
    shape: tuple[int | None, ...]
    reason: str | None

    @property
    def numbers(self) -> int | None:
        """How many numbers it gives for an image; None where that is not fixed."""
        sizes = [size for size in self.shape if size is not None]
        return math.prod(sizes) if len(sizes) == len(self.shape) else None


def decodable_layers(classifier: keras.Model) -> list[ListedLayer]:
    """Every layer of a classifier, from its input to its output, and whether it can be decoded.

    Layers that give the same numbers as one before them, such as Flatten, Dropout or a nested
    model as a whole, are listed with that one as the reason: decoding both would show one thing
    twice. The others can be decoded if their shape is fixed and has one to three axes. Naming a
    layer in `fit_cladec` works all the same where its shape allows it.

    Raises:
        InputError: the model is no image classifier that can be cut.

    Examples:
        >>> listed = cladec.decodable_layers(classifier)
        >>> [layer.path for layer in listed if layer.reason is None][-3:]
        ['dense', 'logits', 'probabilities']
    """
    flat = cutting.flatten(classifier)
    images = "the images themselves"
    known = {id(flat.inputs): images}
    listed = []
    for path, tensor in flat.tensors.items():
        layer, given = flat.origins[path]
        reason = known.get(id(tensor))
        if reason is None and answers.keeps_numbers(layer):
            reason = known.get(id(given))
        known[id(tensor)] = reason or f"the same numbers as layer {path}"
        shape = tuple(tensor.shape[1:])
        listed.append(ListedLayer(path, type(layer).__name__, shape, reason or _shape_fault(shape)))
    return listed


def table(layers: Sequence[ListedLayer]) -> str:
    """The layers as text in columns, a line each."""
    rows = [("layer", "type", "shape", "numbers", "decodable")]
    for layer in layers:
        shape = "x".join("?" if size is None else str(size) for size in layer.shape)
        decodable = "yes" if layer.reason is None else f"no: {layer.reason}"
        numbers = "?" if layer.numbers is None else str(layer.numbers)
        rows.append((printable(layer.path), layer.type, shape, numbers, printable(decodable)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = f"{{:{widths[0]}}}  {{:{widths[1]}}}  {{:{widths[2]}}}  {{:>{widths[3]}}}  {{}}"
    return "\n".join(line.format(*row) for row in rows)


def _shape_fault(shape: tuple[int | None, ...]) -> str | None:
    """Why `build_decoder` takes no codes of this shape; None if it does."""
    if None in shape:
        return "no fixed shape"
    if not 1 <= len(shape) <= 3:
        return f"{len(shape)} axes, a decoder takes 1 to 3"
    return None


def last_spatial_layer(flat: Flat) -> str:
    """The path of the last layer with an output (H, W, channels) of more than one position.

    Raises:
        InputError: no layer has one, or tokens are learned behind it, as in a transformer.
    """
    fitting = list(spatial_layers(flat).tensors)
    if not fitting:
        raise InputError(
            "no layer of the model gives (height, width, channels) with more than one position: "
            "use a method that needs no such layer, saliency for instance"
        )
    paths = list(flat.tensors)
    for path in paths[paths.index(fitting[-1]) + 1 :]:
        shape = flat.tensors[path].shape[1:]
        if len(shape) == 2 and shape[0] != 1 and flat.origins[path][0].weights:
            raise InputError(
                f"the model learns from tokens, {path!r} of shape {shape}, behind its last layer "
                f"with a height and a width, {fitting[-1]!r}, which says little of the answer: "
                "name that one as layer all the same, or use a method that needs no layer"
            )
    return fitting[-1]


def spatial_layers(flat: Flat) -> Flat:
    """`flat` with no other layers than those of an output (H, W, channels), H or W above 1."""
    shapes = {path: tensor.shape[1:] for path, tensor in flat.tensors.items()}
    fitting = [path for path, shape in shapes.items() if len(shape) == 3 and max(shape[:2]) > 1]
    return replace(flat, tensors={path: flat.tensors[path] for path in fitting})


def find_spatial(flat: Flat, layer: str | None) -> keras.KerasTensor:
    """The output (N, H, W, channels) of `layer`, or of the last spatial layer for None.

    Raises:
        InputError: there is no such layer, or it has no spatial extent; the message lists those
            that have.
    """
    fitting = spatial_layers(flat)
    if layer is None:
        return flat.tensors[last_spatial_layer(flat)]
    named = flat.paths_of(layer)
    if named and not fitting.paths_of(layer):
        shape = flat.tensors[named[0]].shape[1:]
        raise InputError(
            f"layer {layer!r} gives {shape}, which has no spatial extent: choose one of "
            f"{', '.join(fitting.tensors)}"
        )
    return fitting.find(layer)
