"""When a decoder has learned enough: a plateau of the loss of held-out images, and a verdict.

The learning rate rises, stays until the loss of held-out images has come to a plateau, and falls to
zero (warm-up, stable, decay: Hu et al., "MiniCPM", COLM 2024, sec. 4). A cosine over a number of
epochs needs that number in advance; this needs none, and ends every decoder and every RefAE by the
same rule.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import keras
import numpy as np

Verdict = Literal["trained", "not trained enough", "learned by heart"]

ROUND = 1 / 8
"""The share of the training images between two measurements, within `SHORTEST` and `LONGEST`."""

SHORTEST, LONGEST = 1_000, 7_500

WINDOW = 3
"""The rounds whose mean loss is compared with that of as many rounds before."""

WARM_UP = (0.25, 0.75)
"""The shares of the highest learning rate in the first rounds."""

DECAY = 1.0
"""The rounds in which the rate falls, as a share of those before."""

BY_HEART = 1.5
"""A validation loss of more than this many training losses is that of pictures known by heart."""


def images_a_round(rows: int) -> int:
    """Return after how many of `rows` training images the held-out images are measured."""
    return int(min(max(ROUND * rows, SHORTEST), LONGEST))


def is_plateau(losses: Sequence[float], tolerance: float) -> bool:
    """Return whether the last `WINDOW` losses are on average hardly lower than those before.

    Args:
        losses: the loss of held-out images after each round.
        tolerance: the share of the loss by which a fall still counts.

    Examples:
        >>> is_plateau([9, 7, 5, 4, 3, 3, 3, 3], 0.03), is_plateau([3.0] * 8, 0.03)
        (False, True)
    """
    if len(losses) < 2 * WINDOW:
        return False
    before, now = np.mean(losses[-2 * WINDOW : -WINDOW]), np.mean(losses[-WINDOW:])
    return bool(now >= (1.0 - tolerance) * before)


class Plateau(keras.callbacks.Callback):
    """A callback that lowers the learning rate to zero after a plateau, and then stops.

    An epoch of Keras is a round, and the rate stays the same within it, which every backend can do.
    The history gets the share of the highest rate ("rate") of each round, and whether the plateau
    was reached ("plateau"). The weights that are best on the held-out images are kept.

    Args:
        tolerance: the share of the loss by which a fall within `WINDOW` rounds still counts.
        most: the most rounds; the rate falls in the last half of them even without a plateau.
    """

    def __init__(self, tolerance: float, most: int):
        super().__init__()
        self.tolerance, self.most = tolerance, most
        self.losses: list[float] = []
        self.reached = False
        self.falling_from: int | None = None
        self.best: list[np.ndarray] = []

    def on_train_begin(self, logs=None):
        rate = self.model.optimizer.get_config()["learning_rate"]
        self.highest = rate if isinstance(rate, float) else None  # a caller's own schedule

    def on_epoch_begin(self, epoch, logs=None):
        if self.highest is not None:
            self.model.optimizer.learning_rate = self.highest * self._rate(epoch)
        self.params["epochs"] = self._expected(epoch)  # progress bars go by it

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(float(logs["val_loss"]))
        if self.losses[-1] == min(self.losses):
            self.best = self.model.get_weights()
        if self.falling_from is None:
            self.reached = is_plateau(self.losses, self.tolerance)
            if self.reached or epoch + 1 >= self.most / (1.0 + DECAY):
                self.falling_from = epoch + 1
        elif epoch + 1 >= self._expected(epoch):
            self.model.stop_training = True
        logs |= {"rate": self._rate(epoch), "plateau": float(self.reached)}

    def on_train_end(self, logs=None):
        if self.best:
            self.model.set_weights(self.best)

    def _rate(self, epoch: int) -> float:
        """Return the share of the highest rate in a round, from 0."""
        if self.highest is None:
            return 1.0
        if epoch < len(WARM_UP):
            return WARM_UP[epoch]
        if self.falling_from is None or epoch < self.falling_from:
            return 1.0
        count = self._expected(epoch) - self.falling_from
        return 0.5 * (1.0 + math.cos(math.pi * (epoch - self.falling_from + 0.5) / count))

    def _expected(self, epoch: int) -> int:
        """Return the rounds of the whole training, as far as they are known in this round."""
        start = self.falling_from
        if start is None:
            start = min(max(epoch + WINDOW, 2 * WINDOW), math.ceil(self.most / (1.0 + DECAY)))
        return start + math.ceil(DECAY * start)


def verdict(history: Mapping[str, Sequence[float]]) -> Verdict | None:
    """Return how well a decoder was trained, from its history; None without held-out images.

    Args:
        history: of each round the training "loss", the "val_loss" and, if the training was to end
            after one, whether a "plateau" was reached.

    Examples:
        >>> verdict({"loss": [40.0, 20.0, 12.0], "val_loss": [41.0, 24.0, 23.9], "plateau": [1.0]})
        'learned by heart'
    """
    validation = history.get("val_loss")
    if not validation:
        return None
    best = int(np.argmin(validation))
    if validation[best] > BY_HEART * history["loss"][best]:
        return "learned by heart"
    return "trained" if history["plateau"][-1] else "not trained enough"
