"""Nearest codes of another answer: what is found, how near it is, and what is shown of it."""

import keras
import numpy as np
import pytest

import cladec
from cladec.errors import InputError
from cladec.experiments import layer_edits
from cladec.experiments.counterfactuals import _Search, _variation


@pytest.fixture(scope="module")
def layer(classifier, tiny):
    names = tuple(f"digit {digit}" for digit in range(10))
    return cladec.explain_layer(classifier, "dense", tiny, epochs=40, class_names=names)


@pytest.fixture(scope="module")
def found(layer, tiny):
    return cladec.counterfactual(layer, tiny.test.images[:6], to="digit 3", steps=80, likeness=0)


def test_the_rest_of_the_network_is_as_sure_of_the_codes_as_asked(found, layer, tiny):
    assert found.found.all()
    images = tiny.test.images[:6]
    logits = layer.rest_of_network.predict([images, found.codes], verbose=0)
    others = np.delete(logits, 3, axis=1).max(axis=1)
    assert (logits[:, 3] - others >= np.log(9) - 1e-3).all()
    assert (found.probabilities[:, -1].argmax(axis=1) == 3).all()
    assert found.to == ("digit 3",) * 6


def test_the_whole_classifier_sees_it_in_the_picture_where_that_is_asked_for(layer, tiny):
    found = cladec.counterfactual(layer, tiny.test.images[:6], to=3, steps=150)
    assert found.found.any()
    both = found.probabilities[found.found, -1], found.seen[found.found, -1]
    for shares in both:
        assert (shares.argmax(axis=1) == 3).all()


def test_the_path_leads_from_the_image_to_the_codes(found, layer, tiny):
    images = tiny.test.images[:6]
    np.testing.assert_allclose(found.path[:, 0], layer.edit(images, {}).decoded, atol=1e-4)
    end = layer.decoder.predict({"codes": found.codes}, alpha=0)
    np.testing.assert_allclose(found.path[:, -1], end, atol=1e-4)
    start = layer_edits.codes_of(layer, images)
    lengths = [np.linalg.norm(each, axis=1) for each in (found.codes - start, start)]
    np.testing.assert_allclose(found.distance, lengths[0] / lengths[1], rtol=1e-4)
    assert (found.codes >= 0).all()  # the layer ends in ReLU


def test_they_are_nearer_than_the_nearest_real_image_of_the_class(found, layer, tiny):
    train = tiny.train.images[tiny.train.labels == 3]
    real, start = layer_edits.codes_of(layer, train), layer_edits.codes_of(layer, found.images)
    away = np.linalg.norm(start[:, None] - real[None], axis=-1).min(axis=1)
    others = tiny.test.labels[:6] != 3
    assert (np.linalg.norm(found.codes - start, axis=1) < away)[others].mean() > 0.5


def test_an_image_that_is_sure_of_the_class_stays_as_it_is(layer, tiny):
    probabilities = layer.edit(tiny.train.images, {}).probabilities
    sure = tiny.train.images[[probabilities[:, 3].argmax()]]
    assert probabilities[:, 3].max() > 0.9
    found = cladec.counterfactual(layer, sure, to=3, steps=3, likeness=0)
    assert found.distance[0] == 0
    assert found.found.all()


def test_the_loss_is_its_formula(layer, tiny):
    images = tiny.test.images[:3]
    start = layer_edits.codes_of(layer, images)
    codes = start + np.random.default_rng(0).normal(size=start.shape).astype("float32")
    decoded, picture = (layer.decoder.predict({"codes": each}, alpha=0) for each in (start, codes))
    both = [
        layer.rest_of_network.predict([images, codes], verbose=0),
        layer.decoder.classifier.predict(picture, verbose=0),
    ]
    margins = [logits[:, 2] - np.delete(logits, 2, axis=1).max(axis=1) for logits in both]
    length, change = (start**2).sum(axis=1), (picture - decoded)[..., 0]
    variation = np.abs(np.diff(change, axis=1)).sum((1, 2)) + np.abs(np.diff(change)).sum((1, 2))
    expected = ((codes - start) ** 2).sum(axis=1) / length + 0.3 * variation / 8
    missing = [np.maximum(0, 1.5 - margin) for margin in margins]
    expected += 2.0 * (missing[0] + 0.7 * missing[1])
    search, targets = _Search(layer, 0.0, 1.5, 0.3, 0.7, 1), np.full(3, 2, "int32")
    square, force = (start**2).mean(axis=1), np.full(3, 2.0, "float32")
    given = (codes, start, images, targets, decoded, square, force)
    loss = search.loss(*map(keras.ops.convert_to_tensor, given))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loss), expected, rtol=1e-3)
    assert float(_variation(keras.ops.ones((1, 4, 4, 1)))[0]) == 0


def test_each_image_may_have_a_class_of_its_own(layer, tiny):
    images = tiny.test.images[:2]
    options = {"steps": 60, "likeness": 0}
    both = cladec.counterfactual(layer, images, to=["digit 3", 5], **options)
    assert both.to == ("digit 3", "digit 5")
    assert both.probabilities[:, -1].argmax(axis=1).tolist() == [3, 5]
    alone = cladec.counterfactual(layer, images[1:], to=5, **options)
    np.testing.assert_allclose(both.codes[1], alone.codes[0], rtol=1e-2, atol=1e-2)


def test_what_is_not_found_is_said(layer, tiny):
    found = cladec.counterfactual(layer, tiny.test.images[:2], to=3, steps=1, confidence=0.999999)
    assert not found.found.any()
    names = [
        axis.get_ylabel().replace("\n", " ") for axis in found.show().axes if axis.get_ylabel()
    ]
    assert names == ["to digit 3: not found", "to digit 3: not found"]


def test_the_figure_shows_the_image_and_the_way(found):
    axes = found.show().axes
    assert len(axes) == 6 * 6
    assert [axis.get_title() for axis in axes[:6]] == [
        *("original", "decoded", "25%", "50%", "75%", "changed")
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"to": "Shirt"}, "to is 'Shirt': expected a class of 'tiny_classifier'"),
        ({"to": 10}, "to is 10"),
        ({"to": [3, 4]}, "to has 2 classes for 1 images"),
        ({"to": 3, "confidence": 1}, "confidence is 1"),
        ({"to": 3, "likeness": -1}, "likeness is -1"),
        ({"to": 3, "alpha": 99}, "alpha is 99"),
        ({"to": 3, "steps": 0}, "steps is 0"),
    ],
)
def test_bad_input_is_refused(layer, tiny, options, expected):
    with pytest.raises(InputError, match=expected):
        cladec.counterfactual(layer, tiny.test.images[:1], **options)
