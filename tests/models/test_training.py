"""Training: the schedule, the batches, the order of the images, and what is reported."""

import json
import math
import random
import weakref
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cladec.errors import InputError
from cladec.models import training
from cladec.models.batches import PREDICTION_BATCH, Batches, predict
from cladec.models.recipes import Recipe
from cladec.models.training import ReportProgress, StopAtNaN, WarmUpCosine, fit, seeded


def naive_rate(step: int, peak: float, steps: int, warm_up: float) -> float:
    """Steps counted from 1: a line up to the peak, then half a cosine down to zero."""
    rising = max(1.0, warm_up * steps)
    if step < rising:
        return peak * step / rising
    if step == rising == steps:
        return peak
    return peak * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


@pytest.mark.parametrize(("steps", "warm_up"), [(10, 0.2), (100, 0.2), (100, 0.0), (7, 0.5)])
def test_learning_rate_rises_and_falls(steps, warm_up):
    schedule = WarmUpCosine(4e-3, steps, warm_up)
    rates = [float(schedule(step)) for step in range(steps)]
    naive = [naive_rate(step, 4e-3, steps, warm_up) for step in range(1, steps + 1)]
    np.testing.assert_allclose(rates, naive, rtol=1e-4, atol=1e-9)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert max(rates) <= 4e-3 * (1 + 1e-6)


def test_peak_end_and_beyond():
    schedule = WarmUpCosine(1.0, 10, 0.2)
    assert [float(schedule(step)) for step in (0, 1)] == pytest.approx([0.5, 1.0])
    assert [float(schedule(step)) for step in (9, 10, 99)] == pytest.approx([0, 0, 0], abs=1e-6)
    assert float(WarmUpCosine(1.0, 1, 0.2)(0)) == 1.0


def test_schedule_can_be_saved():
    config = json.loads(json.dumps(WarmUpCosine(1.0, 10, 0.2).get_config()))
    assert float(WarmUpCosine.from_config(config)(4)) == float(WarmUpCosine(1.0, 10, 0.2)(4))


def order(batches) -> list[int]:
    return [int(row) for batch in batches for row in batch]


@pytest.mark.parametrize(
    ("rows", "batch", "sizes"), [(10, 4, [4, 4, 2]), (3, 8, [3]), (8, 4, [4, 4])]
)
def test_without_shuffling_every_row_comes_once_in_order(rows, batch, sizes):
    batches = Batches(np.arange(rows), batch)
    assert [len(part) for part in batches] == sizes
    assert len(batches) == len(sizes)
    assert order(batches) == order(batches) == list(range(rows))


@pytest.mark.parametrize(("rows", "batch", "sizes"), [(10, 4, [4, 4]), (3, 8, [3]), (8, 4, [4, 4])])
def test_batches_of_a_training_are_full(rows, batch, sizes):
    batches = Batches(np.arange(rows), batch, shuffle_seed=0)
    assert [len(part) for part in batches] == sizes
    assert len(set(order(batches))) == sum(sizes)


def test_order_differs_by_seed_and_epoch_and_is_reproducible():
    def epochs(seed):
        batches = Batches(np.arange(60), 6, shuffle_seed=seed)
        return order(batches), order(batches)

    first, second = epochs(1)
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != list(range(60))
    assert first != second
    assert epochs(1) == (first, second)
    assert not {tuple(first), tuple(second)} & set(map(tuple, epochs(2)))


def test_rows_of_a_nest_stay_together():
    rows = np.arange(20)
    nest = {"codes": rows[:, None] * 10}, {"labels": rows, "images": rows[:, None, None] + 0.5}
    for inputs, targets in Batches(nest, 6, shuffle_seed=0):
        np.testing.assert_array_equal(inputs["codes"][:, 0], targets["labels"] * 10)
        np.testing.assert_array_equal(targets["images"][:, 0, 0], targets["labels"] + 0.5)


@pytest.fixture(scope="module")
def noisy():
    """A model that would answer at random in training mode."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(4)(inputs))
    return keras.Model(inputs, hidden, name="noisy")


@pytest.mark.parametrize("rows", [1, 7, PREDICTION_BATCH, PREDICTION_BATCH + 3])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_predict_is_the_call_in_inference_mode(noisy, rows, dtype):
    inputs = np.random.default_rng(0).random((rows, 3), dtype=np.float32)
    answers = predict(noisy, inputs, dtype=dtype)
    assert answers.dtype == dtype
    np.testing.assert_allclose(
        answers,
        noisy(inputs, training=False),
        rtol=1e-6 if dtype == "float32" else 2e-3,
        atol=1e-3 * (dtype == "float16"),
    )


def test_seeded_gives_the_same_numbers_and_puts_the_state_back():
    random.seed(7)
    state = random.getstate()
    draws = []
    for _ in range(2):
        with seeded(3):
            draws.append([random.random(), keras.layers.Dense(2, name="d").kernel_initializer.seed])
    assert draws[0] == draws[1]
    assert random.getstate() == state
    with pytest.raises(KeyError), seeded(3):
        raise KeyError
    assert random.getstate() == state


def test_progress_rises_to_one(monkeypatch):
    now = iter(np.arange(0, 100, 0.2))
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(now)))
    told = []
    callback = ReportProgress(lambda share, values: told.append((share, values)))
    callback.set_params({"epochs": 2, "steps": 5})
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for batch in range(5):
            callback.on_train_batch_end(batch, {"loss": np.float32(1.0 - batch / 10)})
    callback.on_train_end({"loss": np.float32(0.25), "accuracy": np.float32(0.5)})
    shares = [share for share, _ in told]
    assert shares == sorted(set(shares))
    assert len(shares) > 3
    assert all(0 < share <= 1 for share in shares)
    assert told[-1] == (1.0, {"loss": 0.25, "training_accuracy": 0.5})
    assert all(type(values["loss"]) is float for _, values in told)


def regression(rows: int = 24):
    inputs = np.random.default_rng(0).random((rows, 3), dtype=np.float32)
    with seeded(0):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name="line")
    return model, inputs, inputs.sum(axis=1, keepdims=True)


def test_fit_learns_reports_and_leaves_an_optimizer_that_begins_anew():
    model, inputs, targets = regression()
    shares = []
    report = ReportProgress(lambda share, values: shares.append(share))
    recipe = Recipe(epochs=3, batch_size=8, learning_rate=0.1, least_images=0, least_steps=0)
    history = fit(
        model, inputs, targets, recipe, seed=0, loss="mse", metrics=["mae"], callbacks=[report]
    )
    assert set(history) == {"loss", "mae"}
    assert [len(values) for values in history.values()] == [3, 3]
    assert history["loss"][-1] < history["loss"][0]
    assert all(type(value) is float for value in history["loss"])
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert not model.optimizer.built
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert set(model.evaluate(inputs, targets, verbose=0, return_dict=True)) == {"loss", "mae"}


def test_fit_passes_over_few_images_until_enough_were_seen():
    model, inputs, targets = regression(8)
    recipe = Recipe(epochs=1, batch_size=4, learning_rate=0.1, least_images=20, least_steps=0)
    assert len(fit(model, inputs, targets, recipe, seed=0, loss="mse")["loss"]) == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_training(value):
    model, inputs, targets = regression()
    inputs[3] = value
    recipe = Recipe(epochs=50, batch_size=8, learning_rate=0.1, least_images=0, least_steps=0)
    with pytest.raises(InputError, match=r"^the loss of 'line' became NaN or infinite: [^\n]*$"):
        fit(model, inputs, targets, recipe, seed=0, loss="mse")


@pytest.mark.parametrize("logs", [None, {}, {"loss": 1.0}])
def test_a_loss_that_is_a_number_does_not(logs):
    StopAtNaN().on_train_batch_end(0, logs)


class Traced(np.ndarray):
    """An array that can be referred to weakly."""


def test_the_arrays_are_given_back_after_a_training():
    inputs = np.ones((40, 3), np.float32).view(Traced)
    gone = weakref.ref(inputs)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    fit(model, inputs, np.ones((40, 1)), Recipe(1, 8, 1e-3, 0, 0), seed=0, loss="mse")
    assert gone() is not None
    del inputs
    assert gone() is None
