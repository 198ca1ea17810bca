"""Arrays in, batches out: the one way in which this package feeds a model."""

import itertools
import math
import weakref
from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from cladec.checks import at_least
from cladec.progress import OnProgress

if TYPE_CHECKING:
    import tensorflow as tf

BATCH_SIZE = 64
"""Images of one model call where the caller names no other number."""

PREDICTION_BATCH = 500


class Batches:
    """Batches of a nest of arrays that share their first axis; nothing is copied but the batches.

    Each pass over it is an epoch. With a seed the rows are shuffled anew in every epoch,
    reproducibly, and those that do not fill a batch are left out; without one the order is kept and
    every row comes once.

    Args:
        arrays: an array, or tuples and dicts of arrays, each (N, ...).
        batch_size: rows of a batch.
        shuffle_seed: of the order of the rows.
    """

    def __init__(self, arrays: Any, batch_size: int, *, shuffle_seed: int | None = None):
        self.arrays = arrays
        self.batch_size = batch_size
        self._count = count_rows(arrays)
        self._random = None if shuffle_seed is None else np.random.default_rng(shuffle_seed)
        training = self._random is not None and self._count >= batch_size
        self._stop = self._count - self._count % batch_size if training else self._count

    def __len__(self) -> int:
        return math.ceil(self._stop / self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(self._count)
        if self._random is not None:
            order = self._random.permutation(self._count)
        for start in range(0, self._stop, self.batch_size):
            rows = order[start : min(start + self.batch_size, self._stop)]
            yield keras.tree.map_structure(itemgetter(rows), self.arrays)


def for_fit(batches: Batches) -> dict[str, Any]:
    """The arguments by which `keras.Model.fit` takes its batches from here, on any backend."""
    if keras.backend.backend() == "tensorflow":
        return {"x": _dataset(batches)}
    epochs = itertools.repeat(batches)
    return {"x": (batch for epoch in epochs for batch in epoch), "steps_per_epoch": len(batches)}


def _dataset(batches: Batches) -> "tf.data.Dataset":
    """The batches made ahead by a thread of TensorFlow."""
    import tensorflow as tf

    # TensorFlow never forgets a generator: one that held the arrays would keep them for good.
    reference = weakref.ref(batches)
    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), batches.arrays
    )
    options = tf.data.Options()
    # The autotuner makes the end of every fit wait for its own sleeping thread, seconds at a time.
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(cast(Batches, reference())), output_signature=signature
    )
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    dataset = dataset.prefetch(2).with_options(options)
    dataset.batches = batches  # and the dataset, while it is used, keeps them
    return dataset


def count_rows(arrays: Any) -> int:
    """The length of the first axis that a nest of arrays shares."""
    return len(keras.tree.flatten(arrays)[0])


def predict(model: keras.Model, inputs: Any, *, dtype: str = "float32") -> np.ndarray:
    """What `model` answers to an array or a nest of arrays, in inference mode, as one array.

    Only one batch at a time is held beside the result, which is of type `dtype`.
    """
    count = count_rows(inputs)
    result = np.empty(0, dtype)
    for start in range(0, count, PREDICTION_BATCH):
        # The last batch is a full one too, so that the model is traced for one shape only.
        first = max(0, min(start, count - PREDICTION_BATCH))
        rows = itemgetter(slice(first, first + PREDICTION_BATCH))
        answers = model.predict_on_batch(keras.tree.map_structure(rows, inputs))
        if start == 0:
            result = np.empty((count, *answers.shape[1:]), dtype)
        result[first : first + len(answers)] = answers
    return result


def batches(count: int, batch_size: int, report: OnProgress | None = None) -> Iterator[slice]:
    """The rows of each batch of `count` things, in order; `report` hears of each one done.

    Raises:
        InputError: a batch is to hold less than one.
    """
    at_least(1, batch_size=batch_size)
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        yield slice(start, stop)
        if report:
            report(stop / count, {})


def part_of(report: OnProgress | None, number: int, count: int) -> OnProgress | None:
    """What tells `report` how far the part `number`, from 0, of `count` equal parts is."""
    if report is None:
        return None
    return lambda share, values: report((number + share) / count, values)
