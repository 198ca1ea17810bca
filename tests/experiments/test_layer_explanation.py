"""A layer explained in three lines: what its numbers are, what it shows, what a folder keeps."""

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import zoo
from keras import layers
from PIL import Image

import cladec
from cladec.data.dataset import Dataset
from cladec.errors import InputError
from cladec.experiments.layer_data import layer_data
from cladec.experiments.layer_pictures import choose

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
NAMES = tuple(f"<b>{digit}</b>" for digit in range(10))


@pytest.fixture(scope="module")
def named(tiny) -> Dataset:
    """The tiny digits, with names that a page has to escape."""
    return replace(tiny, class_names=NAMES)


@pytest.fixture(scope="module")
def layer(classifier, named):
    return cladec.explain_layer(classifier, "conv", named, alphas=[0.97], epochs=2)


@pytest.fixture(scope="module")
def folder(layer, tmp_path_factory):
    return layer.save(tmp_path_factory.mktemp("saved") / "explained")


@pytest.fixture(scope="module")
def page(layer, tmp_path_factory):
    return layer.report(tmp_path_factory.mktemp("page") / "layer.html")


@pytest.fixture(scope="module")
def answered(classifier, tiny, tmp_path_factory):
    """An explanation from a file and images alone, and the shares that were reported."""
    path, told = tmp_path_factory.mktemp("model") / "classifier.keras", []
    classifier.save(path)
    layer = cladec.explain_layer(
        path, 1, tiny.train.images, epochs=1, report=lambda share, values: told.append(share)
    )
    return layer, told


def test_the_numbers_are_those_of_what_it_decodes(layer, classifier, tiny):
    images, mean = tiny.test.images, tiny.train.images.mean(axis=0)
    largest = np.square(images - mean).sum()
    said = classifier.predict(images, verbose=0).argmax(axis=1)
    assert list(layer.fidelity()) == list(layer.normalised_error()) == [0.0, 0.97]
    for alpha in (0.0, 0.97):
        decoded = layer.decode(images, alpha)
        same = (classifier.predict(decoded, verbose=0).argmax(axis=1) == said).mean()
        share = np.square(images - decoded).sum() / largest
        assert layer.fidelity()[alpha] == pytest.approx(same)
        assert layer.normalised_error()[alpha] == pytest.approx(share, rel=1e-3)
    for _, row in layer.measures.iterrows():
        assert row["squared_error_low"] < row["squared_error"] < row["squared_error_high"]


def test_lost_is_the_error_of_cladec_less_that_of_refae(layer, tiny):
    images = tiny.test.images
    pairs = layer.decode(images), layer.reference.predict(images, verbose=0)
    errors = [np.square(images - decoded).sum(axis=(1, 2, 3)) for decoded in pairs]
    np.testing.assert_allclose(layer.lost(images), errors[0] - errors[1], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        layer.lost_maps(images).sum(axis=(1, 2)), layer.lost(images), rtol=1e-4
    )
    overall = layer.lost_by_class.iloc[0]
    assert overall["lost"] == pytest.approx(layer.lost(images).mean(), rel=1e-3)
    most = np.sort(layer.lost(images))[::-1][: len(layer.most_lost.images)]
    np.testing.assert_allclose(layer.lost(layer.most_lost.images), most, rtol=1e-3, atol=1e-3)


def test_any_alpha_is_decoded(layer, tiny):
    images = (tiny.test.images[:2] * 255).astype(np.uint8)
    decoded = layer.decode(images, alpha=0.6)
    assert decoded.shape == (2, 8, 8, 1)
    assert not np.array_equal(decoded, layer.decode(images, alpha=0))
    with pytest.raises(InputError, match="alpha is 97"):
        layer.decode(images, alpha=97)
    with pytest.raises(InputError, match="the model takes"):
        layer.decode(np.zeros((2, 9, 9, 1)))


def test_the_figure_has_a_row_for_every_decoder_and_says_what_it_shows(layer):
    figure = layer.show()
    names = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert names == ["original", "RefAE", "ClaDec 0", "ClaDec 0.97", "lost"]
    texts = [text.get_text() for text in figure.texts]
    assert any("measured on 40 images" in text for text in texts)
    assert any(re.fullmatch(r"0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\)", text) for text in texts)
    wide = len(layer.show(np.zeros((2, 8, 8, 1))).axes)
    assert wide == 2 * len(names) + 1  # and the colour bar


def test_a_tuned_refae_is_named_so_wherever_it_is_shown(classifier, named, tmp_path):
    layer = cladec.explain_layer(classifier, "conv", named, epochs=1, reference="tuned")
    names = [axis.get_ylabel() for axis in layer.show().axes]
    assert "RefAE (tuned)" in names
    assert "RefAE" not in names
    html = layer._repr_html_()
    assert "normalised error of RefAE (tuned)" in html
    page = layer.report(tmp_path / "layer.html").read_text("utf-8")
    shown = page.count("RefAE (tuned)")
    assert shown == 2 + 2 * (len(layer.examples.images) + len(layer.most_lost.images))


def test_images_alone_are_answered_by_the_classifier_and_a_fifth_is_held_out(answered, tiny):
    layer, told = answered
    assert (layer.facts.trained_on, layer.facts.measured_on) == (77, 19)
    assert layer.facts.own_answers
    assert layer.facts.held_out
    assert "own answers" in repr(layer)
    assert any("own answers" in text.get_text() for text in layer.show().texts)
    assert told == sorted(told)
    assert told[-1] == 1


def test_what_is_held_out_is_not_trained_on(classifier, tiny):
    given = layer_data(classifier, (tiny.train.images, tiny.train.labels), seed=3)
    train, test = given.dataset.train, given.dataset.test
    both = np.concatenate([train.images, test.images])
    assert not given.own_answers
    assert {each.tobytes() for each in both} == {each.tobytes() for each in tiny.train.images}
    assert not {each.tobytes() for each in train.images} & {each.tobytes() for each in test.images}
    rows = [np.flatnonzero((tiny.train.images == image).all((1, 2, 3)))[0] for image in test.images]
    np.testing.assert_array_equal(tiny.train.labels[rows], test.labels)


def test_a_test_split_is_used_as_it_is(classifier, tiny):
    given = layer_data(classifier, tiny)
    assert given.dataset is tiny
    assert not given.held_out


def test_a_folder_of_pictures_of_any_size_is_fitted_to_the_classifier(classifier, tmp_path):
    for number in range(20):
        path = tmp_path / "photos" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10 + number, 12), (number, 0, 0)).save(path)
    given = layer_data(classifier, tmp_path / "photos")
    assert given.dataset.image_shape == (8, 8, 1)
    assert given.class_names[:3] == ("class 0", "class 1", "2")
    assert not given.own_answers
    assert not given.held_out


def test_images_without_labels_are_known_in_every_form(classifier, tiny):
    import tensorflow as tf

    images = tiny.test.images
    expected = classifier.predict(images, verbose=0).argmax(axis=1)
    for data in (images, (images, None), tf.data.Dataset.from_tensor_slices(images).batch(7)):
        given = layer_data(classifier, data, class_names=NAMES)
        assert given.own_answers
        assert given.class_names == NAMES
        found = np.concatenate([given.dataset.train.labels, given.dataset.test.labels])
        assert sorted(found) == sorted(expected)


def test_a_folder_keeps_it_all(layer, folder, tiny):
    loaded, images = cladec.load_explanation(folder), tiny.test.images
    assert repr(loaded) == repr(layer)
    for alpha in (0.0, 0.97):
        np.testing.assert_allclose(loaded.decode(images, alpha), layer.decode(images, alpha))
    np.testing.assert_allclose(loaded.lost(images), layer.lost(images), atol=1e-5)
    assert loaded.measures.equals(layer.measures)
    assert loaded.lost_by_class.equals(layer.lost_by_class)
    assert loaded.facts == layer.facts
    np.testing.assert_array_equal(loaded.examples.images, layer.examples.images)
    assert loaded.reference.start == "fresh"


@pytest.mark.parametrize("file", ["cladec.keras", "refae.keras", "images.npz", "explanation.json"])
def test_a_damaged_file_is_named(folder, file):
    whole = (folder / file).read_bytes()
    try:
        (folder / file).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=re.escape(file)):
            cladec.load_explanation(folder)
        (folder / file).unlink()
        with pytest.raises(InputError, match=re.escape(file)):
            cladec.load_explanation(folder)
    finally:
        (folder / file).write_bytes(whole)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"schema": 2}, "schema 2"),
        ({"facts": {"class_names": []}}, "no record"),
        ({"measures": [{"model": "RefAE"}]}, "no record"),
        ({"lost_by_class": 5}, "no record"),
        ({"sha256": None}, "not the one"),
    ],
)
def test_a_record_of_something_else_is_refused(folder, change, expected):
    path = folder / "explanation.json"
    whole = path.read_text()
    try:
        path.write_text(json.dumps(json.loads(whole) | change))
        with pytest.raises(InputError, match=expected):
            cladec.load_explanation(folder)
    finally:
        path.write_text(whole)


def test_a_notebook_shows_the_picture_and_five_numbers(layer):
    html = layer._repr_html_()
    assert html.count("<tr>") == 5
    assert 'src="data:image/png;base64,iVBOR' in html


def test_labels_of_several_kinds_are_explained():
    images = keras.Input(zoo.IMAGE_SHAPE)
    hidden = layers.Conv2D(3, 3, name="conv")(images)
    scores = layers.Dense(4, activation="sigmoid")(layers.Flatten()(hidden))
    model = zoo.randomised(keras.Model(images, scores))
    names = ("red", "green", "blue", "grey")
    data = zoo.images(20), np.random.default_rng(0).integers(2, size=(20, 4))
    layer = cladec.explain_layer(model, "conv", data, epochs=1, class_names=names)
    assert layer.decoder.multi_label
    titles = [axis.get_title() for axis in layer.show().axes]
    assert any("red" in title for title in titles)
    assert all(0 <= same <= 1 for same in layer.fidelity().values())


def test_a_classifier_of_another_range_is_explained_as_it_is(layer, classifier, named):
    shifted = keras.Input((8, 8, 1))
    unshifted = layers.Rescaling(0.5, 0.5)(shifted)
    signed = keras.Model(shifted, classifier(unshifted), name="signed")
    again = cladec.explain_layer(signed, "conv", named, alphas=[0.97], epochs=2, pixels="-1-1")
    images = named.test.images
    expected = layer.decoder.encoder.predict(images, verbose=0)
    found = again.decoder.encoder.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert again.measures.iloc[0]["fidelity"] == pytest.approx(
        layer.measures.iloc[0]["fidelity"], abs=0.05
    )
    assert again.facts.classifier == "signed"


def test_bytes_are_taken_where_the_classifier_is_said_to_want_them(classifier, tiny):
    bytes_wanted = keras.Input((8, 8, 1))
    from_bytes = keras.Model(bytes_wanted, classifier(layers.Rescaling(1 / 255)(bytes_wanted)))
    images = np.round(tiny.train.images * 255)
    given = {"data": (images, tiny.train.labels), "epochs": 1, "pixels": "0-255"}
    layer = cladec.explain_layer(from_bytes, "conv", **given)
    assert layer.examples.images.max() == 1
    np.testing.assert_array_equal(layer.decode(images[:2]), layer.decode(images[:2] / 255))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"alphas": 0.5}, "expected several numbers"),
        ({"alphas": [99]}, "alpha is 99"),
        ({"class_names": ("cat", "dog")}, "names of the classifier's 10 classes"),
        ({"pixels": "0-2"}, "choose from 0-1, 0-255"),
        ({"reference": "new"}, "expected one of auto, fresh, tuned"),
        ({"data": np.zeros((1, 8, 8, 1))}, "single image"),
        ({"layer": "convolution"}, "no layer"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(classifier, tiny, options, expected):
    given = {"layer": "conv", "data": tiny, "report": lambda share, values: None} | options
    with pytest.raises(InputError, match=expected):
        cladec.explain_layer(classifier, **given)


def test_all_classes_are_shown_before_one_is_shown_twice():
    labels = np.repeat([0, 1, 2], 10)
    predicted = np.where(np.arange(30) % 10 == 9, 0, labels)
    chosen = choose(labels, predicted, 8)
    assert len(set(chosen)) == 8
    assert sorted(labels[chosen][:3]) == [0, 1, 2]
    assert (predicted[chosen] != labels[chosen]).tolist() == [False] * 6 + [True] * 2
    assert len(choose(labels, labels, 8)) == 8


def test_the_page_needs_nothing_else_and_escapes_names(page):
    text = page.read_text("utf-8")
    assert set(re.findall(r"""(?:src|href)\s*=\s*["']?([a-z]*)""", text)) == {"data"}
    assert not re.findall(r"url\((?!data:)", text)
    script = re.search(r"<script>(.*)</script>", text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "<b>" not in text
    assert "&lt;b&gt;3&lt;/b&gt;" in text
    assert page.stat().st_size < 300_000


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_slider_changes_the_pictures_and_what_is_said_of_them(page):
    from playwright.sync_api import sync_playwright

    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 360, "height": 900})
        shown.on("console", lambda message: problems.append(message.text))
        shown.on("pageerror", lambda error: problems.append(str(error)))
        shown.goto(page.as_uri())
        tile = shown.locator(".cladec").first
        pictures = set()
        for place in range(9):
            pictures.add(tile.evaluate("tile => getComputedStyle(tile).backgroundImage"))
            assert shown.locator("li").first.locator(".at:visible").count() == 1
            assert int(shown.locator("#alpha").input_value()) == place
            shown.locator("#alpha").press("ArrowRight")
        assert shown.locator("#value").inner_text() == "1"
        assert len(pictures) == 9  # those of the slider, and 0.97
        assert shown.evaluate("document.documentElement.scrollWidth") <= 360
        browser.close()
    assert problems == []
