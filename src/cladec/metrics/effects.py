"""What hiding the pixels that a map marks changes for the classifier, and which changes count."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SHARE = 0.1
"""The share of the pixels that are hidden, those that the map marks most strongly."""

FLOORS: Mapping[str, float] = {"probability": 0.01, "score": 0.04}
"""The smallest changes that count, of the probability of a class and of its score (logit).

Both are the same at a probability of 1/2, where it changes by a quarter of what the score does.
"""


@dataclass(frozen=True, eq=False)
class Effects:
    """What the classifier says of the target class before and after the marked pixels are hidden.

    Attributes:
        of: "probability", or "score" for the logit, whichever the method explains.
        before: of the images themselves, (N,).
        after: of the images with hidden pixels, (N,).
    """

    of: str
    before: np.ndarray
    after: np.ndarray

    def of_image(self, row: int) -> "Effects":
        """The effects of one of the images, which is the only one of the result."""
        rows = slice(row, row + 1)
        return Effects(self.of, self.before[rows], self.after[rows])

    @property
    def changes(self) -> np.ndarray:
        """After less before, (N,): negative where the hidden pixels spoke for the class."""
        return self.after - self.before

    @property
    def found(self) -> np.ndarray:
        """Whether each change reaches the floor, (N,); a map where none does tells nothing."""
        return np.abs(self.changes) >= FLOORS[self.of]


def strongest(maps: np.ndarray) -> np.ndarray:
    """The pixels that maps (N, H, W) mark most strongly, a tenth or more, as booleans (N, H, W).

    None of a map that is the same everywhere: its pixels do not differ. None that is 0.
    """
    pixels = maps.reshape(len(maps), -1).astype(np.float64)
    pixels = pixels * np.where(pixels.sum(axis=1, keepdims=True) < 0, -1, 1)
    count = max(1, round(SHARE * pixels.shape[1]))
    last = np.partition(pixels, -count, axis=1)[:, -count, None]
    chosen = (pixels >= last) & (pixels > 0) & (np.ptp(pixels, axis=1, keepdims=True) > 0)
    return chosen.reshape(maps.shape)
