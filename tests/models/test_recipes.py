"""Alphas and recipes: what is accepted, how it is written, how long a training is."""

import re
from dataclasses import replace

import numpy as np
import pytest

from cladec.errors import InputError
from cladec.experiments.sweep import Sweep
from cladec.models.architectures import ARCHITECTURES
from cladec.models.kinds import KINDS
from cladec.models.recipes import (
    ALPHAS,
    CLADEC,
    CLASSIFIER,
    Recipe,
    alpha_text,
    check_alpha,
    check_fraction,
)

RECIPE = Recipe(epochs=4, batch_size=128, learning_rate=1e-3, least_images=20_000)


@pytest.mark.parametrize("alpha", [0, 1, 0.5, 1e-12, np.float32(0.25), *ALPHAS])
def test_fractions_are_alphas(alpha):
    checked = check_alpha(alpha)
    assert type(checked) is float
    assert checked == alpha


@pytest.mark.parametrize("text", ["0", "0.99", " 1e-3 "])
def test_a_number_written_as_text_is_read(text):
    assert check_alpha(text) == float(text)


@pytest.mark.parametrize(
    "alpha",
    [
        -1e-9,
        1.0000001,
        99,
        -1,
        float("nan"),
        float("inf"),
        -float("inf"),
        "x",
        "",
        "1\n2",
        None,
        [0.5],
    ],
)
def test_anything_else_is_an_input_error_of_one_line(alpha):
    with pytest.raises(InputError) as caught:
        check_alpha(alpha)
    message = str(caught.value)
    assert message.startswith("alpha is ")
    assert "[0, 1]" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("alpha", "text"),
    [
        (0.0, "0"),
        (0.01, "0.01"),
        (0.9999, "0.9999"),
        (1.0, "1"),
        (1e-6, "1e-06"),
        (0.1 + 0.2, "0.3"),
    ],
)
def test_alpha_text(alpha, text):
    assert alpha_text(alpha) == text


def test_alpha_texts_are_file_names_that_read_back():
    texts = [alpha_text(alpha) for alpha in ALPHAS]
    assert [float(text) for text in texts] == list(ALPHAS)
    assert len(set(texts)) == len(texts)
    assert all(re.fullmatch(r"[\w.-]+", text) for text in texts)


@pytest.mark.parametrize(
    ("rows", "epochs"),
    [(60_000, 4), (5_000, 4), (4_999, 5), (1_437, 14), (20_000, 4), (1, 20_000)],
)
def test_small_sets_are_passed_over_more_often(rows, epochs):
    assert RECIPE.epochs_for(rows) == epochs


@pytest.mark.parametrize(
    ("epochs", "batch_size", "expected"),
    [
        (None, None, RECIPE),
        (2, None, Recipe(2, 128, 1e-3, 0, 40)),
        (None, 32, Recipe(4, 32, 1e-3, 20_000, 0)),
        (1, 7, Recipe(1, 7, 1e-3, 0, 0)),
    ],
)
def test_with_changes(epochs, batch_size, expected):
    changed = RECIPE.with_changes(epochs, batch_size)
    assert changed == expected
    if epochs is not None:
        assert changed.epochs_for(10) == epochs


def test_there_is_a_recipe_for_each_kind_of_model():
    of_kinds = [
        recipe for kind in KINDS.values() for recipe in (kind.recipe, kind.reference_recipe)
    ]
    for recipe in (*of_kinds, *(row.recipe for row in ARCHITECTURES.values())):
        assert recipe.epochs >= 1
        assert recipe.batch_size >= 1
        assert 0 < recipe.learning_rate < 1
        assert 0 <= recipe.warm_up < 1


@pytest.mark.parametrize(
    ("rows", "least_steps", "expected"),
    [
        (60_000, 40, 128),
        (5_120, 40, 128),
        (1_437, 40, 35),
        (800, 40, 20),
        (96, 40, 16),
        (96, 0, 128),
    ],
)
def test_small_sets_are_cut_into_smaller_batches(rows, least_steps, expected):
    assert replace(RECIPE, least_steps=least_steps).batch_size_for(rows) == expected


def test_an_architecture_may_have_a_recipe_of_its_own():
    assert ARCHITECTURES["vgg"].recipe == ARCHITECTURES["diff_ae"].recipe == CLASSIFIER
    assert ARCHITECTURES["vgg11"].recipe != CLASSIFIER
    for architecture in ("vgg", "vgg11"):
        of_model = {run.model: run.recipe for run in Sweep(architecture=architecture).runs()}
        assert of_model["classifier"].epochs == ARCHITECTURES[architecture].recipe.epochs
        assert of_model["cladec"].epochs == KINDS["plain"].recipe.epochs


@pytest.mark.parametrize("fraction", [1, 0.1, 1e-9, "0.5", np.float32(0.25)])
def test_shares_of_a_layer_are_fractions_above_zero(fraction):
    assert check_fraction(fraction) == float(fraction)
    assert type(check_fraction(fraction)) is float


@pytest.mark.parametrize("fraction", [0, -0.5, 1.0001, 50, float("nan"), "half", None])
def test_no_other_shares_are_taken(fraction):
    with pytest.raises(InputError, match=r"fraction is .*: expected"):
        check_fraction(fraction)


def test_the_rate_falls_with_the_share_of_the_classification():
    rates = [CLADEC.for_alpha(alpha).learning_rate for alpha in (0.0, 0.5, 0.99, 1.0)]
    assert rates[0] == CLADEC.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert rates[1] > 0.9 * rates[0]
    assert rates[3] == pytest.approx(0.2 * rates[0])
    # Of the loss at alpha 0.99, 99 / 109 would be classification if the other loss were ten times.
    assert rates[2] == pytest.approx(rates[0] * (1 - 0.8 * 0.99 / (0.99 + 0.1)))
