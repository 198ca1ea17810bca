"""Arrays in, batches out: the one way in which this package feeds a model."""

import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

PREDICTION_BATCH = 500


def pipeline(arrays: Any, batch_size: int, *, shuffle_seed: int | None = None) -> tf.data.Dataset:
    """Batches of a nest of arrays that share their first axis; nothing is copied but the batches.

    Args:
        arrays: an array, or tuples and dicts of arrays, each (N, ...).
        batch_size: rows of a batch.
        shuffle_seed: shuffle anew in each epoch, reproducibly, and leave out the rows that do not
            fill a batch; without it the order is kept and every row comes once.
    """
    count = len(tf.nest.flatten(arrays)[0])
    training = shuffle_seed is not None
    stop = count - count % batch_size if training and count >= batch_size else count
    random = np.random.default_rng(shuffle_seed)
    source = _Source(arrays)
    # TensorFlow never forgets a generator: one that held the arrays would keep them for good.
    reference = weakref.ref(source)

    def epoch() -> Iterator[Any]:
        arrays = cast(_Source, reference()).arrays
        order = random.permutation(count) if training else np.arange(count)
        for start in range(0, stop, batch_size):
            rows = order[start : min(start + batch_size, stop)]
            yield tf.nest.map_structure(itemgetter(rows), arrays)

    signature = tf.nest.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), arrays
    )
    options = tf.data.Options()
    # The autotuner makes the end of every fit wait for its own sleeping thread, seconds at a time.
    options.autotune.enabled = False
    batches = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    batches = batches.apply(tf.data.experimental.assert_cardinality(math.ceil(stop / batch_size)))
    batches = batches.prefetch(2).with_options(options)
    batches.source = source
    return batches


@dataclass(frozen=True, eq=False)
class _Source:
    """The arrays of a pipeline, which it alone keeps alive."""

    arrays: Any


def predict(model: keras.Model, inputs: np.ndarray, *, dtype: str = "float32") -> np.ndarray:
    """What `model` answers, in inference mode, written into one array of type `dtype`.

    Only one batch at a time is held beside the result.
    """
    count = len(inputs)
    result = np.empty(0, dtype)
    for start in range(0, count, PREDICTION_BATCH):
        # The last batch is a full one too, so that the model is traced for one shape only.
        first = max(0, min(start, count - PREDICTION_BATCH))
        answers = model.predict_on_batch(inputs[first : first + PREDICTION_BATCH])
        if start == 0:
            result = np.empty((count, *answers.shape[1:]), dtype)
        result[first : first + len(answers)] = answers
    return result
