"""What fits as users of Keras expect: decoders and optimizers of their own, evaluate, fit."""

import json
import zipfile
from functools import partial

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from cladec.errors import InputError
from cladec.models.cladec import compute_codes, fit_cladec
from cladec.models.conditional import fit_conditional
from cladec.models.recipes import Recipe
from cladec.models.refae import fit_refae
from cladec.models.variational import fit_variational_cladec, fit_variational_refae

QUICK = Recipe(epochs=1, batch_size=32, learning_rate=1e-2, least_images=0, least_steps=0)

FITS = {
    "cladec": partial(fit_cladec, alpha=0.5, recipe=QUICK),
    "refae": partial(fit_refae, recipe=QUICK),
    "conditional": partial(fit_conditional, recipe=QUICK),
    "variational_cladec": partial(fit_variational_cladec, alpha=0.5, recipe=QUICK),
    "variational_refae": partial(fit_variational_refae, recipe=QUICK),
}

every_fit = pytest.mark.parametrize("name", FITS)


def fitted(name: str, classifier, data, **options):
    return FITS[name](classifier, "dense", data, **options)


def evaluated(name: str, split) -> tuple:
    """What `evaluate` and `fit` of a model take of some images."""
    if name.endswith("refae"):
        return split.images, split.images
    if name == "conditional":
        alphas = np.linspace(0, 1, len(split.images), dtype="float32")
        return {"images": split.images, "alpha": alphas}, split.labels
    return split.images, split.labels


def own_decoder(name: str, pixels: int = 64) -> keras.Model:
    """A decoder as a user writes one, without an Input where it needs none."""
    head = [layers.Dense(pixels, "sigmoid"), layers.Reshape((8, pixels // 8, 1))]
    if name != "conditional":
        return keras.Sequential(head, name="own")
    codes, alpha = keras.Input((16,), name="codes"), keras.Input((1,), name="alpha")
    hidden = layers.Concatenate()([codes, alpha])
    for layer in head:
        hidden = layer(hidden)
    return keras.Model({"codes": codes, "alpha": alpha}, hidden, name="own")


@every_fit
def test_a_fitted_model_is_evaluated_and_trained_on(classifier, tiny, name):
    model = fitted(name, classifier, tiny)
    x, y = evaluated(name, tiny.test)
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(found) == set(model.history.history)
    assert np.isfinite(list(found.values())).all()
    recipe = QUICK.for_alpha(0.5) if name.endswith("cladec") else QUICK
    assert float(model.optimizer.learning_rate) == pytest.approx(recipe.learning_rate)
    losses = model.fit(*evaluated(name, tiny.train), epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_labels_alone_are_enough_beside_images_and_not_beside_codes(classifier, tiny):
    cladec = fitted("cladec", classifier, tiny)
    images, labels = tiny.test.images, tiny.test.labels
    both = {"images": images, "labels": labels}
    codes = {"codes": compute_codes(classifier, "dense", images)}
    expected = cladec.evaluate(images, labels, verbose=0)
    assert cladec.evaluate(images, both, verbose=0) == expected
    np.testing.assert_allclose(cladec.evaluate(codes, both, verbose=0), expected, rtol=1e-3)
    with pytest.raises(InputError, match="the images to compare with are missing"):
        cladec.evaluate(codes, labels)


WRONG = {
    "images": (lambda images, labels: images, r"labels are of shape \(40, 8, 8, 1\)"),
    "one_hot": (lambda images, labels: np.eye(10)[labels], r"labels are of shape \(40, 10\)"),
    "few": (lambda images, labels: labels[:-1], r"39 and 40 rows|40 and 39 rows"),
    "list": (lambda images, labels: labels.tolist(), "labels are a list"),
    "none": (lambda images, labels: None, "labels are missing"),
    "no_labels": (lambda images, labels: {"images": images}, "labels are missing"),
    "no_images": (lambda images, labels: {"labels": labels}, "images .* are missing"),
    "flat": (
        lambda images, labels: {"images": images[..., 0], "labels": labels},
        r"images .* are of shape \(40, 8, 8\): expected \(N, 8, 8, 1\)",
    ),
}


@pytest.fixture(scope="module")
def models(classifier, tiny):
    return {name: fitted(name, classifier, tiny) for name in ("cladec", "refae", "conditional")}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["cladec", "conditional"])
def test_a_wrong_y_is_said_in_a_sentence(models, tiny, name, wrong):
    x, labels = evaluated(name, tiny.test)
    make, message = WRONG[wrong]
    y = make(tiny.test.images, labels)
    for method in (models[name].evaluate, models[name].fit):
        with pytest.raises(InputError, match=message) as caught:
            method(x, y, verbose=0)
        assert "\n" not in str(caught.value)
    assert models[name].evaluate(x, labels, verbose=0)


def test_so_is_one_that_comes_in_batches(models, tiny):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return tiny.test.images, np.eye(10)[tiny.test.labels]

    for model, message in (("cladec", r"labels are of shape \("), ("refae", "images .* of shape")):
        with pytest.raises(InputError, match=message):
            models[model].evaluate(Batches(), verbose=0)


def test_what_refae_and_an_alpha_are_for_is_said_too(models, tiny):
    images, labels = tiny.test.images, tiny.test.labels
    with pytest.raises(InputError, match=r"of shape \(40,\): expected \(N, 8, 8, 1\), in y=images"):
        models["refae"].evaluate(images, labels)
    with pytest.raises(InputError, match="no alpha: "):
        models["conditional"].evaluate(images, labels)


@every_fit
def test_a_decoder_of_ones_own_is_what_is_trained(classifier, tiny, name):
    decoder = own_decoder(name)
    before = fitted(name, classifier, tiny, decoder=decoder, recipe=Recipe(1, 32, 0.0, 0, 0))
    assert before.decoder is decoder
    weights = decoder.get_weights()
    after = fitted(name, classifier, tiny, decoder=decoder)
    assert after.decoder is decoder
    assert not all(map(np.array_equal, decoder.get_weights(), weights))
    assert after.evaluate(*evaluated(name, tiny.test), verbose=0)


@every_fit
def test_a_decoder_of_other_shapes_is_refused(classifier, tiny, name):
    other = keras.Sequential([keras.Input((5,)), layers.Dense(64), layers.Reshape((8, 8, 1))])
    for decoder, message in (
        (own_decoder(name, 32), r"gives \(8, 4, 1\) of .* to images \(8, 8, 1\)"),
        (other, "cannot be called on .* to images"),
        (3, "decoder is 3: expected a Keras model"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            fitted(name, classifier, tiny, decoder=decoder)
        assert "\n" not in str(caught.value)


def test_a_decoder_that_hears_of_no_alpha_is_none_for_every_alpha(classifier, tiny):
    with pytest.raises(InputError, match=r"cannot be called on \{'codes': \(16,\), 'alpha': \(\)"):
        fitted("conditional", classifier, tiny, decoder=own_decoder("cladec"))


@every_fit
def test_an_optimizer_may_be_a_name_or_one_that_was_used(classifier, tiny, name):
    used = keras.optimizers.SGD(1e-5, momentum=0.5)
    used.build(classifier.trainable_variables)
    for optimizer, rate in (("rmsprop", 1e-3), (used, 1e-5)):
        model = fitted(name, classifier, tiny, optimizer=optimizer)
        assert model.optimizer is not used
        assert float(model.optimizer.learning_rate) == pytest.approx(rate)
    assert int(used.iterations) == 0


def test_without_rate_an_optimizer_changes_nothing(classifier, tiny):
    decoder = own_decoder("cladec")
    still = keras.optimizers.SGD(0.0)
    first = fitted("cladec", classifier, tiny, decoder=decoder, optimizer=still)
    weights = decoder.get_weights()
    fitted("cladec", classifier, tiny, decoder=decoder, optimizer=still)
    assert all(map(np.array_equal, decoder.get_weights(), weights))
    assert first.history.history["loss"][0] > 0


@pytest.mark.parametrize("optimizer", ["sgdd", 3, keras.optimizers.SGD, {"learning_rate": 1}])
def test_what_is_no_optimizer_is_said(classifier, tiny, optimizer):
    with pytest.raises(InputError, match=r"optimizer is .*expected an optimizer of Keras"):
        fitted("cladec", classifier, tiny, optimizer=optimizer)


def test_the_saved_file_has_no_optimizer_and_the_model_keeps_it(classifier, tiny, tmp_path):
    model = fitted("refae", classifier, tiny)
    images, path = tiny.test.images, tmp_path / "refae.keras"
    model.fit(images, images, verbose=0)
    optimizer, expected = model.optimizer, model.evaluate(images, images, verbose=0)
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("config.json"))["compile_config"] == {}
        with archive.open("model.weights.h5") as weights, h5py.File(weights) as file:
            assert "optimizer" not in file
    assert model.optimizer is optimizer
    loaded = keras.saving.load_model(path)
    with pytest.raises(ValueError, match=r"must call `compile\(\)`"):
        loaded.evaluate(images, images)
    loaded.compile("adam")
    assert loaded.evaluate(images, images, verbose=0) == pytest.approx(expected, rel=1e-5)
    loaded.save(path)
