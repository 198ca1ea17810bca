"""Define the pixel ranges that networks are trained on; this package uses [0, 1]."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Affine = float | tuple[float, ...]


@dataclass(frozen=True)
class Range:
    """A pixel range that networks are trained on: `scale * pixels + offset` for pixels in [0, 1].

    Attributes:
        name: the range in words.
        scale: one factor for all channels, or one for each.
        offset: one offset for all channels, or one for each.
        bgr: whether the channels are in reverse order.
    """

    name: str
    scale: Affine
    offset: Affine = 0
    bgr: bool = False

    def of(self, images: np.ndarray) -> np.ndarray:
        """Convert images (N, H, W, C) in [0, 1] to this range."""
        pixels = (images * np.asarray(self.scale) + np.asarray(self.offset)).astype(np.float32)
        return pixels[..., ::-1] if self.bgr else pixels

    @property
    def layer(self) -> str:
        """The code of the layer that converts pixels, but not their order, to this range."""
        scale, offset = (list(x) if isinstance(x, tuple) else x for x in (self.scale, self.offset))
        return f"keras.layers.Rescaling({scale}{f', offset={offset}' if offset else ''})"

    def in_front(self, shape: tuple[Any, ...]) -> str:
        """Return the code that puts this conversion in front of a `model` of images (H, W, C)."""
        image = f"keras.Input({tuple(shape)})"
        if self.bgr:
            return f"keras.Model(x := {image}, model(keras.ops.flip({self.layer}(x), axis=-1)))"
        return f"keras.Sequential([{image}, {self.layer}, model])"


SIGNED = Range("-1 to 1", 2, -1)
IMAGENET = Range(
    "ImageNet's mean subtracted and divided by its standard deviation",
    (4.36681, 4.46429, 4.44444),
    (-2.1179, -2.03571, -1.80444),
)
CAFFE = Range(
    "0 to 255 in the order blue, green, red with ImageNet's mean subtracted",
    255,
    (-123.68, -116.779, -103.939),
    bgr=True,
)


def up_to(top: int) -> Range:
    """Return the range from 0 to `top`."""
    return Range(f"0 to {top}", top)


def way_out(shape: tuple[Any, ...]) -> str:
    """Return the end of a message that says what to do about images (H, W, C) outside [0, 1]."""
    return (
        "divide bytes by 255; cladec feeds 0 to 1, so a classifier that expects 0 to 255 needs a "
        f"layer in front, {up_to(255).in_front(shape)}, and one that expects {SIGNED.name} "
        f"needs {SIGNED.layer} instead"
    )
