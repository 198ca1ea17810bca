"""The `fit` function that trains every model of this package."""

import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from cladec import checks
from cladec.errors import InputError
from cladec.models import memory
from cladec.models.batches import Batches, count_rows, for_fit
from cladec.models.muon import Muon
from cladec.models.plateau import Plateau, images_a_round
from cladec.models.precision import computing_in, keras_defaults
from cladec.models.recipes import Recipe
from cladec.models.training_rows import Parts, of_rows
from cladec.progress import OnProgress


@keras.saving.register_keras_serializable(package="cladec")
class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly to `peak` in the warm-up, then falls to zero as a half cosine.

    Keras's CosineDecay differs by rounding, a ten millionth, which grows in 200 steps to a tenth of
    the loss: models would differ from those trained before.
    """

    def __init__(self, peak: float, steps: int, warm_up: float):
        self.peak, self.steps, self.warm_up = peak, steps, warm_up

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0
        rising = max(1.0, self.warm_up * self.steps)
        falling = (step - rising) / max(1.0, self.steps - rising)
        cosine = 0.5 * (1.0 + ops.cos(math.pi * ops.clip(falling, 0.0, 1.0)))
        return self.peak * ops.where(step < rising, step / rising, cosine)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps, "warm_up": self.warm_up}


Optimizer: TypeAlias = keras.optimizers.Optimizer | str | None
"""The optimizer of a training; None for `Muon` with the learning rate of the recipe."""


class StopAtNaN(keras.callbacks.Callback):
    """A callback that raises InputError if the loss is NaN or infinite; it checks every few steps.

    The last step may break the weights after its loss is computed, so they are checked at the end.
    """

    EVERY = 20

    def on_train_batch_end(self, batch, logs=None):
        if batch % self.EVERY == 0:
            self._check(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)

    def on_train_end(self, logs=None):
        if not all(np.isfinite(weights).all() for weights in self.model.get_weights()):
            self._refuse("a weight")

    def _check(self, logs) -> None:
        if not np.isfinite(float((logs or {}).get("loss", 0.0))):
            self._refuse("the loss")

    def _refuse(self, what: str) -> None:
        raise InputError(
            f"{what} of {self.model.name!r} became NaN or infinite: look at the images, or lower "
            "the learning rate"
        )


class ReportProgress(keras.callbacks.Callback):
    """A callback that reports progress and losses a few times per second."""

    SECONDS = 0.25

    def __init__(self, report: OnProgress):
        super().__init__()
        self.report = report
        self.epoch = 0
        self.told = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self.told < self.SECONDS:
            return
        self.told = time.monotonic()
        done = self.epoch + (batch + 1) / self.params["steps"]
        self._tell(done / self.params["epochs"], logs)

    def on_train_end(self, logs=None):
        self._tell(1.0, logs)

    def _tell(self, share: float, logs) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if "accuracy" in values:  # of the images that the model learns from
            values["training_accuracy"] = values.pop("accuracy")
        self.report(share, values)


@keras_defaults()
def fit(
    model: keras.Model,
    inputs: Any,
    targets: Any,
    recipe: Recipe,
    *,
    seed: int,
    optimizer: Optimizer = None,
    loss: Any = None,
    metrics: Sequence[Any] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    parts: Parts | None = None,
) -> dict[str, list[float]]:
    """Train `model` by `recipe` and return its history, a list per metric with a value per epoch.

    Args:
        model: the model to train; it is left compiled with a new optimizer.
        inputs: an array or nested arrays, (N, ...).
        targets: an array or nested arrays, (N, ...).
        recipe: the settings of the training. A batch that does not fit into the memory goes through
            the model in parts, whose gradients are averaged.
        seed: the seed of the order of the images.
        optimizer: the optimizer, which is copied without its state.
        loss: the loss of a model without its own `compute_loss`.
        metrics: the metrics for `compile`.
        callbacks: the Keras callbacks, for example a progress bar.
        parts: the rows to train on until a plateau, and those to measure, see `plateau.Plateau`;
            an epoch of the history is then a round. None to train on all, for the recipe's epochs.

    Raises:
        InputError: the loss became NaN or infinite, or an argument is invalid.
    """
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe is {recipe!r:.60}: expected Recipe(epochs, batch_size, ...)")
    arrays, everything = (inputs, targets), [StopAtNaN(), *_callbacks(callbacks)]
    if parts is not None:
        arrays, others = (of_rows(arrays, rows) for rows in parts)
    rows = count_rows(arrays)
    epochs, batch_size = recipe.epochs_for(rows), recipe.batch_size_for(rows)
    images = memory.images_per_step(model, batch_size)
    portions = math.ceil(batch_size / images)
    batches = Batches(arrays, images, shuffle_seed=checks.whole("seed", seed, 0))
    rate: Any = recipe.learning_rate
    if parts is None:
        given = for_fit(batches)
        rate = WarmUpCosine(rate, len(batches) * epochs, recipe.warm_up)
    else:
        steps = max(1, images_a_round(rows) // images)
        epochs = math.ceil(len(batches) * epochs / steps)
        given = for_fit(batches, steps) | _for_validation(Batches(others, images))
        everything.insert(0, Plateau(recipe.tolerance, epochs))
    # XLA makes TensorFlow slower on a CPU, but JAX needs it.
    compiled = keras.backend.backend() == "jax"
    options = {"loss": loss, "metrics": list(metrics), "jit_compile": compiled}
    model.compile(_new_optimizer(optimizer, rate, portions), **options)
    try:
        with computing_in(model, recipe.precision):
            history = model.fit(
                **given, epochs=epochs, verbose=0, shuffle=False, callbacks=everything
            )
    finally:
        # A finished schedule would train at a rate of zero.
        model.compile(_new_optimizer(optimizer, recipe.learning_rate), **options)
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def _for_validation(batches: Batches) -> dict[str, Any]:
    """Return the arguments that make `keras.Model.fit` measure these batches after each pass."""
    given = for_fit(batches)
    return {"validation_data": given["x"], "validation_steps": given.get("steps_per_epoch")}


def _new_optimizer(given: Optimizer, rate: Any, portions: int = 1) -> keras.optimizers.Optimizer:
    """Return an optimizer that takes a step after the gradients of every `portions` batches."""
    summed = {"gradient_accumulation_steps": portions} if portions > 1 else {}
    if given is None:
        return Muon(rate, **summed)
    try:
        optimizer = keras.optimizers.get(given)
        return type(optimizer).from_config(optimizer.get_config() | summed)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"optimizer is {given!r:.60}: expected an optimizer of Keras, such as "
            "keras.optimizers.SGD(0.01), or its name, such as 'sgd'"
        ) from None


def _callbacks(callbacks: Any) -> Sequence[keras.callbacks.Callback]:
    given = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else callbacks
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    if not listed or not all(isinstance(each, keras.callbacks.Callback) for each in given):
        raise InputError(f"callbacks is {callbacks!r:.60}: expected a list of Keras callbacks")
    return given


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make what Keras builds reproducible: its random draws and its defaults.

    Keras draws the missing seeds of initializers and Dropout from Python's `random`, whose state is
    restored at the end.
    """
    state = random.getstate()
    random.seed(checks.whole("seed", seed, 0))
    try:
        with keras_defaults():
            yield
    finally:
        random.setstate(state)
