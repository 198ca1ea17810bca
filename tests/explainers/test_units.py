"""Part of a layer: which units are chosen, and decoders of them alone."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.explainers.units import Select, choose_units
from cladec.models import cutting, loading
from cladec.models.cladec import compute_codes, fit_cladec
from cladec.models.recipes import UNIT_CHOICES, Recipe
from cladec.models.refae import fit_refae
from cladec.storage import model_files

QUICK = Recipe(epochs=1, batch_size=32, learning_rate=1e-2, least_images=0, least_steps=0)


def message_of(function, *args, **kwargs) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5)])
def test_select_keeps_the_units_in_order(shape):
    codes = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    np.testing.assert_array_equal(Select([3, 0])(codes), codes[..., [3, 0]])
    again = Select.from_config(Select(np.array([1, 4]), name="some").get_config())
    assert (again.units, again.name) == ([1, 4], "some")
    assert {type(unit) for unit in again.units} == {int}
    assert again.compute_output_shape((None, *shape)) == (None, *shape[:-1], 2)


@pytest.mark.parametrize(
    ("units", "words"),
    [([], "[]"), ([1, 1], "[1, 1]"), ([0, 5], "unit 5"), ([-1], "unit -1 is out of range")],
)
def test_units_that_are_not_there_are_refused(units, words):
    message = message_of(lambda: Select(units)(np.zeros((2, 5), np.float32)))
    assert words in message
    assert "expected" in message


def test_a_unit_that_the_layer_does_not_have_is_an_input_error(classifier, tiny):
    for call in (cutting.cut, cutting.fresh_encoder):
        assert "unit 16 is out of range: expected 0 to 15" in message_of(
            call, classifier, "dense", [0, 16]
        )


@pytest.mark.parametrize("layer", ["conv", "dense"])
@pytest.mark.parametrize("form", ["own", "nested"])
def test_codes_are_those_of_the_units(classifier, tiny, layer, form):
    if form == "nested":
        classifier, layer = zoo.build("nested_twice"), {"conv": "conv", "dense": "scores"}[layer]
    images, units = tiny.test.images, np.array([2, 0])
    whole = compute_codes(classifier, layer, images)
    np.testing.assert_array_equal(
        compute_codes(classifier, layer, images, units), whole[..., units]
    )
    cut, part = cutting.cut(classifier, layer), cutting.cut(classifier, layer, units)
    np.testing.assert_array_equal(part(images)["logits"], cut(images)["logits"])
    encoder = cutting.fresh_encoder(classifier, layer, units)
    assert encoder.output_shape == (None, *whole.shape[1:-1], 2)
    assert encoder.trainable_weights


def test_decoders_of_part_of_a_layer_train_and_last(classifier, tiny, tmp_path):
    units = choose_units(classifier, "conv", 0.4, "important", images=tiny.train.images)
    options = {"recipe": QUICK, "units": units}
    cladec = fit_cladec(classifier, "conv", tiny, alpha=0.5, **options)
    codes = compute_codes(classifier, "conv", tiny.train.images, units)
    same = fit_cladec(classifier, "conv", tiny, alpha=0.5, codes=codes, **options)
    refae = fit_refae(classifier, "conv", tiny, **options)
    images = tiny.test.images
    np.testing.assert_array_equal(cladec.predict(images, verbose=0), same(images))
    for model in (cladec, refae):
        assert model.decoder.input_shape == (None, 8, 8, 3)
        model_files.save(model, tmp_path / "part.keras", {})
        loaded = loading.load_saved(tmp_path / "part.keras")
        np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)


def test_what_is_left_out_of_a_layer_does_not_reach_the_decoder(classifier, tiny):
    other = keras.models.clone_model(classifier)
    other.set_weights(classifier.get_weights())
    kernel = other.get_layer("dense").kernel
    kernel.assign(np.concatenate([kernel[:, :4], 0 * kernel[:, 4:]], axis=1))
    images = tiny.test.images
    codes = [compute_codes(model, "dense", images, range(4)) for model in (classifier, other)]
    np.testing.assert_array_equal(*codes)
    codes = [compute_codes(model, "dense", images, range(5)) for model in (classifier, other)]
    assert not np.array_equal(*codes)


@pytest.mark.parametrize("how", UNIT_CHOICES)
def test_shares_of_a_layer(classifier, tiny, how):
    images = tiny.test.images[:3]
    counts, before = [], set()
    for fraction in (0.01, 0.1, 0.5, 0.9, 1):
        units = choose_units(classifier, "dense", fraction, how, seed=1, images=images)
        assert units.dtype.kind == "i"
        assert sorted(set(units)) == list(units)
        assert before <= set(units) <= set(range(16))
        before = set(units)
        counts.append(len(units))
    assert counts == [1, 2, 8, 14, 16]


def test_the_first_units_and_drawn_ones(classifier):
    assert list(choose_units(classifier, "conv", 0.5, "first")) == [0, 1, 2, 3]
    drawn = [
        tuple(choose_units(classifier, "dense", 0.5, "random", seed=seed)) for seed in range(5)
    ]
    assert drawn[1] == tuple(choose_units(classifier, "dense", 0.5, "random", seed=1))
    assert len(set(drawn)) > 1


def scores_of_hidden_units(weights, classes=2):
    """A classifier whose hidden units are the first pixels of an image, each as it is."""
    inputs = keras.Input((2, 2, 1))
    hidden = layers.Dense(4, use_bias=False, name="hidden")(layers.Flatten()(inputs))
    logits = layers.Dense(classes, use_bias=False, name="logits")(hidden)
    model = keras.Model(inputs, layers.Softmax(name="probabilities")(logits))
    model.set_weights([np.eye(4), np.asarray(weights, np.float64)])
    return model


def test_importance_where_it_is_known_by_hand():
    # Class 0 is predicted: unit 1 speaks against it most, unit 0 has the largest weight of all but
    # is hardly active, unit 2 speaks for it, unit 3 for the other class alone.
    model = scores_of_hidden_units([[9, 0], [-1.5, 0], [5, 0], [0, 2]])
    images = np.array([0.01, 0.6, 0.4, 0.3], np.float32).reshape(1, 2, 2, 1)
    assert model.predict_on_batch(images).argmax() == 0
    ranks = [
        list(choose_units(model, "hidden", share, "important", images=images))
        for share in (0.25, 0.5, 0.75)
    ]
    assert ranks == [[2], [1, 2], [0, 1, 2]]


def test_opposite_contributions_do_not_cancel():
    # Unit 0 speaks for class 0, which the first image is taken for, and as much against class 1,
    # which the second is taken for because of unit 2; unit 1 speaks a little for both.
    model = scores_of_hidden_units([[3, -3], [1, 1], [0, 9], [0, 0]])
    images = np.array([[0.5, 0.4, 0, 0], [0.5, 0.4, 0.9, 0]], np.float32).reshape(2, 2, 2, 1)
    assert list(model.predict_on_batch(images).argmax(axis=1)) == [0, 1]
    assert list(choose_units(model, "hidden", 0.5, "important", images=images)) == [0, 2]


def naive_importance(model, layer, images):
    """By finite differences: every activation is raised and lowered by a hundredth of itself."""
    index = [part.name for part in model.layers].index(layer)
    head = keras.Model(model.layers[index].output, model.get_layer("logits").output)
    codes = keras.Model(model.inputs, model.layers[index].output).predict_on_batch(images)
    best = head(codes).numpy().argmax(axis=1)
    importance = np.zeros(codes.shape[-1])
    for unit in range(len(importance)):
        change = np.zeros_like(codes)
        change[..., unit] = 1e-2 * codes[..., unit]
        differences = head(codes + change).numpy() - head(codes - change).numpy()
        importance[unit] = np.abs(differences[range(len(codes)), best]).mean()
    return importance


@pytest.mark.parametrize("layer", ["conv", "dense"])
def test_importance_is_what_finite_differences_say(classifier, tiny, layer):
    images = tiny.test.images[:6]
    order = np.argsort(-naive_importance(classifier, layer, images))
    units = len(order)
    for count in (1, 2, 3, units // 2):
        chosen = choose_units(classifier, layer, count / units, "important", images=images)
        assert set(chosen) == set(order[:count])


def test_importance_does_not_depend_on_how_the_images_are_batched(classifier, tiny):
    images = tiny.train.images  # more than one batch, and the last one is not full
    chosen = choose_units(classifier, "dense", 0.25, "important", images=images)
    importance = naive_importance(classifier, "dense", images)
    assert set(chosen) == set(np.argsort(-importance)[:4])


@pytest.mark.parametrize("name", ["softmax_in_dense", "softmax_layer", "logits_end"])
def test_the_answer_is_important_where_it_is_predicted(name):
    model, images = zoo.build(name), zoo.images()
    answers = model.predict_on_batch(images)
    layer = list(cutting.layer_shapes(model))[-1]
    importance = np.zeros(zoo.CLASSES)
    for answer in answers:
        importance[answer.argmax()] += answer.max()
    predicted = np.flatnonzero(importance)
    share = len(predicted) / zoo.CLASSES
    chosen = choose_units(model, layer, share, "important", images=images)
    assert list(chosen) == list(predicted)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan"), "half"])
def test_a_fraction_out_of_range_is_refused(classifier, fraction):
    message = message_of(choose_units, classifier, "dense", fraction, "first")
    assert str(fraction) in message
    assert "expected" in message


def test_what_cannot_be_chosen_is_told_in_one_line(classifier, tiny):
    images = tiny.test.images
    assert "'best'" in message_of(choose_units, classifier, "dense", 0.5, "best")
    assert "images" in message_of(choose_units, classifier, "dense", 0.5, "important")
    assert "'dens'" in message_of(choose_units, classifier, "dens", 0.5, "first")
    assert "(40, 4, 8, 1)" in message_of(
        choose_units, classifier, "dense", 0.5, "important", images=images[:, :4]
    )
