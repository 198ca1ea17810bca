"""When a decoder has learned enough: the best weights by held-out images, and a verdict."""

from collections.abc import Mapping, Sequence
from typing import Literal

import keras
import numpy as np

Verdict = Literal["trained", "not trained enough", "learned by heart"]

PATIENCE = 5
"""The passes without a better validation loss after which a training ends."""

STILL_FALLING = 0.02
"""A fall of the validation loss in the last pass by more than this share is no plateau."""

BY_HEART = 1.5
"""A validation loss of more than this many training losses is that of pictures known by heart."""


def keep_best() -> keras.callbacks.Callback:
    """Return a callback that stops at the plateau of the validation loss, with the best weights."""
    return keras.callbacks.EarlyStopping(
        "val_loss", mode="min", patience=PATIENCE, restore_best_weights=True
    )


def verdict(history: Mapping[str, Sequence[float]]) -> Verdict | None:
    """Return how well a decoder was trained, from its history; None without held-out images.

    Args:
        history: the training "loss" and the "val_loss" of each pass.

    Examples:
        >>> verdict({"loss": [40.0, 20.0, 12.0], "val_loss": [41.0, 24.0, 23.9]})
        'learned by heart'
    """
    validation = history.get("val_loss")
    if not validation:
        return None
    best = int(np.argmin(validation))
    if validation[best] > BY_HEART * history["loss"][best]:
        return "learned by heart"
    is_last = best == len(validation) - 1
    before = validation[best - 1] if best else np.inf
    if is_last and validation[best] < (1.0 - STILL_FALLING) * before:
        return "not trained enough"
    return "trained"
