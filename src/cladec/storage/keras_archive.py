"""This module checks the content of a `.keras` file before Keras opens it, without loading it.

Unlike Keras's own safe mode, these checks do not depend on the version of Keras.
"""

import io
import json
import math
import posixpath
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any

from cladec.errors import InputError
from cladec.keras_internals import LAYERS, is_of_keras

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

EXPANSION, ALWAYS = 10, 16 * 2**20
"""A file may unpack to 10 times its size, or to 16 MiB. Keras does not compress its files; trained
weights that are compressed afterwards shrink by less than half."""

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Other compressions may unpack to more than a member declares."""

VALUE = 64
"""The bytes that Python needs for each value in JSON or a vocabulary."""

DEPTH = 100
"""The deepest nesting of weights; each nested model takes two levels."""

LISTS = (
    *("activations", "constraints", "initializers", "losses", "metrics", "ops", "optimizers"),
    *("quantizers", "random", "regularizers"),
)
"""The parts of Keras whose functions a model may use, also by a name without a module."""

NEVER_RUN = (
    "whose code could do anything and is never run; put a layer of Keras or a function of "
    "keras.ops in its place and save it again"
)
CODE = {
    **{
        name: f"a {name} layer, {NEVER_RUN}"
        for name in ("Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
    },
    "__lambda__": f"a lambda function, {NEVER_RUN}",
    "TFSMLayer": (
        "a TFSMLayer, which runs a SavedModel of another folder and is never run; take the Keras "
        "model from which that was exported, saved with model.save('name.keras')"
    ),
}
"""The parts of a model that contain or refer to code, with the words of the error message."""


def check(path: Path) -> None:
    """Check that a model file is safe to load.

    Raises:
        InputError: a path leads out of the archive, the unpacked size is implausible, a part is
            code or not from Keras, or the weights are missing or in another file.
        Exception: the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        limit = max(ALWAYS, EXPANSION * path.stat().st_size)
        _check_members(archive, limit)
        config = json.loads(archive.read(CONFIG))
        config.pop("compile_config", None)  # not needed: models are loaded without compiling
        for part in _parts(config):
            _check_part(part, archive)
        if WEIGHTS not in archive.namelist():
            raise InputError(f"it holds no {WEIGHTS}, where Keras keeps the weights of a model")
        _check_weights(archive.read(WEIGHTS), limit)


def _check_members(archive: zipfile.ZipFile, limit: int) -> None:
    for member in archive.infolist():
        name = member.filename
        plain = name.replace("\\", "/")
        if plain.startswith("/") or ":" in plain or ".." in posixpath.normpath(plain).split("/"):
            raise InputError(f"its member {name!r} leads out of the archive")
        if member.compress_type not in COMPRESSIONS:
            raise InputError(f"its member {name!r} is compressed in a way that Keras never uses")
    # A member is never read beyond its declared size.
    size = sum(member.file_size for member in archive.infolist())
    _check_size(size, limit)
    for name in {*archive.namelist()} - {WEIGHTS}:
        text = archive.read(name)
        size += VALUE * sum(text.count(mark) for mark in (b",", b":", b"[", b"{", b"\n"))
    _check_size(size, limit)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise InputError(
            f"it would inflate to {size / 2**20:,.0f} MiB, more than {EXPANSION} times its size"
        )


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every serialized object of a configuration, at any depth."""
    todo = [config]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo.extend(value.values())
            if "class_name" in value:
                yield value
            code = value.get("value")  # how Keras writes a lambda that is an activation
            if len(value) == 1 and isinstance(code, list) and code and isinstance(code[0], str):
                yield {"class_name": "__lambda__"}
        elif isinstance(value, list):
            todo.extend(value)


def _check_part(part: dict[str, Any], archive: zipfile.ZipFile) -> None:
    """Check what Keras will find for a serialized object by the names that Keras looks up."""
    form, module = str(part["class_name"]), part.get("module")
    kind = "function" if form == "function" else "class"
    key = {"function": "config", "__typespec__": "spec_name"}.get(form, "class_name")
    name, registered = str(part.get(key)), str(part.get("registered_name", form))
    for code in CODE.keys() & {form, name, registered}:
        raise InputError(f"it holds {CODE[code]}")
    if module and _is_registered(name if kind == "function" else registered):
        return
    found = list(_found(module, name))
    for base in {base.__name__ for thing in found for base in _ancestors(thing)} & CODE.keys():
        raise InputError(f"it holds {CODE[base]}")
    # Without a module Keras looks into its own lists and among what is registered, nowhere else.
    listed = not module or module == "builtins"
    if not (found or listed) or not all(_is_part_of_a_model(kind, thing) for thing in found):
        raise InputError(_unknown(kind, name, str(module), archive))


def _ancestors(thing: Any) -> set[type]:
    """Return a class and its base classes, without those of every layer.

    On JAX the latter include a class called JaxLayer, which is not the layer of that name.
    """
    import keras

    return {*getattr(thing, "__mro__", ())} - {*keras.Layer.__mro__}


def _is_registered(name: str) -> bool:
    """Return whether a class or function of this name is registered with Keras."""
    import keras

    return keras.saving.get_registered_object(name) is not None


def _found(module: Any, name: str) -> Iterator[Any]:
    """Yield the classes and functions that Keras may find by this name; nothing is imported."""
    import keras  # noqa: F401  (with all its classes: what is not there now is none of them)

    places = [*(f"keras.{part}" for part in LISTS), LAYERS]
    if module and module != "builtins":
        places = [str(module)] if f"{module}.".startswith("keras.") else []
    for place in places:
        thing = getattr(sys.modules.get(place), "__dict__", {}).get(name)
        if isinstance(thing, type | FunctionType):
            yield thing


def _is_part_of_a_model(kind: str, thing: Any) -> bool:
    """Return whether Keras saves such objects: its configurable classes and its functions."""
    if kind == "function":
        return isinstance(thing, FunctionType) and is_of_keras(thing, *LISTS)
    return isinstance(thing, type) and is_of_keras(thing) and hasattr(thing, "from_config")


def _unknown(kind: str, name: str, module: str, archive: zipfile.ZipFile) -> str:
    """Return the error message for a class or function that this version of Keras lacks."""
    import keras

    saved = keras.__version__
    with suppress(Exception):  # the version is only for the message
        saved = str(json.loads(archive.read(METADATA))["keras_version"])
    if saved == keras.__version__ or not module.startswith(("keras.", "tf_keras.")):
        return custom(kind, name)
    way = f"save it anew with Keras {keras.__version__}"
    if saved.startswith("2."):
        way = (
            "save it there as name.h5, then call keras.models.load_model('name.h5', compile=False)"
            ".save('name.keras') here"
        )
    return (
        f"it holds the {kind} {name!r} of Keras {saved:.20}, which Keras {keras.__version__} does "
        f"not have; {way}"
    )


def custom(kind: str, name: str) -> str:
    """Return the error message for a class or function that is not part of Keras."""
    return (
        f"it holds the custom {kind} {name!r}, whose code is not in the file and is never looked "
        "for; load it in Python, where that is defined, and call cladec there"
    )


def _check_weights(content: bytes, limit: int) -> None:
    import h5py

    size = 0
    with h5py.File(io.BytesIO(content), "r") as weights:
        for name, thing in _things(weights):
            for key in thing.attrs:
                attribute = thing.attrs.get_id(key)
                text = h5py.check_string_dtype(attribute.dtype)
                if attribute.shape != () or (attribute.dtype.hasobject and not text):
                    raise InputError(f"its weights {name!r} have an odd attribute {key!r}")
            if isinstance(thing, h5py.Dataset):
                if thing.is_virtual or thing.external:
                    raise InputError(f"its weights {name!r} lie in another file")
                if thing.dtype.hasobject or thing.chunks:
                    raise InputError(
                        f"its weights {name!r} are compressed, in chunks or of no fixed size: save "
                        "the model again, as Keras writes none of these"
                    )
                size += math.prod(thing.shape or ()) * thing.dtype.itemsize
    _check_size(size, limit)


def _things(weights: Any) -> Iterator[tuple[str, Any]]:
    """Yield every object in a file of weights once, with its path."""
    import h5py

    seen, todo = set(), [("", weights)]
    while todo:
        path, thing = todo.pop()
        address = h5py.h5o.get_info(thing.id).addr
        if address in seen:
            continue
        seen.add(address)
        yield path, thing
        for name in thing if isinstance(thing, h5py.Group) else ():
            below = f"{path}/{name}".strip("/")
            if not isinstance(thing.get(name, getlink=True), h5py.HardLink):
                raise InputError(f"its weights {below!r} are a link, perhaps to another file")
            if below.count("/") == DEPTH:
                raise InputError(f"its weights are nested more than {DEPTH} levels deep")
            todo.append((below, thing[name]))
