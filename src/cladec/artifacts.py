"""Trained models on disk: each a `.keras` file with a `.json` beside it that says what it is.

Both are written to a temporary name and renamed, the record first: a model file is complete, and
belongs to its record, exactly when its checksum is the record's.
"""

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cladec.errors import InputError

if TYPE_CHECKING:
    import keras

LIBRARIES = ("cladec", "keras", "tensorflow", "numpy")


def record_path(path: Path) -> Path:
    """Where the record of the model file `path` lies."""
    return path.with_suffix(".json")


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(model: "keras.Model", path: Path, record: dict[str, Any]) -> None:
    """Write `model` and its record, to which the checksum and the versions are added.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """

    def write_both(temporary: Path) -> None:
        model.save(temporary)
        versions = {library: version(library) for library in LIBRARIES}
        write_json(
            record_path(path), record | {"versions": versions, "sha256": checksum(temporary)}
        )

    write(path, write_both)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON, whole or not at all."""
    write(path, lambda temporary: temporary.write_text(json.dumps(content, indent=2) + "\n"))


def write(path: Path, writer: Callable[[Path], Any]) -> None:
    """Let `writer` write a temporary file beside `path`, then give it that name.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def check_writable(folder: Path) -> None:
    """Find out before any work is done that `folder` cannot be written.

    Raises:
        InputError: it cannot be made, or no file can be written into it.
    """
    probe = folder / f".writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"folder {folder} cannot be written ({error.strerror}): choose another one with --out"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object")
    return content


def verify(path: Path) -> dict[str, Any]:
    """The record of a model file that is there and whole.

    Raises:
        InputError: the file or its record is missing, truncated or changed.
    """
    record = read_json(record_path(path))
    if not path.is_file():
        raise InputError(f"{path} is missing")
    if checksum(path) != record.get("sha256"):
        raise InputError(f"{path} is truncated or was changed: its checksum is not its record's")
    return record


def load(path: Path) -> "keras.Model":
    """Load a verified model file; nothing in it is executed (Keras's safe mode).

    Raises:
        InputError: the file is missing, damaged or no model of ours.
    """
    verify(path)
    return load_keras(path)


def load_keras(path: Path) -> "keras.Model":
    """Load any `.keras` file; nothing in it is executed (Keras's safe mode).

    Raises:
        InputError: the file is missing or damaged, or holds code of its own.
    """
    import keras

    from cladec import models  # noqa: F401  (registers ClaDec and RefAE)

    if not path.is_file():
        raise InputError(f"{path} is missing: save a model with model.save('name.keras')")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise InputError(
            f"{path} cannot be loaded: it is no whole .keras file; save one with "
            "model.save('name.keras')"
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise InputError(f"{path} cannot be loaded: {_refusal(error)}") from error


def _refusal(error: Exception) -> str:
    """Why Keras does not load a model, and what to do."""
    text = str(error).strip()
    if "`Lambda` layer" in text:
        return (
            "it holds a Lambda layer, whose code could do anything and is never run; put a layer "
            "of Keras or a function of keras.ops in its place and save it again"
        )
    custom = re.search(r"Could not locate (class|function) '(\w+)'", text)
    if custom:
        return (
            f"it holds the custom {custom[1]} {custom[2]!r}, whose code is not in the file and is "
            "never looked for; load it in Python, where that is defined, and call cladec there"
        )
    return text.splitlines()[0] if text else type(error).__name__
