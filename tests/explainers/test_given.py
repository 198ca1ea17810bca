"""What is given in another form than declared: taken where it is unambiguous, else one sentence."""

import re
from fractions import Fraction
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo
from keras import layers
from PIL import Image
from test_explain import options_for

import cladec
from cladec import checks
from cladec.errors import InputError
from cladec.explainers import EXPLAINERS, explain
from cladec.explainers.perturbation import occlusion_classes
from cladec.explainers.units import choose_units
from cladec.models import cutting
from cladec.models.cladec import ClaDec, compute_codes
from cladec.models.classifiers import accuracy
from cladec.models.given import as_model, layer_path
from cladec.models.recipes import Recipe
from cladec.models.refae import RefAE
from cladec.models.selection import Select
from cladec.models.variational import build_posterior

QUICK = Recipe(epochs=1, batch_size=48, learning_rate=1e-2, least_images=0, least_steps=0)

NONSENSE = ("x", float("nan"), [[1], [1, 2]], {"a": 1}, object(), 10**400)
"""What no option of any explainer and no argument of any function is."""


def message_of(call, *arguments, **options) -> str:
    """What a call says that must be refused in one sentence."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


# Numbers


@pytest.mark.parametrize(
    "value", [3, 3.0, "3", " 3e0 ", np.int64(3), np.uint8(3), np.float32(3), np.array(3)]
)
def test_a_whole_number_of_any_type_is_one(value):
    assert checks.whole("steps", value) == 3
    assert type(checks.whole("steps", value)) is int
    assert checks.number("noise", value) == 3
    assert type(checks.number("noise", value)) in (int, float)


@pytest.mark.parametrize(
    "value",
    [*NONSENSE, None, True, np.True_, "", b"3", 2.5, "nan", [3], np.array([3]), Fraction(3)],
)
def test_anything_else_is_none(value):
    assert re.match(
        r"steps is .*: expected a whole number", message_of(checks.whole, "steps", value)
    )


def test_whole_numbers_have_limits():
    assert (
        message_of(checks.whole, "seed", -1, 0)
        == "seed is -1: expected a whole number of at least 0"
    )
    assert "expected at most 4294967295" in message_of(checks.whole, "masks", 10**30)


def test_flags_and_arrays():
    assert [checks.flag("on", value) for value in (True, 0, np.True_, 1.0)] == [1, 0, 1, 1]
    for value in ("no", None, 2, [True]):
        assert message_of(checks.flag, "on", value).endswith("expected True or False")
    assert (
        checks.wholes("patch", range(2)) == checks.wholes("patch", np.array([0.0, 1.0])) == (0, 1)
    )
    assert "an array of numbers" in message_of(checks.array, "fill", [[1], [1, 2]], np.float32)


# The options of every explainer


@pytest.fixture(scope="module")
def model():
    return zoo.build("sequential")


@pytest.mark.parametrize("method", EXPLAINERS)
def test_no_option_is_nonsense(method, model):
    images = zoo.images(1)
    given = options_for(method, model, images)
    for name in EXPLAINERS[method].options:
        for value in NONSENSE:
            message_of(explain, model, images, method=method, targets=0, **given | {name: value})


@pytest.mark.parametrize("method", EXPLAINERS)
def test_an_option_is_taken_in_any_form_that_means_the_same(method, model):
    images = zoo.images(2)
    given = options_for(method, model, images)
    odd = dict.fromkeys(EXPLAINERS[method].options) | {
        name: np.float64(value) if isinstance(value, int) else value
        for name, value in given.items()
    }
    odd.pop("seed", None)
    expected = explain(model, images, method=method, seed=3, **given)
    found = explain(model, images, method=method, seed="3", **odd)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "targets",
    [
        [3, 7],
        np.array([3.0, 7.0]),
        np.array([[3], [7]], np.uint8),
        np.eye(10)[[3, 7]],
        np.eye(10, dtype=bool)[[3, 7]],
        keras.ops.convert_to_tensor([3, 7]),
    ],
)
def test_targets_are_labels_in_any_form(targets, model):
    images = zoo.images(2)
    expected = explain(model, images, method="saliency", targets=[3, 7])
    found = explain(model, images, method="saliency", targets=targets)
    np.testing.assert_array_equal(found, expected)
    if len(np.shape(targets)) < 2:
        first = explain(model, images, method="saliency", targets=targets[0])
        np.testing.assert_array_equal(first[0], expected[0])
    made = {"method": "activation_maximization", "steps": 1}
    np.testing.assert_array_equal(
        explain(model, None, targets=targets, **made), explain(model, None, targets=[3, 7], **made)
    )


def test_targets_of_two_classes_are_bools():
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    images = zoo.images(2)
    for true, whole in (([False, True], [0, 1]), (True, 1)):
        np.testing.assert_array_equal(
            explain(model, images, method="saliency", targets=true),
            explain(model, images, method="saliency", targets=whole),
        )


@pytest.mark.parametrize(
    "form",
    [
        lambda images: (images * 255).round().astype(np.uint8),
        lambda images: images[..., 0],
        lambda images: np.moveaxis(images, -1, 1),
        list,
        np.ndarray.tolist,
        keras.ops.convert_to_tensor,
        lambda images: [
            Image.fromarray((image[..., 0] * 255).round().astype("uint8")) for image in images
        ],
        lambda images: cladec.Split(images, [0, 1]),
        lambda images: tf.data.Dataset.from_tensor_slices((images, [0, 1])).batch(1),
        lambda images: tf.data.Dataset.from_tensor_slices(images),
    ],
)
def test_images_are_taken_in_any_form(form, model):
    """By what is explained, compared with, decoded and measured."""
    images = (zoo.images(2) * 255).round().astype(np.float32) / 255
    given = form(images)
    for method, options in (("saliency", {}), ("occlusion", {"patch": 4, "stride": 4})):
        expected = explain(model, images, method=method, **options)
        found = explain(model, given, method=method, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    options = {"method": "shap_gradient", "samples": 4}
    found, expected = (explain(model, images, backgrounds=x, **options) for x in (given, images))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    found, expected = (compute_codes(model, "conv", x) for x in (given, images))
    np.testing.assert_allclose(found, expected, rtol=1e-2)
    assert found.dtype == expected.dtype


def test_a_single_image_is_an_array_of_one(model, tmp_path):
    image = (zoo.images(1)[0, ..., 0] * 255).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "one.png")
    expected = explain(model, image[None, ..., None], method="saliency")
    for given in (image, image[..., None], Image.fromarray(image), tmp_path / "one.png"):
        found = explain(model, given, method="saliency")
        assert found.shape == (1, 8, 8)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("patch", [[4, 2], np.array([4, 2]), (4.0, "2"), np.float32([4, 2])])
def test_a_patch_is_any_pair(patch, model):
    images = zoo.images(1)
    expected = explain(model, images, method="occlusion", patch=(4, 2))
    np.testing.assert_array_equal(explain(model, images, method="occlusion", patch=patch), expected)
    occlusion_classes(model, images, patch=patch)
    assert "(height, width)" in message_of(occlusion_classes, model, images, patch=[1, 2, 3])


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("rise", {"grid": 10**9}, "expected at most 1000 cells a side"),
        ("lime", {"kernel_width": 1e-200}, "kernel_width is 1e-200: expected a value above 0"),
        ("saliency", {"times_input": "no"}, "times_input is 'no': expected True or False"),
        ("saliency", {"seed": -1}, "seed is -1: expected a whole number of at least 0"),
        ("activation_maximization", {"units": 1}, "units are those of a layer"),
        (
            "cladec",
            {"decoder": zoo.build("sequential")},
            "decoder is a Sequential: expected a ClaDec",
        ),
        ("cladec", {"reference": zoo.build("sequential")}, "expected a RefAE"),
    ],
)
def test_what_an_option_must_be_is_told(method, options, words, model):
    images = zoo.images(2)
    given = options_for(method, model, images) | options
    assert words in message_of(explain, model, images, method=method, **given)


def test_nothing_of_explain_itself_is_nonsense(model):
    images = zoo.images(2)
    for value in NONSENSE:
        message_of(explain, value, images, method="saliency")
        message_of(explain, model, images, method=value)
        message_of(explain, model, images, method="saliency", targets=value)


# Models and their files


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("given") / "m.keras"
    zoo.build("sequential").save(path)
    return path


@pytest.mark.parametrize("form", [str, Path])
def test_a_model_may_be_the_path_of_its_file(form, saved, tiny, model):
    images = zoo.images(2)
    expected = explain(model, images, method="grad_cam")
    np.testing.assert_array_equal(explain(form(saved), images, method="grad_cam"), expected)
    codes = compute_codes(model, "dense", images)
    np.testing.assert_array_equal(compute_codes(form(saved), -2, images), codes)
    refae = cladec.fit_refae(form(saved), "dense", tiny, recipe=QUICK)
    assert refae.encoder.output_shape == (None, 6)


def test_what_is_no_model_is_told(tmp_path):
    path = tmp_path / "m.keras"
    assert f"{path} is missing" in message_of(as_model, "model", path)
    assert "nothing://" in message_of(as_model, "model", "nothing://m.keras")
    for value in (None, 3, len, keras.Model):
        assert "expected a Keras model, or the path" in message_of(as_model, "model", value)


# Layers


def test_a_layer_is_its_name_its_place_or_itself(model):
    dense = model.get_layer("dense")
    for layer in ("dense", 5, -2, np.int64(5), 5.0, dense):
        assert layer_path(model, layer) == "dense"
    assert layer_path(model, "anything") == "anything"  # it is looked up where it is used
    images = zoo.images(2)
    for layer in (0, model.layers[0]):
        np.testing.assert_array_equal(
            explain(model, images, method="grad_cam", layer=layer),
            explain(model, images, method="grad_cam", layer="conv"),
        )
    assert list(choose_units(model, -2, 0.5, "first")) == [0, 1, 2]


def test_a_layer_inside_nested_models_is_found():
    model = zoo.build("nested_twice")
    outer = model.get_layer("outer")
    conv = outer.get_layer("inner").get_layer("conv")
    assert layer_path(model, conv) == "outer/inner/conv"
    assert layer_path(model, outer) == layer_path(model, 1) == "outer"


def test_a_layer_that_is_not_there_is_told():
    model = zoo.build("softmax_in_dense")
    count = len(model.layers)
    assert f"expected {-count} to {count - 1}" in message_of(layer_path, model, count)
    other = layers.Dense(3, name="mine")
    assert "'mine' (Dense) is none of the classifier" in message_of(layer_path, model, other)
    assert "is the input" in message_of(layer_path, model, 0)
    for value in (None, True, 1.5, [1], object()):
        assert "expected the name of a layer, its place" in message_of(layer_path, model, value)


def test_a_layer_that_is_called_twice_is_told_by_its_paths(monkeypatch):
    model = zoo.build("shared_layer")
    flat = cutting.flatten(model)
    shared = model.get_layer("shared")
    call = next(iter(origin for origin in flat.origins.values() if origin[0] is shared))
    paths = [path for path, origin in flat.origins.items() if origin[0] is shared]
    if len(paths) < 2:
        monkeypatch.setitem(flat.origins, "shared@1", call)
        monkeypatch.setattr(cutting, "flatten", lambda classifier: flat)
    message = message_of(layer_path, model, shared)
    assert "'shared' is called 2 times: write one of shared" in message
    assert "@1" in message


# Training


FITS = {
    cladec.fit_cladec: {"alpha": 0.5},
    cladec.fit_refae: {},
    cladec.fit_conditional: {},
    cladec.fit_variational_cladec: {"alpha": 0.5},
    cladec.fit_variational_refae: {},
}


@pytest.mark.parametrize("fit", FITS)
def test_no_argument_of_a_training_is_nonsense(fit, classifier, tiny):
    given = {"classifier": classifier, "layer": "dense", "data": tiny, "recipe": QUICK} | FITS[fit]
    names = set(fit.__wrapped__.__kwdefaults__ or {}) | set(FITS[fit]) | {"classifier", "layer"}
    for name in names:
        for value in ("x", float("nan")):
            message_of(fit, **given | {name: value})


def test_odd_forms_train_the_same_model(classifier, tiny):
    expected = cladec.fit_cladec(classifier, "dense", tiny, alpha=0.5, recipe=QUICK, units=[1, 2])
    recipe = Recipe("1", 48.0, np.float32(0.01), 0, least_steps=np.int64(0))
    found = cladec.fit_cladec(
        classifier,
        classifier.get_layer("dense"),
        tiny,
        alpha="0.5",
        recipe=recipe,
        seed=0.0,
        codes=compute_codes(classifier, "dense", tiny.train.images, (1.0, 2)).tolist(),
        units=np.array([1.0, 2.0]),
        callbacks=keras.callbacks.TerminateOnNaN(),
    )
    assert type(recipe.epochs) is int
    for one, other in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    "form",
    [
        lambda images, labels: ((images * 255).astype(np.uint8), labels),
        lambda images, labels: (list(images), np.eye(10)[labels]),
        lambda images, labels: (images[..., 0], labels.astype(float)),
        lambda images, labels: tf.data.Dataset.from_tensor_slices((images, labels)).batch(40),
        lambda images, labels: [(images, labels), cladec.Split(images[:9], labels[:9])],
    ],
)
def test_labelled_images_in_any_form_train_the_same_model(form, classifier, tiny):
    options = {"alpha": 0.5, "recipe": QUICK}
    images, labels = tiny.train.images, tiny.train.labels
    images = np.floor(images * 255).astype(np.float32) / 255
    expected = cladec.fit_cladec(classifier, "dense", (images, labels), **options)
    found = cladec.fit_cladec(classifier, "dense", form(images, labels), **options)
    for one, other in zip(expected.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_data_may_be_a_path_or_a_name(classifier, tmp_path):
    for split in ("train", "val"):
        for label in range(2):
            folder = tmp_path / "two" / split / str(label)
            folder.mkdir(parents=True)
            for place, image in enumerate(zoo.images(3)):
                picture = Image.fromarray((image[..., 0] * 255).astype(np.uint8))
                picture.save(folder / f"{place}.png")
    for data in (tmp_path / "two", str(tmp_path / "two"), "digits"):  # digits are made smaller
        decoder = cladec.fit_cladec(classifier, "dense", data, alpha=0, recipe=QUICK)
        assert decoder.predict(zoo.images(1), verbose=0).shape == (1, 8, 8, 1)
    assert "(28, 28, 1), the classifier takes (8, 8, 1)" in message_of(
        cladec.fit_cladec, classifier, "dense", cladec.load("digits"), alpha=0
    )


def test_images_of_several_labels_are_refused_where_one_is_needed(classifier, tiny):
    split = cladec.Split(tiny.train.images, np.ones((len(tiny.train.images), 10)))
    assert "several labels each: expected one class" in message_of(accuracy, classifier, split)


@pytest.mark.parametrize(
    "field", ["epochs", "batch_size", "least_images", "learning_rate", "warm_up"]
)
def test_no_field_of_a_recipe_is_nonsense(field):
    for value in (*NONSENSE, None, -1):
        assert field in message_of(
            Recipe, **{"epochs": 1, "batch_size": 1, "learning_rate": 1e-3} | {field: value}
        )
    assert "precision is 'float16': expected float32 or" in message_of(
        Recipe, 1, 1, 1.0, precision="float16"
    )


def test_no_argument_of_what_builds_is_nonsense(classifier, tiny):
    network, encoder = (
        cutting.cut(classifier, "dense"),
        cutting.fresh_encoder(classifier, "dense"),
    )
    decoder = cladec.build_decoder(16, [8, 8.0, "1"])
    assert decoder.input_shape == (None, 16)
    for value in NONSENSE:
        message_of(cladec.build_decoder, value, (8, 8, 1))
        message_of(cladec.build_decoder, (16,), value)
        message_of(cladec.build_decoder, (16,), (8, 8, 1), mean_pixel=value)
        message_of(build_posterior, value)
        message_of(cladec.build_classifier, value, 10)
        message_of(cladec.build_classifier, (8, 8, 1), value)
        message_of(cladec.build_classifier, (8, 8, 1), 10, value)
        message_of(cladec.fit_classifier, value, tiny)
        message_of(cladec.fit_classifier, classifier, tiny, recipe=value)
        message_of(choose_units, classifier, "dense", 0.5, value)
        message_of(Select, value)
        message_of(ClaDec, value, decoder, alpha=0.5)
        message_of(ClaDec, network, value, alpha=0.5)
        message_of(RefAE, encoder, value)
    assert "num_classes is 1" in message_of(cladec.build_classifier, (8, 8, 1), 1)
    assert "cutting.cut" in message_of(ClaDec, encoder, decoder, alpha=0.5)
