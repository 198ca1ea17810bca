"""Which rows train: mirrored ones of few photographs, never those that are held out."""

import keras
import numpy as np
import pytest

from cladec.models import training_rows
from cladec.models.plateau import verdict
from cladec.models.training_rows import Joined, Mirrored, Rows, held_out, parted

IMAGES = np.random.default_rng(0).random((10, 40, 36, 3)).astype(np.float32)


@pytest.mark.parametrize("rows", [3, 13, slice(7, 14), np.array([19, 0, 10])])
def test_mirrored_images_come_behind_the_others(rows):
    whole = np.concatenate([IMAGES, IMAGES[:, :, ::-1]])
    twice = Mirrored(IMAGES)
    assert (twice.shape, twice.dtype, len(twice)) == (whole.shape, whole.dtype, len(whole))
    np.testing.assert_array_equal(twice[rows], whole[rows])


@pytest.mark.parametrize("rows", [3, 13, slice(7, 14), slice(None, None, 3), np.array([14, 0, 10])])
def test_joined_arrays_are_one_array(rows):
    first, second = IMAGES, 2 * IMAGES[:5].astype(np.float16)
    whole, joined = np.concatenate([first, second]), Joined(first, second)
    assert (joined.shape, joined.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(joined[rows], whole[rows])


def test_only_few_photographs_are_mirrored(monkeypatch):
    assert isinstance(training_rows.mirrored_if_few(IMAGES), Mirrored)
    small = IMAGES[:, :32, :32]
    assert training_rows.mirrored_if_few(small) is small
    monkeypatch.setattr(training_rows, "FEW", 10)
    assert training_rows.mirrored_if_few(IMAGES) is IMAGES


def test_a_photograph_is_held_out_with_its_mirror_image():
    images = np.zeros((40, 33, 8, 1))
    chosen = held_out(Mirrored(images), 0)
    assert len(set(chosen)) == 8
    np.testing.assert_array_equal(chosen[:4] + 40, chosen[4:])
    assert not np.array_equal(chosen, held_out(Mirrored(images), 1))
    np.testing.assert_array_equal(held_out(images, 0), chosen[:4])
    assert held_out(images[:, :32], 0) is None
    assert held_out(images[:9], 0) is None


def test_parts_share_no_row_and_miss_none():
    arrays = {"codes": np.arange(20), "images": Rows(np.arange(20) * 2, np.arange(20))}
    kept, others = parted(arrays, np.array([3, 15]))
    assert others["codes"][:].tolist() == [3, 15]
    assert sorted([*kept["codes"][:], 3, 15]) == list(range(20))
    np.testing.assert_array_equal(kept["images"][:], 2 * kept["codes"][:])


@pytest.mark.parametrize(
    ("training", "validation", "expected"),
    [
        ([40, 20, 12], [41, 24, 23.9], "learned by heart"),
        ([40, 30, 20], [41, 31, 21], "not trained enough"),
        ([40, 20.1, 20], [41, 21.1, 21], "trained"),
        ([40, 20, 18], [41, 21, 22], "trained"),
        ([40], [41], "not trained enough"),
    ],
)
def test_the_verdict_compares_training_and_validation(training, validation, expected):
    assert verdict({"loss": training, "val_loss": validation}) == expected
    assert verdict({"loss": training}) is None


def test_the_best_weights_are_kept():
    """Validation rows of another rule: every step away from zero makes them worse."""
    from cladec.models.recipes import Recipe
    from cladec.models.training import fit

    x = np.ones((40, 1), np.float32)
    y = np.where(np.arange(40)[:, None] < 30, 1.0, -1.0).astype(np.float32)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    recipe = Recipe(epochs=12, batch_size=10, learning_rate=0.1, least_images=0, least_steps=0)
    history = fit(model, x, y, recipe, seed=0, loss="mse", held_out=np.arange(30, 40))
    assert len(history["val_loss"]) == 6  # the first pass was the best, and five more were worse
    loss = float(np.mean((model.predict(x[30:], verbose=0) - y[30:]) ** 2))
    assert loss == pytest.approx(min(history["val_loss"]), rel=1e-5)
