"""Define the pixel ranges that networks are trained on; this package uses [0, 1]."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cladec import checks

Affine = float | tuple[float, ...]

DEVIATION = (0.229, 0.224, 0.225)
"""The standard deviation of ImageNet's red, green and blue pixels in [0, 1]."""


@dataclass(frozen=True)
class Range:
    """A pixel range that networks are trained on: `scale * pixels + offset` for pixels in [0, 1].

    Attributes:
        name: the name that users write.
        words: the range in words.
        scale: one factor for all channels, or one for each.
        offset: one offset for all channels, or one for each.
        bgr: whether the channels are in reverse order.
    """

    name: str
    words: str
    scale: Affine = 1.0
    offset: Affine = 0.0
    bgr: bool = False

    @property
    def of_colour(self) -> bool:
        """Whether the range is one of colour images only."""
        return isinstance(self.scale, tuple) or isinstance(self.offset, tuple)

    def of(self, images: np.ndarray) -> np.ndarray:
        """Convert images (N, H, W, C) in [0, 1] to this range."""
        pixels = (images * np.asarray(self.scale) + np.asarray(self.offset)).astype(np.float32)
        return pixels[..., ::-1] if self.bgr else pixels

    def back(self, pixels: np.ndarray) -> np.ndarray:
        """Convert images (N, H, W, C) in this range to [0, 1]."""
        pixels = pixels[..., ::-1] if self.bgr else pixels
        return ((pixels - np.asarray(self.offset)) / np.asarray(self.scale)).astype(np.float32)


PIXELS = {
    row.name: row
    for row in (
        Range("0-1", "0 to 1"),
        Range("0-255", "0 to 255", scale=255.0),
        Range("-1-1", "-1 to 1", scale=2.0, offset=-1.0),
        Range(
            "imagenet-torch",
            "ImageNet's mean subtracted and divided by its standard deviation",
            scale=tuple(1 / each for each in DEVIATION),
            offset=tuple(
                -mean / each for mean, each in zip((0.485, 0.456, 0.406), DEVIATION, strict=True)
            ),
        ),
        Range(
            "imagenet-caffe",
            "0 to 255 in the order blue, green, red with ImageNet's mean subtracted",
            scale=255.0,
            offset=(-123.68, -116.779, -103.939),
            bgr=True,
        ),
    )
}
"""Every range by the name that users write."""

OWN, BYTES = "0-1", "0-255"
"""The names of the range of this package and of that of bytes."""


def find_range(name: Any) -> Range:
    """Return the row of `PIXELS` of this name.

    Raises:
        InputError: if there is none; the message lists the names.
    """
    return checks.row("range of pixels", name, PIXELS)


def way_to_say(name: str) -> str:
    """Return how a user says, in Python and in a command, that a classifier wants a range."""
    return f"cladec.with_pixels(classifier, {name!r}), or --pixels {name} in a command"


WAY_OUT = (
    "divide bytes by 255; images are given from 0 to 1 whatever the classifier wants, and if it "
    f"wants 0 to 255, say so with {way_to_say(BYTES)}"
)
"""The end of a message about images outside [0, 1]."""
