"""Decoders of photographs, trained: on varied copies, to a plateau, by a recipe of their own."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from cladec.data.dataset import Dataset, Split
from cladec.errors import InputError
from cladec.models.cladec import compute_codes, fit_cladec
from cladec.models.photographs import Standardised
from cladec.models.plateau import verdict
from cladec.models.recipes import CLADEC, PHOTOGRAPH_RATE, REFAE, Recipe
from cladec.models.refae import fit_refae
from cladec.models.training_rows import varied_if_few

QUICK = Recipe(epochs=2, batch_size=16, learning_rate=2e-3, least_images=0, least_steps=0)


@pytest.fixture(scope="module")
def photographs() -> Dataset:
    random = np.random.default_rng(0)
    images = random.random((40, 5, 5, 3), np.float32).repeat(8, 1).repeat(8, 2)
    labels = np.arange(40) % 4
    parts = Split(images, labels), Split(images[:4], labels[:4])
    return Dataset("squares", *parts, class_names=tuple("abcd"))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((40, 40, 3)),
            layers.Conv2D(6, 8, 8, activation="relu", name="patches"),
            layers.Flatten(),
            layers.Dense(4, name="logits"),
            layers.Softmax(),
        ]
    )


def test_codes_given_or_computed_train_the_same_decoder(network, photographs):
    codes = compute_codes(network, "patches", photographs.train.images)
    options = {"alpha": 0.5, "recipe": QUICK}
    first = fit_cladec(network, "patches", photographs, **options)
    second = fit_cladec(network, "patches", photographs, codes=codes, **options)
    for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_decoder_is_adapted_to_the_codes_and_they_stay_standardised(network, photographs):
    model = fit_cladec(network, "patches", photographs, alpha=0.0, recipe=QUICK)
    layer = next(layer for layer in model.decoder.layers if isinstance(layer, Standardised))
    varied = varied_if_few(photographs.train.images)[:]
    codes = compute_codes(network, "patches", varied).astype(np.float32).reshape(-1, 6)
    np.testing.assert_allclose(layer.mean.numpy(), codes.mean(0), rtol=0.01)


def test_codes_may_come_with_those_of_the_copies(network, photographs):
    varied = varied_if_few(photographs.train.images)[:]
    codes = compute_codes(network, "patches", varied)
    options = {"alpha": 0.5, "recipe": QUICK}
    first = fit_cladec(network, "patches", photographs, **options)
    second = fit_cladec(network, "patches", photographs, codes=codes, **options)
    for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    with pytest.raises(InputError, match="expected those of the"):
        fit_cladec(network, "patches", photographs, codes=codes[:-1], **options)


def test_refae_and_cladec_are_held_to_the_same_rule(network, photographs):
    recipe = replace(QUICK, tolerance=0.05)
    refae = fit_refae(network, "patches", photographs, recipe=recipe)
    cladec = fit_cladec(network, "patches", photographs, alpha=0.0, recipe=recipe)
    for model in (refae, cladec):
        history = model.history.history
        assert len(history["val_loss"]) == len(history["loss"]) == len(history["plateau"])
        assert verdict(history) in ("trained", "not trained enough", "learned by heart")
    assert REFAE == CLADEC


def test_exact_epochs_train_on_all(network, photographs):
    history = fit_refae(network, "patches", photographs, recipe=QUICK).history.history
    assert "val_loss" not in history
    assert len(history["loss"]) == 2


def test_photographs_are_seen_more_often_and_at_a_lower_rate_unless_told():
    recipe = CLADEC.for_images((96, 96, 3))
    assert recipe.epochs_for(30_000) == CLADEC.epochs
    assert recipe.epochs_for(1_500) == 50
    assert recipe.learning_rate == PHOTOGRAPH_RATE
    assert CLADEC.for_images((192, 192, 3)).epochs_for(500) == 38
    assert CLADEC.for_images((32, 32, 3)) is CLADEC
    assert CLADEC.with_changes(3, None).for_images((96, 96, 3)).epochs_for(5_000) == 3
    assert CLADEC.with_changes(None, 8).for_images((96, 96, 3)).batch_size_for(5_000) == 8
    assert QUICK.for_images((96, 96, 3)) == QUICK
