"""This module lists a classifier's layers, and says which can be decoded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import keras

from cladec.models import answers, cutting
from cladec.models.given import checked
from cladec.text import printable

WIDTH = 80
"""The columns of a terminal that the table of the layers fits into."""

LEAST_WIDTH = 24
"""The columns for the reason why a layer cannot be decoded, however wide the others are."""


@dataclass(frozen=True)
class ListedLayer:
    """One layer of a classifier.

    Attributes:
        path: its name ("outer/inner" inside a nested model), as `fit_cladec` takes it.
        type: its class, for example Conv2D.
        shape: the shape of its output without the batch; None for each size that is not fixed.
        reason: a phrase that says why it cannot or need not be decoded; None if it can.
    """

    path: str
    type: str
    shape: tuple[int | None, ...]
    reason: str | None

    @property
    def numbers(self) -> int | None:
        """The number of its activations per image; None if that is not fixed."""
        sizes = [size for size in self.shape if size is not None]
        return math.prod(sizes) if len(sizes) == len(self.shape) else None


@checked
def decodable_layers(classifier: keras.Model) -> list[ListedLayer]:
    """List every layer of a classifier, from input to output, and whether it can be decoded.

    Layers that repeat the activations of an earlier one, such as Flatten, Dropout or a nested model
    as a whole, name that layer as the reason, since decoding both would show the same images. All
    others can be decoded if their shape is fixed and has one to three axes. `fit_cladec` decodes
    any layer with such a shape.

    Raises:
        InputError: the model is not an image classifier that can be cut.

    Examples:
        >>> listed = cladec.decodable_layers(classifier)
        >>> [layer.path for layer in listed if layer.reason is None][-3:]
        ['dense', 'logits', 'probabilities']
    """
    return listed(cutting.flatten(classifier))


def listed(flat: cutting.Flat) -> list[ListedLayer]:
    """Return what `decodable_layers` does, for a classifier that was unfolded already."""
    images = "the images themselves"
    known = {id(flat.inputs): images}
    found = []
    for path, tensor in flat.tensors.items():
        layer, given = flat.origins[path]
        reason = known.get(id(tensor))
        if reason is None and answers.keeps_numbers(layer):
            reason = known.get(id(given))
        known[id(tensor)] = reason or f"the same numbers as layer {path}"
        shape = tuple(tensor.shape[1:])
        found.append(ListedLayer(path, type(layer).__name__, shape, reason or shape_fault(shape)))
    return found


def table(layers: Sequence[ListedLayer]) -> str:
    """Return the layers as a text table; a long reason goes on in further lines."""
    rows = [("layer", "type", "shape", "numbers", "decodable")]
    for layer in layers:
        shape = "x".join("?" if size is None else str(size) for size in layer.shape)
        decodable = "yes" if layer.reason is None else f"no: {layer.reason}"
        numbers = "?" if layer.numbers is None else str(layer.numbers)
        rows.append((printable(layer.path), layer.type, shape, numbers, printable(decodable)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = f"{{:{widths[0]}}}  {{:{widths[1]}}}  {{:{widths[2]}}}  {{:>{widths[3]}}}  {{}}"
    before = sum(widths[:4]) + 8
    width = max(LEAST_WIDTH, WIDTH - before)
    lines = []
    for *cells, decodable in rows:
        first, *more = wrap(decodable, width, break_long_words=False, break_on_hyphens=False)
        lines += [line.format(*cells, first), *(" " * before + part for part in more)]
    return "\n".join(lines)


def shape_fault(shape: tuple[int | None, ...]) -> str | None:
    """Return why `build_decoder` cannot take codes of this shape; None if it can."""
    if None in shape:
        return "no fixed shape"
    if not 1 <= len(shape) <= 3:
        return f"{len(shape)} axes, a decoder takes 1 to 3"
    return None
