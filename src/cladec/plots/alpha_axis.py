"""Where alphas lie on an axis, and at which of them a network of every alpha is shown."""

import itertools
import math
from collections.abc import Iterable

import numpy as np

from cladec.models.recipes import ALPHAS

STEP = 0.2
"""The distance of the alphas at which one network for every alpha is shown, as a logit."""


class AlphaAxis:
    """An axis of the logits log10(alpha / (1 - alpha)), on which 0 and 1 have a place too.

    They would lie at infinity; here they lie one step beyond the outermost others, and what is
    between lies on a straight line.

    Args:
        alphas: the alphas that the axis shows.

    Attributes:
        low: the place of alpha 0.
        high: the place of alpha 1.

    Examples:
        >>> axis = cladec.plots.AlphaAxis([0.0, 0.1, 0.9, 1.0])
        >>> axis.low, axis.place(0.5), axis.alpha(axis.high)
        (-1.9542425094393248, 0.0, 1.0)
    """

    def __init__(self, alphas: Iterable[float]):
        inner = sorted({0.5, *alphas} - {0.0, 1.0})
        logits = [_logit(alpha) for alpha in inner]
        self.low, self.high = logits[0] - 1, logits[-1] + 1
        self._alphas = [0.0, *inner, 1.0]
        self._places = [self.low, *logits, self.high]

    def place(self, alpha: float) -> float:
        """Return the place of an alpha between `low` and `high`."""
        if self._alphas[1] <= alpha <= self._alphas[-2]:
            return _logit(alpha)
        return float(np.interp(alpha, self._alphas, self._places))

    def alpha(self, place: float) -> float:
        """Return the alpha at a place."""
        if self._places[1] <= place <= self._places[-2]:
            return 1 / (1 + 10**-place)
        return float(np.interp(place, self._places, self._alphas))


def _logit(alpha: float) -> float:
    return math.log10(alpha / (1 - alpha))


def slider_alphas() -> tuple[float, ...]:
    """Return the usual alphas and those between, at about even distances on their axis.

    Examples:
        >>> alphas = cladec.plots.slider_alphas()
        >>> len(alphas), alphas[:3]
        (41, (0.0, 0.002, 0.004))
    """
    axis = AlphaAxis(ALPHAS)
    shown = [0.0]
    for low, high in itertools.pairwise(sorted(ALPHAS)):
        ends = axis.place(low), axis.place(high)
        count = max(1, round((ends[1] - ends[0]) / STEP))
        between = [float(place) for place in np.linspace(*ends, count + 1)[1:-1]]
        shown += [*(_rounded(axis.alpha(place)) for place in between), high]
    return tuple(shown)


def _rounded(alpha: float) -> float:
    """Round an alpha to two digits of its distance from the nearer of 0 and 1."""
    near = min(alpha, 1 - alpha)
    return round(alpha, 1 - math.floor(math.log10(near)))
