"""Trained models on disk, each a `.keras` file with a `.json` record beside it.

Both are written under a temporary name and then renamed, the record first: a model file is complete
and belongs to its record if its checksum is the one in the record.
"""

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cladec.errors import InputError
from cladec.storage import keras_archive, legacy_hdf5, remote
from cladec.text import LONGEST_NAME, shortened

if TYPE_CHECKING:
    import keras

T = TypeVar("T")

LIBRARIES = ("cladec", "keras", "tensorflow", "jax", "torch", "numpy")
"""A record holds the versions of those of these libraries that are installed."""

DEPTH = 4
"""The number of folder levels with files: saved-models/dataset/architecture/layer."""

LONGEST = 300
"""The most characters of a Keras message that are shown."""


class Unreadable(InputError):
    """A file exists but cannot be read."""


def is_there(path: Path) -> bool:
    """Return whether a file, a folder or a link (even a broken one) of this name exists.

    Raises:
        Unreadable: there is no permission to search its folder.
    """
    try:
        return path.exists() or path.is_symlink()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}") from None


def record_path(path: Path) -> Path:
    """Return the path of the record of the model file `path`."""
    return path.with_suffix(".json")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        InputError: the file is missing; `Unreadable` if it cannot be read.
    """
    return read_file(path, lambda file: hashlib.file_digest(file, "sha256").hexdigest())


def read_file(path: Path, reader: Callable[[BufferedReader], T]) -> T:
    """Return the result of `reader` on a regular file, opened in binary mode.

    Raises:
        InputError: the file is missing; `Unreadable` if it cannot be read or `reader` raises.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")  # reading from a pipe would never end
        with path.open("rb") as file:
            return reader(file)
    except FileNotFoundError:
        if not path.is_symlink():
            raise InputError(f"{path} is missing") from None
        raise Unreadable(f"{path} cannot be read: the file it links to is missing") from None
    # Every kind of store has exceptions of its own.
    except Exception as error:
        reason = getattr(error, "strerror", None) or error
        raise Unreadable(f"{path} cannot be read: {reason}") from None


def save(model: "keras.Model", path: Path, record: dict[str, Any]) -> None:
    """Write `model` and its record, with the checksum and the versions added.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    save_with(model.save, path, record)


def save_with(writer: Callable[[Path], Any], path: Path, record: dict[str, Any]) -> None:
    """Let `writer` write a model, and write its record; otherwise as `save`."""

    def write_both(temporary: Path) -> None:
        writer(temporary)
        facts = {"versions": _versions(), "sha256": checksum(temporary)}
        write_json(record_path(path), record | facts)

    write(path, write_both)


def _versions() -> dict[str, str]:
    versions = {}
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[library] = version(library)
    return versions


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON, completely or not at all."""
    text = json.dumps(content, indent=2) + "\n"
    write(path, lambda temporary: temporary.write_text(text))


def write(path: Path, writer: Callable[[Path], Any]) -> None:
    """Let `writer` write a temporary file beside `path`, then rename it to `path`.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    if remote.is_remote(path):
        remote.write(path, writer)
        return
    temporary = _unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _unfinished(path: Path) -> Path:
    """Return the temporary path of a file that this process is writing."""
    ending = f".{os.getpid()}.unfinished{path.suffix}"
    return path.with_name(shortened(f".{path.stem}", LONGEST_NAME - len(ending.encode())) + ending)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of killed processes; the caller must hold the folder's lock."""
    for depth in range(DEPTH):
        for path in folder.glob("*/" * depth + ".*.unfinished*"):
            with suppress(OSError):
                path.unlink()


def check_writable(folder: Path) -> None:
    """Check before any work that `folder` can be written.

    Raises:
        InputError: the folder cannot be made, or no file can be written into it.
    """
    probe = _unfinished(folder / "probe")
    if remote.is_remote(folder):
        write(probe, Path.touch)
        with suppress(OSError):
            probe.unlink()
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"folder {folder} cannot be written ({error.strerror}): choose another one with --out"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a file that `write_json` wrote.

    Raises:
        InputError: the file is missing or holds no JSON object; `Unreadable` if it cannot be read.
    """
    text = read_file(path, lambda file: file.read())
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object")
    content.pop("checksum", None)  # earlier versions stored a checksum of the rest
    return content


def verify(path: Path) -> dict[str, Any]:
    """Check that a model file is complete and return its record.

    Raises:
        InputError: the file is missing, truncated or changed, or its record is missing or damaged;
            `Unreadable` if one cannot be read.
    """
    record = read_json(record_path(path))
    if checksum(path) != record.get("sha256"):
        raise InputError(f"{path} is truncated or was changed: its checksum is not its record's")
    return record


def read(path: Path) -> "keras.Model":
    """Read a model file on this disk without executing code in it.

    Only `models.loading` also imports the layer classes of this package.

    Args:
        path: a `.keras` file, see `keras_archive.check`; or `.h5` or `.hdf5`, see `legacy_hdf5`.

    Raises:
        InputError: the file is missing or damaged, contains code, refers to another file, or would
            unpack to an implausible size.
    """
    import keras

    load = _loader(path)
    try:
        model = load(path)
    except Exception as error:  # a damaged file makes Keras raise nearly anything
        raise InputError(f"{path} cannot be loaded: {_refusal(error)}") from error
    if not isinstance(model, keras.Model):
        raise InputError(f"{path} holds a {type(model).__name__}, no model")
    return model


def read_weights(path: Path, model: "keras.Model") -> None:
    """Give a model the weights in a `.keras` file of the same architecture.

    Raises:
        InputError: the file is missing or damaged, or holds another architecture.
    """
    try:
        keras_archive.check(path)
        model.load_weights(path)
    except Exception as error:  # a damaged file makes Keras raise nearly anything
        raise InputError(f"{path} cannot be loaded: {_refusal(error)}") from error


def kinds(path: Path) -> list[str]:
    """Return the class of every part of a saved model: alike for models of one architecture.

    Raises:
        InputError: the file is missing or damaged.
    """
    return read_file(path, lambda _: keras_archive.kinds(path))


def _loader(path: Path) -> Callable[[Path], Any]:
    """Return the function that loads a file of this kind.

    Raises:
        InputError: it is of no kind that can be loaded.
    """
    if path.is_dir():
        raise InputError(
            f"{path} is a folder: cladec needs the Keras model itself in a file, saved with "
            "model.save('name.keras')"
        )
    signature = legacy_hdf5.SIGNATURE
    if read_file(path, lambda file: file.read(len(signature))) == signature:
        if path.suffix.lower() not in legacy_hdf5.SUFFIXES:
            raise InputError(f"{path} is an HDF5 file: give it a name that ends in .h5")
        return legacy_hdf5.load
    if path.suffix != ".keras" or not read_file(path, zipfile.is_zipfile):
        raise InputError(
            f"{path} cannot be loaded: it is no whole .keras or .h5 file; save one with "
            "model.save('name.keras')"
        )
    return _load_archive


def _load_archive(path: Path) -> Any:
    import keras

    keras_archive.check(path)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _refusal(error: Exception) -> str:
    """Return the reason in a Keras error why a model cannot be loaded."""
    text = str(error)
    missing = re.search(r"Could not locate (class|function) '([^']+)'", text)
    unknown = re.match(r"Unknown \w+: '([^']+)'", text)  # as Keras says it of an HDF5 file
    if missing:
        return keras_archive.custom(missing[1], missing[2])
    if unknown:
        return keras_archive.custom("class", unknown[1])
    text = text.rpartition("Exception encountered: ")[2]  # the innermost
    text = text.partition("Example error message for ")[2] or text
    text = re.split(r"List of objects that could not|Full object config|\bconfig=\{", text)[0]
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."
