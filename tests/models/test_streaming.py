"""Pictures on the disk train, encode and decode like arrays in memory, a batch at a time."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import cladec
from cladec.data import stored_rows
from cladec.data.dataset import Dataset, Split
from cladec.data.pictures import Pictures
from cladec.data.stored_rows import StoredRows
from cladec.models import batches, classifiers, cutting, memory
from cladec.models.fitting import encode, training_set
from cladec.models.recipes import Recipe

QUICK = Recipe(epochs=1, batch_size=16, learning_rate=1e-3)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    """The same images in memory and in a file, in another order there."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (90, 12, 12, 3), np.uint8)
    labels = np.arange(90) % 2
    places = random.permutation(90)
    path = tmp_path_factory.mktemp("bytes") / "rows"
    stored = np.empty_like(images)
    stored[places] = images
    path.write_bytes(stored.tobytes())
    names = ("a", "b")
    arrays = [Split(images[:70], labels[:70]), Split(images[70:], labels[70:])]
    rows = [
        Split(Pictures(path, (12, 12, 3), part), split.labels)
        for part, split in zip((places[:70], places[70:]), arrays, strict=True)
    ]
    return Dataset("x", *arrays, names), Dataset("x", *rows, names)


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return classifiers.build_classifier((12, 12, 3), 2)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything computed goes to a file, from a kibibyte on, except what few rows give."""
    monkeypatch.setattr(stored_rows, "IN_MEMORY", 1024)
    monkeypatch.setattr(batches, "PREDICTION_BATCH", 32)


def weights_of(model: keras.Model) -> list[np.ndarray]:
    return model.get_weights()


def test_what_is_trained_does_not_depend_on_where_the_images_are(
    both: Any, classifier: keras.Model, little_memory: None
) -> None:
    in_memory, on_disk = both
    assert on_disk.mean_pixel == pytest.approx(in_memory.mean_pixel, rel=1e-6)
    options: dict[str, Any] = {"recipe": QUICK, "decoder": None}
    for fit, extra in ((cladec.fit_cladec, {"alpha": 0.5}), (cladec.fit_refae, {})):
        decoder = classifier_decoder()
        trained = [
            fit(classifier, "conv", data, **extra, **options | {"decoder": copied(decoder)})
            for data in (in_memory, on_disk)
        ]
        for first, second in zip(*map(weights_of, trained), strict=True):
            np.testing.assert_array_equal(first, second)
    images = on_disk.test.images
    np.testing.assert_array_equal(
        batches.predict(trained[0], images)[:], trained[0].predict(in_memory.test.images, verbose=0)
    )


def classifier_decoder() -> keras.Model:
    return cladec.build_decoder((3, 3, 64), (12, 12, 3))


def copied(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def test_pictures_on_the_disk_are_explained(both: Any, classifier: keras.Model) -> None:
    maps = [
        cladec.explain(classifier, data.test.images, method="gradient_input", targets=0)
        for data in both
    ]
    np.testing.assert_array_equal(*maps)


def test_codes_that_are_large_lie_beside_the_pictures(
    both: Any, classifier: keras.Model, little_memory: None, monkeypatch: Any
) -> None:
    in_memory, on_disk = both
    codes = cladec.compute_codes(classifier, "conv", on_disk.train.images)
    assert isinstance(codes, StoredRows)
    assert (codes.dtype, codes.path.parent) == (np.float16, on_disk.train.images.path.parent)
    of_arrays = cladec.compute_codes(classifier, "conv", in_memory.train.images)
    np.testing.assert_array_equal(codes[:], of_arrays[:])
    encoder = keras.Model(classifier.input, classifier.get_layer("conv").output)
    given, _ = training_set(encoder, on_disk, codes)
    assert given is codes
    units = np.array([3, 1])
    np.testing.assert_array_equal(batches.chosen_units(codes, units)[:], codes[:][..., units])
    monkeypatch.setattr(stored_rows, "IN_MEMORY", 10**9)
    whole = cladec.compute_codes(classifier, "conv", in_memory.train.images)
    assert isinstance(whole, np.ndarray)
    np.testing.assert_array_equal(whole, codes[:])
    np.testing.assert_array_equal(batches.chosen_units(whole, units), whole[..., units])


def test_codes_beyond_float16_are_in_single_precision(both: Any, little_memory: None) -> None:
    _, on_disk = both
    image = keras.Input((12, 12, 3))
    large = keras.Model(image, keras.layers.Rescaling(1e6)(image))
    codes = encode(large, on_disk.train.images)
    assert isinstance(codes, StoredRows)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes[:], np.asarray(on_disk.train.images) * 1e6, rtol=1e-6)


def test_codes_that_do_not_fit_the_disk_are_refused_in_one_line(
    both: Any, classifier: keras.Model, little_memory: None, monkeypatch: Any
) -> None:
    usage = stored_rows.shutil.disk_usage(Path("/"))
    monkeypatch.setattr(stored_rows.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(cladec.InputError, match=r"70 rows of shape .* on the disk") as caught:
        cladec.fit_cladec(classifier, "conv", both[1], alpha=0.5, recipe=QUICK)
    assert "\n" not in str(caught.value)


def test_a_folder_of_photographs_trains_a_decoder_of_a_model(
    classifier: keras.Model, tmp_path: Path
) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(12):
            size = (20 + number, 30, 3)
            picture = Image.fromarray(random.integers(0, 256, size, np.uint8))
            picture.save(tmp_path / name / f"{number}.jpg")
    trained = cladec.fit_cladec(classifier, "dense", tmp_path, alpha=0.0, recipe=QUICK)
    assert trained.predict(random.random((2, 12, 12, 3)), verbose=0).shape == (2, 12, 12, 3)


def test_a_batch_that_does_not_fit_the_memory_goes_in_parts_to_the_same_weights(
    both: Any, classifier: keras.Model, monkeypatch: Any
) -> None:
    recipe = Recipe(epochs=2, batch_size=24, learning_rate=1e-3)
    decoder = classifier_decoder()
    options: dict[str, Any] = {
        "alpha": 0.5,
        "recipe": recipe,
        "optimizer": keras.optimizers.SGD(1e-3),
    }
    trained, at_once = [], []
    bytes_of_one = 2 * sum(map(memory.image_bytes, (decoder, classifier)))
    for images in (24, 6):
        monkeypatch.setattr(memory, "BUDGET", images * bytes_of_one)
        model = cladec.fit_cladec(classifier, "conv", both[0], decoder=copied(decoder), **options)
        trained.append(model)
        at_once.append(memory.images_per_step(model, 24))
    assert at_once == [24, 6]
    before = np.concatenate([weights.ravel() for weights in decoder.get_weights()])
    moved = [
        np.concatenate([w.ravel() for w in model.decoder.get_weights()]) - before
        for model in trained
    ]
    assert np.corrcoef(*moved)[0, 1] > 0.99


def test_a_step_without_the_classifier_counts_the_decoder_alone(classifier: keras.Model) -> None:
    network = cutting.cut(classifier, "conv")
    zero, half = (cladec.ClaDec(network, classifier_decoder(), alpha=alpha) for alpha in (0, 0.5))
    assert zero.in_a_step == [zero.decoder]
    assert half.in_a_step == [half.decoder, half.classifier]
