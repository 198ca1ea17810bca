"""Where in the image the activations of a layer are: on a grid of positions, or of tokens."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import keras
import numpy as np

from cladec import keras_internals
from cladec.errors import InputError
from cladec.models.cutting import Flat
from cladec.models.tokens import Grid, token_grid

REARRANGING = ("Permute", "Reshape", "Transpose")
"""Layers and functions after which an axis may mean something else."""


@dataclass(frozen=True)
class Spatial:
    """A layer whose activations have places in the image.

    Attributes:
        path: of the layer.
        output: (N, rows, columns, channels); or tokens (N, T, channels), of which the last ones are
            the cells of the grid, row by row, and the others come first.
        grid: (rows, columns).
    """

    path: str
    output: keras.KerasTensor
    grid: Grid

    @property
    def of_tokens(self) -> bool:
        """Whether the output are tokens."""
        return len(self.output.shape) == 3

    def on_grid(self, values: Any) -> Any:
        """Return a tensor like the output, its activations or a gradient, as (N, rows, columns, C).

        The tokens that come first, such as a class token, are left out.
        """
        if not self.of_tokens:
            return values
        cells = values[:, -math.prod(self.grid) :]
        return keras.ops.reshape(cells, (-1, *self.grid, self.output.shape[-1]))


def find_spatial(flat: Flat, layer: str | None, grid: Grid | None = None) -> Spatial:
    """Return a layer whose activations have places in the image.

    Args:
        flat: the classifier.
        layer: its path or name; None for the last one whose places the answer depends on. What a
            transformer makes of its patches after it has last looked at them does not count.
        grid: (rows, columns) of the layer; None to find it by the shapes of the classifier.

    Raises:
        InputError: the layer is unknown or has no places, or there is none.
    """
    grids = _grids(flat) if grid is None else _with_grid(flat, grid)
    if layer is None:
        return _last(flat, grids)
    fitting = replace(flat, tensors={path: flat.tensors[path] for path in grids})
    named = flat.paths_of(layer)
    if named and not fitting.paths_of(layer):
        raise InputError(_refusal(layer, flat.tensors[named[0]].shape[1:], grid, fitting.tensors))
    output = fitting.find(layer)
    (path,) = fitting.paths_of(layer)
    return Spatial(path, output, grids[path])


def _refusal(layer: str, shape: tuple, grid: Grid | None, others: Iterable[str]) -> str:
    """Return why a layer of this shape has no places."""
    if grid is not None:
        return f"layer {layer!r} gives {shape}, which has no grid {grid} of rows and columns"
    if len(shape) == 2 and shape[0] != 1:
        return (
            f"layer {layer!r} gives {shape}, tokens that are not known to be a grid: if they are "
            "one, say grid=(rows, columns); others may come before them"
        )
    names = ", ".join(others)
    way_out = f"choose one of {names}" if names else "no other layer has one"
    return f"layer {layer!r} gives {shape}, which has no spatial extent: {way_out}"


def _last(flat: Flat, grids: dict[str, Grid]) -> Spatial:
    """Return the last layer whose places the answer depends on."""
    for path in reversed(list(flat.tensors)):
        output = flat.tensors[path]
        if path in grids:
            spatial = Spatial(path, output, grids[path])
            if not spatial.of_tokens or _matters(flat, spatial):
                return spatial
        elif len(output.shape) == 3 and output.shape[1] != 1 and flat.origins[path][0].weights:
            raise InputError(
                f"the model learns from tokens, {path!r} of shape {output.shape[1:]}, and it is "
                "not known where in the image they are: say grid=(rows, columns) if they are one, "
                "name an earlier layer, or use a method that needs no layer"
            )
    raise InputError(
        "no layer of the model gives (height, width, channels) with more than one position: "
        "use a method that needs no such layer, saliency for instance"
    )


def _matters(flat: Flat, spatial: Spatial) -> bool:
    """Return whether the answer depends on the cells of a layer of tokens.

    NaN spreads to all that depends on it, by however little.
    """
    tokens = np.zeros((1, *spatial.output.shape[1:]), np.float32)
    tokens[:, -math.prod(spatial.grid) :] = np.nan
    image = np.zeros((1, *flat.inputs.shape[1:]), np.float32)
    rest = keras.Function([flat.inputs, spatial.output], flat.logits)
    return bool(np.isnan(keras.ops.convert_to_numpy(rest([image, tokens]))).any())


def _with_grid(flat: Flat, grid: Grid) -> dict[str, Grid]:
    """Return the layers that may have this grid: of its shape, or with at least as many tokens."""
    shapes = {path: tensor.shape[1:] for path, tensor in flat.tensors.items()}
    return {
        path: grid
        for path, shape in shapes.items()
        if (len(shape) == 3 and shape[:2] == grid)
        or (len(shape) == 2 and None not in shape and shape[0] >= math.prod(grid))
    }


class _Place(NamedTuple):
    """The grid of a tensor, or of what it was made of if it has `lost` its places."""

    grid: Grid | None
    lost: bool


def _grids(flat: Flat) -> dict[str, Grid]:
    """Return the grid of every layer that has one of more than one cell."""
    known = {id(flat.inputs): _Place(flat.inputs.shape[1:3], lost=False)}

    def place(tensor: keras.KerasTensor) -> _Place:
        if id(tensor) not in known:
            operation, call = keras_internals.origin(tensor)
            # What was a vector in between says nothing of places.
            given = [each for each in keras_internals.calls(operation)[call] if each.ndim > 2]
            before = [(each, place(each)) for each in given]
            known[id(tensor)] = _place(tensor, type(operation).__name__, before)
        return known[id(tensor)]

    # In the order of the calls, so that hardly anything is left for the recursion.
    places = {path: place(tensor) for path, tensor in flat.tensors.items()}
    return {
        path: found.grid
        for path, found in places.items()
        if found.grid and not found.lost and math.prod(found.grid) > 1
        if flat.tensors[path].ndim in (3, 4)
    }


def _place(
    tensor: keras.KerasTensor, operation: str, before: list[tuple[keras.KerasTensor, _Place]]
) -> _Place:
    """Return the place of what an operation makes of tensors with these places."""
    nearest = next((found.grid for _, found in before if found.grid), None)
    from_tokens = any(found.lost or each.ndim == 3 for each, found in before)
    if tensor.ndim == 3:
        return _place_of_tokens(tensor.shape[1], operation, before, nearest)
    if tensor.ndim == 4 and None not in tensor.shape[1:3]:
        rows, columns = tensor.shape[1:3]
        # Heads of attention have four axes as well.
        if not from_tokens or (nearest and _is_scaled((rows, columns), nearest)):
            return _Place((rows, columns), lost=False)
    return _Place(nearest, lost=from_tokens)


def _place_of_tokens(
    count: int | None,
    operation: str,
    before: list[tuple[keras.KerasTensor, _Place]],
    nearest: Grid | None,
) -> _Place:
    """Return the place of `count` tokens; `nearest` is the grid of what they were made of."""
    of_tokens = all(each.ndim == 3 for each, _ in before)
    if nearest is None or count is None or (of_tokens and all(found.lost for _, found in before)):
        return _Place(nearest, lost=True)
    given, found = before[0]
    if operation in REARRANGING and not found.lost:
        if given.ndim == 4 and math.prod(nearest) != count:
            return _Place(None, lost=True)  # Rows of an image, or channels beside positions.
        if given.ndim == 3 and given.shape[1] != count:
            return _Place(nearest, lost=True)
    grid = token_grid(count, *nearest)
    if grid is None or (of_tokens and not _is_scaled(grid, nearest)):
        return _Place(nearest, lost=True)
    return _Place(grid, lost=False)


def _is_scaled(grid: Grid, other: Grid) -> bool:
    """Return whether a grid is another one enlarged or reduced by a whole number."""
    (rows, columns), (height, width) = grid, other
    return rows * width == columns * height and 0 in (rows % height, height % rows)
