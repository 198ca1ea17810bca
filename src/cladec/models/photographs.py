"""The decoder of photographs: images of more than 32 pixels a side.

Four things make it better than transposed convolutions of stride 2. Codes are standardised, since
the scales of their channels differ. A thumbnail, linear in the code, gives what a smaller picture
would show, so that the deep layers only add the detail. These are normalised, which spares the
first passes. And grids are enlarged bilinearly between convolutions, which draws no checkerboard
(Odena, Dumoulin & Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016).
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

NARROWEST, WIDEST = 16, 128
"""The least and the most channels of a hidden layer."""

COPIES = 6
"""The activations of each size of grid: two normalised convolutions, a sum, an enlargement."""

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
        some = np.asarray(codes[:: math.ceil(len(codes) / ROWS)], "float64")
        flat = some.reshape(-1, some.shape[-1])
        deviation = flat.std(axis=0)
        self.mean.assign(flat.mean(axis=0))
        self.factor.assign(1.0 / np.where(deviation > 0.0, deviation, 1.0))


def standardise(decoder: keras.Model, codes: Any) -> None:
    """Adapt the layer `Standardised` of a decoder, if it has one, to the training codes."""
    for layer in decoder.layers:
        if isinstance(layer, Standardised):
            layer.adapt(codes)


def width(remaining: int) -> int:
    """Return the channels of a grid that is doubled `remaining` more times."""
    return min(WIDEST, max(NARROWEST, 8 * 2**remaining))


def detail(hidden, sizes: list[Size], doublings: int, modulate: Callable):
    """Return what the deep layers draw, (N, rows, columns, channels) of the padded image.

    Each grid of `sizes` gets a residual convolution; the step to the next one is a convolution,
    then a bilinear enlargement.
    """
    for number, size in enumerate(sizes):
        remaining = doublings - number
        more = _convolved(hidden, size[2], f"residual_{remaining}")
        hidden = layers.Add(name=f"sum_{remaining}")([hidden, more])
        hidden = modulate(layers.Activation("relu", name=f"relu_{remaining}")(hidden))
        if remaining:
            hidden = _convolved(hidden, width(remaining - 1), f"narrow_{remaining}")
            hidden = layers.Activation("relu", name=f"narrow_relu_{remaining}")(hidden)
            hidden = layers.UpSampling2D(2, interpolation="bilinear", name=f"double_{remaining}")(
                hidden
            )
    return hidden


def thumbnail(codes, channels: int, rows: int, columns: int):
    """Return an image (N, rows, columns, channels) before the sigmoid, linear in spatial codes."""
    small = layers.Conv2D(channels, 1, use_bias=False, name="thumbnail")(codes)
    return layers.Resizing(rows, columns, interpolation="bilinear", name="enlarged")(small)


def _convolved(hidden, channels: int, name: str):
    # The shift of the normalisation is the bias.
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": name}
    hidden = layers.Conv2D(channels, 3, padding="same", **options)(hidden)
    return layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(hidden)
