"""Whatever people and broken disks hand in: a result, or an InputError of one line.

HYPOTHESIS_PROFILE=long tries 2,500 cases of each property instead of a few.
"""

import copy
import io
import json
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers
from PIL import Image

from cladec.commands import explain, main
from cladec.data import image_folder
from cladec.data.picture_lists import list_images
from cladec.errors import InputError
from cladec.experiments import records, results
from cladec.experiments.runs import Run
from cladec.models import loading
from cladec.models.recipes import CLADEC
from cladec.storage import model_files

# Fixtures that are made once serve every case: each case writes what it reads anew.
COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
settings.register_profile("quick", max_examples=25, derandomize=True, **COMMON)
settings.register_profile("long", max_examples=2500, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def result_of(call: Callable, *arguments: Any, **options: Any) -> Any:
    """What a call gives, None for an InputError; any other error fails the test."""
    try:
        return call(*arguments, **options)
    except InputError as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    return None


# Damage


@st.composite
def damages(draw: Any) -> Callable[[bytes], bytes]:
    """Cut off, empty, change, insert or repeat bytes of a file."""
    kind = draw(st.sampled_from(["cut", "change", "insert", "repeat"]))
    places = draw(st.lists(st.integers(0, 2**32), min_size=1, max_size=8))
    values = draw(st.binary(min_size=1, max_size=8))

    def damage(content: bytes) -> bytes:
        start = places[0] % (len(content) + 1)
        if kind == "cut":
            return content[:start]
        if kind == "insert":
            return content[:start] + values + content[start:]
        if kind == "repeat":
            return content[:start] + content[start // 2 :]
        changed = bytearray(content)
        for place, value in zip(places, values, strict=False):
            changed[place % len(changed)] = value
        return bytes(changed)

    return damage


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)
"""Any JSON; numbers small enough that a layer of that size fits into memory."""


@st.composite
def edits(draw: Any) -> Callable[[Any], Any]:
    """Replace, remove or move a value somewhere in JSON."""
    turns = draw(st.lists(st.integers(0, 2**16), min_size=1, max_size=12))
    kind = draw(st.sampled_from(["replace", "remove", "copy"]))
    value = draw(ANYTHING)

    def edit(content: Any) -> Any:
        content = copy.deepcopy(content)
        here, parent, key = content, None, None
        for turn in turns:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            parent, key = here, keys[turn % len(keys)]
            here = here[key]
            if not isinstance(here, dict | list):
                break
        if kind == "remove":
            del parent[key]
        else:
            parent[key] = value if kind == "replace" else copy.deepcopy(content)
        return content

    return edit


# Arguments

WORDS = st.sampled_from(
    [
        *("train", "evaluate", "explain", "compare", "metrics", "--help", "--", "-1", "nan", "inf"),
        *("--datasets", "--layers", "--alphas", "--epochs", "--batch-size", "--seed", "--repeats"),
        *("--precision", "--workers", "--models", "--model", "--images", "--methods", "--measures"),
        *("--target", "--layer", "--resize", "--no-resize", "--dataset", "--alpha", "--confusion"),
        *("digits", "mnist", "mnits", "0", "1", "0.5", "1e400", "auto", "lime", "deletion", ""),
    ]
)
# A real command line holds no null character, and what is no text arrives as lone surrogates.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=[]), max_size=12)


@given(
    command=st.sampled_from(["train", "evaluate", "explain", "compare", "metrics"]) | TEXT,
    arguments=st.lists(WORDS | TEXT, max_size=8),
    folder=st.text(st.characters(exclude_characters="\0/.", codec="utf-8"), max_size=300),
)
def test_arguments(command, arguments, folder, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path_factory.mktemp("arguments"))
    for stream in (sys.stdout, sys.stderr):  # as the real one of errors is
        stream.reconfigure(errors="backslashreplace")
    with suppress(SystemExit):  # --help, and what tyro itself refuses
        settings = main.parse([command, *arguments, "--out", f"./{folder}"])
        result_of(settings.check)
    capsys.readouterr()


# Images

SHAPES = [(8, 8, 1), (8, 8, 3)]


def encoded(mode: str, name: str, size: tuple[int, int], values: bytes, options: dict) -> bytes:
    """An image file of a mode and format, or PNG where the format does not know the mode."""
    noise = np.resize(np.frombuffer(values, np.uint8), (size[1], size[0], 4))
    image = Image.fromarray(noise, "RGBA")
    if mode in ("I;16", "I", "F"):
        image = Image.fromarray(noise[..., 0].astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode]))
    elif mode != "RGBA":
        image = image.convert("RGB").convert(mode)
    file = io.BytesIO()
    try:
        image.save(file, name, **options)
    except (OSError, ValueError, TypeError):  # "cannot write mode F as JPEG"
        image.convert("RGB").save(file, "PNG")
    return file.getvalue()


@st.composite
def image_files(draw: Any) -> bytes:
    """An image of any mode and format: rotated by EXIF, animated, with transparency, damaged."""
    mode = draw(
        st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
    )
    name = draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "EPS"]))
    size = draw(st.sampled_from([(8, 8), (1, 1), (5, 9), (8, 300)]))
    values = draw(st.binary(min_size=1, max_size=64))
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = draw(st.integers(0, 20))
    if mode in ("L", "P", "RGB") and draw(st.booleans()):
        options["transparency"] = (1, 2, 3) if mode == "RGB" else 0
    if name in ("GIF", "WEBP", "PNG") and draw(st.booleans()):
        frames = [Image.new("RGB", size, colour) for colour in ("red", "blue")]
        options |= {"save_all": True, "append_images": frames, "duration": 10}
    content = encoded(mode, name, size, values, options)
    return draw(st.just(content) | damages().map(lambda damage: damage(content)))


def check_image(path: Path) -> None:
    """Read an image file in every way that the package does."""
    pixels = result_of(image_folder.read_pixels, path)
    if pixels is not None:
        assert pixels.dtype in (np.uint8, np.uint16, np.float32)
        assert pixels.ndim == 3
        assert pixels.shape[2] in (1, 3)
    for shape in SHAPES:
        for resize in (False, True):
            image = result_of(explain.read_image, path, shape, resize=resize)
            if image is not None:
                assert image.shape == shape
                assert image.dtype == np.float32
                assert image.min() >= 0
                assert image.max() <= 1


@given(content=image_files())
def test_images(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "image.png"
    path.write_bytes(content)
    check_image(path)


def png(width: int, height: int, bits: int, colour: int, data: bytes) -> bytes:
    """A PNG file whose header says what it likes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@given(
    width=st.integers(0, 2**32 - 1) | st.integers(0, 20),
    height=st.integers(0, 2**32 - 1) | st.integers(0, 20),
    bits=st.sampled_from([0, 1, 2, 4, 8, 16, 255]),
    colour=st.sampled_from([0, 2, 3, 4, 6, 7]),
    data=st.binary(max_size=200),
)
def test_sizes_that_a_file_does_not_have(width, height, bits, colour, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "image.png"
    path.write_bytes(png(width, height, bits, colour, data))
    check_image(path)


@pytest.mark.parametrize("side", [9_500, 14_000, 60_000])
def test_pillows_limit_of_pixels_is_on(side, tmp_path):
    """Above 89 million pixels Pillow warns, above twice as many it refuses: both are refused."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, 8, 0, b""))
    with pytest.raises(InputError, match=r"bomb\.png .*decompression bomb"):
        image_folder.read_pixels(path)


def test_no_image_starts_another_program(tmp_path):
    """Pillow draws EPS by Ghostscript."""
    path = tmp_path / "picture.png"
    Image.new("L", (8, 8)).save(path, "EPS")
    with pytest.raises(InputError, match="cannot identify image file"):
        image_folder.read_pixels(path)


# Tables of pictures


@given(damage=damages())
def test_damaged_tables_of_pictures(damage, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    for name in ("a", "b", "c"):
        (folder / f"{name}.png").write_bytes(png(2, 2, 8, 0, b""))
    path = folder / "table.csv"
    path.write_bytes(
        damage(b'file,label,split\na.png,cat,train\n"b.png",dog,train\nc.png,dog,val\n')
    )
    listing = result_of(list_images, path)
    if listing is not None:
        assert len(listing.class_names) > 1
        assert listing.train
        assert listing.test


# Records

RUN = Run(dataset="digits", model="cladec", recipe=CLADEC, layer="dense", alpha=0.5)
RECORD = {"run": asdict(RUN), "sha256": "", "seconds": 1.5, "history": {"loss": [2.0, 1.0]}}


@given(damage=damages())
def test_damaged_json(damage, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "record.json"
    model_files.write_json(path, RECORD)
    path.write_bytes(damage(path.read_bytes()))
    content = result_of(model_files.read_json, path)
    assert content is None or isinstance(content, dict)


@given(edit=edits())
def test_edited_records(edit, tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    path = RUN.path(models)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"model")
    record = edit(RECORD)
    if isinstance(record, dict):
        model_files.write_json(
            model_files.record_path(path), record | {"sha256": model_files.checksum(path)}
        )
    runs = result_of(records.saved_runs, models)
    if runs is not None:
        assert [run.path(models) for run in runs] == [path]
        assert results.unusable_measures(runs, models) == []


# Models


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> dict[str, bytes]:
    """What is in the file of a small model."""
    path = tmp_path_factory.mktemp("whole") / "model.keras"
    inputs = keras.Input((6, 6, 1))
    hidden = layers.Conv2D(2, 3, activation="relu")(inputs)
    hidden = layers.BatchNormalization()(layers.MaxPooling2D()(hidden))
    keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten()(hidden))).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def check_archive(content: bytes | dict[str, bytes], folder: Path) -> None:
    """Load a model file, given as it is or by its members."""
    path = folder / "fuzzed.keras"
    if isinstance(content, dict):
        with zipfile.ZipFile(path, "w") as archive:
            for name, member in content.items():
                archive.writestr(name, member)
    else:
        path.write_bytes(content)
    model = result_of(loading.load_model, path)
    assert model is None or isinstance(model, keras.Model)
    keras.backend.clear_session(free_memory=False)  # that takes longer than the case itself


@given(damage=damages())
def test_damaged_archives(damage, members, tmp_path_factory):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    check_archive(damage(file.getvalue()), tmp_path_factory.getbasetemp())


@given(name=st.sampled_from(["config.json", "metadata.json", "model.weights.h5"]), damage=damages())
def test_archives_with_a_damaged_member(name, damage, members, tmp_path_factory):
    changed = members | {name: damage(members[name])}
    check_archive(changed, tmp_path_factory.getbasetemp())


@given(edit=edits())
def test_archives_with_an_edited_configuration(edit, members, tmp_path_factory):
    config = json.dumps(edit(json.loads(members["config.json"])))
    check_archive(members | {"config.json": config.encode()}, tmp_path_factory.getbasetemp())


@given(
    names=st.lists(
        st.sampled_from(["config.json", "model.weights.h5", "../x", "/x", "assets/x", "x"])
        | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
        unique=True,
        max_size=5,
    ),
    content=st.binary(max_size=50),
)
def test_archives_of_other_members(names, content, members, tmp_path_factory):
    changed = {name: members.get(name, content) for name in names}
    check_archive(changed, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def legacy(tmp_path_factory) -> bytes:
    """The content of the HDF5 file of a small model."""
    path = tmp_path_factory.mktemp("legacy") / "model.h5"
    body = [layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    keras.Sequential([keras.Input((6, 6, 1)), *body]).save(path)
    return path.read_bytes()


def check_legacy(content: bytes, folder: Path) -> None:
    path = folder / "fuzzed.h5"
    path.write_bytes(content)
    model = result_of(loading.load_model, path)
    assert model is None or isinstance(model, keras.Model)
    keras.backend.clear_session(free_memory=False)


@pytest.fixture(scope="module")
def small(members, tmp_path_factory) -> keras.Model:
    """The model that `members` hold."""
    path = tmp_path_factory.mktemp("small") / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return loading.load_network(path)


@given(damage=damages())
def test_weights_of_damaged_archives(damage, members, small, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed-weights.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, damage(member) if name == "model.weights.h5" else member)
    result_of(model_files.read_weights, path, small)


@given(damage=damages())
def test_damaged_hdf5(damage, legacy, tmp_path_factory):
    check_legacy(damage(legacy), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("saved", ["2.15.0", "3.15.1"])
@given(edit=edits())
def test_hdf5_with_an_edited_configuration(saved, edit, legacy, tmp_path_factory):
    file = io.BytesIO(legacy)
    with h5py.File(file, "r+") as opened:
        config = edit(json.loads(opened.attrs["model_config"]))
        opened.attrs["model_config"] = json.dumps(config)
        opened.attrs["keras_version"] = saved
    check_legacy(file.getvalue(), tmp_path_factory.getbasetemp())
