"""A layer watched while its network learns: the pictures of each epoch, the numbers, the cost."""

import copy
import io

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import cladec
from cladec.errors import InputError
from cladec.models.training import seeded


def network() -> keras.Model:
    with seeded(0):
        images = keras.Input((8, 8, 1))
        hidden = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")(images)
        hidden = layers.BatchNormalization(momentum=0.5, name="norm")(hidden)
        hidden = keras.Model(images, hidden, name="inner")(images)
        hidden = layers.Flatten(name="flat")(hidden)
        hidden = layers.Dense(16, activation="relu", name="dense")(hidden)
        model = keras.Model(
            images, layers.Dense(10, activation="softmax", name="scores")(hidden), name="learner"
        )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def watched(tiny):
    """A network, what watched it for three epochs, what was said, and its weights at the end."""
    model, said = network(), []
    names = [f"digit {number}" for number in range(10)]
    options = {"passes": 2, "class_names": names, "say": said.append}
    watch = cladec.WatchLayer("dense", tiny.train.images, **options)
    train = tiny.train
    model.fit(train.images, train.labels, epochs=3, verbose=0, shuffle=False, callbacks=[watch])
    return model, watch, said


def test_each_epoch_has_its_pictures_and_numbers(watched):
    _, watch, said = watched
    table = watch.history
    assert list(watch.pictures) == table["epoch"].tolist() == [1, 2, 3]
    assert watch.pictures[1].shape == watch.shown.shape == (6, 8, 8, 1)
    assert not np.array_equal(watch.pictures[1], watch.pictures[3])
    for name, most in (("normalised_error", 2), ("fidelity", 1)):
        assert table[name].between(0, most).all()
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[f"{name}_high"] >= table[name]).all()
    assert len(said) == 3
    assert said[2].startswith("dense after epoch 3: normalised error ")
    assert said[2].endswith(" s to watch)")


def test_the_numbers_are_those_of_what_it_shows(watched):
    model, watch, _ = watched
    images, shown = watch._watched.test, watch.pictures[3]
    decoded = watch._watched.decoder.predict(images, verbose=0)
    np.testing.assert_allclose(decoded[:6], shown, atol=1e-5)
    mean = watch._watched.train.mean(axis=0)
    error = np.square(images - decoded).sum() / np.square(images - mean).sum()
    same = model.predict(images, verbose=0).argmax(1) == model.predict(decoded, verbose=0).argmax(1)
    last = watch.history.iloc[-1]
    assert last["normalised_error"] == pytest.approx(error, rel=1e-3)
    assert last["fidelity"] == pytest.approx(same.mean())


def test_what_is_measured_is_drawn_and_not_trained_on(watched, tiny):
    _, watch, _ = watched
    train, test = watch._watched.train, watch._watched.test
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}
    assert (len(train), len(test)) == (76, 20)
    first = {image.tobytes() for image in tiny.train.images[:20]}
    assert {image.tobytes() for image in test} - first  # they may be sorted by class


def test_epochs_are_compared_by_decoders_of_the_same_start_and_steps(tiny):
    """A network that does not change keeps its numbers: the decoder does not get better."""
    with seeded(0):
        images = keras.Input((8, 8, 1))
        hidden = layers.Dense(16, activation="relu", name="dense")(layers.Flatten()(images))
        model = keras.Model(images, layers.Dense(10, activation="softmax", name="scores")(hidden))
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    watch = cladec.WatchLayer("dense", tiny.train.images, passes=1, say=None)
    model.fit(tiny.train.images, tiny.train.labels, epochs=3, verbose=0, callbacks=[watch])
    first, *others = watch.history["normalised_error"]
    assert others == pytest.approx([first] * 2, abs=1e-4)


def test_the_training_is_the_same_with_and_without_it(watched, tiny):
    model, _, _ = watched
    alone, train = network(), tiny.train
    alone.fit(train.images, train.labels, epochs=3, verbose=0, shuffle=False)
    for found, expected in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_several_labels_are_watched(tiny):
    with seeded(0):
        images = keras.Input((8, 8, 1))
        hidden = layers.Dense(16, activation="relu", name="dense")(layers.Flatten()(images))
        model = keras.Model(images, layers.Dense(3, activation="sigmoid", name="labels")(hidden))
    model.compile("adam", "binary_crossentropy")
    watch = cladec.WatchLayer("dense", tiny.train.images, say=None)
    labels = (tiny.train.labels[:, None] % [2, 3, 5] == 0).astype(np.float32)
    model.fit(tiny.train.images, labels, verbose=0, callbacks=[watch])
    assert watch.history["fidelity"].between(0, 1).all()
    assert watch.show().axes


def test_a_second_fit_goes_on_and_another_network_is_refused(watched, tiny):
    model, watch, _ = watched
    model.fit(tiny.train.images, tiny.train.labels, verbose=0, callbacks=[watch])
    assert watch.history["epoch"].tolist() == [1, 2, 3, 4]
    with pytest.raises(InputError, match="has watched another model"):
        network().fit(tiny.train.images, tiny.train.labels, verbose=0, callbacks=[watch])


def test_the_pictures_are_a_figure_and_move(watched, tmp_path):
    _, watch, _ = watched
    axes = watch.show().axes
    titles = [axis.get_title() for axis in axes]
    assert titles[:4] == ["original", "epoch 1", "epoch 2", "epoch 3"]
    assert axes[0].get_xlabel().startswith("digit ")
    path = watch.animation(tmp_path / "watch.webp")
    with Image.open(path) as moving:
        assert moving.n_frames > 2


def test_many_epochs_are_shown_by_some(watched):
    _, watch, _ = watched
    many = copy.copy(watch)
    many.pictures = dict.fromkeys(range(1, 41), watch.pictures[1])
    many._rows = [watch._rows[0] | {"epoch": epoch} for epoch in many.pictures]
    names = [axis.get_title() for axis in many.show().axes]
    shown = [name for name in names if name.startswith("epoch ")]
    assert (len(shown), shown[0], shown[-1]) == (12, "epoch 1", "epoch 40")


def test_tensorboard_reads_numbers_and_pictures(tiny, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    watch = cladec.WatchLayer("dense", tiny.train.images, tensorboard=tmp_path, say=None)
    train = tiny.train
    network().fit(train.images, train.labels, epochs=2, verbose=0, callbacks=[watch])
    read = EventAccumulator(str(tmp_path)).Reload()
    assert read.Tags()["images"] == ["dense"]
    errors = read.Scalars("dense/normalised_error")
    assert [event.step for event in errors] == [1, 2]
    told = watch.history["normalised_error"]
    np.testing.assert_allclose([event.value for event in errors], told, rtol=1e-6)
    picture = Image.open(io.BytesIO(read.Images("dense")[1].encoded_image_string))
    assert min(picture.size) > 50


def test_bad_input_is_refused(tiny):
    with pytest.raises(InputError, match="passes is 0"):
        cladec.WatchLayer("dense", tiny.train.images, passes=0)
    idle = cladec.WatchLayer("dense", tiny.train.images)
    with pytest.raises(InputError, match="no epoch has ended"):
        idle.show()
    for layer, images, expected in (
        ("densest", tiny.train.images, "no layer 'densest'"),
        ("dense", np.zeros((4, 9, 9, 1)), "the model takes"),
        ("dense", np.zeros((1, 8, 8, 1)), "single image"),
    ):
        watch = cladec.WatchLayer(layer, images)
        with pytest.raises(InputError, match=expected):
            network().fit(tiny.train.images, tiny.train.labels, verbose=0, callbacks=[watch])
