"""The decoder from the activations of a layer to images; its shapes follow from those of both."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras
from keras import layers

from cladec import checks
from cladec.errors import InputError
from cladec.models import memory, photographs
from cladec.models.precision import keras_defaults
from cladec.models.recipes import SMALLEST_BATCH, is_photograph
from cladec.models.tokens import token_grid

SMALLEST_GRID = 8
"""A flat code starts on the largest grid of at most this many cells a side (7x7 for 28x28)."""

WIDTH = 32
"""The channels of the last two hidden layers; each earlier layer has twice as many."""

MAXIMUM_WIDTH = 256

LARGEST_DENSE = 2**26
"""The most weights of the Dense layer on the codes; larger codes are narrowed before it."""

CODES = "(units,), (positions, features) or (height, width, channels)"
"""The supported shapes of codes."""

DARKEST = 0.01
"""An untrained decoder gives pixels between this and 1 minus this."""

Size = tuple[int, int, int]
"""(rows, columns, channels)."""


@keras_defaults()
def build_decoder(
    code_shape: tuple[int, ...], image_shape: tuple[int, int, int], *, mean_pixel: float = 0.5
) -> keras.Model:
    """Build a functional model from codes to images in [0, 1].

    A Dense layer turns a flat code into a small grid. A spatial code is resized if doubling it does
    not reach the size of the image, and a convolution mixes its channels. Transposed convolutions
    of stride 2 then double the grid until it covers the image; for images with colours each is
    followed by a mean of four neighbours. Images of more than 32 pixels a side are drawn by other
    layers, see `photographs`; `photographs.standardise` adapts them to codes.

    Tokens, (positions, features), form a grid if their number is that of the patches of some size
    in the image, or a square; the few that may come first, such as a class token, are projected to
    a few features, which are appended to every cell. Other tokens are a flat code. If a flat code
    would need more than `LARGEST_DENSE` weights, a narrower Dense layer reduces it first.

    Args:
        code_shape: (units,) or (height, width, channels) or (positions, features), without batch.
        image_shape: the shape (H, W, C) of the images, H and W at least 2.
        mean_pixel: the untrained output for a code of zeros, in [0, 1]. The mean of the training
            images spares the decoder from learning their brightness first, which on dark images
            can end in black pixels without a gradient.

    Returns:
        A model (N, *code_shape) -> (N, H, W, C), float32 in [0, 1] (sigmoid).

    Raises:
        InputError: a size is missing or not positive, or there is too little memory for training.

    Examples:
        >>> cladec.build_decoder((7, 7, 64), (28, 28, 1)).output_shape
        (None, 28, 28, 1)
    """
    return keras.Model(*decoder_graph(code_shape, image_shape, mean_pixel), name="decoder")


def check_decoder(decoder: keras.Model, takes: Any, image_shape: Size) -> keras.Model:
    """Check the shapes of a caller's decoder, build it if necessary, and return it.

    Args:
        decoder: any Keras model.
        takes: the expected shape of its input without the batch, or a dict of such shapes.
        image_shape: the expected shape (H, W, C) of its images.

    Raises:
        InputError: its input or output has another shape.
    """
    made = _made(decoder, takes)
    if made != tuple(image_shape):
        found = f"gives {made} of" if made else "cannot be called on"
        raise InputError(
            f"decoder {decoder.name!r} {found} {takes}: expected a Keras model from {takes} to "
            f"images {tuple(image_shape)}, these shapes without the batch"
        )
    return decoder


def _made(decoder: keras.Model, takes: Any) -> Any:
    """Return the shape of a model's output for such inputs; None if it cannot take them."""
    if isinstance(takes, dict):
        inputs = {name: keras.Input(shape, name=name) for name, shape in takes.items()}
        known = getattr(decoder, "input", inputs)
        if not isinstance(known, dict) or set(known) != set(inputs):
            return None
    else:
        inputs = keras.Input(takes)
    try:
        return tuple(decoder(inputs).shape[1:])
    except Exception:  # layers may raise any exception
        return None


def decoder_graph(
    code_shape: tuple[int, ...],
    image_shape: tuple[int, int, int],
    mean_pixel: float,
    modulate: Callable = lambda hidden: hidden,
    widen: Callable = lambda codes: codes,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the symbolic input and output of a decoder, see `build_decoder`.

    `modulate` is applied to the output (N, rows, columns, channels) of each hidden layer; `widen`
    is applied to the codes and may extend their last axis.
    """
    code_shape = checks.shape("codes", code_shape, (1, 2, 3), CODES)
    height, width, channels = checks.shape("images", image_shape, (3,), "(height, width, channels)")
    large = is_photograph(height, width)
    cells = _cells(code_shape, height, width)
    doublings, sizes = _hidden_sizes(cells, height, width, photographs.width if large else _width)
    copies = photographs.COPIES if large else 1
    _check_memory(code_shape, cells, [*sizes, (height, width, channels)], copies)
    codes = keras.Input(code_shape, name="codes")
    wide = widen(photographs.Standardised(name="standardised")(codes) if large else codes)
    if cells is None:
        hidden = grid = _on_grid(wide, sizes[0])
    else:
        grid = _tokens(wide, cells)
        mixed = photographs.mixed if large else _mixed
        hidden = mixed(_resized(grid, sizes[0]), sizes[0][2])
    bias = keras.initializers.Constant(_logit(mean_pixel))
    if large:
        hidden = photographs.detail(hidden, sizes, doublings, modulate)
        hidden = photographs.image(grid, hidden, channels, doublings, bias)
    else:
        hidden = _enlarged(modulate(hidden), sizes, doublings, channels, bias, modulate)
    hidden = _cropped(hidden, height, width)
    return codes, layers.Activation("sigmoid", dtype="float32", name="pixels")(hidden)


def _enlarged(hidden, sizes: list[Size], doublings: int, channels: int, bias, modulate: Callable):
    """Double the grid by transposed convolutions until it has the size of a small image.

    Where the classification counts most, they draw stripes in colours; grey images hold as many of
    their own, and would be blurred.
    """
    even = photographs.evened if channels > 1 else lambda hidden, name: hidden
    for number, size in enumerate(sizes[1:]):
        left = doublings - number
        hidden = layers.Conv2DTranspose(size[2], 4, 2, padding="same", name=f"up_{left}")(hidden)
        hidden = layers.Activation("relu", name=f"relu_{left}")(even(hidden, f"evened_{left}"))
        hidden = modulate(hidden)
    options = {"padding": "same", "bias_initializer": bias, "name": "image"}
    if not doublings:
        return layers.Conv2D(channels, 3, **options)(hidden)
    return even(layers.Conv2DTranspose(channels, 4, 2, **options)(hidden), "evened")


def _cells(code_shape: tuple[int, ...], height: int, width: int) -> tuple[int, int] | None:
    """Return the grid (rows, columns) of a spatial code or of tokens; None for a flat code."""
    if len(code_shape) == 3:
        return code_shape[:2] if code_shape[0] * code_shape[1] > 1 else None
    if len(code_shape) == 1:
        return None
    return token_grid(code_shape[0], height, width)


def _hidden_sizes(
    cells, height: int, width: int, width_at: Callable[[int], int]
) -> tuple[int, list[Size]]:
    """Return the number of doublings and the (rows, columns, channels) of each hidden layer.

    The first layer of a spatial code has 2 * WIDTH channels in decoders of small images.
    """
    if cells is None:
        doublings = max(1, math.ceil(math.log2(max(height, width) / SMALLEST_GRID)))
        channels = width_at(doublings)
    else:  # as often as possible within the size of the image
        doublings = max(0, math.floor(math.log2(min(height / cells[0], width / cells[1]))))
        channels = 2 * WIDTH if width_at is _width else width_at(doublings)
    rows, columns = math.ceil(height / 2**doublings), math.ceil(width / 2**doublings)
    widths = [channels, *map(width_at, range(doublings - 1, 0, -1))]
    return doublings, [(rows << i, columns << i, width) for i, width in enumerate(widths)]


def _check_memory(code_shape: tuple[int, ...], cells, sizes: list[Size], copies: int) -> None:
    """Raise InputError if training needs more memory than is free.

    `copies` is the number of activations of each size.
    """
    if cells is None:
        weights = min(LARGEST_DENSE, math.prod(code_shape) * math.prod(sizes[0]))
    else:
        weights = 9 * code_shape[-1] * sizes[0][2]
    weights += sum(16 * before[2] * after[2] for before, after in pairwise(sizes))
    numbers = copies * sum(map(math.prod, sizes))
    # Each weight has a gradient and means of the optimizer, each activation a gradient.
    needed = 4 * (4 * weights + 2 * numbers * SMALLEST_BATCH)
    free = memory.free()
    if free is not None and needed > free:
        raise InputError(
            f"a decoder of codes {code_shape} to images {sizes[-1]} has {weights:,} weights and "
            f"{numbers:,} activations an image: training takes {needed / memory.GIB:.2f} GiB, and "
            f"{free / memory.GIB:.2f} GiB are free; decode another layer, or fewer of its units "
            "(--fractions 0.1), or take smaller images"
        )


def _logit(mean_pixel: float) -> float:
    """Return the inverse sigmoid of `mean_pixel`, limited to where the gradient is not zero."""
    mean = checks.number("mean_pixel", mean_pixel, "a number in [0, 1]", lambda x: 0.0 <= x <= 1.0)
    pixel = min(max(mean, DARKEST), 1.0 - DARKEST)
    return math.log(pixel / (1.0 - pixel))


def _width(remaining: int) -> int:
    """Return the channels of a grid that is doubled `remaining` more times."""
    return min(MAXIMUM_WIDTH, WIDTH * 2 ** max(0, remaining - 2))


def _on_grid(codes, size: Size):
    """Turn codes of any shape into a grid with a Dense layer; narrow them first if it is too large.

    Tokens are narrowed one by one, other codes as a whole.
    """
    most = LARGEST_DENSE // math.prod(size)
    if len(codes.shape) == 3 and math.prod(codes.shape[1:]) > most >= codes.shape[1]:
        codes = layers.Dense(most // codes.shape[1], name="narrow")(codes)
    flat = layers.Flatten(name="flat")(codes) if len(codes.shape) > 2 else codes
    if flat.shape[1] > most:
        units = max(1, LARGEST_DENSE // (flat.shape[1] + math.prod(size)))
        flat = layers.Dense(units, name="narrow")(flat)
    hidden = layers.Dense(math.prod(size), activation="relu", name="spread")(flat)
    return layers.Reshape(size, name="grid")(hidden)


def _tokens(codes, cells: tuple[int, int]):
    """Arrange tokens (N, positions, features) on a grid and append the first ones to each cell."""
    if len(codes.shape) == 4:
        return codes
    count = math.prod(cells)
    first = codes.shape[1] - count
    if first:
        others = layers.Cropping1D((0, count), name="first_tokens")(codes)
        others = layers.Flatten(name="first_flat")(others)
        others = layers.Dense(2 * WIDTH, name="first_narrow")(others)
        codes = layers.Cropping1D((first, 0), name="tokens")(codes)
        everywhere = layers.RepeatVector(count, name="everywhere")(others)
        codes = layers.Concatenate(name="with_first")([codes, everywhere])
    return layers.Reshape((*cells, codes.shape[-1]), name="token_grid")(codes)


def _resized(codes, size: Size):
    if codes.shape[1:3] == size[:2]:
        return codes
    return layers.Resizing(*size[:2], interpolation="bilinear", name="grid")(codes)


def _mixed(codes, channels: int):
    return layers.Conv2D(channels, 3, padding="same", activation="relu", name="mix")(codes)


def _cropped(hidden, height: int, width: int):
    rows, columns = hidden.shape[1] - height, hidden.shape[2] - width
    if rows == columns == 0:
        return hidden
    return layers.Cropping2D(((0, rows), (0, columns)), name="crop")(hidden)
