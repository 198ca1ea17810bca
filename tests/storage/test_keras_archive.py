"""Model files made to run code, to reach other files or to fill the memory: refused, not executed.

Each test of execution has a canary: code that would leave a file behind, if it ever ran.
"""

import importlib
import io
import json
import os
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import zoo
from keras import layers
from keras.src.applications import convnext as convnext_module
from keras.src.applications import inception_resnet_v2 as inception_module

from cladec.errors import InputError
from cladec.models import loading
from cladec.storage import keras_archive, sizes

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


def convnext() -> keras.Model:
    """ConvNeXt, small, with the layers of its own: LayerScale and StochasticDepth."""
    few = [2, 2, 2, 2]
    options = {"drop_path_rate": 0.2, "weights": None, "input_shape": (32, 32, 3), "classes": 3}
    return convnext_module.ConvNeXt(few, few, **options)


def inception_resnet() -> keras.Model:
    """A block of Inception-ResNet v2, with a layer of its own: CustomScaleLayer."""
    images = keras.Input((8, 8, 8))
    block = inception_module.inception_resnet_block(images, 0.17, "block35", 1)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(block)))


def functions() -> keras.Model:
    """Functions of keras.ops and a list of numbers for activations and initializers."""
    images = keras.Input((8, 8, 1))
    hidden = keras.ops.relu(layers.Dense(4, activation=keras.ops.tanh)(images))
    start = keras.initializers.Constant([1.0, 2.0, 3.0])
    hidden = layers.Dense(3, bias_initializer=start)(layers.Flatten()(hidden[:, 1:, ..., :2]))
    return keras.Model(images, layers.Activation(keras.activations.softmax)(hidden))


def narrow(dtype: str) -> keras.Model:
    """Weights of a narrow type."""
    options = {"dtype": "float32" if dtype == "int8" else dtype}
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, **options)])
    if dtype == "int8":
        model.layers[-1].quantize("int8")
    return model


@pytest.mark.parametrize(
    "build",
    [
        *(convnext, inception_resnet, functions),
        *(partial(narrow, dtype) for dtype in ("bfloat16", "float16", "mixed_bfloat16", "int8")),
    ],
)
def test_what_keras_itself_saves_is_loaded(tmp_path, build):
    model = build()
    model.save(tmp_path / "model.keras")
    loaded = loading.load_model(tmp_path / "model.keras")
    kinds = {type(layer).__name__ for layer in loaded.layers}
    own = {convnext: {"LayerScale", "StochasticDepth"}, inception_resnet: {"CustomScaleLayer"}}
    assert own.get(build, set()) <= kinds
    for weight, expected in zip(loaded.weights, model.weights, strict=True):
        assert weight.dtype == expected.dtype
        np.testing.assert_array_equal(
            *(np.asarray(keras.ops.convert_to_numpy(w), np.float32) for w in (weight, expected))
        )


def public(*places: str) -> list[tuple[str, str, Any]]:
    """What parts of Keras export: module, name and thing."""
    modules = (importlib.import_module(place) for place in places)
    return [
        (module.__name__, name, thing) for module in modules for name, thing in vars(module).items()
    ]


def test_every_class_of_keras_but_those_with_code_may_be_in_a_model():
    refused = set()
    for module, name, thing in public(
        "keras", "keras.layers", "keras.initializers", "keras.losses"
    ):
        if isinstance(thing, type) and hasattr(thing, "get_config"):
            try:
                keras_archive.check_part({"module": module, "class_name": name, "config": {}}, "")
            except InputError:
                refused.add(name)
    assert refused == {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}


def test_every_function_of_the_maths_of_keras_may_be_in_a_model():
    checked = 0
    for module, name, thing in public("keras.activations", "keras.ops", "keras.losses"):
        if isinstance(thing, FunctionType) and name not in ("get", "serialize", "deserialize"):
            keras_archive.check_part(function(module, name), "")
            keras_archive.check_part(function(thing.__module__, thing.__name__), "")
            checked += 1
    assert checked > 300


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


def test_a_lambda_that_is_an_activation_is_called_one(tmp_path):
    body = layers.Dense(2, activation=lambda x: 2 * x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras.Sequential([keras.Input((3,)), body]).save(tmp_path / "model.keras")
    assert "it holds a lambda function, whose code" in refused(tmp_path / "model.keras")


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


LAMBDA = "keras.src.layers.core.lambda_layer"


@pytest.mark.parametrize(
    "part",
    [
        {"module": "keras.layers", "class_name": "TFSMLayer"},
        {"module": None, "class_name": "TFSMLayer"},
        {"module": LAMBDA, "class_name": "Lambda"},
        {"module": "keras.layers", "class_name": "Dense", "registered_name": "Lambda"},
        {"module": "keras.layers", "class_name": "function", "config": "Lambda"},
        {"module": "keras.layers", "class_name": "__typespec__", "spec_name": "JaxLayer"},
    ],
)
def test_code_is_refused_by_every_name_that_keras_looks_up(tmp_path, whole, part):
    path = packed(tmp_path / "model.keras", changed(whole, lambda layer: layer.update(part)))
    assert "and is never run; " in refused(path)


def test_a_subclass_of_a_layer_of_code_is_one(monkeypatch):
    """Keras may make one, under any name."""
    hidden = type("Hidden", (layers.Lambda,), {"__module__": "keras.src.layers"})
    monkeypatch.setattr(keras.layers, "Hidden", hidden, raising=False)
    with pytest.raises(InputError, match="a Lambda layer"):
        keras_archive.check_part({"module": "keras.layers", "class_name": "Hidden"}, "")


@pytest.mark.parametrize("name", ["deserialize", "serialize", "Input", "add"])
def test_the_old_form_without_a_module_calls_no_function(tmp_path, whole, name):
    def change(layer: dict[str, Any]) -> None:
        del layer["module"], layer["registered_name"]
        layer.update({"class_name": name, "config": {}})

    assert "custom class" in refused(packed(tmp_path / "model.keras", changed(whole, change)))


@pytest.fixture(params=["keras_hub", "keras_cv", "keras_nlp"])
def beside(request, canary) -> str:
    """A module below the packages that Keras imports from besides itself, which leaves a trace."""
    package = canary.parent / request.param
    package.mkdir()
    (package / "__init__.py").touch()
    (canary.parent / "evil.py").rename(package / "evil.py")
    yield f"{request.param}.evil"
    for name in (request.param, f"{request.param}.evil"):
        sys.modules.pop(name, None)


BESIDE = {
    "function": {"class_name": "function", "config": "act"},
    "class": {"class_name": "Own", "config": {}},
    "specification": {"class_name": "__typespec__", "spec_name": "Own", "config": []},
}


@pytest.mark.parametrize("form", BESIDE)
def test_what_is_registered_is_no_pass_for_another_name(tmp_path, whole, canary, beside, form):
    """For a class Keras looks up its registered name, for a function what is its configuration."""
    known = "cladec>Select"
    assert keras.saving.get_registered_object(known) is not None
    part = BESIDE[form] | {
        "module": beside,
        "registered_name": known if form == "function" else None,
    }

    def change(layer: dict[str, Any]) -> None:
        layer["config"]["activation"] = part

    assert "custom" in refused(packed(tmp_path / "model.keras", changed(whole, change)))
    assert not canary.exists()
    with suppress(Exception):  # it may go on or fail
        keras.saving.deserialize_keras_object(part)
    assert canary.exists()  # so this is what was refused


def test_not_even_a_module_of_keras_is_imported(tmp_path, whole):
    module = "keras.src.testing.test_case"
    sys.modules.pop(module, None)
    part = {"module": module, "class_name": "TestCase", "registered_name": "TestCase"}
    refused(packed(tmp_path / "model.keras", changed(whole, lambda layer: layer.update(part))))
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("saved", "way"),
    [
        ("2.15.0", "save it there with model.save('name.h5'), and give that file"),
        ("9.0.0", "save it anew with Keras "),
    ],
)
def test_a_class_of_another_keras_is_called_that(tmp_path, whole, saved, way):
    config = json.loads(whole["config.json"]) | {"module": "keras.src.engine.functional"}
    metadata = json.dumps({"keras_version": saved}).encode()
    members = whole | {"config.json": json.dumps(config).encode(), "metadata.json": metadata}
    message = refused(packed(tmp_path / "model.keras", members))
    assert (
        f"holds the class 'Functional' of Keras {saved}, which Keras {keras.__version__}" in message
    )
    assert way in message


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


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path, whole, kind):
    """They inflate a whole block, whatever size the member declares."""
    path = packed(tmp_path / "model.keras", whole, kind)
    assert "compressed in a way that Keras never uses" in refused(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("assets/layers/lookup/vocabulary.txt", b"a\n" * 2**20),
        ("config.json", b'{"config": [' + b"[]," * 2**20 + b"[]]}"),
    ],
)
def test_what_python_takes_for_text_is_counted(tmp_path, whole, name, content):
    assert len(content) < sizes.ALWAYS
    path = packed(tmp_path / "model.keras", whole | {name: content}, zipfile.ZIP_DEFLATED)
    assert "would inflate to" in refused(path)


def test_weights_of_another_format_are_refused(tmp_path, whole):
    """Keras opens model.weights.npz where the other file is missing, an archive in the archive."""
    bomb = io.BytesIO()
    np.savez_compressed(bomb, **{"layers/dense": np.zeros(2**22)})
    assert len(bomb.getvalue()) < 2**16
    members = {name: part for name, part in whole.items() if name != keras_archive.WEIGHTS}
    for more in ({}, {"model.weights.npz": bomb.getvalue()}):
        path = packed(tmp_path / "model.keras", members | more)
        assert "it holds no model.weights.h5" in refused(path)


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


def vars_of(file: h5py.File) -> h5py.Group:
    """Where a test puts its own weights."""
    del file["layers/dense/vars/0"]
    return file["layers/dense/vars"]


def declared(*shape: int) -> Callable[[h5py.File], None]:
    return lambda file: vars_of(file).create_dataset("0", shape, "float32")


def chunk(file: h5py.File) -> None:
    """64 x 4 numbers in a chunk of two gigabytes."""
    vars_of(file).create_dataset(
        "0", (64, 4), "f4", maxshape=(None, None), chunks=(2**14, 2**15), compression="gzip"
    )


def stream(file: h5py.File) -> None:
    """A chunk of one number, whose compressed stream goes on and on."""
    data = vars_of(file).create_dataset("0", (1,), "f4", chunks=(1,), compression="gzip")
    data.id.write_direct_chunk((0,), zlib.compress(bytes(2**24)))


def texts(file: h5py.File) -> None:
    vars_of(file)["0"] = ["x"] * 400


def sequences(file: h5py.File) -> None:
    data = vars_of(file).create_dataset("0", (400,), h5py.vlen_dtype(np.float32))
    data[0] = np.zeros(1000, np.float32)


def references(file: h5py.File) -> None:
    vars_of(file).create_dataset("0", (400,), h5py.ref_dtype)


def compound(file: h5py.File) -> None:
    kind = np.dtype([("number", "f4"), ("text", h5py.string_dtype())])
    vars_of(file).create_dataset("0", (400,), kind)


def attribute(file: h5py.File) -> None:
    """Keras reads an attribute of this name."""
    file["layers/dense/vars/0"].attrs["dtype"] = ["bfloat16"] * 400


def attribute_of_sequences(file: h5py.File) -> None:
    values = np.empty((), object)
    values[()] = np.zeros(1000, np.float32)
    kind = h5py.vlen_dtype(np.float32)
    file["layers/dense/vars/0"].attrs.create("dtype", values, (), kind)


def nested(file: h5py.File) -> None:
    group = h5py.h5g.open(file.id, b"/")
    for _ in range(1000):
        group = h5py.h5g.create(group, b"a")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (declared(2**30, 2**10), "would inflate to 4,194,304 MiB"),
        (declared(2**32, 2**32), "would inflate"),  # whose product is 0 in 64 bits
        *((change, "in chunks") for change in (chunk, stream)),
        *((change, "of no fixed size") for change in (texts, sequences, references, compound)),
        *((change, "attribute 'dtype'") for change in (attribute, attribute_of_sequences)),
        (nested, "nested more than 100 levels deep"),
    ],
)
def test_weights_take_no_more_memory_than_the_file_could_hold(tmp_path, whole, change, words):
    content = weights(change, whole[keras_archive.WEIGHTS])
    members = whole | {keras_archive.WEIGHTS: content}
    assert words in refused(packed(tmp_path / "model.keras", members, zipfile.ZIP_DEFLATED))


def test_one_text_that_is_named_often_is_refused(tmp_path, whole):
    """400 references to one object in the file are 400 objects in memory."""
    size = 2**16

    def change(file: h5py.File) -> None:
        data = vars_of(file).create_dataset("0", (400,), h5py.string_dtype())
        data[:] = [b"x" * size] + [b"y"] * 399
        places.append(data.id.get_offset())

    places: list[int] = []
    content = weights(change, whole[keras_archive.WEIGHTS])
    one = content[places[0] : places[0] + 16]  # its length, heap and number there
    content = content[: places[0]] + one * 400 + content[places[0] + 400 * 16 :]
    assert len(content) < 2 * size
    with h5py.File(io.BytesIO(content)) as file:
        assert sum(map(len, file["layers/dense/vars/0"][:])) == 400 * size  # so it would be
    path = packed(tmp_path / "model.keras", whole | {keras_archive.WEIGHTS: content})
    assert "of no fixed size" in refused(path)


def test_weights_with_two_names_are_looked_at_once(tmp_path, whole):
    def change(file: h5py.File) -> None:
        file["layers/loop"] = file["layers"]

    content = weights(change, whole[keras_archive.WEIGHTS])
    path = packed(tmp_path / "model.keras", whole | {keras_archive.WEIGHTS: content})
    assert loading.load_model(path).count_params() == 4 * 65 + 3 * 5


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
    (tmp_path / "folder").mkdir()
    with h5py.File(tmp_path / "old.h5", "w"):
        pass
    (tmp_path / "old.keras").write_bytes((tmp_path / "old.h5").read_bytes())
    os.mkfifo(tmp_path / "pipe.keras")
    told = {"folder": "a folder", "old.h5": "HDF5", "old.keras": "HDF5", "pipe.keras": "no"}
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
