"""Cutting: every form of classifier gives the codes and logits of the original, and stays as is."""

import re
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo
from keras import layers
from keras.ops import convert_to_numpy as numpy_of

from cladec.models import cutting

FORMS = [
    pytest.param(name, reloaded, id=f"{name}{'-reloaded' * reloaded}")
    for name in zoo.CASES
    for reloaded in (False, True)
    if not (reloaded and name.startswith("compiled"))
]
every_form = pytest.mark.parametrize(("name", "reloaded"), FORMS)


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    """The classifiers of the zoo, each built once: no test may change them."""
    folder = tmp_path_factory.mktemp("zoo")

    @cache
    def model_of(name, reloaded):
        model = zoo.build(name)
        if reloaded:
            model.save(folder / f"{name}.keras")
            model = keras.saving.load_model(folder / f"{name}.keras")
        return model

    return model_of


def observed(model, path, images, monkeypatch):
    """What the original's own layer at `path` was given and what it made of it, run eagerly."""
    layer = dict(zoo.operations(model))[re.sub(r"@\d", "", path)]
    seen = []
    original_call = layer.call

    def call(inputs, *args, **kwargs):
        outputs = original_call(inputs, *args, **kwargs)
        seen.append((inputs, outputs))
        return outputs

    with monkeypatch.context() as patch:
        patch.setattr(layer, "call", call)
        zoo.answer(model, images)
    return seen[int((re.findall(r"@(\d)", path) or [0])[-1]) - 1]


def original_logits(model, path, images, monkeypatch):
    """Logits as a matrix product, and the gradient of a weighted sum of them at the images."""
    layer = dict(zoo.operations(model))[path]
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        inputs, _ = observed(model, path, images, monkeypatch)
        logits = inputs @ layer.kernel + layer.bias
        score = tf.reduce_sum(logits * np.arange(zoo.CLASSES, dtype=np.float32))
    return logits.numpy(), tape.gradient(score, images)


def gradient_of(model, images):
    images = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = tf.reduce_sum(model(images) * np.arange(zoo.CLASSES, dtype=np.float32))
    return tape.gradient(score, images)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def snapshot(model):
    """Everything about a model that a caller could find changed."""
    operations = dict(zoo.operations(model))
    trainable = {
        path: getattr(operation, "trainable", None) for path, operation in operations.items()
    }
    nodes = {
        path: (len(operation._inbound_nodes), len(operation._outbound_nodes))
        for path, operation in operations.items()
    }
    loss = getattr(model, "loss", None)
    return model.to_json(), model.trainable, trainable, nodes, model.compiled, loss


def all_equal(first, second):
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def variables_of(model):
    return {id(variable) for variable in model.variables}


@every_form
def test_codes_and_logits_are_those_of_the_original(model_of, name, reloaded, monkeypatch):
    model, case, images = model_of(name, reloaded), zoo.CASES[name], zoo.images()
    network = cutting.cut(model, case.layer)
    answers = network(images)
    codes = observed(model, case.layer, images, monkeypatch)[1]
    logits, gradient = original_logits(model, case.scores, images, monkeypatch)
    np.testing.assert_allclose(answers["codes"], codes, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient_of(cutting.logits(model), images), gradient, atol=1e-4)
    assert np.abs(gradient).max() > 1e-3
    probabilities = zoo.answer(model, images)
    if name == "logits_end":
        np.testing.assert_allclose(answers["logits"], probabilities, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(softmax(logits), probabilities, rtol=1e-4, atol=1e-6)
    assert not network.trainable_weights


@every_form
def test_the_original_is_left_alone(model_of, name, reloaded):
    model, case, images = model_of(name, reloaded), zoo.CASES[name], zoo.images()
    before, weights = snapshot(model), model.get_weights()
    answers = numpy_of(zoo.answer(model, images))
    network = cutting.cut(model, case.layer)
    encoder = cutting.fresh_encoder(model, case.layer)
    cutting.layer_shapes(model)
    for copy in (network, encoder, cutting.logits(model)):
        assert not variables_of(copy) & variables_of(model)
        copy.trainable = not copy.trainable
        for weight in copy.weights:
            weight.assign(keras.ops.zeros_like(weight))
    assert snapshot(model) == before
    assert all_equal(model.get_weights(), weights)
    np.testing.assert_array_equal(zoo.answer(model, images), answers)


@pytest.mark.parametrize("name", zoo.CASES)
def test_fresh_encoder_is_newly_initialised_and_trainable(name):
    model = zoo.build(name)
    model.trainable = False
    encoder = cutting.fresh_encoder(model, zoo.CASES[name].layer)
    trainable = {id(weight) for weight in encoder.trainable_weights}
    drawn = [weight for weight in encoder.weights if weight.name in ("kernel", "gamma", "beta")]
    originals = [numpy_of(weight) for weight in model.weights]
    for weight in drawn:
        assert id(weight) in trainable
        assert not any(np.array_equal(weight, original) for original in originals)
    assert not model.trainable_weights
    assert encoder(zoo.images(2)).shape == (2, *encoder.output_shape[1:])


@pytest.mark.parametrize("fresh", [False, True])
def test_normalization_keeps_its_statistics(model_of, fresh, monkeypatch):
    model, images = model_of("adapted_normalization", False), zoo.images()
    network = cutting.fresh_encoder(model, "whitened") if fresh else cutting.cut(model, "whitened")
    codes = network(images) if fresh else network(images)["codes"]
    expected = observed(model, "whitened", images, monkeypatch)[1]
    assert abs(np.mean(expected)) > 0.1
    np.testing.assert_allclose(codes, expected, rtol=1e-5)


def test_batch_statistics_of_a_fresh_encoder_are_new():
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    normalised = layers.BatchNormalization(center=False, scale=False, name="normalised")
    model = zoo.randomised(keras.Model(inputs, zoo.scored(normalised(inputs))))
    encoder = cutting.fresh_encoder(model, "normalised")
    np.testing.assert_array_equal(encoder.get_layer("normalised").moving_mean, 0)


def test_a_part_shares_the_weights_of_its_network_and_stays_frozen(model_of):
    network = cutting.cut(model_of("sequential", False), "dense")
    for output, units in (("codes", 6), ("logits", 10)):
        part = cutting.part(network, output)
        assert part.output_shape == (None, units)
        assert variables_of(part) <= variables_of(network)
        assert not part.trainable_weights


def test_the_layer_decoded_may_be_the_last(model_of, monkeypatch):
    model, images = model_of("softmax_in_dense", False), zoo.images()
    answers = cutting.cut(model, "scores")(images)
    np.testing.assert_allclose(answers["codes"], model(images), rtol=1e-5)
    np.testing.assert_allclose(softmax(numpy_of(answers["logits"])), model(images), rtol=1e-4)


def test_layer_shapes_are_named_by_path(model_of):
    shapes = cutting.layer_shapes(model_of("nested_twice", False))
    assert shapes["outer/inner/conv"] == (8, 8, 3)
    assert shapes["outer/inner"] == shapes["outer"] == (8, 8, 3)
    assert shapes["scores"] == (10,)


def test_an_unambiguous_inner_name_needs_no_path(model_of):
    flat = cutting.flatten(model_of("nested_twice", False))
    assert flat.find("conv") is flat.find("outer/inner/conv")


def test_a_network_that_was_cut_can_be_saved_and_loaded(model_of, tmp_path):
    images = zoo.images()
    for name in ("functions_in_the_graph", "same_functions_in_two_nested", "adapted_normalization"):
        network = cutting.cut(model_of(name, True), zoo.CASES[name].layer)
        network.save(tmp_path / "network.keras")
        loaded = keras.saving.load_model(tmp_path / "network.keras")
        for output in ("codes", "logits"):
            np.testing.assert_allclose(loaded(images)[output], network(images)[output], rtol=1e-5)


def test_a_layer_that_nothing_bypasses_is_enough_for_the_rest():
    images = keras.Input((4, 4, 1))
    first = layers.Conv2D(2, 3, padding="same", name="first")(images)
    second = layers.Conv2D(2, 3, padding="same", name="second")(first)
    both = layers.Flatten()(layers.Add(name="both")([first, second]))
    scores = layers.Dense(3, name="scores")(both)
    model = keras.Model(images, layers.Softmax(name="probabilities")(scores))
    given = np.random.default_rng(0).random((5, 4, 4, 1), np.float32)
    expected = keras.Model(images, scores)(given)
    for layer in ("both", "scores"):
        codes = keras.Model(images, model.get_layer(layer).output)(given)
        np.testing.assert_allclose(cutting.rest_alone(model, layer)(codes), expected, rtol=1e-5)
    assert cutting.rest_alone(model, "second") is None
    assert cutting.rest_alone(model, "probabilities") is None


@pytest.mark.parametrize("name", ["shared_layer", "residual_add", "nested_called_twice"])
def test_the_two_sides_of_a_layer_make_the_whole(name):
    flat, images = cutting.flatten(zoo.build(name)), keras.ops.convert_to_tensor(zoo.images(2))
    expected = keras.Model(flat.inputs, flat.logits)(images)
    for codes in flat.tensors.values():
        before, behind = cutting.split(flat.inputs, codes, flat.logits)
        given = before(images)
        np.testing.assert_allclose(behind([images, given]), expected, rtol=1e-5, atol=1e-6)
        assert codes is flat.outputs or np.ptp(behind([images, given + 1.0]) - expected) > 1e-3
