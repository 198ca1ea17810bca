"""The colours of maps: even steps to the eye, and told apart by the colour-blind.

Equal steps of a value are equal distances in CIELAB, from white to one colour. Vermilion (of Okabe
& Ito, "Color Universal Design", 2002) and blue stay apart in all common forms of colour blindness;
neither is dark, so that an image is visible below them.
"""

import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from skimage.color import lab2rgb, rgb2lab

FOR = "#d55e00"
"""The colour of the largest values: of what matters, or speaks for the class."""

AGAINST = "#1971c2"
"""The colour of the lowest negative values: of what speaks against the class."""

STEPS = 128
"""The number of colours from white to one end."""


def from_white(colour: str) -> np.ndarray:
    """Return `STEPS` colours from white to `colour`, (STEPS, 3) in [0, 1]."""
    white, end = rgb2lab(np.array([[1.0, 1.0, 1.0], to_rgb(colour)]))
    shares = np.linspace(0, 1, STEPS)[:, None]
    return np.clip(lab2rgb(white + shares * (end - white)), 0, 1)


UNSIGNED = ListedColormap(from_white(FOR), name="unsigned")
"""The colours of values from zero on."""

SIGNED = ListedColormap(
    np.concatenate([from_white(AGAINST)[:0:-1], from_white(FOR)]), name="signed"
)
"""The colours of values on both sides of zero, which is white."""
