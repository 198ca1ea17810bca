"""Codes of several layers from one pass: the same as those of each layer alone."""

import keras
import numpy as np
import pytest

import cladec
from cladec.errors import InputError
from cladec.models import layer_codes
from cladec.models.layer_codes import each_codes

NAMES = ["conv", "pooled", "dense", "logits"]


@pytest.mark.parametrize("together", [1, 10_000, 2**31])
def test_they_are_those_of_each_layer_alone_however_many_passes(
    classifier, tiny, monkeypatch, together
):
    monkeypatch.setattr(layer_codes, "TOGETHER", together)
    images = tiny.test.images
    found = dict(each_codes(classifier, NAMES, images))
    assert list(found) == NAMES
    for layer, codes in found.items():
        expected = cladec.compute_codes(classifier, layer, images)
        assert codes.dtype == expected.dtype == np.float16
        np.testing.assert_allclose(codes, expected, rtol=2e-3, atol=1e-3)


def test_as_few_passes_as_the_memory_allows(classifier, tiny, monkeypatch):
    passes = []
    one_pass = layer_codes._one_pass
    monkeypatch.setattr(
        layer_codes,
        "_one_pass",
        lambda flat, *given: passes.append(given[0]) or one_pass(flat, *given),
    )
    list(each_codes(classifier, NAMES, tiny.test.images))
    assert passes == [NAMES]
    passes.clear()
    of_conv = 2 * len(tiny.test.images) * 8 * 8 * 8
    monkeypatch.setattr(layer_codes, "TOGETHER", of_conv)
    list(each_codes(classifier, NAMES, tiny.test.images))
    assert passes == [["conv"], ["pooled", "dense", "logits"]]


def test_numbers_beyond_half_precision_are_kept_in_single():
    images = keras.Input((4, 4, 1))
    large = keras.layers.Rescaling(1e6, name="large")(images)
    small = keras.layers.Rescaling(2.0, name="small")(large)
    scores = keras.layers.Dense(2)(keras.layers.Flatten()(small))
    pictures = np.ones((3, 4, 4, 1), np.float32)
    model = keras.Model(images, scores)
    found = dict(each_codes(model, ["large"], pictures))
    assert found["large"].dtype == np.float32
    assert (found["large"] == 1e6).all()


def test_a_layer_that_is_not_there_is_named(classifier, tiny):
    with pytest.raises(InputError, match="no layer 'convolution'"):
        list(each_codes(classifier, ["convolution"], tiny.test.images))
