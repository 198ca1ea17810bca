"""What hiding the marked pixels changes: against a linear classifier, and the invariants."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.metrics import Effects, effects_of_methods, faithfulness, hiding_effects
from cladec.metrics.effects import FLOORS, strongest

SHAPE = (6, 5, 2)
TARGETS = np.array([0, 1, 2, 1])


@pytest.fixture(scope="module")
def linear():
    """Logits that are linear in the pixels, so that every change is known exactly."""
    model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)])
    return zoo.randomised(model)


@pytest.fixture(scope="module")
def images():
    return zoo.images(4, SHAPE)


def test_a_score_changes_by_what_the_blur_of_the_strongest_tenth_adds(linear, images):
    kernel = np.asarray(linear.layers[-1].kernel).T.reshape(-1, *SHAPE)
    maps = np.random.default_rng(0).normal(size=images.shape[:3])
    effects = hiding_effects(linear, images, maps, TARGETS, of="score")
    scores = np.asarray(linear(images))
    np.testing.assert_allclose(effects.before, scores[range(4), TARGETS], rtol=1e-5)
    for i, target in enumerate(TARGETS):
        weighing = maps[i].ravel() * (1 if maps[i].sum() > 0 else -1)
        marked = np.argsort(-weighing)[:3]  # a tenth of 30 pixels
        difference = (faithfulness.blurred(images[i]) - images[i]).reshape(30, 2)[marked]
        expected = (kernel[target].reshape(30, 2)[marked] * difference).sum()
        assert effects.changes[i] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_probability_is_that_of_the_softmax(linear, images):
    maps = np.random.default_rng(1).random(images.shape[:3])
    scores = np.asarray(linear(images), np.float64)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    effects = hiding_effects(linear, images, maps, TARGETS)
    np.testing.assert_allclose(effects.before, expected[range(4), TARGETS], rtol=1e-5)
    assert effects.of == "probability"


def test_the_scale_of_a_map_does_not_matter_but_a_map_of_nothing_does(linear, images):
    maps = np.random.default_rng(2).random(images.shape[:3])
    effects = hiding_effects(linear, images, maps, TARGETS, of="score")
    tiny = hiding_effects(linear, images, 1e-8 * maps, TARGETS, of="score")
    np.testing.assert_array_equal(effects.after, tiny.after)
    for constant in (0.0, 3.0, -1.0):
        same = hiding_effects(linear, images, np.full_like(maps, constant), TARGETS, of="score")
        np.testing.assert_array_equal(same.changes, 0)
        assert not same.found.any()


def test_segments_are_marked_whole_and_zeros_not_at_all():
    maps = np.zeros((3, 10, 10))
    maps[0, :2], maps[0, 5] = 1, 0.5  # 20 pixels as strong as each other
    maps[1, 0, :4] = 1
    maps[2, 0], maps[2, 1:5] = 1, -1  # more speaks against
    marked = strongest(maps)
    np.testing.assert_array_equal(marked[0], maps[0] == 1)
    np.testing.assert_array_equal(marked[1], maps[1] == 1)
    np.testing.assert_array_equal(marked[2], maps[2] == -1)


def test_changes_below_the_floor_are_nothing():
    for of, floor in FLOORS.items():
        after = np.array([0.0, 0.9, -1.1, 1.1]) * floor
        effects = Effects(of, np.zeros(4), after)
        np.testing.assert_array_equal(effects.found, [False, False, True, True])
        assert effects.of_image(2).changes == [after[2]]


def test_every_method_is_measured_in_what_it_explains(linear, images):
    maps = np.random.default_rng(3).normal(size=images.shape[:3])
    names = ("lime", "saliency", "random", "anchors", "cladec")
    effects = effects_of_methods(
        linear, images, dict.fromkeys(names, maps) | {"deep_dream": images}, TARGETS
    )
    of = {name: of_method.of for name, of_method in effects.items()}
    assert of == {"lime": "probability", "saliency": "score", "random": "probability"}
    for name, what in of.items():
        alone = hiding_effects(linear, images, maps, TARGETS, of=what)
        np.testing.assert_array_equal(effects[name].after, alone.after)


def test_the_images_stay_as_they_are(linear, images):
    copy = images.copy()
    hiding_effects(linear, images, images[..., 0])
    np.testing.assert_array_equal(images, copy)


def test_bad_input_is_named(linear, images):
    with pytest.raises(InputError, match="maps of shape"):
        hiding_effects(linear, images, images)
    with pytest.raises(InputError, match="of is 'logit': expected one of 'probability', 'score'"):
        hiding_effects(linear, images, images[..., 0], of="logit")
