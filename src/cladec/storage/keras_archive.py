"""This module checks the content of a `.keras` file before Keras opens it, without loading it.

Unlike Keras's own safe mode, these checks do not depend on the version of Keras.
"""

import json
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
from cladec.storage import hdf5
from cladec.storage.sizes import check_size, in_python, largest

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Other compressions may unpack to more than a member declares."""

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
        limit = largest(path.stat().st_size)
        _check_members(archive, limit)
        saved = _version(archive)
        for part in parts(_config(archive)):
            check_part(part, saved)
        if WEIGHTS not in archive.namelist():
            raise InputError(f"it holds no {WEIGHTS}, where Keras keeps the weights of a model")
        with hdf5.opened(archive.read(WEIGHTS)) as weights:
            hdf5.check(weights, limit)


def _config(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the configuration of a model but for compiling: models are loaded without that."""
    config = json.loads(archive.read(CONFIG))
    config.pop("compile_config", None)
    return config


def _version(archive: zipfile.ZipFile) -> str:
    """Return the version of Keras that saved a model, or "" if the archive does not tell."""
    with suppress(Exception):  # it is only for a message
        return str(json.loads(archive.read(METADATA))["keras_version"])
    return ""


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
    check_size(size, limit)
    size += sum(in_python(archive.read(name)) for name in {*archive.namelist()} - {WEIGHTS})
    check_size(size, limit)


def parts(config: Any) -> Iterator[dict[str, Any]]:
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


def kinds(path: Path) -> list[str]:
    """Return the class of every serialized object of a saved model, in an order of its own."""
    with zipfile.ZipFile(path) as archive:
        _check_members(archive, largest(path.stat().st_size))
        return [part["class_name"] for part in parts(_config(archive))]


def check_part(part: dict[str, Any], saved: str) -> None:
    """Check what Keras will find for a serialized object by the names that Keras looks up.

    Args:
        part: the serialized object.
        saved: the version of Keras that saved it, for the message; "" if it is unknown.

    Raises:
        InputError: it is code, or not part of Keras.
    """
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
        raise InputError(_unknown(kind, name, str(module), saved))


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


def _unknown(kind: str, name: str, module: str, saved: str) -> str:
    """Return the error message for a class or function that this version of Keras lacks."""
    import keras

    if saved in ("", keras.__version__) or not module.startswith(("keras.", "tf_keras.")):
        return custom(kind, name)
    way = f"save it anew with Keras {keras.__version__}"
    if saved.startswith("2."):
        way = "save it there with model.save('name.h5'), and give that file"
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
