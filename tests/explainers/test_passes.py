"""Merging batch normalisations changes no answer, and bfloat16 changes them by its rounding."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

import cladec
from cladec.errors import InputError
from cladec.explainers import passes
from cladec.explainers.scores import LogitsModel
from cladec.models.folding import folded

SHAPE = (12, 12, 3)


def network() -> keras.Model:
    """Convolutions of every kind with batch normalisation behind, one of them used twice."""
    images = keras.Input(SHAPE)
    hidden = layers.Conv2D(8, 3, use_bias=False)(images)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.BatchNormalization(scale=False)(layers.DepthwiseConv2D(3)(hidden))
    hidden = layers.BatchNormalization(center=False)(layers.SeparableConv2D(6, 3)(hidden))
    both = layers.Conv2D(6, 1)(hidden)
    hidden = layers.Add()([both, layers.BatchNormalization()(both)])
    hidden = layers.BatchNormalization()(layers.Conv2D(4, 1, activation="relu")(hidden))
    return zoo.randomised(keras.Model(images, zoo.scored(hidden)))


def normalisations(model: keras.Model) -> int:
    return sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)


def test_a_folded_model_answers_the_same_with_fewer_layers():
    logits, images = LogitsModel(network()), zoo.images(5, SHAPE)
    model = folded(logits.model)
    # Behind an activation a normalisation has no convolution to be merged into.
    assert (normalisations(logits.model), normalisations(model)) == (5, 1)
    np.testing.assert_allclose(model(images), logits.model(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["occlusion", "rise", "lime", "kernel_shap", "sobol", "hsic"])
def test_maps_of_much_work_are_those_of_little(method, monkeypatch):
    options = {"rise": {"masks": 40}, "lime": {"samples": 40, "segments": 6}}
    options |= {"kernel_shap": {"samples": 20, "segments": 6}, "sobol": {"designs": 4}}
    options |= {"hsic": {"masks": 40}, "occlusion": {}}
    model, images = network(), zoo.images(2, SHAPE)
    exact = {"method": method, "precision": "float32", **options[method]}
    expected = cladec.explain(model, images, **exact)
    monkeypatch.setattr(passes, "MUCH_WORK", 0)
    found = cladec.explain(model, images, **exact)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


def test_bfloat16_is_near():
    model, images = network(), zoo.images(2, SHAPE)
    exact, near = (
        cladec.explain(model, images, method="rise", masks=200, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert np.abs(near - exact).max() < 0.1 * exact.max()


@pytest.mark.parametrize("precision", ["half", 16])
def test_no_other_precision_is_known(precision):
    with pytest.raises(InputError, match="precision is"):
        passes.choose(precision, 1, 1)


def test_much_work_is_folded_whatever_the_processor():
    assert passes.choose("float32", 2**30, 100) == "folded"
    assert passes.choose("auto", 2**30, 100) in ("folded", "bfloat16")
    assert passes.choose("auto", 1, 100) == "plain"


@pytest.mark.parametrize("precision", ["half", "bfloat16"])
def test_a_function_computes_as_it_likes(precision):
    with pytest.raises(InputError, match="precision is"):
        cladec.explain(
            lambda images: np.ones((len(images), 3)) / 3,
            zoo.images(1),
            method="rise",
            precision=precision,
        )
