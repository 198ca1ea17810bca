"""Models on disk: whole with their record or refused, and nothing in them is executed."""

import json
import os
import warnings

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.models import loading
from cladec.storage import model_files

RECORD = {"run": {"dataset": "tiny", "alpha": 0.99}, "seconds": 1.5}


@pytest.fixture(scope="module")
def model():
    return zoo.build("softmax_layer")


@pytest.fixture
def saved(model, tmp_path):
    """The path of a model saved with its record."""
    path = tmp_path / "new" / "folder" / "cladec-alpha-0.99.keras"
    model_files.save(model, path, RECORD)
    return path


def message_of(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files_below(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_model_comes_back_as_it_was(model, saved):
    record = model_files.verify(saved)
    loaded = loading.load_saved(saved)
    images = zoo.images()
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0)
    )
    assert not loaded.compiled
    assert record["run"] == RECORD["run"]
    assert record["seconds"] == 1.5
    installed = {"cladec", "keras", keras.config.backend(), "numpy"}
    assert set(record["versions"]) >= installed
    assert record["versions"]["keras"] == keras.__version__
    assert record["sha256"] == model_files.checksum(saved)
    assert files_below(saved.parent) == {"cladec-alpha-0.99.keras", "cladec-alpha-0.99.json"}


def test_saving_again_replaces_both(saved):
    before = model_files.verify(saved)
    model_files.save(zoo.build("logits_end"), saved, {"run": 2})
    after = model_files.verify(saved)
    assert after["run"] == 2
    assert after["sha256"] != before["sha256"]
    assert len(files_below(saved.parent)) == 2


def test_checksum_is_sha_256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert model_files.checksum(tmp_path / "abc") == expected


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def replace_by_another(path):
    model_files.write_json(path, model_files.read_json(path) | {"sha256": "0" * 64})


def write(text):
    return lambda path: path.write_text(text)


DAMAGES = {
    "model truncated": (".keras", truncate, "truncated or was changed"),
    "model with a flipped bit": (".keras", flip, "truncated or was changed"),
    "model emptied": (".keras", write(""), "truncated or was changed"),
    "model missing": (".keras", os.unlink, "is missing"),
    "a folder for a model": (".keras", replace_by_folder, "cladec-alpha-0.99.keras"),
    "record missing": (".json", os.unlink, "is missing"),
    "record truncated": (".json", truncate, "cannot be read"),
    "record empty": (".json", write(""), "cannot be read"),
    "record of bytes": (".json", lambda path: path.write_bytes(b"\xff\xfe"), "cannot be read"),
    "record a list": (".json", write("[1, 2]"), "no JSON object"),
    "record without checksum": (".json", write("{}"), "truncated or was changed"),
    "record nested without end": (".json", write('{"a":' + "[" * 100_000), "cannot be read"),
    "record of another model": (".json", replace_by_another, "truncated or was changed"),
    "a folder for a record": (".json", replace_by_folder, "cannot be read"),
}


@pytest.mark.parametrize("reader", [model_files.verify, loading.load_saved])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused(saved, damage, reader):
    suffix, harm, words = DAMAGES[damage]
    harm(saved.with_suffix(suffix))
    message = message_of(reader, saved)
    assert words in message
    assert str(saved.with_suffix("")) in message


def test_a_file_that_is_no_model_is_refused_although_its_checksum_is_right(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("not a model")
    model_files.write_json(model_files.record_path(path), {"sha256": model_files.checksum(path)})
    assert "cannot be loaded" in message_of(loading.load_saved, path)


def test_code_in_a_model_is_refused_and_not_executed(tmp_path):
    path, trace = tmp_path / "model.keras", tmp_path / "trace"
    spy = {"trace": str(trace)}
    body = layers.Lambda(lambda x, trace: (open(trace, "w").close(), x)[1], arguments=spy)
    body.build((None, 8, 8, 1))
    model = keras.Sequential([keras.Input((8, 8, 1)), body, layers.Flatten(), layers.Dense(2)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model_files.save(model, path, {})
    trace.unlink(missing_ok=True)
    message = message_of(loading.load_saved, path)
    assert "cannot be loaded" in message
    assert not trace.exists()
    keras.saving.load_model(path, safe_mode=False)
    assert trace.exists()  # so this is what was refused


def test_what_is_no_keras_file_is_called_what_it_is(model, tmp_path):
    folder = tmp_path / "exported"
    folder.mkdir()
    assert "is a folder: cladec needs the Keras model" in message_of(loading.load_model, folder)
    model.save(tmp_path / "old.h5")
    os.rename(tmp_path / "old.h5", tmp_path / "old.keras")
    message = message_of(loading.load_model, tmp_path / "old.keras")
    assert message.endswith("old.keras is an HDF5 file: give it a name that ends in .h5")
    model.save_weights(tmp_path / "only.weights.h5")
    message = message_of(loading.load_model, tmp_path / "only.weights.h5")
    assert "call model.load_weights and model.save('name.keras')" in message


class Scaled(layers.Layer):
    """A layer that its configuration cannot make."""

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return super().get_config() | {"factr": self.factor}


def resized(model) -> None:
    """A layer whose weights are of another size than its configuration says."""
    get_config = model.layers[-1].get_config
    model.layers[-1].get_config = lambda: get_config() | {"units": 5}


def nothing(_) -> None:
    """Nothing is changed."""


@pytest.mark.parametrize(
    ("layer", "change", "words"),
    [
        (layers.Dense(3), resized, "object <Dense name="),
        (layers.Dense(3), resized, "variable.shape=(8, 5), Received: value.shape=(8, 3)"),
        (Scaled(2.0), nothing, "loaded: Scaled.__init__() missing 1 required positional"),
    ],
)
def test_of_what_keras_says_the_reason_is_told(tmp_path, layer, change, words):
    path = tmp_path / "model.keras"
    model = keras.Sequential([keras.Input((8,)), layer])
    change(model)
    model.save(path)
    with keras.saving.custom_object_scope({"Scaled": Scaled}):
        message = message_of(loading.load_model, path)
    assert message.startswith(f"{path} cannot be loaded: ")
    assert words in message
    assert len(message) < len(str(path)) + model_files.LONGEST + 30
    assert "config=" not in message


def unreadable_folder(path):
    path.mkdir()


def unreadable_loop(path):
    path.symlink_to(path.name)


def unreadable_link(path):
    path.symlink_to(path.with_name("unplugged") / path.name)


def unreadable_pipe(path):
    os.mkfifo(path)


UNREADABLE = [unreadable_folder, unreadable_loop, unreadable_link, unreadable_pipe]


@pytest.mark.parametrize("suffix", [".keras", ".json"])
@pytest.mark.parametrize("make", UNREADABLE)
def test_what_cannot_be_read_is_told_from_what_is_damaged(saved, suffix, make):
    path = saved.with_suffix(suffix)
    assert model_files.is_there(path)
    path.unlink()
    assert not model_files.is_there(path)
    make(path)
    assert model_files.is_there(path)
    for reader in (model_files.verify, loading.load_saved):
        with pytest.raises(model_files.Unreadable) as caught:
            reader(saved)
        assert str(caught.value).startswith(f"{path} cannot be read: ")
    if make is not unreadable_folder:
        with pytest.raises(model_files.Unreadable, match="cannot be read: "):
            loading.load_model(path)


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("before")

    def fail(temporary):
        temporary.write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        model_files.write(path, fail)
    assert files_below(tmp_path) == {"kept.txt"}
    assert path.read_text() == "before"


@pytest.mark.parametrize("stem", ["n" * 251, "é" * 125 + "n", "猫" * 83 + "nn"])
def test_the_longest_name_can_be_written(tmp_path, stem):
    path = tmp_path / f"{stem}.png"
    assert len(path.name.encode()) == 255
    seen = []
    model_files.write(path, lambda file: seen.append(file) or file.write_text("x"))
    assert path.read_text() == "x"
    assert seen[0].suffix == ".png"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    seen[0].touch()
    model_files.remove_unfinished(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_is_an_input_error(tmp_path):
    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    message = message_of(model_files.write, tmp_path / "new.txt", fail)
    assert "new.txt cannot be written: No space left on device" in message
    assert not files_below(tmp_path)


def test_a_model_that_cannot_be_saved_leaves_no_file(tmp_path, monkeypatch, model):
    monkeypatch.setattr(model_files, "checksum", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model_files.save(model, tmp_path / "model.keras", {})
    assert not files_below(tmp_path)


def test_a_record_is_json_that_people_can_read(tmp_path):
    content = {"layer": "dense", "name": "Zürich"}
    model_files.write_json(tmp_path / "record.json", content)
    text = (tmp_path / "record.json").read_text()
    assert json.loads(text) == content
    assert text.count("\n") == 4
    assert model_files.read_json(tmp_path / "record.json") == content


def test_a_record_of_an_earlier_version_is_read_without_its_checksum(saved):
    """Those were written with the SHA-256 of the rest, whatever has been edited since."""
    path = model_files.record_path(saved)
    record = model_files.read_json(path)
    path.write_text(json.dumps(record | {"checksum": "0" * 64}))
    assert model_files.verify(saved) == record


def test_only_what_is_installed_has_a_version(tmp_path, monkeypatch):
    """With JAX or PyTorch alone there is no TensorFlow."""
    monkeypatch.setattr(model_files, "LIBRARIES", ("keras", "no-such-library"))
    model_files.save(zoo.build("logits_end"), tmp_path / "model.keras", {})
    record = model_files.verify(tmp_path / "model.keras")
    assert record["versions"] == {"keras": keras.__version__}


def test_what_was_left_by_the_killed_is_removed(tmp_path):
    keep = tmp_path / "dataset" / ".notes.1234.json"
    model_files.write_json(keep, {})
    left = tmp_path / "dataset" / "vgg" / "dense" / ".refae.4242.unfinished.keras"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    model_files.remove_unfinished(tmp_path)
    assert files_below(tmp_path) == {"dataset/.notes.1234.json"}


@pytest.mark.parametrize("below", ["models.keras", "folder/models.keras"])
def test_a_file_in_the_way_of_the_folder_is_an_input_error(tmp_path, model, below):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    message = message_of(model_files.save, model, blocked / below, {})
    assert "cannot be written" in message
    assert "--out" in message_of(model_files.check_writable, blocked / "folder")
    assert "--out" in message_of(model_files.check_writable, blocked)
    assert blocked.read_text() == "a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_not_be_written_is_an_input_error(tmp_path):
    tmp_path.chmod(0o500)
    assert "--out" in message_of(model_files.check_writable, tmp_path)
    assert "cannot be written" in message_of(model_files.write_json, tmp_path / "a.json", {})


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path):
    model_files.check_writable(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert not files_below(tmp_path)
