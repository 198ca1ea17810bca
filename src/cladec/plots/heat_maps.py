"""An attribution map over its image: the scale of its colours, the picture, and the colour bar."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize

from cladec.explainers.registry import EXPLAINERS
from cladec.plots.colours import SIGNED, UNSIGNED

PERCENTILE = 99.5
"""The percentile of the values that has the strongest colour, so that one pixel hides no others."""

DARKEST = 0.65
"""The grey of black pixels below a map; white ones are white."""


@dataclass(frozen=True)
class Scale:
    """Which colour the values of a method have, the same for all its images of a figure.

    Attributes:
        largest: the value of the strongest colour, above 0; larger ones have the same colour.
        signed: whether the colours go from -`largest` to `largest`, else from 0.

    Examples:
        >>> maps = cladec.explain(classifier, images[:2], method="gradient_input")
        >>> scale = cladec.plots.Scale.of(maps)
        >>> scale.signed, cladec.plots.heat_map(images[0], maps[0], scale).shape
        (True, (28, 28, 3))
    """

    largest: float
    signed: bool

    @classmethod
    def of(cls, maps: np.ndarray, *, signed: bool | None = None) -> "Scale":
        """Return the scale of maps (N, H, W) of one method.

        Args:
            maps: of every image that is drawn with this scale.
            signed: whether the method tells what speaks against a class; None if there are
                negative values.
        """
        values = np.abs(maps)
        largest = np.percentile(values, PERCENTILE) if values.size else 0.0
        largest = float(largest or values.max(initial=0.0) or 1.0)
        return cls(largest, bool((maps < 0).any()) if signed is None else signed)

    @classmethod
    def around_zero(cls, maps: np.ndarray) -> "Scale":
        """Return the scale of signed maps whose strongest colour is that of the largest value."""
        return cls(float(np.abs(maps).max()) or 1.0, signed=True)

    @property
    def colours(self) -> Colormap:
        """Diverging and white at zero, or sequential from white."""
        return SIGNED if self.signed else UNSIGNED

    @property
    def norm(self) -> Normalize:
        """Values -> [0, 1]."""
        return Normalize(-self.largest if self.signed else 0.0, self.largest)

    @property
    def ends(self) -> list[float]:
        """The values that a colour bar names."""
        return [-self.largest, 0.0, self.largest] if self.signed else [0.0, self.largest]


def drawn_values(maps: np.ndarray, method: str) -> np.ndarray:
    """Return what is drawn of the maps (N, H, W) of a method.

    It is the maps themselves, or how far they lie above or below the mean of each where the method
    has `around_mean`: from zero on, they would be of one colour all over.
    """
    row = EXPLAINERS.get(method)
    if row is None or not row.around_mean:
        return maps
    return maps - maps.mean(axis=(1, 2), keepdims=True)


def heat_map(
    image: np.ndarray, attribution: np.ndarray | None, scale: Scale | None = None
) -> np.ndarray:
    """Return an image in grey, coloured as its attribution map says.

    The grey of the image is multiplied with the colour of the map: the image is visible below every
    colour, and is grey where the map is zero. A map that tells nothing is best not drawn at all.

    Args:
        image: (H, W, C) in [0, 1].
        attribution: (H, W); None for the grey image alone.
        scale: of all maps of the method; by default, of this map alone.

    Returns:
        (H, W, 3) in [0, 1].
    """
    grey = DARKEST + (1 - DARKEST) * image.mean(axis=-1, keepdims=True)
    if attribution is None:
        return np.repeat(grey, 3, axis=-1)
    scale = scale or Scale.of(attribution)
    return grey * scale.colours(scale.norm(attribution))[..., :3]


def draw_colour_bar(axis: Axes, scale: Scale, *, orientation: str = "vertical") -> None:
    """Draw the colours of a scale into axes, with the numbers at its ends and at zero."""
    bar = axis.figure.colorbar(
        ScalarMappable(scale.norm, scale.colours), cax=axis, orientation=orientation
    )
    bar.set_ticks(scale.ends, labels=[number(value) for value in scale.ends])
    bar.ax.tick_params(labelsize=6.5, length=2, pad=1.5)
    bar.outline.set_linewidth(0.5)


def number(value: float, digits: int = 2) -> str:
    """A number in a few letters, such as 0.013 or 1.2e-08."""
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")
