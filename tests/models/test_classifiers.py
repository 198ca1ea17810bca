"""The classifiers of the package: shapes, seeds, training in place, what is refused."""

import numpy as np
import pytest

from cladec.data.dataset import Split
from cladec.errors import InputError
from cladec.models import cutting
from cladec.models.architectures import ARCHITECTURES
from cladec.models.classifiers import accuracy, build_classifier, fit_classifier
from cladec.models.recipes import Recipe


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("shape", "classes"), [((8, 8, 1), 2), ((28, 28, 1), 10), ((9, 12, 3), 7)])
def test_probabilities_from_images(architecture, shape, classes):
    model = build_classifier(shape, classes, architecture)
    images = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    answers = model.predict(images, verbose=0)
    assert answers.shape == (3, classes)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert {"conv", "dense"} <= set(cutting.layer_shapes(model))


def test_same_seed_same_weights():
    first, again, other = (build_classifier((8, 8, 1), 3, seed=seed) for seed in (1, 1, 2))
    assert all(map(np.array_equal, first.get_weights(), again.get_weights()))
    assert not all(map(np.array_equal, first.get_weights(), other.get_weights()))


def test_training_in_place_is_reproducible(tiny):
    recipe = Recipe(epochs=6, batch_size=32, learning_rate=2e-2, least_images=0, least_steps=0)
    models = [build_classifier((8, 8, 1), 10, seed=1) for _ in range(2)]
    pair = tiny.train.images.astype(np.float64), tiny.train.labels[:, None].astype(np.uint8)
    histories = [
        fit_classifier(model, data, recipe=recipe, seed=4)
        for model, data in zip(models, (tiny, pair), strict=True)
    ]
    assert histories[0] == histories[1]
    assert set(histories[0]) == {"loss", "accuracy"}
    assert all(map(np.array_equal, *(model.get_weights() for model in models)))
    assert accuracy(models[0], tiny.train) > 0.2


def test_the_classifier_of_these_tests_has_learned(classifier, tiny):
    assert accuracy(classifier, tiny.train) > 0.9
    assert accuracy(classifier, tiny.test) > 0.6


def test_accuracy_is_the_share_of_right_answers(classifier, tiny):
    answers = classifier.predict(tiny.test.images[:8], verbose=0).argmax(axis=1)
    labels = answers.astype(np.int64)
    labels[:2] = (labels[:2] + 1) % 10
    assert accuracy(classifier, Split(tiny.test.images[:8], labels)) == 0.75


@pytest.mark.parametrize(
    ("shape", "architecture", "words"),
    [
        ((8, 8, 1), "vvg", ["'vvg'", "vgg"]),
        ((3, 3, 1), "vgg", ["(3, 3, 1)", "larger images"]),
        ((28, 2, 1), "vgg", ["(28, 2, 1)", "larger images"]),
    ],
)
def test_what_cannot_be_built_is_told_in_one_line(shape, architecture, words):
    with pytest.raises(InputError) as caught:
        build_classifier(shape, 10, architecture)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_accuracy_on_labels_that_are_names_is_refused(classifier, tiny):
    named = Split(tiny.test.images, tiny.test.labels.astype(str))
    with pytest.raises(InputError, match="put them into a Dataset"):
        accuracy(classifier, named)
