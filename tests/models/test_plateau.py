"""When a training ends: the rule of the plateau against a naive version, its rates, its verdict."""

import keras
import numpy as np
import pytest

from cladec.models import plateau
from cladec.models.plateau import DECAY, WARM_UP, WINDOW, is_plateau, verdict
from cladec.models.recipes import Recipe
from cladec.models.training import fit
from cladec.models.training_rows import Parts

RECIPE = Recipe(40, batch_size=10, learning_rate=0.1, least_images=0, least_steps=0, tolerance=0.05)
ROWS = Parts(np.arange(30), np.arange(30, 40))


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch):
    monkeypatch.setattr(plateau, "SHORTEST", 10)


def line() -> keras.Model:
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])


def trained(targets: np.ndarray, recipe: Recipe = RECIPE, **options) -> tuple[keras.Model, dict]:
    model = line()
    options = {"seed": 0, "loss": "mse", "parts": ROWS} | options
    return model, fit(model, np.ones((40, 1), np.float32), targets, recipe, **options)


def test_a_plateau_is_where_two_windows_hardly_differ():
    random = np.random.default_rng(0)
    losses = list(10 / np.arange(1, 40) ** 0.3 + random.normal(0, 0.1, 39))
    for end in range(40):
        seen = losses[:end]
        now = sum(seen[-3:]) / 3
        before = sum(seen[-6:-3]) / 3
        assert is_plateau(seen, 0.05) == (end >= 6 and now >= 0.95 * before)


def test_the_rate_rises_stays_and_falls_after_the_plateau():
    _, history = trained(np.full((40, 1), 0.5, np.float32))
    rates, reached = np.array(history["rate"]), np.array(history["plateau"])
    assert tuple(rates[: len(WARM_UP)]) == WARM_UP
    start = int(reached.argmax()) + 1
    assert is_plateau(history["val_loss"][:start], RECIPE.tolerance)
    assert not any(is_plateau(history["val_loss"][:end], RECIPE.tolerance) for end in range(start))
    assert (rates[len(WARM_UP) : start] == 1).all()
    falling = rates[start:]
    assert len(falling) == int(np.ceil(DECAY * start))
    assert (np.diff(falling) < 0).all()
    assert 0 < falling[-1] < 0.1
    assert reached[start - 1 :].all()
    assert not reached[: start - 1].any()


def test_without_a_plateau_the_rate_falls_before_the_last_epoch():
    recipe = Recipe(8, 10, 1e-4, least_images=0, least_steps=0, tolerance=1e-6)
    _, history = trained(np.full((40, 1), 5.0, np.float32), recipe)
    assert len(history["loss"]) == 8 * 3
    assert history["rate"][-1] < 0.1
    assert not any(history["plateau"])
    assert verdict(history) == "not trained enough"


def test_the_best_weights_are_kept():
    """Held-out rows of another rule: every step away from zero makes them worse."""
    targets = np.where(np.arange(40)[:, None] < 30, 1.0, -1.0).astype(np.float32)
    model, history = trained(targets)
    loss = float(np.mean((model.predict(np.ones((10, 1)), verbose=0) - targets[30:]) ** 2))
    assert loss == pytest.approx(min(history["val_loss"]), rel=1e-5)
    assert min(history["val_loss"]) == history["val_loss"][0]


def test_an_optimizer_keeps_its_rate_or_its_schedule():
    targets = np.full((40, 1), 0.5, np.float32)
    _, history = trained(targets, optimizer=keras.optimizers.SGD(0.05))
    assert history["val_loss"][-1] < 1e-3
    falling = keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.9)
    _, history = trained(targets, optimizer=keras.optimizers.SGD(falling))
    assert set(history["rate"]) == {1.0}


def test_progress_ends_at_one_and_never_goes_back():
    from cladec.models.training import ReportProgress

    shares = []
    report = ReportProgress(lambda share, values: shares.append(share))
    report.SECONDS = 0.0
    trained(np.full((40, 1), 0.5, np.float32), callbacks=[report])
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1.0
    assert shares[0] < 0.1


def test_the_history_of_exact_epochs_has_no_rounds():
    _, history = trained(np.zeros((40, 1), np.float32), RECIPE.with_changes(3, None), parts=None)
    assert set(history) == {"loss"}
    assert len(history["loss"]) == 3


@pytest.mark.parametrize(
    ("training", "validation", "reached", "expected"),
    [
        ([40, 20, 12], [41, 24, 23.9], 1, "learned by heart"),
        ([40, 30, 20], [41, 31, 21], 0, "not trained enough"),
        ([40, 20.1, 20], [41, 21.1, 21], 1, "trained"),
        ([40, 20, 18], [41, 21, 22], 1, "trained"),
    ],
)
def test_the_verdict_compares_training_and_validation(training, validation, reached, expected):
    history = {"loss": training, "val_loss": validation, "plateau": [0, 0, reached]}
    assert verdict(history) == expected
    assert verdict({"loss": training}) is None


def test_an_invalid_tolerance_is_refused():
    from cladec.errors import InputError

    for tolerance in (-0.1, 1.0, "much"):
        with pytest.raises(InputError, match="tolerance"):
            Recipe(2, 10, 0.1, tolerance=tolerance)
    assert WINDOW > 1
