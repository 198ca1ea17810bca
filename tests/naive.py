"""Models whose explanations are known, and plain arithmetic to compare with."""

from itertools import combinations
from math import comb

import keras
import numpy as np
from keras import layers


def linear(shape: tuple[int, int, int] = (4, 4, 3), classes: int = 3) -> keras.Model:
    """A classifier whose logits are linear in the pixels."""
    inputs = keras.Input(shape)
    logits = layers.Dense(classes, name="logits")(layers.Flatten()(inputs))
    return drawn(keras.Model(inputs, layers.Softmax()(logits)))


def drawn(model: keras.Model, seed: int = 0) -> keras.Model:
    """The same model with all weights drawn from a standard normal distribution."""
    generator = np.random.default_rng(seed)
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def weight_of(model: keras.Model, target: int) -> np.ndarray:
    """The gradient of a logit of a `linear` model, (H, W, C)."""
    return model.get_weights()[0][:, target].reshape(model.input_shape[1:])


def enlarged(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """A grid (h, w) of cells, interpolated linearly between the centres of its cells."""
    rows = [np.interp(centres(height, len(grid)), range(len(grid)), column) for column in grid.T]
    columns = centres(width, grid.shape[1])
    return np.array([np.interp(columns, range(grid.shape[1]), row) for row in np.array(rows).T])


def centres(pixels: int, cells: int) -> np.ndarray:
    """Where the centres of pixels lie on an axis that has the centres of cells at 0, 1, ..."""
    return (np.arange(pixels) + 0.5) * cells / pixels - 0.5


def shapley_values(value, players):
    """The mean of what a player adds to `value(coalition)` over all orders of the players."""
    found = np.zeros(players)
    for player in range(players):
        others = [other for other in range(players) if other != player]
        for size in range(players):
            for coalition in combinations(others, size):
                gain = value({*coalition, player}) - value(set(coalition))
                found[player] += gain / (players * comb(players - 1, size))
    return found
