"""Model files made to run code, to reach other files or to fill the memory: refused, not executed.

Each test of execution has a canary: code that would leave a file behind, if it ever ran.
"""

import io
import json
import os
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.models import loading
from cladec.storage import keras_archive

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Members:
    """The members of a good model file."""
    path = tmp_path_factory.mktemp("whole") / "model.keras"
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Dense(4, activation="relu", name="dense")(layers.Flatten()(inputs))
    keras.Model(inputs, layers.Dense(3, name="logits")(hidden)).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that exists once `evil`, a module that can be imported, has been."""
    path = tmp_path / "canary"
    (tmp_path / "evil.py").write_text(
        f"open({str(path)!r}, 'w').close()\n"
        "from keras.layers import Dense as Own\n"
        "from keras.activations import relu as act\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop("evil", None)


def packed(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refused(path: Path) -> str:
    """The one line with which a model file is refused."""
    with pytest.raises(InputError) as caught:
        loading.load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be loaded: ")
    assert "\n" not in message
    return message


def changed(members: Members, change: Callable[[dict[str, Any]], None]) -> Members:
    """The members with the configuration of the layer `dense` changed."""
    config = json.loads(members["config.json"])
    change(next(layer for layer in config["config"]["layers"] if layer["name"] == "dense"))
    return members | {"config.json": json.dumps(config).encode()}


@pytest.mark.parametrize("name", ["softmax_layer", "logits_end", "functional_in_sequential"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_good_models_are_loaded(tmp_path, name, compression):
    model = zoo.build(name)
    model.save(tmp_path / "saved.keras")
    with zipfile.ZipFile(tmp_path / "saved.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    loaded = loading.load_model(packed(tmp_path / "model.keras", members, compression))
    np.testing.assert_array_equal(loaded(zoo.images()), model(zoo.images()))


def test_a_lambda_layer_is_not_run(tmp_path):
    canary = tmp_path / "canary"
    body = layers.Lambda(
        lambda x, trace: (open(trace, "w").close(), x)[1], arguments={"trace": str(canary)}
    )
    model = keras.Sequential([keras.Input((8, 8, 1)), body, layers.Flatten(), layers.Dense(2)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "model.keras")
    canary.unlink()
    assert "Lambda layer" in refused(tmp_path / "model.keras")
    assert not canary.exists()
    keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    assert canary.exists()  # so this is what was refused


@pytest.mark.parametrize(
    "part",
    [
        {"module": "evil", "class_name": "Own", "registered_name": None},
        {"module": "evil", "class_name": "Own", "registered_name": "Own"},
        {"module": "evil", "class_name": "Own", "registered_name": "cladec>Own"},
        {"module": "keras.evil", "class_name": "Own"},
        {"module": "evil", "class_name": "Dense"},
        {"module": ["evil"], "class_name": "Own"},
        {"module": None, "class_name": "Own", "registered_name": "evil>Own"},
        {"module": "keras_hub.layers", "class_name": "Own"},
        {"module": "keras.src.utils.python_utils", "class_name": "func_load"},
        {"module": "keras.callbacks", "class_name": "BackupAndRestore"},
    ],
)
def test_no_layer_is_looked_for_outside_keras(tmp_path, whole, canary, part):
    path = packed(tmp_path / "model.keras", changed(whole, lambda layer: layer.update(part)))
    assert "custom" in refused(path)
    assert not canary.exists()


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


@pytest.mark.parametrize(
    "activation",
    [
        function("evil", "act"),
        function("os", "system"),
        function("builtins", "eval"),
        function("builtins", "get_file"),
        function("keras.utils", "get_file"),
        function("keras.saving", "load_model"),
        function("keras.config", "enable_unsafe_deserialization"),
        function("keras.datasets.mnist", "load_data"),
        {"class_name": "__lambda__", "config": {"value": ["aGk=", None, None]}},
        {"module": "evil", "class_name": "Own", "config": {}},
    ],
    ids=lambda part: f"{part.get('module')}.{part['config']}",
)
def test_no_function_is_looked_for_outside_keras(tmp_path, whole, canary, activation):
    def change(layer: dict[str, Any]) -> None:
        layer["config"]["activation"] = activation

    refused(packed(tmp_path / "model.keras", changed(whole, change)))
    assert not canary.exists()


def test_the_canary_would_notice(tmp_path, whole, canary):
    __import__("evil")
    assert canary.exists()


def test_a_file_named_in_a_model_is_not_read(tmp_path, whole):
    secret = tmp_path / "secret.txt"
    secret.write_text("swordfish\nhunter2\n")
    layer = {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"name": "dense", "vocabulary": str(secret)},
        "registered_name": None,
        "name": "dense",
    }
    model = {"module": "keras", "class_name": "Sequential", "registered_name": None}
    model["config"] = {"name": "model", "layers": [layer]}
    members = whole | {"config.json": json.dumps(model).encode()}
    message = refused(packed(tmp_path / "model.keras", members))
    assert "swordfish" not in message


@pytest.mark.parametrize(
    "name",
    ["../escaped", "assets/../../escaped", "/{folder}/escaped", "..\\escaped", "C:\\escaped"],
)
def test_nothing_is_written_outside_the_archive(tmp_path, whole, name):
    name = name.format(folder=str(tmp_path).strip("/"))
    path = packed(tmp_path / "inner.keras", whole | {name: b"escaped"})
    assert "leads out of the archive" in refused(path)
    assert [found.name for found in tmp_path.parent.rglob("*escaped*")] == []


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "assets/more"])
def test_a_zip_bomb_is_not_inflated(tmp_path, whole, name):
    bomb = whole | {name: whole.get(name, b"") + b" " * 100 * 2**20}
    path = packed(tmp_path / "model.keras", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    start = time.process_time()
    assert "would inflate to 100 MiB, more than 10 times its size" in refused(path)
    assert time.process_time() - start < 2


def test_a_zip_bomb_that_declares_to_be_small_is_damaged(tmp_path, whole):
    size = 100 * 2**20
    bomb = whole | {"config.json": b" " * size}
    path = packed(tmp_path / "model.keras", bomb, zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    path.write_bytes(content.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert "CRC" in refused(path)


def weights(change: Callable[[h5py.File], None], content: bytes) -> bytes:
    """The weights file `content`, changed."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as opened:
        change(opened)
    return file.getvalue()


def external_storage(secret: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset(
            "0", (64, 4), "float32", external=[(str(secret), 0, 1024)]
        )

    return change


def external_link(secret: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(secret), "/secret")

    return change


def soft_link(_: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file["layers/dense/vars/more"] = h5py.SoftLink("/layers/logits/vars/0")

    return change


def virtual(secret: Path) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((64, 4), "float32")
        layout[:] = h5py.VirtualSource(str(secret), "secret", (64, 4))
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_virtual_dataset("0", layout)

    return change


@pytest.mark.parametrize("trick", [external_storage, external_link, soft_link, virtual])
def test_weights_never_come_from_another_file(tmp_path, whole, trick):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.full((64, 4), 42.0, np.float32)
    content = weights(trick(secret), whole["model.weights.h5"])
    path = packed(tmp_path / "model.keras", whole | {"model.weights.h5": content})
    assert "another file" in refused(path)


def test_weights_that_are_declared_and_not_there_are_not_made(tmp_path, whole):
    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (2**30, 2**10), "float32")

    content = weights(change, whole["model.weights.h5"])
    path = packed(tmp_path / "model.keras", whole | {"model.weights.h5": content})
    assert "would inflate" in refused(path)


def test_what_is_no_model_is_refused(tmp_path, whole):
    config = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}
    path = packed(tmp_path / "model.keras", whole | {"config.json": json.dumps(config).encode()})
    with pytest.raises(InputError, match=r"no model|cannot be loaded"):
        loading.load_model(path)


def test_a_loss_of_ones_own_is_not_needed(tmp_path, whole):
    config = json.loads(whole["config.json"])
    config["compile_config"] = {"loss": {"module": "mine", "class_name": "Loss", "config": {}}}
    path = packed(tmp_path / "model.keras", whole | {"config.json": json.dumps(config).encode()})
    assert loading.load_model(path).count_params() == 4 * 65 + 3 * 5
    keras_archive.check(path)


def test_layers_that_only_an_application_has_are_of_keras(tmp_path):
    """Keras's own class below keras.src.applications, as ConvNeXt has it."""
    from keras.src.applications.convnext import LayerScale

    inputs = keras.Input((8, 8, 3))
    hidden = LayerScale(1e-6, 3, name="scale")(layers.Conv2D(3, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(hidden)))
    model.save(tmp_path / "model.keras")
    loaded = loading.load_model(tmp_path / "model.keras")
    images = zoo.images(2, (8, 8, 3))
    np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.parametrize(
    "activation",
    [
        # What is registered must not vouch for what Keras will import and look up.
        function("keras_hub.evil", "act") | {"registered_name": "cladec>ClaDec"},
        function("keras_cv.evil", "act") | {"registered_name": "cladec>Select"},
        function("keras_nlp", "evil.act") | {"registered_name": "cladec>RefAE"},
        function("keras", "utils.get_file"),
        function("keras", "config.enable_unsafe_deserialization"),
        function("keras.layers", "Lambda"),
        {"module": "keras", "class_name": "layers.TFSMLayer", "config": {}},
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "config": {},
            "registered_name": "Lambda",
        },
        {"module": "keras", "class_name": "__typespec__", "config": [], "registered_name": None}
        | {"spec_name": "Lambda"},
    ],
    ids=lambda part: f"{part['module']}.{part['class_name']}.{part['config']}",
)
def test_what_keras_will_look_up_is_what_is_checked(tmp_path, whole, canary, activation):
    package = tmp_path / "keras_hub"
    package.mkdir()
    (package / "__init__.py").write_text("import evil\n")
    (package / "evil.py").write_text("from evil import act\n")

    def change(layer: dict[str, Any]) -> None:
        layer["config"]["activation"] = activation

    refused(packed(tmp_path / "model.keras", changed(whole, change)))
    assert not canary.exists()
    assert "keras_hub" not in sys.modules


def test_weights_in_numpys_format_are_not_read(tmp_path, whole):
    content = io.BytesIO()
    np.savez_compressed(content, a=np.zeros(10, np.float32))
    members = {name: data for name, data in whole.items() if name != "model.weights.h5"}
    path = packed(tmp_path / "model.keras", members | {"model.weights.npz": content.getvalue()})
    assert "no model.weights.h5" in refused(path)


def references_to_one_object(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    texts = file["layers/dense/vars"].create_dataset("0", (400,), h5py.string_dtype())
    texts[:] = "x" * 4096


def attribute_of_texts(file: h5py.File) -> None:
    file["layers/dense/vars/0"].attrs["dtype"] = ["x" * 1000] * 50


def compressed(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_dataset(
        "0", data=np.zeros((64, 4), np.float32), chunks=(64, 4), compression="gzip"
    )


@pytest.mark.parametrize("trick", [references_to_one_object, attribute_of_texts, compressed])
def test_weights_that_grow_in_memory_are_refused(tmp_path, whole, trick):
    content = weights(trick, whole["model.weights.h5"])
    path = packed(tmp_path / "model.keras", whole | {"model.weights.h5": content})
    assert "its weights 'layers/dense/vars/0'" in refused(path)


def test_weights_in_half_precision_and_quantised_are_loaded(tmp_path):
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Dense(4, dtype="bfloat16", name="half")(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="logits")(hidden))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that are not quantised
        model.quantize("int8")
    model.save(tmp_path / "model.keras")
    loaded = loading.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(zoo.images()), model(zoo.images()))


def test_a_folder_and_an_older_file_are_told_apart(tmp_path, whole):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    with h5py.File(tmp_path / "old.h5", "w"):
        pass
    (tmp_path / "old.keras").write_bytes((tmp_path / "old.h5").read_bytes())
    os.mkfifo(tmp_path / "pipe.keras")
    told = {"saved": "SavedModel folder", "old.h5": "HDF5", "old.keras": "HDF5", "pipe.keras": "no"}
    for name, words in told.items():
        with pytest.raises(InputError) as caught:
            loading.load_model(tmp_path / name)
        assert words in str(caught.value)
        assert name in str(caught.value)


def test_why_weights_do_not_fit_is_told(tmp_path, whole):
    def change(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]

    content = weights(change, whole["model.weights.h5"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, of a container that it passes over
        message = refused(packed(tmp_path / "m.keras", whole | {"model.weights.h5": content}))
    assert "expected 2 variables, but received 1" in message
