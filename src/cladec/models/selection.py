"""A Keras layer that selects some units of another layer."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from cladec import checks
from cladec.errors import InputError

Units = Sequence[int] | np.ndarray | None
"""The indices of the units to keep, on the last axis of a layer's codes; None for all."""


@keras.saving.register_keras_serializable(package="cladec")
class Select(keras.layers.Layer):
    """Select units (channels) on one axis, by default the last: (..., K) -> (..., len(units)).

    Args:
        units: the indices, in the order of the output.
        axis: the axis, counted with that of the batch.

    Raises:
        InputError: there are none, or one is not a whole number, repeated or out of range.
    """

    def __init__(self, units: Sequence[int] | np.ndarray, *, axis: int = -1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.units = list(checks.wholes("units", units))
        if not self.units or len(set(self.units)) < len(self.units):
            raise InputError(f"units {self.units}: expected one index or more, each once")

    def build(self, input_shape):
        wrong = [unit for unit in self.units if not 0 <= unit < input_shape[self.axis]]
        if wrong:
            raise InputError(
                f"unit {wrong[0]} is out of range: expected 0 to {input_shape[self.axis] - 1}"
            )

    def call(self, inputs):
        return ops.take(inputs, self.units, axis=self.axis)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[self.axis] = len(self.units)
        return tuple(shape)

    def get_config(self):
        return super().get_config() | {"units": self.units, "axis": self.axis}
