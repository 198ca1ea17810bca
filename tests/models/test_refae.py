"""RefAE from scratch, and from the weights of the classifier."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

import cladec
from cladec.errors import InputError
from cladec.models import batches, cutting, refae
from cladec.models.refae import RefAE, fit_refae

QUICK = cladec.Recipe(1, batch_size=6, learning_rate=1e-2, least_images=0, least_steps=0)
STILL = cladec.Recipe(1, batch_size=6, learning_rate=0.0, least_images=0, least_steps=0)
FITS = {"plain": cladec.fit_refae, "variational": cladec.fit_variational_refae}


def normalised() -> keras.Model:
    images = keras.Input(zoo.IMAGE_SHAPE)
    hidden = layers.Conv2D(4, 3, name="conv")(images)
    hidden = layers.Dropout(0.5)(layers.BatchNormalization(name="normalised")(hidden))
    return zoo.randomised(keras.Model(images, zoo.scored(hidden)))


@pytest.fixture(scope="module")
def data():
    return zoo.images(12), np.arange(12) % 10


def weights(model: keras.Model) -> list[np.ndarray]:
    return [weight.copy() for weight in model.get_weights()]


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_a_tuned_encoder_starts_from_the_classifier_and_leaves_it_alone(fit, data):
    classifier = normalised()
    before = weights(classifier)
    own = cutting.part(cutting.cut(classifier, "normalised"), "codes")
    still = fit(classifier, "normalised", data, start="tuned", recipe=STILL)
    assert same(weights(still.encoder), weights(own))
    trained = fit(classifier, "normalised", data, start="tuned", recipe=QUICK)
    assert not same(weights(trained.encoder), weights(own))
    moving = trained.encoder.get_layer("normalised").get_weights()[2:]
    assert same(moving, classifier.get_layer("normalised").get_weights()[2:])
    assert same(weights(classifier), before)


def test_codes_of_any_size_do_not_blacken_a_colour_of_a_tuned_reference():
    """A channel of the picture that starts far from its values has no gradient back to them."""
    given = keras.Input((36, 36, 3))
    hidden = layers.Conv2D(6, 3, 2, "same", use_bias=False, activation="relu", name="large")(given)
    classifier = zoo.randomised(keras.Model(given, zoo.scored(hidden)))
    layer = classifier.get_layer("large")
    layer.set_weights([40.0 * weight for weight in layer.get_weights()])
    images = np.random.default_rng(0).random((24, 36, 36, 3), dtype=np.float32)
    data = images, np.arange(24) % 10
    model = fit_refae(classifier, "large", data, start="tuned", recipe=STILL)
    codes = batches.predict(model.encoder, images).reshape(-1, 6)
    assert codes.std(axis=0).max() > 10
    standardised = model.decoder.get_layer("standardised")(codes)
    np.testing.assert_allclose(np.mean(standardised, axis=0), 0.0, atol=1e-2)
    np.testing.assert_allclose(np.std(standardised, axis=0), 1.0, atol=1e-2)


def test_a_fresh_encoder_has_weights_of_its_own(data):
    classifier = normalised()
    model = fit_refae(classifier, "normalised", data, start="fresh", recipe=STILL)
    own = cutting.part(cutting.cut(classifier, "normalised"), "codes")
    assert not same(weights(model.encoder)[:1], weights(own)[:1])


def test_large_encoders_are_tuned_by_default(data, monkeypatch):
    classifier = normalised()
    assert fit_refae(classifier, "conv", data, recipe=QUICK).start == "fresh"
    monkeypatch.setattr(refae, "LARGE", 40)  # the convolution has 9 * 4 + 4 weights
    assert fit_refae(classifier, "conv", data, recipe=QUICK).start == "tuned"
    monkeypatch.setattr(refae, "LARGE", 41)
    assert fit_refae(classifier, "conv", data, recipe=QUICK).start == "fresh"


@pytest.mark.parametrize("start", ["warm", None, 1])
def test_another_start_is_refused(start, data):
    if start is None:  # stands for the default
        assert fit_refae(normalised(), "conv", data, start=start, recipe=QUICK).start == "fresh"
        return
    with pytest.raises(InputError, match="expected one of auto, fresh, tuned"):
        fit_refae(normalised(), "conv", data, start=start, recipe=QUICK)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_a_saved_model_knows_where_it_started(fit, data, tmp_path):
    model = fit(normalised(), "conv", data, start="tuned", recipe=QUICK)
    model.save(tmp_path / "refae.keras")
    loaded = cladec.load_model(tmp_path / "refae.keras")
    assert loaded.start == "tuned"
    images = zoo.images(2)
    np.testing.assert_allclose(loaded.predict(images), model.predict(images), atol=1e-6)


def test_a_model_saved_before_there_was_a_choice_started_fresh(data):
    model = fit_refae(normalised(), "conv", data, recipe=QUICK)
    config = model.get_config()
    del config["start"]
    assert RefAE.from_config(config).start == "fresh"


def test_a_fresh_encoder_decodes_as_it_was_trained_after_few_steps():
    classifier, images = normalised(), zoo.images(48)
    assert classifier.get_layer("normalised").momentum == 0.99
    recipe = cladec.Recipe(15, batch_size=6, learning_rate=1e-2, least_images=0, least_steps=0)
    data = images, np.arange(48) % 10
    model = fit_refae(classifier, "normalised", data, start="fresh", recipe=recipe)
    errors = [
        np.square(np.asarray(model(images, training=training)) - images).mean()
        for training in (False, True)
    ]
    assert errors[0] < 1.1 * errors[1]
    assert classifier.get_layer("normalised").momentum == 0.99
