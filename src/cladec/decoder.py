"""A decoder from the activations of a layer to images, its shapes derived, never tabulated."""

import math
from collections.abc import Callable

import keras
from keras import layers

from cladec.errors import InputError

SMALLEST_GRID = 8
"""A flat code starts from the largest grid of at most this many cells a side (7x7 for 28x28)."""

WIDTH = 32
"""Channels of the last hidden layer; each halving of the grid below the last two doubles them."""

MAXIMUM_WIDTH = 256

DARKEST = 0.01
"""A decoder starts from images no darker than this, and no brighter than 1 less this."""


def build_decoder(
    code_shape: tuple[int, ...], image_shape: tuple[int, int, int], *, mean_pixel: float = 0.5
) -> keras.Model:
    """A functional model from codes to images in [0, 1].

    A flat code is laid out on a small grid by a Dense layer; a spatial code is one already: it is
    resized where doubling it does not lead to the size of the image, and a convolution mixes its
    channels. Transposed convolutions of stride 2 then double the grid until it covers the image.

    Args:
        code_shape: (units,) or (height, width, channels) or (positions, features), without batch.
        image_shape: (H, W, C), H and W at least 2.
        mean_pixel: what it answers to a code of zeros before it is trained, in [0, 1]. With the
            mean of the training images it need not first learn how dark they are, which on dark
            images can end with every pixel black and no gradient left.

    Returns:
        A model (N, *code_shape) -> (N, H, W, C), float32 in [0, 1] (sigmoid).

    Raises:
        InputError: a size is missing or not positive.
    """
    return keras.Model(*decoder_graph(code_shape, image_shape, mean_pixel), name="decoder")


def decoder_graph(
    code_shape: tuple[int, ...],
    image_shape: tuple[int, int, int],
    mean_pixel: float,
    modulate: Callable = lambda hidden: hidden,
    widen: Callable = lambda codes: codes,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The symbolic input and output of a decoder, see `build_decoder`.

    `modulate` is applied to what each hidden layer gives, (N, rows, columns, channels), `widen` to
    the codes before the first of them; it may add to their last axis.
    """
    _check_shapes(code_shape, image_shape)
    height, width, channels = image_shape
    codes = keras.Input(code_shape, name="codes")
    spatial = len(code_shape) == 3 and code_shape[0] * code_shape[1] > 1
    doublings = _doublings_from(code_shape, image_shape) if spatial else _doublings_to(image_shape)
    grid = math.ceil(height / 2**doublings), math.ceil(width / 2**doublings)
    wide = widen(codes)
    hidden = modulate(_mixed(wide, grid) if spatial else _on_grid(wide, grid, doublings))
    for remaining in range(doublings, 1, -1):
        hidden = layers.Conv2DTranspose(
            _width(remaining - 1), 4, 2, padding="same", activation="relu", name=f"up_{remaining}"
        )(hidden)
        hidden = modulate(hidden)
    last = layers.Conv2DTranspose if doublings else layers.Conv2D
    size, stride = (4, 2) if doublings else (3, 1)
    bias = keras.initializers.Constant(_logit(mean_pixel))
    hidden = last(channels, size, stride, padding="same", bias_initializer=bias, name="image")(
        hidden
    )
    hidden = _cropped(hidden, height, width)
    return codes, layers.Activation("sigmoid", dtype="float32", name="pixels")(hidden)


def _check_shapes(code_shape, image_shape) -> None:
    if not 1 <= len(code_shape) <= 3 or any(not size or size < 1 for size in code_shape):
        raise InputError(
            f"codes of shape {tuple(code_shape)} cannot be decoded: expected (units,), "
            "(positions, features) or (height, width, channels), all known"
        )
    if len(image_shape) != 3 or any(not size or size < 1 for size in image_shape):
        raise InputError(
            f"images of shape {tuple(image_shape)}: expected (height, width, channels)"
        )


def _logit(mean_pixel: float) -> float:
    """What the sigmoid makes `mean_pixel` of, kept from where its gradient vanishes."""
    pixel = min(max(mean_pixel, DARKEST), 1.0 - DARKEST)
    return math.log(pixel / (1.0 - pixel))


def _doublings_to(image_shape) -> int:
    """How often the smallest grid is doubled to cover the image."""
    return max(1, math.ceil(math.log2(max(image_shape[:2]) / SMALLEST_GRID)))


def _doublings_from(code_shape, image_shape) -> int:
    """How often a spatial code can be doubled without passing the size of the image."""
    return max(0, math.floor(math.log2(min(image_shape[i] / code_shape[i] for i in (0, 1)))))


def _width(remaining: int) -> int:
    """Channels of a grid that is doubled `remaining` more times."""
    return min(MAXIMUM_WIDTH, WIDTH * 2 ** max(0, remaining - 2))


def _on_grid(codes, grid: tuple[int, int], doublings: int):
    shape = (*grid, _width(doublings))
    flat = layers.Flatten(name="flat")(codes) if len(codes.shape) > 2 else codes
    hidden = layers.Dense(math.prod(shape), activation="relu", name="spread")(flat)
    return layers.Reshape(shape, name="grid")(hidden)


def _mixed(codes, grid: tuple[int, int]):
    if codes.shape[1:3] != grid:
        codes = layers.Resizing(*grid, interpolation="bilinear", name="grid")(codes)
    return layers.Conv2D(2 * WIDTH, 3, padding="same", activation="relu", name="mix")(codes)


def _cropped(hidden, height: int, width: int):
    rows, columns = hidden.shape[1] - height, hidden.shape[2] - width
    if rows == columns == 0:
        return hidden
    return layers.Cropping2D(((0, rows), (0, columns)), name="crop")(hidden)
