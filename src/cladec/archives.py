"""What a `.keras` file may hold, looked at before Keras opens it.

Keras has rules of its own in its safe mode; these do not depend on its version. Nothing is loaded.
"""

import io
import json
import posixpath
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cladec.errors import InputError

CONFIG, WEIGHTS = "config.json", "model.weights.h5"

EXPANSION, ALWAYS = 10, 16 * 2**20
"""A file may inflate to 10 times its size, or to 16 MiB. Keras does not compress: its files do not
grow at all; trained weights, compressed afterwards, shrink by less than a half."""

MODULES = (
    *("keras", "keras.layers", "keras.models", "keras.activations", "keras.constraints"),
    *("keras.dtype_policies", "keras.initializers", "keras.losses", "keras.metrics"),
    *("keras.ops", "keras.optimizers", "keras.optimizers.schedules", "keras.quantizers"),
    *("keras.random", "keras.regularizers", "builtins"),
)
"""Where the parts of a model may come from; classes below keras.src.layers, models and ops too."""

CODE = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__")
"""Layers that hold code, or the name of a file of code."""


def check(path: Path) -> None:
    """Find what a model file must not hold.

    Raises:
        InputError: a path that leads out of the archive, far more than the file could hold, code or
            parts that are not of Keras, weights that lie in another file.
        Exception: the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        limit = max(ALWAYS, EXPANSION * path.stat().st_size)
        _check_members(archive, limit)
        config = json.loads(archive.read(CONFIG))
        config.pop("compile_config", None)  # not looked at: models are loaded without compiling
        for part in _parts(config):
            _check_part(part)
        if WEIGHTS in archive.namelist():
            _check_weights(archive.read(WEIGHTS), limit)


def _check_members(archive: zipfile.ZipFile, limit: int) -> None:
    for name in archive.namelist():
        plain = name.replace("\\", "/")
        if plain.startswith("/") or ":" in plain or ".." in posixpath.normpath(plain).split("/"):
            raise InputError(f"its member {name!r} leads out of the archive")
    # What is read of a member never exceeds what it declares.
    _check_size(sum(member.file_size for member in archive.infolist()), limit)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise InputError(
            f"it would inflate to {size / 2**20:,.0f} MiB, more than {EXPANSION} times its size"
        )


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialized object of a configuration, however deep."""
    todo = [config]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo.extend(value.values())
            if "class_name" in value:
                yield value
        elif isinstance(value, list):
            todo.extend(value)


def _check_part(part: dict[str, Any]) -> None:
    name, module = str(part["class_name"]), part.get("module")
    if name in CODE:
        raise InputError(
            f"it holds a {name.strip('_')} layer, whose code could do anything and is never run; "
            "put a layer of Keras or a function of keras.ops in its place and save it again"
        )
    if module is None or is_registered(part):
        return  # Keras looks among what is registered and nowhere else.
    allowed = module in MODULES or str(module).startswith(
        ("keras.src.layers.", "keras.src.models.", "keras.src.ops.")
    )
    if not allowed:
        kind = "function" if name == "function" else "class"
        raise InputError(custom(kind, str(part.get("config") if name == "function" else name)))


def is_registered(part: dict[str, Any]) -> bool:
    """Whether a serialized object is a class that Python code here has made known to Keras."""
    import keras

    name = part.get("registered_name")
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def custom(kind: str, name: str) -> str:
    """What to say of a class or function that is not of Keras."""
    return (
        f"it holds the custom {kind} {name!r}, whose code is not in the file and is never looked "
        "for; load it in Python, where that is defined, and call cladec there"
    )


def _check_weights(content: bytes, limit: int) -> None:
    import h5py

    sizes: list[int] = []

    def problem_of(name: str, link: Any) -> str | None:  # h5py goes on until there is one
        if not isinstance(link, h5py.HardLink):
            return f"its weights {name!r} are a link, perhaps to another file"
        thing = weights[name]
        if isinstance(thing, h5py.Dataset):
            if thing.is_virtual or thing.external:
                return f"its weights {name!r} lie in another file"
            sizes.append(thing.nbytes)
        return None

    with h5py.File(io.BytesIO(content), "r") as weights:
        problem = weights.visititems_links(problem_of)
    if problem:
        raise InputError(problem)
    _check_size(sum(sizes), limit)
