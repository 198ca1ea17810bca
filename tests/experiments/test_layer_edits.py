"""Codes changed by hand: what is decoded, what the network answers, and what a notebook shows."""

import io
import re

import keras
import numpy as np
import pytest
import zoo
from keras import layers
from PIL import Image

import cladec
from cladec.errors import InputError
from cladec.experiments import layer_edits
from cladec.experiments.layer_widget import Workbench, png
from cladec.models import cutting


@pytest.fixture(scope="module")
def layer(classifier, tiny):
    return cladec.explain_layer(classifier, "dense", tiny, alphas=[0.9], epochs=1)


@pytest.fixture(scope="module")
def images(tiny):
    return tiny.test.images[:4]


def test_codes_that_stay_give_the_decoded_pictures_and_the_classifiers_answers(
    layer, classifier, images
):
    edited = layer.edit(images, {})
    np.testing.assert_allclose(edited.decoded, layer.decode(images), atol=2e-3)
    said = classifier.predict(images, verbose=0)
    np.testing.assert_allclose(edited.probabilities, said, atol=1e-4)
    seen = classifier.predict(edited.decoded, verbose=0)
    np.testing.assert_allclose(edited.seen, seen, atol=1e-4)


def test_a_unit_is_scaled_and_the_network_answers_as_its_weights_say(layer, classifier, images):
    edited = layer.edit(images, {2: 0, 5: 1.5}, alpha=0.9)
    codes = keras.Model(classifier.inputs, classifier.get_layer("dense").output).predict(
        images, verbose=0
    )
    codes[:, 2], codes[:, 5] = 0, codes[:, 5] * 1.5
    np.testing.assert_allclose(edited.codes, codes, rtol=1e-4, atol=1e-5)
    kernel, bias = classifier.get_layer("logits").get_weights()
    scores = np.exp(codes @ kernel + bias)
    expected = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(edited.probabilities, expected, rtol=1e-3, atol=1e-5)
    assert not np.allclose(edited.decoded, layer.edit(images, {2: 0, 5: 1.5}).decoded)


def test_a_channel_is_scaled_everywhere(classifier, tiny, images):
    conv = cladec.explain_layer(classifier, "conv", tiny, epochs=1)
    codes, edited = conv.edit(images, {}).codes, conv.edit(images, {3: 0}).codes
    assert codes[..., 3].any()
    assert not edited[..., 3].any()
    np.testing.assert_array_equal(np.delete(edited, 3, -1), np.delete(codes, 3, -1))


def test_a_blend_leads_from_one_image_to_the_other(layer, images):
    one, other = (layer.edit(images[[place]], {}) for place in (0, 1))
    for share, end in ((0, one), (1, other)):
        np.testing.assert_allclose(
            layer.blend(images[0], images[1], share).probabilities, end.probabilities, atol=1e-4
        )
    middle = layer.blend(images[0], images[1:], 0.25)
    assert len(middle.decoded) == 3
    np.testing.assert_allclose(
        middle.codes[0], 0.75 * one.codes[0] + 0.25 * other.codes[0], rtol=1e-4, atol=1e-5
    )


def test_the_rest_of_a_network_knows_what_bypasses_the_layer():
    images = keras.Input(zoo.IMAGE_SHAPE)
    hidden = layers.Conv2D(4, 3, padding="same", activation="relu", name="branch")(images)
    hidden = layers.Add()([hidden, layers.Conv2D(4, 1)(images)])
    scores = layers.Dense(3)(layers.Flatten()(hidden))
    model = zoo.randomised(keras.Model(images, scores))
    network, given = cutting.cut(model, "branch"), zoo.images(3)
    both = network.predict(given, verbose=0)
    rest = cutting.rest(network)
    np.testing.assert_allclose(
        rest.predict([given, both["codes"]], verbose=0), both["logits"], rtol=1e-4, atol=1e-5
    )
    changed = rest.predict([given, 0 * both["codes"]], verbose=0)
    assert not np.allclose(changed, both["logits"])
    assert not rest.trainable_weights


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ({16: 0}, "unit 16 is out of range: expected 0 to 15"),
        ({-1: 0}, "unit -1"),
        ({"first": 0}, "unit is 'first'"),
        ({1: np.nan}, "factor is nan"),
        ([3], "factors is"),
    ],
)
def test_a_change_that_means_nothing_is_refused(layer, images, factors, expected):
    with pytest.raises(InputError, match=expected):
        layer.edit(images, factors)


def test_a_blend_of_nothing_is_refused(layer, images):
    with pytest.raises(InputError, match="share is 2"):
        layer.blend(images[0], images[1], 2)
    with pytest.raises(InputError, match="2 and 3 images"):
        layer.blend(images[:2], images[:3])
    with pytest.raises(InputError, match="alpha is 99"):
        layer.edit(images, {}, alpha=99)


def test_the_strongest_units_are_those_of_the_largest_mean_activation():
    codes = np.zeros((2, 2, 4), "float32")
    codes[..., 2], codes[0, 0, 0], codes[..., 3] = -5, 8, 1
    assert layer_edits.strongest(codes) == [2, 0, 3]
    assert layer_edits.strongest(codes, 1) == [2]


@pytest.fixture
def bench(layer, images):
    return Workbench(layer, images, ["one", "two", "three", "four"])


def test_every_control_changes_what_is_shown(bench, layer, images):
    controls, seen = bench.controls, set()
    moves = {"image": 2, "other": 3, "share": 0.5, "alpha": controls["alpha"].options[20][1]}
    for name, value in moves.items():
        controls[name].value = value
        seen.add(bench.shown.decoded.tobytes())
    bench.sliders[0].value = 0.0
    seen.add(bench.shown.decoded.tobytes())
    controls["off"].value = [str(bench.units[1])]
    seen.add(bench.shown.decoded.tobytes())
    assert len(seen) == 5  # another image to blend with changes nothing at a share of 0
    factors = {bench.units[0]: 0, bench.units[1]: 0}
    blend = layer.blend(images[2], images[3], 0.5, alpha=moves["alpha"])
    expected = layer_edits.of_codes(
        layer, layer_edits.scaled(blend.codes, factors), images[:1], moves["alpha"]
    )
    np.testing.assert_allclose(bench.shown.decoded[1:], expected.decoded, atol=1e-5)
    np.testing.assert_allclose(bench.shown.probabilities[1:], expected.probabilities, atol=1e-5)


def test_another_image_has_other_strong_units_at_their_own_strength(bench):
    bench.sliders[0].value = 3.0
    bench.controls["image"].value = 1
    assert bench.units == layer_edits.strongest(bench.codes[1])
    assert [slider.value for slider in bench.sliders] == [1.0] * len(bench.sliders)
    assert bench.sliders[0].description == f"unit {bench.units[0]}"
    np.testing.assert_allclose(*bench.shown.decoded, atol=1e-5)


def test_names_of_classes_are_escaped_where_they_are_shown(classifier, tiny, images):
    names = tuple(f"<b>{digit}</b>" for digit in range(10))
    layer = cladec.explain_layer(classifier, "dense", tiny, epochs=1, class_names=names)
    bench = Workbench(layer, images, list("abcd"))
    shown = bench.answers.value + "".join(caption.value for caption in bench.captions)
    assert "&lt;b&gt;" in shown
    assert not re.search(r"<b>\d</b>", shown)


def test_a_picture_is_a_png_of_whole_pixels():
    picture = Image.open(io.BytesIO(png(np.linspace(0, 1, 64).reshape(8, 8, 1))))
    assert picture.size == (168, 168)
    assert picture.getextrema() == (0, 255)
    assert Image.open(io.BytesIO(png(np.zeros((400, 300, 3))))).size == (300, 400)


def test_the_page_shows_changed_codes_of_some_images(layer, tmp_path):
    page = layer.report(tmp_path / "layer.html").read_text("utf-8")
    units = layer_edits.strongest(layer.edit(layer.examples.images[:1], {}).codes[0])
    assert page.count("<h4>switched off</h4>") == page.count("<h4>doubled</h4>") == 4
    assert page.count("<h4>blended with") == 4
    assert all(f"unit {unit}" in page for unit in units)
    assert len(re.findall(r'<img src="data:image/webp', page)) <= 4 * (11 + 11 + 5)


def test_the_controls_are_a_widget(layer, images):
    assert type(layer.widget()).__name__ == type(layer.widget(images)).__name__ == "VBox"
