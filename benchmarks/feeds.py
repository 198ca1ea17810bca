"""Ways to feed a training with pictures and codes that lie on the disk, beside that of the package.

Each takes the batches of a training and returns the arguments of `keras.Model.fit`, so that model,
step and rows stay the same. Two threads read ahead in each but in the package's own, which has one.
"""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import keras
import numpy as np

from cladec.models.batches import Batches, count_rows, for_fit

THREADS, AHEAD = 2, 2
"""The threads that read, and the batches that are ready before they are asked for."""


class Steps:
    """The batches of a training by their number, rows in a random order.

    Args:
        batches: the batches, of which every pass would have another order.
    """

    def __init__(self, batches: Batches):
        self.arrays, self.size, self.count = batches.arrays, batches.batch_size, len(batches)
        self.order = np.random.default_rng(0).permutation(count_rows(self.arrays))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, step: int) -> Any:
        rows = self.order[step * self.size : (step + 1) * self.size]
        return keras.tree.map_structure(itemgetter(rows), self.arrays)


class StepsOfKeras(keras.utils.PyDataset):
    """The same batches for the threads of Keras."""

    def __init__(self, steps: Steps):
        super().__init__(workers=THREADS, max_queue_size=AHEAD)
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Any:
        return self.steps[index]


def py_dataset(batches: Batches) -> dict[str, Any]:
    """`keras.utils.PyDataset`."""
    return {"x": StepsOfKeras(Steps(batches))}


def tf_data(batches: Batches) -> dict[str, Any]:
    """`tf.data.Dataset`, whose threads call Python for each batch."""
    import tensorflow as tf

    steps, flat = Steps(batches), keras.tree.flatten(batches.arrays)
    types = [tf.as_dtype(array.dtype) for array in flat]

    def read(number: Any) -> Any:
        parts = tf.numpy_function(lambda step: keras.tree.flatten(steps[step]), [number], types)
        for part, array in zip(parts, flat, strict=True):
            part.set_shape((None, *array.shape[1:]))
        return keras.tree.pack_sequence_as(batches.arrays, parts)

    numbers = tf.data.Dataset.range(len(steps))
    return {"x": numbers.map(read, num_parallel_calls=THREADS).prefetch(AHEAD)}


def grain_dataset(batches: Batches) -> dict[str, Any]:
    """`grain.MapDataset`; grain is no requirement of the project: pip install grain."""
    import grain

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    return {"x": grain.MapDataset.source(Steps(batches)).to_iter_dataset(options)}


FEEDS: Mapping[str, Callable[[Batches], dict[str, Any]]] = {
    "cladec": for_fit,
    "tf.data": tf_data,
    "PyDataset": py_dataset,
    "grain": grain_dataset,
}
"""Every way by its name."""
