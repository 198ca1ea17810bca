"""The decoder of photographs: images of more than 32 pixels a side.

Five things make it better than transposed convolutions of stride 2. Codes are standardised, since
the scales of their channels differ. A thumbnail, linear in the code, gives what a smaller picture
would show, so that the deep layers only add the detail. These are normalised, which spares the
first passes, and wide where the grid is small. Grids are enlarged bilinearly between convolutions,
which draws no checkerboard (Odena, Dumoulin & Olah, "Deconvolution and Checkerboard Artifacts",
Distill 2016). And the last doubling only lays out pixels that half the grid has drawn, four of each
cell, since layers of the full size would take two thirds of the time (Shi et al., "Real-Time Single
Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", 2016).
These four start as one (Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017).
Where the classification counts most, training tells them apart again: it draws what moves the
classifier, and stripes every two pixels do. So each pixel is at last the mean of four neighbours,
through which no such pattern passes (Sugawara, Shiota & Kiya, "Super-Resolution Using Convolutional
Neural Networks Without Any Checkerboard Artifacts", ICIP 2018: the zero-order hold).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from cladec.data.arrays import evenly_spread

NARROWEST, WIDEST = 32, 256
"""The least and the most channels of a hidden layer."""

RESIDUALS = 2
"""The most residual convolutions of a grid: small ones are cheap, and deep layers need them."""

COPIES = 10
"""The activations of each size of grid: normalised convolutions, sums, an enlargement."""

MOMENTUM = 0.95
"""The share of the running statistics of normalisations that a step keeps: steps are few."""

ROWS = 2_000
"""The number of codes from which their mean and scale are computed."""

Size = tuple[int, int, int]
"""(rows, columns, channels)."""


@keras.saving.register_keras_serializable(package="cladec")
class Standardised(layers.Layer):
    """A layer that brings each channel of the codes to mean 0 and standard deviation 1.

        y = (x - mean) * factor

    Mean and factor are weights that no training changes; before `adapt` they are 0 and 1.
    """

    def build(self, codes_shape):
        options = {"shape": (codes_shape[-1],), "trainable": False, "dtype": "float32"}
        self.mean = self.add_weight(name="mean", initializer="zeros", **options)
        self.factor = self.add_weight(name="factor", initializer="ones", **options)

    def call(self, codes):
        mean, factor = ops.cast(self.mean, codes.dtype), ops.cast(self.factor, codes.dtype)
        return (codes - mean) * factor

    def adapt(self, codes: Any) -> None:
        """Take mean and factor from codes (N, ..., channels), at most `ROWS` of them.

        A channel that never changes keeps the factor 1.
        """
        some = np.asarray(evenly_spread(codes, ROWS), "float64")
        flat = some.reshape(-1, some.shape[-1])
        deviation = flat.std(axis=0)
        self.mean.assign(flat.mean(axis=0))
        self.factor.assign(1.0 / np.where(deviation > 0.0, deviation, 1.0))


def standardise(decoder: keras.Model, codes: Any) -> None:
    """Adapt the layer `Standardised` of a decoder, if it has one, to the training codes."""
    for layer in decoder.layers:
        if isinstance(layer, Standardised):
            layer.adapt(codes)


@keras.saving.register_keras_serializable(package="cladec")
class PixelShuffle(layers.Layer):
    """A layer that lays out four pixels of each cell: (N, h, w, 4 C) -> (N, 2 h, 2 w, C)."""

    def call(self, cells):
        rows, columns, channels = cells.shape[1:]
        parted = ops.reshape(cells, (-1, rows, columns, 2, 2, channels // 4))
        return ops.reshape(
            ops.transpose(parted, (0, 1, 3, 2, 4, 5)), (-1, 2 * rows, 2 * columns, channels // 4)
        )

    def compute_output_shape(self, cells_shape):
        count, rows, columns, channels = cells_shape
        return (count, 2 * rows, 2 * columns, channels // 4)


@keras.saving.register_keras_serializable(package="cladec")
class FourAlike(keras.initializers.Initializer):
    """The weights of a convolution whose four pixels of each cell are the same at first."""

    def __call__(self, shape, dtype=None):
        first = keras.initializers.GlorotUniform()((*shape[:-1], shape[-1] // 4), dtype)
        return ops.tile(first, (1,) * (len(shape) - 1) + (4,))


def width(remaining: int) -> int:
    """Return the channels of a grid that is doubled `remaining` more times."""
    return min(WIDEST, NARROWEST * 2 ** max(0, remaining - 1))


def mixed(codes, channels: int):
    """Return the first hidden layer (N, rows, columns, channels) of spatial codes."""
    return layers.Activation("relu", name="mixed")(_convolved(codes, channels, "mix"))


def detail(hidden, sizes: list[Size], doublings: int, modulate: Callable):
    """Return what the deep layers draw on half of the image's grid, or on all if none is doubled.

    Each grid of `sizes` gets residual convolutions; the step to the next one is a convolution, then
    a bilinear enlargement.
    """
    for number, size in enumerate(sizes):
        remaining = doublings - number
        for place in range(min(RESIDUALS, remaining - 1)):
            more = _convolved(hidden, size[2], f"residual_{remaining}_{place}")
            hidden = layers.Add(name=f"sum_{remaining}_{place}")([hidden, more])
            hidden = layers.Activation("relu", name=f"relu_{remaining}_{place}")(hidden)
        hidden = modulate(hidden)
        if remaining > 1:
            hidden = _convolved(hidden, width(remaining - 1), f"narrow_{remaining}")
            hidden = layers.Activation("relu", name=f"narrow_relu_{remaining}")(hidden)
            hidden = layers.UpSampling2D(2, interpolation="bilinear", name=f"double_{remaining}")(
                hidden
            )
    return hidden


def image(grid, hidden, channels: int, doublings: int, bias: Any):
    """Return an image (N, rows, columns, channels) before the sigmoid: thumbnail and detail.

    Args:
        grid: the spatial codes.
        hidden: what `detail` gave.
        channels: the channels of the image.
        doublings: how often the codes' grid is doubled in all.
        bias: the initializer of the bias.
    """
    options = {"padding": "same", "bias_initializer": bias, "name": "image"}
    if doublings:
        four = layers.Conv2D(4 * channels, 3, kernel_initializer=FourAlike(), **options)(hidden)
        drawn = evened(PixelShuffle(name="shuffled")(four), "evened")
    else:
        drawn = layers.Conv2D(channels, 3, **options)(hidden)
    return layers.Add(name="both")([thumbnail(grid, channels, *drawn.shape[1:3]), drawn])


def thumbnail(codes, channels: int, rows: int, columns: int):
    """Return an image (N, rows, columns, channels) before the sigmoid, linear in spatial codes."""
    small = layers.Conv2D(channels, 1, use_bias=False, name="thumbnail")(codes)
    return layers.Resizing(rows, columns, interpolation="bilinear", name="enlarged")(small)


def evened(hidden, name: str):
    """Return the mean of each cell (N, rows, columns, channels) and its next three neighbours."""
    return layers.AveragePooling2D(2, strides=1, padding="same", name=name)(hidden)


def _convolved(hidden, channels: int, name: str):
    # The shift of the normalisation is the bias.
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": name}
    hidden = layers.Conv2D(channels, 3, padding="same", **options)(hidden)
    return layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(hidden)
