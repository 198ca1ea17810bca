"""Faithfulness and robustness against naive versions, closed forms and a linear classifier."""

import itertools

import keras
import numpy as np
import pytest
import scipy.stats
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.metrics import bootstrap, correlations, faithfulness, robustness

SHAPE = (6, 5, 2)
CLASSES = 3


@pytest.fixture(scope="module")
def linear():
    """Logits that are linear in the pixels, so that every attribution is known exactly."""
    model = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Dense(CLASSES, name="scores")]
    )
    return zoo.randomised(model)


@pytest.fixture(scope="module")
def images():
    return zoo.images(4, SHAPE)


TARGETS = np.array([0, 1, 2, 1])


def contributions(model, images, targets):
    """Weight times pixel: what each pixel adds to the target's logit."""
    kernel = np.asarray(model.layers[-1].kernel).T.reshape(-1, *SHAPE)
    return (kernel[targets] * images).sum(axis=-1)


def probability(model, image, target):
    scores = np.asarray(model(image[None]))[0]
    return np.exp(scores[target]) / np.exp(scores).sum()


@pytest.mark.parametrize("inserts", [False, True])
def test_curves_are_those_of_pixels_replaced_one_by_one(linear, images, inserts):
    maps = contributions(linear, images, TARGETS)
    if inserts:
        curves = faithfulness.insertion(linear, images, maps, TARGETS, steps=30, blur=100)
        # So wide a blur leaves the mean of every channel.
        others = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    else:
        curves = faithfulness.deletion(linear, images, maps, TARGETS, steps=30, fill=0.25)
        others = np.full_like(images, 0.25)
    np.testing.assert_allclose(curves.shares, np.arange(31) / 30)
    for i, target in enumerate(TARGETS):
        start, end = (others[i], images[i]) if inserts else (images[i], others[i])
        image = start.copy()
        expected = [probability(linear, image, target)]
        for place in np.argsort(-maps[i].ravel()):
            row, column = divmod(place, SHAPE[1])
            image[row, column] = end[row, column]
            expected.append(probability(linear, image, target))
        np.testing.assert_allclose(curves.scores[i], expected, atol=2e-3 if inserts else 1e-5)
        area = np.mean([(a + b) / 2 for a, b in itertools.pairwise(expected)])
        assert curves.auc[i] == pytest.approx(area, abs=2e-3 if inserts else 1e-5)


def test_the_true_contributions_beat_random_maps_and_their_reverse(linear, images):
    maps = contributions(linear, images, TARGETS)
    random = robustness.random_explainer()(linear, images, TARGETS)
    areas = [
        faithfulness.deletion(linear, images, each, TARGETS).auc for each in (maps, random, -maps)
    ]
    assert (areas[0] < areas[1]).all()
    assert (areas[1] < areas[2]).all()


def test_pixels_of_equal_attribution_come_in_a_random_order(linear, images):
    constant = np.zeros(images.shape[:3])
    first, again, other = (
        faithfulness.deletion(linear, images, constant, TARGETS, seed=seed).scores
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    np.testing.assert_allclose(first[:, [0, -1]], other[:, [0, -1]])


def test_mu_fidelity_of_a_linear_classifier_is_one(linear, images):
    maps = contributions(linear, images, TARGETS)
    found = faithfulness.mu_fidelity(linear, images, maps, TARGETS)
    np.testing.assert_allclose(found, 1, atol=1e-4)
    np.testing.assert_allclose(
        faithfulness.mu_fidelity(linear, images, -maps, TARGETS), -1, atol=1e-4
    )
    constant = np.ones(images.shape[:3])
    np.testing.assert_array_equal(
        faithfulness.mu_fidelity(linear, images, constant, TARGETS, grid=1 + SHAPE[0]), 0
    )


def test_mu_fidelity_is_the_correlation_of_sums_and_drops():
    model, images = zoo.build("logits_end"), zoo.images(2)
    maps = np.random.default_rng(5).normal(size=images.shape[:3])
    options = {"samples": 12, "share": 0.3, "grid": 3, "fill": 0.5}
    found = faithfulness.mu_fidelity(model, images, maps, 4, **options)
    generator = np.random.default_rng(0)
    sets = generator.random((12, 9)).argsort(axis=1) < round(0.3 * 9)
    sums, drops = np.zeros((2, 12)), np.zeros((2, 12))
    for i, image in enumerate(images):
        for sample, chosen in enumerate(sets):
            perturbed = image.copy()
            for row in range(8):
                for column in range(8):
                    if chosen[3 * (row * 3 // 8) + column * 3 // 8]:
                        perturbed[row, column] = 0.5
                        sums[i, sample] += maps[i, row, column]
            before, after = np.asarray(model(np.stack([image, perturbed])))[:, 4]
            drops[i, sample] = before - after
        assert found[i] == pytest.approx(np.corrcoef(sums[i], drops[i])[0, 1], abs=1e-3)


def test_stability_is_the_largest_slope(linear, images):
    def explainer(model, images, targets):
        return images[..., 0] ** 2 + targets[:, None, None]

    maps = explainer(linear, images, TARGETS)
    found = robustness.stability(
        explainer, linear, images, maps, TARGETS, radius=0.2, samples=3, seed=4
    )
    generator = np.random.default_rng(4)
    noises = [generator.uniform(-0.2, 0.2, SHAPE) for _ in range(3)]
    for i, target in enumerate(TARGETS):
        slopes = []
        for noise in noises:
            noisy = np.clip(images[i] + noise, 0, 1)
            both = [image[..., 0] ** 2 + target for image in (images[i], noisy)]
            first, second = (values / np.sqrt((values**2).sum()) for values in both)
            change = np.sqrt(((first - second) ** 2).sum())
            slopes.append(change / np.sqrt(((images[i] - noisy) ** 2).sum()))
        assert found[i] == pytest.approx(max(slopes), rel=1e-4)


def test_a_map_that_never_changes_is_stable_and_random_ones_are_not(linear, images):
    def constant(model, images, targets):
        return np.ones(images.shape[:3], np.float32)

    def change(explainer):
        maps = explainer(linear, images, TARGETS)
        return robustness.stability(explainer, linear, images, maps, TARGETS)

    np.testing.assert_array_equal(change(constant), 0)
    assert (change(robustness.random_explainer()) > 0.5).all()


def test_a_map_of_the_image_alone_survives_random_weights(linear, images):
    def brightness(model, images, targets):
        return images.mean(axis=-1)

    def remaining(explainer):
        maps = explainer(linear, images, TARGETS)
        return robustness.randomisation(explainer, linear, images, maps, TARGETS)

    np.testing.assert_allclose(remaining(brightness), 1)
    assert np.abs(remaining(contributions).mean()) < 0.5
    assert np.abs(remaining(robustness.random_explainer()).mean()) < 0.3


def test_randomisation_is_a_rank_correlation_of_absolute_values(linear, images):
    maps = np.random.default_rng(0).normal(size=images.shape[:3])
    changed = np.sign(np.random.default_rng(1).normal(size=maps.shape)) * maps**2

    def explainer(model, images, targets):
        return changed

    found = robustness.randomisation(explainer, linear, images, maps, TARGETS)
    np.testing.assert_allclose(found, 1)  # squares keep the order
    changed = np.where(np.arange(4)[:, None, None] == 0, 3.0, -1 / np.abs(maps))
    found = robustness.randomisation(explainer, linear, images, maps, TARGETS)
    np.testing.assert_allclose(found, [0, -1, -1, -1])
    found = robustness.randomisation(explainer, linear, images, np.ones_like(maps), TARGETS)
    np.testing.assert_allclose(found, [1, 0, 0, 0])


@pytest.mark.parametrize("name", ["sequential", "nested_twice", "adapted_normalization"])
def test_randomised_copies_the_model_and_redraws_from_the_output_on(name):
    model, images = zoo.build(name), zoo.images(3)
    model.trainable = False
    before = model.get_weights()
    answers = model.predict(images, verbose=0)
    one, again, other = (
        robustness.randomised(model, layers=1, seed=seed).predict(images, verbose=0)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    assert not np.allclose(one, answers)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert model.trainable is False


def test_the_cascade_leaves_the_layers_before_as_they_are():
    model = zoo.build("sequential")
    kernels = {}
    for count in (1, 2, None):
        copy = robustness.randomised(model, layers=count)
        kernels[count] = [
            np.array_equal(copy.get_layer(layer.name).kernel, layer.kernel)
            for layer in model.layers
            if hasattr(layer, "kernel")
        ]
    assert kernels == {1: [True, True, False], 2: [True, False, False], None: [False] * 3}


def test_bootstrap_intervals_cover_the_mean_as_often_as_they_say():
    generator = np.random.default_rng(0)
    samples = generator.exponential(size=(400, 60))
    low, high = bootstrap.interval(bootstrap.resampled_means(samples, draws=500))
    assert 0.88 < ((low < 1) & (high > 1)).mean() < 0.98
    np.testing.assert_allclose(
        bootstrap.resampled_means(samples).mean(axis=-1), samples.mean(axis=-1), rtol=0.02
    )
    narrow = bootstrap.interval(bootstrap.resampled_means(samples, draws=500), confidence=0.5)
    assert (narrow[0] > low).all()
    assert (narrow[1] < high).all()


@pytest.mark.parametrize("seed", [0, 1, 42])
@pytest.mark.parametrize("shape", [(30,), (4, 100), (3, 2, 7)])
def test_bootstrap_intervals_are_those_of_scipy(shape, seed):
    values = np.random.default_rng(5).random(shape)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=2000, batch=1, axis=-1, method="percentile", rng=seed
    )
    means = bootstrap.resampled_means(values, seed=seed)
    np.testing.assert_allclose(means, expected.bootstrap_distribution, rtol=1e-12)
    interval = bootstrap.interval(means)
    np.testing.assert_allclose(interval, expected.confidence_interval, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_pearson_is_that_of_scipy_and_zero_for_what_does_not_vary(scale):
    first, second = np.random.default_rng(6).normal(1.0, 1.0, (2, 50)) * [[scale], [1.0]]
    expected = scipy.stats.pearsonr(first, second).statistic
    assert correlations.pearson(first, second) == pytest.approx(expected, rel=1e-12)
    means = correlations.moments(first, second).mean(axis=-1)
    assert correlations.from_means(means) == pytest.approx(expected, rel=1e-12)
    constant = np.full(50, 0.1 * scale)
    for same in (constant, constant * (1 + 1e-9 * second), np.zeros(50)):
        assert correlations.pearson(same, second) == 0.0


@pytest.mark.parametrize(
    ("measure", "options", "message"),
    [
        (faithfulness.deletion, {"steps": 0}, "steps is 0"),
        (faithfulness.deletion, {"fill": 1.5}, "fill is 1.5"),
        (faithfulness.insertion, {"blur": -1}, "blur is -1"),
        (faithfulness.mu_fidelity, {"share": 1.0}, "share is 1.0"),
        (faithfulness.mu_fidelity, {"grid": 1}, "single cell"),
        (faithfulness.deletion, {"maps": np.zeros((4, 3, 3))}, "number for each pixel"),
        (faithfulness.mu_fidelity, {"maps": np.full((4, 6, 5), np.nan)}, "number for each pixel"),
        (faithfulness.deletion, {"targets": 3}, "class 3 is out of range"),
    ],
)
def test_options_and_arrays_that_do_not_fit(linear, images, measure, options, message):
    arguments = {"maps": np.zeros(images.shape[:3]), "targets": TARGETS} | options
    with pytest.raises(InputError, match=message):
        measure(linear, images, **arguments)
