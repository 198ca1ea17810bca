"""How every model of this package is trained: one `fit` for all."""

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
from cladec.models.batches import Batches, count_rows, for_fit
from cladec.models.precision import computing_in, keras_defaults
from cladec.models.recipes import Recipe
from cladec.progress import OnProgress


@keras.saving.register_keras_serializable(package="cladec")
class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to `peak` over the warm-up, then falls to zero along a half cosine.

    Keras's CosineDecay is the same curve but for rounding, a ten millionth, which 200 steps of a
    training make a tenth of its loss: models would no longer be those that were trained before.
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
"""What a model is trained by; None for Adam with the learning rate of the recipe."""


class StopAtNaN(keras.callbacks.Callback):
    """Raises as soon as the loss is no number, looking at it every few steps.

    The last step may break the weights after its loss was computed: they are looked at in the end.
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
    """Tells how far a training is and what its losses are, a few times a second."""

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
        self.report(share, {name: float(value) for name, value in (logs or {}).items()})


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
) -> dict[str, list[float]]:
    """Train `model` by `recipe` and return its history, a list per metric with a value per epoch.

    Args:
        model: what is trained; it is left compiled with an optimizer that begins anew.
        inputs: array or nest of arrays, (N, ...).
        targets: likewise.
        seed: of the order of the images.
        optimizer: of which a copy is taken, so that what it was used for before is forgotten.
        loss: for a model that has no `compute_loss` of its own.
        metrics: for `compile`.
        callbacks: for `fit`, a progress bar for instance.

    Raises:
        InputError: the loss became NaN or infinite, or an argument is not what is expected.
    """
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe is {recipe!r:.60}: expected Recipe(epochs, batch_size, ...)")
    rows = count_rows(inputs)
    epochs, batch_size = recipe.epochs_for(rows), recipe.batch_size_for(rows)
    batches = Batches((inputs, targets), batch_size, shuffle_seed=checks.whole("seed", seed, 0))
    schedule = WarmUpCosine(recipe.learning_rate, len(batches) * epochs, recipe.warm_up)
    # XLA makes TensorFlow slower on a processor, and JAX is nothing without it.
    compiled = keras.backend.backend() == "jax"
    options = {"loss": loss, "metrics": list(metrics), "jit_compile": compiled}
    everything = [StopAtNaN(), *_callbacks(callbacks)]
    model.compile(_new_optimizer(optimizer, schedule), **options)
    try:
        with computing_in(model, recipe.precision):
            history = model.fit(
                **for_fit(batches), epochs=epochs, verbose=0, shuffle=False, callbacks=everything
            )
    finally:
        # A schedule that has come to its end would train at a rate of zero.
        model.compile(_new_optimizer(optimizer, recipe.learning_rate), **options)
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def _new_optimizer(given: Optimizer, rate: Any) -> keras.optimizers.Optimizer:
    if given is None:
        # In a few passes a memory of 1,000 steps (0.999) lags behind: decoders end 7 % worse.
        return keras.optimizers.Adam(rate, beta_2=0.95, epsilon=1e-4)
    try:
        optimizer = keras.optimizers.get(given)
        return type(optimizer).from_config(optimizer.get_config())
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
    """Makes what Keras builds reproducible: what it draws, and its defaults; leaves no trace.

    Keras takes the seed of every initializer and of every Dropout that was given none from Python's
    `random`; the caller's state of it is put back.
    """
    state = random.getstate()
    random.seed(checks.whole("seed", seed, 0))
    try:
        with keras_defaults():
            yield
    finally:
        random.setstate(state)
