"""The variational pair: the divergence, what training changes, what the latent space is for."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy_of

from cladec.errors import InputError
from cladec.models import cutting, loading, losses
from cladec.models.cladec import ClaDec, compute_codes
from cladec.models.decoder import build_decoder
from cladec.models.recipes import Recipe
from cladec.models.refae import RefAE
from cladec.models.training import seeded
from cladec.models.variational import (
    VariationalClaDec,
    VariationalRefAE,
    build_posterior,
    fit_variational_cladec,
    fit_variational_refae,
)
from cladec.storage import model_files

QUICK = Recipe(epochs=1, batch_size=32, learning_rate=1e-2, least_images=0, least_steps=0)
LONGER = Recipe(epochs=12, batch_size=16, learning_rate=1e-2, least_images=0, least_steps=0)


def quick(kind: str, classifier, data, layer="dense", **options):
    options = {"recipe": QUICK} | options
    if kind == "refae":
        return fit_variational_refae(classifier, layer, data, **options)
    return fit_variational_cladec(classifier, layer, data, **{"alpha": 0.3} | options)


def new(kind: str, classifier, layer="conv", *, latent_dim=3, **options):
    """A model that has not been trained, with variances that depend on the image."""
    with seeded(0):
        network = cutting.cut(classifier, layer)
        encoder = cutting.fresh_encoder(classifier, layer)
        posterior = build_posterior(encoder.output_shape[1:], latent_dim)
        decoder = build_decoder((latent_dim,), encoder.input_shape[1:])
    kernel = posterior.get_layer("z_log_var").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.1, kernel.shape))
    if kind == "refae":
        return VariationalRefAE(encoder, decoder, posterior=posterior, **options)
    options = {"alpha": 0.3} | options
    return VariationalClaDec(network, decoder, posterior=posterior, **options)


def same_weights(first, second) -> bool:
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def naive_divergence(z_mean, z_log_var) -> float:
    """The closed form, image by image and dimension by dimension."""
    sums = []
    for means, log_variances in zip(z_mean.astype(float), z_log_var.astype(float), strict=True):
        pairs = zip(means, log_variances, strict=True)
        sums.append(sum(0.5 * (np.exp(v) + m**2 - 1 - v) for m, v in pairs))
    return float(np.mean(sums))


kinds = pytest.mark.parametrize("kind", ["cladec", "refae"])


@kinds
def test_loss_is_the_formula(classifier, tiny, kind):
    images, labels = tiny.test.images, tiny.test.labels
    model = new(kind, classifier, beta=0.7)
    decoded = numpy_of(model(images))
    targets = {"images": images, "labels": labels} if kind == "cladec" else images
    loss = float(model.compute_loss(y=targets, y_pred=decoded))
    reconstruction = float(((images.astype(float) - decoded) ** 2).sum(axis=(1, 2, 3)).mean())
    divergence = naive_divergence(*model.encode(images))
    classification = float(losses.classification(labels, cutting.logits(classifier)(decoded)))
    alpha = getattr(model, "alpha", 0.0)
    scaled = 784 / 64 * reconstruction  # images of 8x8x1
    expected = (1 - alpha) * scaled + alpha * classification + 0.7 * divergence
    assert divergence > 0.01
    assert loss == pytest.approx(expected, rel=1e-4)
    measures = {metric.name: float(metric.result()) for metric in model.metrics}
    assert measures["kl_loss"] == pytest.approx(divergence, rel=1e-4)
    assert measures["reconstruction_loss"] == pytest.approx(reconstruction, rel=1e-4)
    if kind == "cladec":
        assert measures["classification_loss"] == pytest.approx(classification, rel=1e-4)


def test_weight_decay_of_the_encoder_is_not_taken_for_the_divergence(tiny):
    decayed = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(
                6, kernel_regularizer="l2", activity_regularizer="l1", name="hidden"
            ),
            keras.layers.Dense(10),
        ]
    )
    refae = new("refae", decayed, "hidden")
    refae(tiny.test.images)
    assert len(refae.losses) == 3
    decoded = numpy_of(refae(tiny.test.images))
    reconstruction = float(losses.reconstruction(tiny.test.images, decoded))
    divergence = naive_divergence(*refae.encode(tiny.test.images))
    loss = float(refae.compute_loss(y=tiny.test.images, y_pred=decoded))
    assert loss == pytest.approx(784 / 64 * reconstruction + divergence, rel=1e-4)


def test_a_sample_is_the_mean_plus_scaled_noise(classifier, tiny):
    cladec = new("cladec", classifier)
    cladec.posterior.get_layer("z_log_var").kernel.assign(np.zeros((512, 3)))
    images = np.repeat(tiny.test.images[:2], 4000, axis=0)
    log_variances = np.log(np.array([0.25, 1.0, 4.0], np.float32))
    cladec.posterior.get_layer("z_log_var").bias.assign(log_variances)
    # The decoder shows the latent point itself.
    latents = keras.Input((3,))
    cladec.decoder = keras.Model(latents, keras.layers.Identity()(latents))
    z_mean, z_log_var = cladec.encode(images[::4000])
    np.testing.assert_allclose(z_log_var, [log_variances] * 2, rtol=1e-6)
    drawn = numpy_of(cladec(images, training=True)).reshape(2, 4000, 3)
    np.testing.assert_allclose(drawn.std(axis=1), [[0.5, 1.0, 2.0]] * 2, rtol=0.06)
    np.testing.assert_allclose(drawn.mean(axis=1), z_mean, atol=0.12)
    np.testing.assert_allclose(
        numpy_of(cladec(images[::4000], training=False)), z_mean, rtol=1e-5, atol=1e-6
    )


def test_training_draws_noise_and_inference_none(classifier, tiny):
    images = tiny.test.images
    first, twin, other = (new("cladec", classifier, seed=seed) for seed in (1, 1, 2))
    drawn = [numpy_of(model(images, training=True)) for model in (first, twin, other, first)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[3])
    decoded = first.predict(images, verbose=0)
    np.testing.assert_array_equal(decoded, first.predict(images, verbose=0))
    np.testing.assert_allclose(decoded, first.decode(first.encode(images)[0]), atol=1e-5)


@kinds
def test_same_seed_same_weights(classifier, tiny, kind):
    models = [quick(kind, classifier, tiny, seed=seed) for seed in (3, 3, 4)]
    assert same_weights(models[0], models[1])
    assert models[0].history.history == models[1].history.history
    assert not same_weights(models[0], models[2])


@kinds
def test_training_changes_nothing_of_the_classifier(classifier, tiny, kind):
    before = classifier.get_weights()
    images = tiny.train.images.copy()
    model = quick(kind, classifier, tiny, "dropped")
    assert all(map(np.array_equal, classifier.get_weights(), before))
    np.testing.assert_array_equal(tiny.train.images, images)
    learning = {id(weight) for weight in model.trainable_weights}
    parts = [model.posterior, model.decoder] + [model.encoder] * (kind == "refae")
    assert learning == {id(weight) for part in parts for weight in part.trainable_weights}
    assert isinstance(model, ClaDec if kind == "cladec" else RefAE)


def test_the_frozen_part_rests_in_training_and_that_of_a_refae_does_not(classifier, tiny):
    cladec = new("cladec", classifier, "dropped")
    before = cladec.network.get_weights()
    cladec(tiny.test.images, training=True)
    assert all(map(np.array_equal, cladec.network.get_weights(), before))
    refae = new("refae", classifier, "normalised")
    statistics = refae.encoder.get_layer("normalised").moving_mean
    before = numpy_of(statistics).copy()
    refae(tiny.test.images, training=True)
    assert not np.array_equal(numpy_of(statistics), before)


def test_codes_computed_once_train_the_same_model(classifier, tiny):
    codes = compute_codes(classifier, "conv", tiny.train.images)
    given = quick("cladec", classifier, tiny, "conv", codes=codes)
    assert same_weights(given, quick("cladec", classifier, tiny, "conv"))
    decoded = numpy_of(given({"codes": codes.astype(np.float32)}))
    np.testing.assert_allclose(given.predict(tiny.train.images, verbose=0), decoded, atol=2e-3)
    with pytest.raises(InputError, match="codes of shape"):
        quick("cladec", classifier, tiny, "conv", codes=codes[:5])


@kinds
def test_beta_pulls_the_codes_to_the_prior_and_beta_zero_does_not(classifier, tiny, kind):
    divergence = {}
    for beta in (0.0, 1.0):
        model = quick(kind, classifier, tiny, beta=beta, recipe=LONGER)
        history = model.history.history
        divergence[beta] = naive_divergence(*model.encode(tiny.train.images))
        scaled = losses.scale(tiny.image_shape) * history["reconstruction_loss"][-1]
        classification = history.get("classification_loss", [0.0])[-1]
        alpha = getattr(model, "alpha", 0.0)
        expected = losses.mix(alpha, scaled, classification) + beta * history["kl_loss"][-1]
        assert history["loss"][-1] == pytest.approx(expected, rel=1e-3)
        assert history["reconstruction_loss"][-1] < history["reconstruction_loss"][0]
    assert divergence[0.0] > 2 * divergence[1.0]


@kinds
@pytest.mark.parametrize("latent_dim", [1, 5])
def test_a_saved_model_is_the_same_model(classifier, tiny, tmp_path, kind, latent_dim):
    model = new(kind, classifier, latent_dim=latent_dim, beta=0.5, seed=7)
    images = tiny.test.images
    model(images, training=True)
    expected, latents = model.predict(images, verbose=0), model.encode(images)
    assert [part.shape for part in latents] == [(len(images), latent_dim)] * 2
    path = tmp_path / "variational.keras"
    model_files.save(model, path, {})
    loaded = loading.load_saved(path)
    assert type(loaded) is (VariationalClaDec if kind == "cladec" else VariationalRefAE)
    assert same_weights(loaded, model)
    assert (loaded.beta, loaded.seed, loaded.latent_dim) == (0.5, 7, latent_dim)
    assert getattr(loaded, "alpha", None) == getattr(model, "alpha", None)
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), expected)
    np.testing.assert_array_equal(loaded.encode(images), latents)
    np.testing.assert_array_equal(loaded.decode(latents[0]), model.decode(latents[0]))
    assert expected.shape == images.shape
    assert expected.dtype == np.float32


@kinds
def test_training_in_bfloat16_is_as_good(classifier, tiny, kind):
    found = {}
    for name in ("float32", "mixed_bfloat16"):
        recipe = replace(LONGER, precision=name)
        model = quick(kind, classifier, tiny, recipe=recipe)
        assert {layer.dtype_policy.name for layer in model._flatten_layers()} == {"float32"}
        assert {latents.dtype for latents in model.encode(tiny.train.images)} == {
            np.dtype("float32")
        }
        found[name] = model.history.history["loss"][-1]
    assert found["mixed_bfloat16"] != found["float32"]
    assert found["mixed_bfloat16"] == pytest.approx(found["float32"], rel=0.15)


def test_large_codes_do_not_overflow(classifier, tiny):
    loud = keras.models.clone_model(classifier)
    loud.set_weights(classifier.get_weights())
    dense = loud.get_layer("dense")
    dense.kernel.assign(dense.kernel * 300)
    model = quick("cladec", loud, tiny, recipe=LONGER)
    assert compute_codes(loud, "dense", tiny.train.images).max() > 300
    assert np.isfinite(model.history.history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "latent_dim is 0: expected a whole number of at least 1"),
        ({"latent_dim": 2.5}, "latent_dim is 2.5: expected"),
        ({"beta": -1}, "beta is -1: expected a finite number of at least 0"),
        ({"beta": float("inf")}, "beta is inf"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"beta": "much"}, "beta is 'much'"),
    ],
)
@kinds
def test_bad_arguments_are_input_errors(classifier, tiny, kind, options, message):
    with pytest.raises(InputError, match=message):
        quick(kind, classifier, tiny, **options)


def test_alpha_and_latents_are_checked(classifier, tiny):
    with pytest.raises(InputError, match=r"alpha is 1\.5"):
        quick("cladec", classifier, tiny, alpha=1.5)
    with pytest.raises(InputError, match=r"latents of shape \(4, 2\): expected \(points, 3\)"):
        new("cladec", classifier).decode(np.zeros((4, 2), np.float32))
