"""One ClaDec for every alpha: the loss, what alpha is turned into, and a model that lasts."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy as numpy_of
from test_cladec import (
    SCALE,
    naive_losses,
    painted,
    quick_cladec,
    repainted,
    same_weights,
    state_of,
    targets_of,
)

from cladec.data.dataset import Split
from cladec.errors import InputError
from cladec.models import cutting, loading, losses
from cladec.models.batches import PREDICTION_BATCH
from cladec.models.cladec import compute_codes
from cladec.models.conditional import (
    ONES,
    ZEROS,
    AlphaFeatures,
    ConditionalClaDec,
    DrawnAlphas,
    FiLM,
    ScaledCopy,
    alpha_at,
    build_conditional_decoder,
    fit_conditional,
    weights_of,
)
from cladec.models.decoder import build_decoder
from cladec.models.precision import computing_in
from cladec.models.recipes import ALPHAS, Recipe
from cladec.storage import model_files

QUICK = Recipe(epochs=1, batch_size=32, learning_rate=1e-2, least_images=0, least_steps=0)


def quick_conditional(classifier, data, layer="conv", **options) -> ConditionalClaDec:
    return fit_conditional(classifier, layer, data, **{"recipe": QUICK} | options)


@pytest.fixture(scope="module")
def trained(classifier, tiny) -> ConditionalClaDec:
    recipe = Recipe(epochs=40, batch_size=16, learning_rate=1e-2, least_images=0, least_steps=0)
    return quick_conditional(classifier, tiny, recipe=recipe)


def drawn(model: keras.Model) -> keras.Model:
    """The same model with all weights drawn, so that every one of them matters."""
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.3, weight.shape) for weight in model.get_weights()])
    return model


def test_the_loss_weighs_each_image_by_its_own_alpha(classifier, tiny, trained):
    alphas = np.where(np.arange(len(tiny.test.images)) < 10, 0.2, 0.95).astype(np.float32)
    decoded = trained.predict(tiny.test.images, alphas)
    trained.reset_metrics()
    loss = trained.compute_loss(x={"alpha": alphas}, y=targets_of(tiny.test), y_pred=decoded)
    parts, mixed = np.zeros(2), {}
    for alpha in np.unique(alphas):
        rows = alphas == alpha
        split = Split(tiny.test.images[rows], tiny.test.labels[rows])
        means = np.array(naive_losses(classifier, split, decoded[rows]))
        parts += means * np.mean(rows)
        mixed[alpha] = ((1 - alpha) * SCALE * means[0] + alpha * means[1]) * np.mean(rows)
    ratio = parts[1] / (SCALE * parts[0])
    assert 0.001 < ratio < 1
    weighted = sum(mixed[alpha] / (1 - alpha + alpha * ratio) ** 0.3 for alpha in mixed)
    np.testing.assert_allclose(loss, weighted, rtol=1e-4)
    tracked = trained.reconstruction_tracker.result(), trained.classification_tracker.result()
    np.testing.assert_allclose(tracked, parts, rtol=1e-4)


def test_losses_of_each_image_have_the_means_of_the_paper(tiny):
    random = np.random.default_rng(0)
    images, labels = tiny.test.images, tiny.test.labels
    decoded, logits = random.random(images.shape, np.float32), random.normal(size=(len(labels), 10))
    errors = losses.reconstruction_of_each(images, decoded)
    np.testing.assert_allclose(errors, ((images - decoded) ** 2).sum((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(losses.reconstruction(images, decoded), np.mean(errors), rtol=1e-5)
    entropies = numpy_of(losses.classification_of_each(labels, logits))
    exponentials = np.exp(logits)
    chosen = exponentials[np.arange(len(labels)), labels] / exponentials.sum(1)
    np.testing.assert_allclose(entropies, -np.log(chosen), rtol=1e-4)
    np.testing.assert_allclose(losses.classification(labels, logits), entropies.mean(), rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_features_of_alpha_rise_from_zero_to_one(precision):
    alphas = np.array([*ALPHAS, 1e-6, 0.99999], np.float32)
    alphas.sort()
    inputs = keras.Input((), name="alpha")
    model = keras.Model(inputs, keras.layers.Identity()(AlphaFeatures()(inputs)))
    with computing_in(model, precision):
        features = numpy_of(model.layers[1](alphas))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features[[0, -1]], [[0] * 5, [1] * 5])
    assert (np.diff(features, axis=0) > 0).all()
    # The share of the classification in a loss whose reconstruction is 100 times as large.
    half = alphas.astype(np.float64)
    np.testing.assert_allclose(features[:, 2], half / (half + (1 - half) * 100), rtol=1e-3)


def test_a_number_in_bfloat16_would_not_tell_high_alphas_apart(tiny, classifier, trained):
    high = np.array([0.9999, 1.0], np.float32)
    assert len(np.unique(numpy_of(keras.ops.cast(high, "bfloat16")).astype(np.float32))) == 1
    codes = compute_codes(classifier, "conv", tiny.test.images[:1])
    inputs = {"codes": np.repeat(codes, 2, axis=0), "alpha": high}
    with computing_in(trained, "mixed_bfloat16"):
        decoded = numpy_of(trained(inputs))
    assert np.abs(decoded[0] - decoded[1]).max() > 1e-3


def test_film_scales_and_shifts_channels():
    random = np.random.default_rng(0)
    hidden, condition = random.normal(size=(3, 4, 5, 2)), random.normal(size=(3, 6))
    film = FiLM()
    np.testing.assert_allclose(film(hidden, condition), hidden, rtol=1e-6)
    kernel, bias = random.normal(size=(6, 4)), random.normal(size=4)
    film.set_weights([kernel, bias])
    expected = np.empty_like(hidden)
    for image in range(3):
        modulation = condition[image] @ kernel + bias
        for channel in range(2):
            scale, shift = modulation[channel], modulation[2 + channel]
            expected[image, ..., channel] = hidden[image, ..., channel] * (1 + scale) + shift
    np.testing.assert_allclose(film(hidden, condition), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("code_shape", [(6,), (5, 6), (2, 3, 6)])
def test_a_scaled_copy_is_beside_the_codes(code_shape):
    random = np.random.default_rng(0)
    codes, condition = random.normal(size=(3, *code_shape)), random.normal(size=(3, 4))
    layer = ScaledCopy()
    new = numpy_of(layer(codes, condition))
    np.testing.assert_allclose(new, np.concatenate([codes, 0 * codes], axis=-1), rtol=1e-6)
    kernel, bias = random.normal(size=(4, 6)), random.normal(size=6)
    layer.set_weights([kernel, bias])
    copies = [codes[image] * (condition[image] @ kernel + bias) for image in range(3)]
    expected = np.concatenate([codes, copies], axis=-1)
    np.testing.assert_allclose(layer(codes, condition), expected, rtol=1e-4, atol=1e-5)


def test_every_unit_between_alpha_and_the_decoder_lives(trained):
    hidden = keras.Model(trained.decoder.inputs, trained.decoder.get_layer("condition_2").output)
    codes = np.zeros(
        (len(ALPHAS), *cutting.part(trained.network, "codes").output_shape[1:]), np.float32
    )
    values = numpy_of(hidden({"codes": codes, "alpha": np.array(ALPHAS, np.float32)}))
    assert (np.ptp(values, axis=0) > 1e-3).mean() > 0.9


@pytest.mark.parametrize("ratio", [0.001, 0.05, 1.0])
def test_high_alphas_weigh_more_the_smaller_their_loss(ratio):
    weights = weights_of(np.array(ALPHAS), ratio)
    expected = [1 / ((1 - alpha) + alpha * ratio) ** 0.3 for alpha in ALPHAS]
    np.testing.assert_allclose(weights, expected)
    assert weights[0] == 1
    assert (np.diff(weights) > 0).all() == (ratio < 1)


def test_weights_are_finite_where_a_loss_is_zero(classifier, tiny, trained):
    trained.reset_metrics()
    decoded = trained.predict(tiny.test.images, alpha=1)
    perfect = {"images": decoded, "labels": tiny.test.labels}
    alphas = np.ones(len(decoded), np.float32)
    loss = trained.compute_loss(x={"alpha": alphas}, y=perfect, y_pred=decoded)
    logits = trained.classifier(decoded, training=False)
    np.testing.assert_allclose(loss, losses.classification(tiny.test.labels, logits), rtol=1e-5)


@pytest.mark.parametrize("image_shape", [(9, 9, 3), (28, 28, 1), (31, 17, 3)])
@pytest.mark.parametrize("code_shape", [(10,), (49, 16), (1, 1, 32), (5, 5, 16), (26, 26, 4)])
def test_every_hidden_layer_of_every_decoder_hears_of_alpha(code_shape, image_shape):
    decoder = drawn(build_conditional_decoder(code_shape, image_shape))
    codes = np.random.default_rng(1).normal(size=(2, *code_shape)).astype(np.float32)
    low, high = (
        numpy_of(decoder({"codes": codes, "alpha": np.full(2, alpha, np.float32)}))
        for alpha in (0.1, 0.9)
    )
    assert low.shape == (2, *image_shape)
    assert 0 <= low.min() <= low.max() <= 1
    assert not np.array_equal(low, high)
    plain = build_decoder(code_shape, image_shape)
    assert {layer.name for layer in plain.layers} < {layer.name for layer in decoder.layers}
    films = sum(isinstance(layer, FiLM) for layer in decoder.layers)
    assert films == sum(layer.name.startswith(("spread", "mix", "up_")) for layer in plain.layers)


def test_alphas_are_drawn_over_their_whole_range():
    alphas = alpha_at(np.linspace(0, 1, 10_001))
    assert (np.diff(alphas) >= 0).all()
    for extreme, share in ((0.0, ZEROS), (1.0, ONES)):
        assert np.mean(alphas == extreme) == pytest.approx(share, abs=2e-3)
    assert (alphas > 0.999).mean() > ONES
    assert alphas.dtype == np.float32
    array = DrawnAlphas(100, seed=0)
    first, second = array[np.arange(64)], array[np.arange(64)]
    assert not np.array_equal(first, second)
    again = DrawnAlphas(100, seed=0)
    np.testing.assert_array_equal(again[np.arange(64)], first)
    assert not np.array_equal(DrawnAlphas(100, seed=1)[np.arange(64)], first)


def test_training_changes_the_decoder_and_nothing_of_the_classifier(classifier, tiny):
    mine = keras.models.clone_model(classifier)
    mine.set_weights(classifier.get_weights())
    mine.get_layer("conv").trainable = False
    weights, flags = state_of(mine)
    cladec = quick_conditional(mine, tiny)
    untrained = quick_conditional(mine, tiny, recipe=Recipe(1, 32, 0.0, 0))
    after, flags_after = state_of(mine)
    assert flags_after == flags
    assert all(map(np.array_equal, after, weights))
    assert same_weights(cladec.network, untrained.network)
    assert not same_weights(cladec.decoder, untrained.decoder)


def test_same_seed_same_weights(classifier, tiny):
    codes = compute_codes(classifier, "conv", tiny.train.images)
    first = quick_conditional(classifier, tiny, seed=3)
    assert same_weights(first, quick_conditional(classifier, tiny, seed=3, codes=codes))
    assert not same_weights(first, quick_conditional(classifier, tiny, seed=4))


def test_both_losses_are_in_the_history(trained):
    history = trained.history.history
    assert set(history) == {"loss", "reconstruction_loss", "classification_loss"}
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_a_low_alpha_is_for_likeness_and_a_high_one_for_the_classifier(classifier, tiny, trained):
    parts = np.array(
        [
            naive_losses(classifier, tiny.train, trained.predict(tiny.train.images, alpha))
            for alpha in (0.0, 1.0)
        ]
    )
    assert parts[0, 0] < parts[1, 0]
    assert parts[1, 1] < parts[0, 1]


def test_a_number_is_an_alpha_for_all(tiny, trained):
    images = tiny.test.images
    alphas = np.where(np.arange(len(images)) % 2, 0.97, 0.1)
    mixed = trained.predict(images, alpha=alphas)
    for alpha in (0.97, 0.1):
        rows = alphas == alpha
        alone = trained.predict(images, alpha=alpha)
        assert alone.shape == images.shape
        assert alone.dtype == np.float32
        np.testing.assert_allclose(mixed[rows], alone[rows], atol=1e-6)
    assert not np.allclose(mixed, trained.predict(images, alpha=0.97), atol=1e-3)


def test_more_images_than_a_batch_and_their_codes(classifier, tiny, trained):
    images = np.tile(tiny.test.images, (14, 1, 1, 1))
    assert len(images) > PREDICTION_BATCH
    assert len(images) % PREDICTION_BATCH
    alphas = np.random.default_rng(0).random(len(images))
    codes = compute_codes(classifier, "conv", images)
    decoded = trained.predict({"codes": codes}, alphas)
    np.testing.assert_allclose(decoded, trained.predict(images, alphas), atol=2e-3)
    np.testing.assert_allclose(
        decoded[-3:], trained.predict({"codes": codes[-3:]}, alphas[-3:]), atol=1e-6
    )


def test_a_saved_model_is_the_same_model(tiny, trained, tmp_path):
    path = tmp_path / "cladec-conditional.keras"
    model_files.save(trained, path, {})
    loaded = loading.load_saved(path)
    assert type(loaded) is ConditionalClaDec
    assert same_weights(loaded, trained)
    for alpha in (0.0, 0.9999, 1.0):
        np.testing.assert_array_equal(
            loaded.predict(tiny.test.images, alpha), trained.predict(tiny.test.images, alpha)
        )


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (None, r"no alpha: .*predict\(images, alpha=0\.97\)"),
        (1.5, r"alpha is 1\.5: expected a fraction"),
        (float("nan"), "alpha is nan"),
        ("high", "alpha is 'high': expected a number"),
        ([0.5] * 39 + [-0.1], r"alpha is -0\.1"),
        ([0.5, 0.6], r"alpha of shape \(2,\): .* each of the 40 images"),
        (np.zeros((40, 1)), r"alpha of shape \(40, 1\)"),
    ],
)
def test_bad_alphas_are_told_in_one_line(tiny, trained, alpha, message):
    with pytest.raises(InputError, match=message) as caught:
        trained.predict(tiny.test.images, alpha=alpha)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_refused(classifier, tiny):
    with pytest.raises(InputError, match="did you mean 'conv'"):
        quick_conditional(classifier, tiny, "cnv")
    with pytest.raises(InputError, match="codes of shape"):
        quick_conditional(classifier, tiny, codes=np.zeros((3, 5), "float16"))
    with pytest.raises(InputError, match=r"\(9, 9, 1\).*\(8, 8, 1\)"):
        quick_conditional(classifier, repainted(tiny, (9, 9, 1)))


def test_colour_images_that_are_not_square(tiny):
    model, layer, data = painted(tiny)
    cladec = quick_conditional(model, data, layer)
    assert cladec.predict(data.test.images, alpha=0.5).shape == data.test.images.shape


def test_half_precision_trains_as_well(classifier, tiny):
    totals = {}
    for name in ("float32", "mixed_bfloat16"):
        recipe = Recipe(12, 16, 1e-2, 0, 0, precision=name)
        cladec = quick_conditional(classifier, tiny, recipe=recipe)
        assert {layer.dtype_policy.name for layer in cladec._flatten_layers()} == {"float32"}
        decoded = cladec.predict(tiny.train.images, alpha=0.5)
        parts = naive_losses(classifier, tiny.train, decoded)
        totals[name] = losses.mix(0.5, *parts)
    assert totals["mixed_bfloat16"] != totals["float32"]
    assert totals["mixed_bfloat16"] == pytest.approx(totals["float32"], rel=0.1)
    plain = quick_cladec(classifier, tiny, recipe=Recipe(12, 16, 1e-2, 0, 0))
    assert cutting.part(plain.network, "codes").output_shape == cladec.encoder.output_shape
