"""Models in HDF5 files of Keras 3, 2 and 1: loaded as they were, or refused and not executed.

No Keras 2 is installed: its files are made from those of Keras 3, as its source and real ones show.
"""

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import zoo
from keras import layers
from test_keras_archive import external_link, external_storage, refused, soft_link, virtual

from cladec.models import layers as layer_lists
from cladec.models import loading
from cladec.storage import hdf5

EMOTION = Path(__file__).parents[3] / "shared/models/emotion_mini_xception.h5"


def small() -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Dense(4, activation="relu", name="dense")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(3, name="logits")(hidden))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A good file, with an optimizer."""
    path = tmp_path_factory.mktemp("whole") / "model.h5"
    model = small()
    model.compile("adam", "mse")
    model.save(path)
    return path.read_bytes()


def written(path: Path, content: bytes, change: Callable[[h5py.File], Any]) -> Path:
    """A file with this content, changed."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as opened:
        change(opened)
    path.write_bytes(file.getvalue())
    return path


def configured(change: Callable[[dict], Any]) -> Callable[[h5py.File], None]:
    """Change the configuration of a file."""

    def do(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)

    return do


def check_same(loaded: keras.Model, model: keras.Model) -> None:
    images = np.random.default_rng(0).random((3, *model.input_shape[1:]), np.float32)
    found, expected = (each.predict(images, verbose=0) for each in (loaded, model))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert not loaded.compiled


@pytest.mark.parametrize("ending", ["h5", "hdf5", "H5"])
@pytest.mark.parametrize("name", ["softmax_layer", "logits_end", "functional_in_sequential"])
def test_models_of_keras_3_come_back(tmp_path, name, ending):
    model = zoo.build(name)
    model.compile("adam", "mse")
    model.save(tmp_path / "model.h5")
    path = (tmp_path / "model.h5").rename(tmp_path / f"model.{ending}")
    check_same(loading.load_model(path), model)


# Files of Keras 2


def every_layer() -> keras.Model:
    inputs = keras.Input((12, 12, 1), name="images")
    hidden = layers.Conv2D(4, 3, name="conv")(inputs)
    hidden = layers.BatchNormalization(name="normal")(hidden)
    hidden = layers.DepthwiseConv2D(3, name="depthwise")(layers.LeakyReLU(0.1, name="leak")(hidden))
    hidden = layers.SeparableConv2D(4, 3, name="separable")(hidden)
    hidden = layers.RandomFlip(name="flip")(hidden)
    return keras.Model(inputs, layers.Dense(3, name="end")(layers.Flatten(name="flat")(hidden)))


def sequential() -> keras.Model:
    parts = [layers.Flatten(name="flat"), layers.Dense(3, name="end")]
    return keras.Sequential([keras.Input((8, 8, 1), name="images"), *parts])


def nested() -> keras.Model:
    inputs = keras.Input((12, 12, 1), name="outer")
    return keras.Model(inputs, layers.Dense(2, name="last")(every_layer()(inputs)))


OLD = {
    "conv": {"dtype": {"class_name": "Policy", "config": {"name": "float32"}}},
    "normal": {"axis": [3]},
    "leak": {"alpha": 0.1},
    "depthwise": {"groups": 1},
    "separable": {
        "groups": 1,
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
        "kernel_regularizer": None,
        "kernel_constraint": None,
    },
    "flip": {"rng_type": "stateful"},
    "flat": {"batch_input_shape": [None, 8, 8, 1]},
}
"""The settings of Keras 2 that Keras 3 does not write or writes otherwise, by the layer's name."""


def aged(config: Any) -> Any:
    """A configuration as Keras 2 wrote it."""
    if isinstance(config, list):
        return [aged(value) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("inbound_nodes"):
        tensor = config["inbound_nodes"][0]["args"][0]["config"]
        config = config | {"inbound_nodes": [[[*tensor["keras_history"], {}]]]}
    config = {key: aged(value) for key, value in config.items()}
    for key in ("module", "registered_name", "build_config"):
        config.pop(key, None)
    if config.get("class_name") in ("Functional", "Sequential") and "config" in config:
        config["config"].pop("dtype", None)
        for key in ("input_layers", "output_layers"):
            ends = config["config"].get(key)
            if ends and isinstance(ends[0], str):
                config["config"][key] = [ends]
    if isinstance(config.get("config"), dict):
        inner = config["config"]
        if "batch_shape" in inner:
            inner["batch_input_shape"] = inner.pop("batch_shape")
        inner.pop("negative_slope", None)
        if isinstance(inner.get("dtype"), dict):
            inner["dtype"] = "float32"
        inner.update(OLD.get(inner.get("name"), {}))
    return config


def age(file: h5py.File, change: Callable[[dict], Any] = dict) -> None:
    """Make the file of a model of Keras 3 one of Keras 2."""
    config = aged(json.loads(file.attrs["model_config"]))
    change(config)
    file.attrs["model_config"] = json.dumps(config)
    file.attrs["keras_version"] = "2.15.0"


def count_calls_from_one(config: dict) -> None:
    """As Keras 2 counted those of nested models."""
    names = [part["name"] for part in config["config"]["layers"] if "layers" in part["config"]]
    for layer in config["config"]["layers"]:
        for call in (call for node in layer["inbound_nodes"] for call in node):
            call[1] += call[0] in names


def name_layers_in_a_list(config: dict) -> None:
    """As Keras did before 2.2, where the first layer told the shape."""
    config["config"] = config["config"]["layers"][1:]


@pytest.mark.parametrize(
    ("build", "change"),
    [
        (every_layer, dict),
        (sequential, dict),
        (sequential, name_layers_in_a_list),
        (nested, count_calls_from_one),
    ],
)
def test_models_of_keras_2_come_back(tmp_path, build, change):
    model = build()
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(np.random.default_rng(1).random(weight.shape))
    model.save(tmp_path / "new.h5")
    content = (tmp_path / "new.h5").read_bytes()
    path = written(tmp_path / "old.h5", content, lambda file: age(file, change))
    loaded = loading.load_model(path)
    check_same(loaded, model)
    assert loaded.input_shape == model.input_shape  # one, in no list


def test_the_files_of_keras_2_need_that_care(tmp_path):
    """Keras itself does not open what the test above makes."""
    for build in (every_layer, nested):
        build().save(tmp_path / "new.h5")
        content = (tmp_path / "new.h5").read_bytes()
        path = written(tmp_path / "old.h5", content, age)
        with pytest.raises((ValueError, TypeError, AttributeError)):
            keras.saving.load_model(path, compile=False)


@pytest.mark.skipif(not EMOTION.exists(), reason=f"{EMOTION} is not there")
def test_a_real_file_of_keras_2(tmp_path):
    model = loading.load_model(EMOTION)
    assert model.count_params() == 58_423
    assert "conv2d_7" in [layer.path for layer in layer_lists.decodable_layers(model)]


# Refused


def vars_of(file: h5py.File) -> tuple[h5py.Group, str]:
    """The group of the kernel of the layer `dense`, without it, and its name."""
    names = [name for name in file["model_weights/dense"].attrs["weight_names"] if "kernel" in name]
    group, _, name = f"model_weights/dense/{names[0]}".rpartition("/")
    del file[group][name]
    return file[group], name


def compressed(**options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        group, name = vars_of(file)
        group.create_dataset(name, data=np.ones((64, 4), np.float32), chunks=(16, 4), **options)

    return change


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}]
)
def test_weights_in_chunks_are_read(tmp_path, whole, options):
    loaded = loading.load_model(written(tmp_path / "model.h5", whole, compressed(**options)))
    np.testing.assert_array_equal(loaded.get_layer("dense").kernel, np.ones((64, 4)))


def stream(file: h5py.File) -> None:
    """A chunk of one number, whose compressed stream goes on and on."""
    group, name = vars_of(file)
    data = group.create_dataset(name, (64, 4), "f4", chunks=(1, 1), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**16)))


def large_chunk(file: h5py.File) -> None:
    group, name = vars_of(file)
    group.create_dataset(name, (64, 4), maxshape=(None, None), chunks=(2**14, 2**14))


def large(file: h5py.File) -> None:
    group, name = vars_of(file)
    group.create_dataset(name, (2**30, 2**10), "f4")


def one_text_often(file: h5py.File) -> None:
    file.attrs["long"] = "x" * 2**20
    file["model_weights"].attrs["layer_names"] = ["dense"] * 3000


def external(trick: Callable, tmp_path: Path) -> Callable[[h5py.File], None]:
    """A trick with the weights of a `.keras` file, played where they lie in this one."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.full((64, 4), 42.0, np.float32)

    def change(file: h5py.File) -> None:
        file.require_group("layers/dense/vars")["0"] = np.zeros((64, 4), np.float32)
        trick(secret)(file)

    return change


@pytest.mark.parametrize("trick", [external_storage, external_link, soft_link, virtual])
def test_weights_never_come_from_another_file(tmp_path, whole, trick):
    path = written(tmp_path / "model.h5", whole, external(trick, tmp_path))
    assert "another file" in refused(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (stream, "larger than it declares"),
        (large_chunk, "would inflate to"),
        (large, "would inflate to 4,194,304 MiB"),
        (one_text_often, "would inflate to"),
        (compressed(compression="lzf"), "compressed in a way that is never read"),
        (compressed(scaleoffset=2), "compressed in a way that is never read"),
    ],
)
def test_no_more_memory_than_the_file_could_hold(tmp_path, whole, change, words):
    assert words in refused(written(tmp_path / "model.h5", whole, change))


def test_a_heap_of_texts_is_seen():
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.attrs["short"], opened.attrs["long"] = "x", "x" * 50_000
    assert 50_000 <= hdf5.longest_text(file.getvalue()) < 60_000


def activation(value: Any) -> Callable[[dict], None]:
    def change(config: dict) -> None:
        config["config"]["layers"][2]["config"]["activation"] = value

    return change


def layer(**changes: Any) -> Callable[[dict], None]:
    return lambda config: config["config"]["layers"][2].update(changes)


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (layer(class_name="Lambda", config={"function": ["4wEAAAA=", None, None]}), "a Lambda"),
        (layer(class_name="TFSMLayer", config={"filepath": "x"}), "a TFSMLayer"),
        (layer(class_name="TFOpLambda"), "a function of TensorFlow"),
        (layer(class_name="Own"), "the custom class 'Own'"),
        (layer(class_name="evil>Own"), "the custom class 'evil>Own'"),
        (layer(class_name="Dense", module="evil"), "the custom class 'Dense'"),
        # The loader of these files calls what has this name in keras.layers.
        (layer(class_name="deserialize", module="keras.layers"), "the custom class"),
        (layer(class_name="get", module="keras.initializers"), "the custom class"),
        (layer(class_name="TypeSpec"), "a TypeSpec"),
        (activation(LAMBDA), "a lambda function"),
        (activation({"class_name": "function", "config": "act", "module": "evil"}), "'act'"),
        (activation({"class_name": "Own", "config": {}, "module": "evil"}), "'Own'"),
    ],
)
def test_code_is_refused_and_not_executed(tmp_path, whole, monkeypatch, change, words):
    canary = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert words in refused(written(tmp_path / "model.h5", whole, configured(change)))
    assert not canary.exists()


def test_training_is_never_read(tmp_path, whole):
    def change(file: h5py.File) -> None:
        file.attrs["training_config"] = json.dumps({"loss": {"class_name": "evil>Loss"}})
        del file["optimizer_weights"]

    assert not loading.load_model(written(tmp_path / "model.h5", whole, change)).compiled


def test_weights_alone_are_called_that(tmp_path, whole):
    def change(file: h5py.File) -> None:
        del file.attrs["model_config"]

    message = refused(written(tmp_path / "model.h5", whole, change))
    assert "holds weights and no model; build the model, call model.load_weights" in message
