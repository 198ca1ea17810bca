"""This module splits arrays into batches and feeds them to models."""

import itertools
import logging
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from cladec.checks import at_least
from cladec.data.stored_rows import StoredRows, room
from cladec.models import memory
from cladec.progress import OnProgress

if TYPE_CHECKING:
    import tensorflow as tf

PREDICTION_BATCH = 500
"""The largest number of rows in one call of `predict`."""


class Batches:
    """Batches of nested arrays that share their first axis; only the current batch is copied.

    Arrays may be `StoredRows`, of which only the current batch is read.

    Each pass is an epoch. With a seed, the rows are shuffled reproducibly in every epoch and an
    incomplete last batch is left out; without one, every row comes once, in order.

    Args:
        arrays: an array, or tuples and dicts of arrays, each (N, ...).
        batch_size: the number of rows in a batch.
        shuffle_seed: the seed of the shuffling; None to keep the order.
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


def for_fit(batches: Batches, steps: int | None = None) -> dict[str, Any]:
    """Return the arguments that make `keras.Model.fit` use these batches on any backend.

    An epoch is a pass, or `steps` batches, after which the next epoch goes on.
    """
    if keras.backend.backend() != "tensorflow":
        epochs = itertools.repeat(batches)
        each = (batch for epoch in epochs for batch in epoch)
        return {"x": each, "steps_per_epoch": steps or len(batches)}
    if steps is None:
        return {"x": _dataset(batches)}
    return {"x": _dataset(batches, repeated=True), "steps_per_epoch": steps}


def _dataset(batches: Batches, *, repeated: bool = False) -> "tf.data.Dataset":
    """Return a TensorFlow dataset that prepares the batches ahead in a thread."""
    import tensorflow as tf

    # TensorFlow never frees a generator, so the generator must not hold the arrays.
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
    dataset = dataset.repeat() if repeated else dataset
    dataset = dataset.prefetch(2).with_options(options)
    dataset.batches = batches  # the dataset keeps the arrays while it is used
    return dataset


def count_rows(arrays: Any) -> int:
    """Return the length of the first axis that nested arrays share."""
    return len(keras.tree.flatten(arrays)[0])


@contextmanager
def _many_models() -> Iterator[None]:
    """Hide TensorFlow's warning of repeated tracing, which takes many models for one."""
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_no_retracing)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_retracing)


def _is_no_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


@_many_models()
def predict(
    model: keras.Model, inputs: Any, *, dtype: str = "float32", stored: str | None = None
) -> np.ndarray:
    """Return the outputs of `model` in inference mode as one array of type `dtype`.

    The inputs are an array or nested arrays; only one batch is held in memory beside the result.
    A result that is too large for the memory is in a file beside that of the inputs, see `room`,
    with numbers of the type `stored`; None for `dtype`.

    Raises:
        InputError: the result does not fit the disk.
    """
    count = count_rows(inputs)
    size = memory.images_per_call(model, most=PREDICTION_BATCH)
    result: Any = np.empty(0, dtype)
    for start in range(0, count, size):
        # The last batch is full as well, so that the model is traced for one shape only.
        first = max(0, min(start, count - size))
        rows = itemgetter(slice(first, first + size))
        answers = model.predict_on_batch(keras.tree.map_structure(rows, inputs))
        if start == 0:
            shape = (count, *answers.shape[1:])
            result = room(shape, stored or dtype, dtype, beside=_in_file(inputs))
        result[first : first + len(answers)] = answers
    return result


def _in_file(arrays: Any) -> StoredRows | None:
    """Return the first of nested arrays that is in a file, if there is one."""
    return next((each for each in keras.tree.flatten(arrays) if isinstance(each, StoredRows)), None)


def chosen_units(codes: Any, units: np.ndarray) -> np.ndarray:
    """Return `codes[..., units]`, in a file if that is too large for the memory."""
    if not isinstance(codes, StoredRows):
        return cast(np.ndarray, codes[..., units])
    shape = (*codes.shape[:-1], len(units))
    result: Any = room(shape, codes.stored, codes.dtype, beside=codes)
    for rows in batches(len(codes), PREDICTION_BATCH):
        result[rows] = codes[rows][..., units]
    return result


def batches(count: int, batch_size: int, report: OnProgress | None = None) -> Iterator[slice]:
    """Yield the rows of each batch in order and report the progress after each one.

    Raises:
        InputError: `batch_size` is below 1.
    """
    at_least(1, batch_size=batch_size)
    for start in range(0, count, batch_size):
        stop = min(start + batch_size, count)
        yield slice(start, stop)
        if report:
            report(stop / count, {})


def part_of(report: OnProgress | None, number: int, count: int) -> OnProgress | None:
    """Return a callback that reports the progress of part `number` (from 0) of `count` parts."""
    if report is None:
        return None
    return lambda share, values: report((number + share) / count, values)
