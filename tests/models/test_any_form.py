"""Every form of classifier that people have is explained and decoded like the plain one."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers, ops

import cladec
from cladec.errors import InputError
from cladec.explainers.scores import logits_model
from cladec.models import cutting
from cladec.models.forms import image_classifier
from cladec.models.functions import FunctionModel
from cladec.models.graphs import NoGraph

AGE = 0.7
GIVEN = {"inputs": {"age": AGE, "place": 1}}
QUICK = cladec.Recipe(1, batch_size=6, learning_rate=1e-2, least_images=0, least_steps=0)


def plain() -> keras.Model:
    """One image in, one row of scores out: what all the forms below answer as well."""
    images = keras.Input(zoo.IMAGE_SHAPE, name="image")
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    scores = layers.Dense(4, name="scores")(layers.Flatten(name="flat")(hidden))
    return zoo.randomised(keras.Model(images, layers.Softmax(name="end")(scores), name="plain"))


class Subclassed(keras.Model):
    """The plain classifier with a `call` of its own."""

    def __init__(self, *, symbolic: bool = True):
        super().__init__(name="mine")
        self.conv = layers.Conv2D(3, 3, activation="relu", name="conv")
        self.flat = layers.Flatten(name="flat")
        self.scores = layers.Dense(4, name="scores")
        self.drop = layers.Dropout(0.5, name="drop")
        self.symbolic = symbolic

    def call(self, images, training=None):
        hidden = self.conv(images)
        if not self.symbolic:
            hidden = ops.convert_to_tensor(ops.convert_to_numpy(hidden))
        hidden = self.drop(self.flat(hidden), training=training)
        return ops.softmax(self.scores(hidden))


def subclassed(**options) -> keras.Model:
    model = Subclassed(**options)
    model(np.zeros((1, *zoo.IMAGE_SHAPE), np.float32))
    return with_weights_of_plain(model)


def with_weights_of_plain(model: keras.Model) -> keras.Model:
    for name in ("conv", "scores"):
        model.get_layer(name).set_weights(plain().get_layer(name).get_weights())
    return model


def packed(pack_inputs, pack_outputs) -> keras.Model:
    model = plain()
    inputs, outputs = pack_inputs(model.inputs[0]), pack_outputs(model.outputs[0])
    return keras.Model(inputs, outputs, name="packed")


def several_outputs() -> keras.Model:
    model = plain()
    other = layers.Dense(1, name="size")(model.get_layer("flat").output)
    return keras.Model(model.inputs, {"kind": model.output, "size": other}, name="several")


def several_inputs(**names) -> keras.Model:
    """A classifier that also looks at an age, a weight and another picture."""
    images = keras.Input(zoo.IMAGE_SHAPE, name="image")
    age = keras.Input((1,), name="age")
    place = keras.Input((), dtype="int32", name="place")
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    about = layers.Concatenate()([age, layers.Embedding(3, 2, name="places")(place)])
    hidden = layers.Concatenate(name="all")([layers.Flatten(name="flat")(hidden), about])
    scores = layers.Dense(4, name="scores")(hidden)
    return zoo.randomised(keras.Model([age, images, place], layers.Softmax(name="end")(scores)))


def any_size() -> keras.Model:
    images = keras.Input((None, None, 1))
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(hidden)
    return zoo.randomised(
        keras.Model(images, layers.Dense(4, activation="softmax", name="scores")(pooled))
    )


def nested_subclassed() -> keras.Model:
    return keras.Sequential([keras.Input(zoo.IMAGE_SHAPE), subclassed()], name="outer")


FORMS = {
    "list": (lambda: packed(lambda x: [x], lambda x: [x]), {}),
    "dict": (lambda: packed(lambda x: {"image": x}, lambda x: {"kind": x}), {}),
    "several_outputs": (several_outputs, {"output": "kind"}),
    "output_by_place": (several_outputs, {"output": 0}),
    "subclassed": (subclassed, {}),
    "nested_subclassed": (nested_subclassed, {}),
    "call_around_the_graph": (lambda: around_the_graph(), {}),
}
"""Forms of the plain classifier, and the options that choose it."""


def around_the_graph() -> keras.Model:
    class Around(keras.Model):
        def call(self, inputs):
            return super().call(inputs)

    model = plain()
    return Around(model.input, model.output, name="around")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_explained_like_the_plain_one(form):
    build, options = FORMS[form]
    model, images = build(), zoo.images(3)
    for method in ("saliency", "grad_cam", "occlusion"):
        layer = {"layer": "conv"} if method == "grad_cam" else {}
        expected = cladec.explain(plain(), images, method=method, targets=1, **layer)
        found = cladec.explain(model, images, method=method, targets=1, **layer, **options)
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_decoded_like_the_plain_one(form):
    build, options = FORMS[form]
    model, images = build(), zoo.images(12)
    before = [weight.copy() for weight in model.get_weights()]
    np.testing.assert_allclose(
        cladec.compute_codes(model, "conv", images, **options),
        cladec.compute_codes(plain(), "conv", images),
        rtol=1e-3,
    )
    fitted = cladec.fit_cladec(
        model, "conv", (images, np.arange(12) % 4), alpha=0.5, recipe=QUICK, **options
    )
    assert fitted.predict(images, verbose=0).shape == images.shape
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)


@pytest.mark.parametrize("form", ["several_outputs", "subclassed", "dict"])
def test_layers_are_listed_by_the_names_that_the_user_gave_them(form):
    build, options = FORMS[form]
    paths = [layer.path for layer in cladec.decodable_layers(build(), **options)]
    assert paths[:2] == ["conv", "flat"]
    assert "scores" in paths
    assert not [path for path in paths if "cladec" in path]


def test_a_layer_may_be_named_by_its_place_and_by_itself():
    model, images = several_outputs(), zoo.images(2)
    by_name, by_place, by_itself = (
        cladec.explain(model, images, method="hires_cam", layer=layer, output="kind")
        for layer in ("conv", 1, model.get_layer("conv"))
    )
    np.testing.assert_array_equal(by_place, by_name)
    np.testing.assert_array_equal(by_itself, by_name)


def test_the_other_inputs_have_the_values_that_are_given():
    model, images = several_inputs(), zoo.images(3)
    for age, place in ((0.0, 0), (AGE, 2)):
        given = {"inputs": {"age": age, "place": place}}
        one = image_classifier(model, **given)
        rows = [np.full((3, 1), age, np.float32), images, np.full(3, place)]
        np.testing.assert_allclose(one(images), model(rows), rtol=1e-5)
        cams = cladec.explain(model, images, method="hires_cam", layer="conv", **given)
        assert cams.shape == (3, 8, 8)
        assert cladec.compute_codes(model, "flat", images, **given).shape == (3, 108)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["'age' (None, 1)", "'place' (None,)", "gives none", "--inputs"]),
        ({"inputs": {"age": 1, "place": 1, "x": 1}}, ["'x'"]),
        ({"inputs": {"age": [1, 2], "place": 1}}, ["'age'", "(2,)", "(1,)"]),
        ({"inputs": [1, 2]}, ["{name: value}"]),
        ({"inputs": {"age": "old", "place": 1}}, ["age", "numbers"]),
        ({"image_input": "age"}, ["'age'", "one image"]),
        ({"image_input": "nope"}, ["'nope'", "'image'"]),
        ({"output": "nope"}, ["'nope'", "outputs"]),
        ({**GIVEN, "image_size": 9}, ["(8, 8, 1) only", "image_size"]),
        ({"image_size": "big"}, ["image_size"]),
        ({"image_size": (0, 3)}, ["image_size"]),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(options, words):
    with pytest.raises(InputError) as caught:
        cladec.explain(several_inputs(), zoo.images(2), method="saliency", **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_several_outputs_without_a_choice_are_named():
    with pytest.raises(InputError, match=r"several outputs, 'kind' \(None, 4\), 'size'"):
        cladec.explain(several_outputs(), zoo.images(2), method="rise")


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 9, 1)])
def test_images_say_the_size_of_a_model_of_any_size(shape):
    model, images = any_size(), zoo.images(4, shape)
    fixed = image_classifier(model, image_size=shape[:2])
    assert fixed.inputs[0].shape == (None, *shape)
    maps = cladec.explain(model, images, method="saliency")
    np.testing.assert_allclose(maps, cladec.explain(fixed, images, method="saliency"), rtol=1e-4)
    codes = cladec.compute_codes(model, "conv", images)
    assert codes.shape == (4, shape[0] - 2, shape[1] - 2, 3)
    fitted = cladec.fit_refae(model, "conv", (images, np.arange(4)), recipe=QUICK)
    assert fitted.predict(images, verbose=0).shape == images.shape
    listed = cladec.decodable_layers(model, image_size=shape[:2])
    assert listed[0].shape == codes.shape[1:]


def test_without_images_a_model_of_any_size_asks_for_it():
    with pytest.raises(InputError, match="image_size"):
        cladec.decodable_layers(any_size())


def test_a_model_made_of_another_shares_its_weights_and_is_made_once():
    model, images = several_outputs(), zoo.images(2)
    one = image_classifier(model, output="kind")
    assert image_classifier(model, output="kind") is one
    assert image_classifier(one) is one
    before = cladec.explain(model, images, method="saliency", output="kind", targets=0)
    model.get_layer("conv").set_weights([2 * w for w in model.get_layer("conv").get_weights()])
    after = cladec.explain(model, images, method="saliency", output="kind", targets=0)
    assert np.abs(after - before).max() > 1e-3


def test_a_dataset_tells_the_size_of_a_model_of_any_size():
    class Pairs(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, place):
            return zoo.images(6), np.arange(6) % 4

    model = cladec.fit_cladec(any_size(), "conv", Pairs(workers=0), alpha=0.5, recipe=QUICK)
    assert model.predict(zoo.images(2), verbose=0).shape == (2, *zoo.IMAGE_SHAPE)


def test_what_is_kept_beside_a_model_is_not_saved_with_it(tmp_path):
    model = several_inputs()
    model.save(tmp_path / "before.keras")
    given = {"inputs": {"age": AGE, "place": 1}}
    cladec.explain(model, zoo.images(2), method="saliency", **given)
    model.save(tmp_path / "after.keras")
    sizes = [(tmp_path / name).stat().st_size for name in ("before.keras", "after.keras")]
    assert sizes[0] == sizes[1]
    one = image_classifier(model, **given)
    one.save(tmp_path / "one.keras")
    loaded = cladec.load_model(tmp_path / "one.keras")
    np.testing.assert_allclose(loaded(zoo.images(2)), one(zoo.images(2)), rtol=1e-6)


# Functions


def test_a_function_is_explained_like_the_model_that_it_calls():
    model, images = plain(), zoo.images(3)
    quick = {
        "occlusion": {},
        "rise": {"masks": 20},
        "lime": {"samples": 30, "segments": 6},
        "anchors": {"segments": 4},
    }
    for method, options in quick.items():
        expected = cladec.explain(model, images, method=method, **options)
        found = cladec.explain(lambda x: model(x), images, method=method, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (lambda p: p, lambda p: p),
        (lambda p: [p], lambda p: p),
        (np.log, lambda p: p),
        (lambda p: p[:, 1] / 2, lambda p: np.stack([1 - p[:, 1] / 2, p[:, 1] / 2], axis=1)),
        (lambda p: p[:, :1] / 2, lambda p: np.hstack([1 - p[:, :1] / 2, p[:, :1] / 2])),
        (lambda p: p / 2, lambda p: p / 2),
    ],
    ids=["probabilities", "list", "logits", "one_number", "one_column", "labels"],
)
def test_what_a_function_returns_is_recognised(answers, expected):
    model, images = plain(), zoo.images(5)
    probabilities = keras.ops.convert_to_numpy(model(images))
    function = FunctionModel.of(lambda x: answers(keras.ops.convert_to_numpy(model(x))), images)
    found = logits_model(function).probabilities(images)
    np.testing.assert_allclose(found, expected(probabilities), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["saliency", "grad_cam", "shap_deep", "deep_dream"])
def test_what_needs_layers_says_which_methods_need_none(method):
    with pytest.raises(InputError, match=r"shows none of its layers.*occlusion, rise.*lime"):
        cladec.explain(lambda images: images[:, :3, 0, 0], zoo.images(2), method=method)


def test_any_form_of_images_says_the_size_to_a_function():
    model, images = plain(), zoo.images(2)
    found = cladec.explain(lambda x: model(x), list(images), method="occlusion")
    np.testing.assert_allclose(
        found, cladec.explain(model, images, method="occlusion"), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda images: "cat", "no numbers"),
        (lambda images: np.zeros((1, 3)), "one row"),
        (lambda images: images, "one row"),
        (3, "expected a Keras model"),
        (keras.Model, "expected a Keras model"),
    ],
)
def test_what_is_no_classifier_is_told(function, words):
    with pytest.raises(InputError, match=words):
        cladec.explain(function, zoo.images(2), method="rise")


def test_a_call_without_symbolic_form_is_explained_as_a_function():
    model, images = subclassed(symbolic=False), zoo.images(3)
    found = cladec.explain(model, images, method="occlusion")
    np.testing.assert_allclose(
        found, cladec.explain(plain(), images, method="occlusion"), rtol=1e-3, atol=1e-6
    )
    with pytest.raises(InputError, match=r"'mine'.*no symbolic form"):
        cladec.explain(model, images, method="saliency")
    with pytest.raises(NoGraph, match="no symbolic form"):
        cladec.compute_codes(model, "conv", images, output="x")
    with pytest.raises(InputError, match="no symbolic form"):
        cladec.fit_cladec(model, "conv", (images, np.arange(3)), alpha=0.5)


# Weights of other types


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_a_quantised_model_is_explained_by_its_answers():
    model, images = plain(), zoo.images(3)
    model.quantize("int8")
    expected = keras.ops.convert_to_numpy(model(images))
    np.testing.assert_allclose(logits_model(model).probabilities(images), expected, atol=1e-5)
    assert np.ptp(cladec.explain(model, images, method="occlusion")) > 0


def test_low_rank_adaptation_is_part_of_the_answer():
    model, images = plain(), zoo.images(3)
    dense = model.get_layer("scores")
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(np.linspace(-1, 1, 8).reshape(2, 4))
    expected = keras.ops.convert_to_numpy(model(images))
    assert np.abs(expected - keras.ops.convert_to_numpy(plain()(images))).max() > 1e-3
    np.testing.assert_allclose(logits_model(model).probabilities(images), expected, atol=1e-5)
    assert np.ptp(cladec.explain(model, images, method="saliency")) > 0


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_other_precisions_are_explained(policy):
    images = zoo.images(2)
    keras.config.set_dtype_policy(policy)
    try:
        model = plain()
    finally:
        keras.config.set_dtype_policy("float32")
    for method in ("saliency", "grad_cam", "occlusion"):
        maps = cladec.explain(model, images, method=method, targets=1)
        assert maps.dtype == np.float32
        expected = cladec.explain(plain(), images, method=method, targets=1)
        np.testing.assert_allclose(maps, expected, atol=0.1 * np.abs(expected).max())


# Labels


def test_labels_that_an_image_may_have_several_of():
    images = keras.Input(zoo.IMAGE_SHAPE)
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    scores = layers.Dense(4, activation="sigmoid", name="scores")(layers.Flatten()(hidden))
    model = zoo.randomised(keras.Model(images, scores))
    shown = zoo.images(4)
    strongest = cutting.logits(model)(shown)
    assert logits_model(model).multi_label
    np.testing.assert_allclose(
        cladec.explain(model, shown, method="saliency"),
        cladec.explain(model, shown, method="saliency", targets=np.argmax(strongest, axis=1)),
    )
    labels = (np.arange(16).reshape(4, 4) % 3 == 0).astype(np.float32)
    fitted = cladec.fit_cladec(model, "conv", (shown, labels), alpha=1.0, recipe=QUICK)
    measured = fitted.evaluate(shown, labels, verbose=0, return_dict=True)
    answers = fitted.classifier(fitted.predict(shown, verbose=0)).numpy()
    entropies = np.log1p(np.exp(-np.where(labels > 0, answers, -answers)))
    np.testing.assert_allclose(measured["classification_loss"], entropies.mean(), rtol=1e-4)


def test_classes_are_labels_of_one_for_a_classifier_of_labels():
    images = keras.Input(zoo.IMAGE_SHAPE)
    scores = layers.Dense(4, activation="sigmoid", name="end")(layers.Flatten(name="flat")(images))
    model, shown = zoo.randomised(keras.Model(images, scores)), zoo.images(4)
    found = [
        cladec.fit_cladec(model, "flat", (shown, labels), alpha=0.5, recipe=QUICK)
        for labels in ([0, 1, 2, 3], np.eye(4))
    ]
    np.testing.assert_array_equal(*(model.predict(shown, verbose=0) for model in found))


def test_several_labels_do_not_fit_a_classifier_of_classes():
    labels = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    with pytest.raises(InputError, match=r"several labels each.*sigmoid for each label"):
        cladec.fit_cladec(plain(), "conv", (zoo.images(3), labels), alpha=0.5, recipe=QUICK)
