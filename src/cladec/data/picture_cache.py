"""Decode pictures by threads and keep them, fitted to a model, as bytes in a file."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cladec.data.fitting_pictures import Fitted, Fitting, fitted, warn_of_enlarged
from cladec.data.held_out import check_parts
from cladec.data.pictures import Pictures
from cladec.data.stored_rows import GIB, Temporary, check_space, temporary_folder
from cladec.data.unreadable import Unreadable
from cladec.errors import InputError

if TYPE_CHECKING:
    from cladec.progress import OnProgress

VERSION = 1
"""Part of the key of a file; to be raised when the same pictures become other bytes."""

AHEAD = 4
"""The pictures for each thread that are decoded before they are written."""

Splits = tuple[tuple[Pictures, np.ndarray], tuple[Pictures, np.ndarray]]


class Picture(NamedTuple):
    """A picture that is not decoded yet: its name, its class, and a path or the bytes of a file."""

    name: Any
    label: int
    content: Path | bytes


@dataclass(frozen=True)
class Collection:
    """Pictures that were found and not decoded.

    Attributes:
        where: the place of the pictures, for messages.
        class_names: the names of the classes.
        key: a text that changes when any picture does.
        count: the number of pictures.
        pictures: yields all of them, always in the same order.
        test: returns which are for testing, (N,) bool, by the labels of all, (N,).
    """

    where: str
    class_names: tuple[str, ...]
    key: str
    count: int
    pictures: Callable[[], Iterable[Picture]]
    test: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Index:
    """What is known of the rows of a file: the class of each, and which are for testing."""

    labels: list[int]
    test: list[bool]


def fitted_splits(
    collection: Collection,
    fitting: Fitting,
    *,
    cache: Path | None = None,
    skip_unreadable: bool = False,
    report: "OnProgress | None" = None,
) -> Splits:
    """Return (images, labels) of the training and the test pictures, which stay on the disk.

    Args:
        collection: the pictures.
        fitting: the shape of the images, and the way to it.
        cache: the folder for the file of bytes, which is used again when the pictures, the shape
            and the way are the same; None for a temporary folder.
        skip_unreadable: whether pictures that cannot be read are left out.
        report: is called with the share done and the size of the file in GiB.

    Raises:
        InputError: pictures cannot be read, or there is no space for them.
    """
    keeper = temporary_folder() if cache is None else None
    folder = keeper.path if keeper else Path(cache or "")
    path = folder / f"pictures-{_key(collection, fitting, skip=skip_unreadable)}.bytes"
    index = _kept(path, fitting)
    if index is None:
        size = collection.count * int(np.prod(fitting.shape))
        _make_folder(folder)
        check_space(folder, size, f"{collection.count:,} pictures of {fitting.shape}")
        if report:
            report(0.0, {"GiB": size / GIB})
        index = _written(path, collection, fitting, Unreadable(skip=skip_unreadable), report)
    labels, test = np.array(index.labels, np.int64), np.array(index.test, bool)
    check_parts(collection.where, collection.class_names, labels[~test], labels[test])
    train_part, test_part = (
        (_pictures(path, fitting, np.flatnonzero(chosen), keeper), labels[chosen])
        for chosen in (~test, test)
    )
    return train_part, test_part


def _pictures(path: Path, fitting: Fitting, rows: np.ndarray, keeper: Temporary | None) -> Pictures:
    pictures = Pictures(path, fitting.shape, rows)
    pictures.keep(keeper)
    return pictures


def _key(collection: Collection, fitting: Fitting, *, skip: bool) -> str:
    facts = [VERSION, collection.key, asdict(fitting), skip]
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _index_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _kept(path: Path, fitting: Fitting) -> _Index | None:
    """Return what is known of a whole file from before, or None."""
    try:
        index = _Index(**json.loads(_index_path(path).read_text("utf-8")))
        whole = path.stat().st_size == len(index.labels) * int(np.prod(fitting.shape))
    except (OSError, ValueError, TypeError):
        return None
    return index if whole and len(index.labels) == len(index.test) else None


def _written(
    path: Path,
    collection: Collection,
    fitting: Fitting,
    unreadable: Unreadable,
    report: "OnProgress | None",
) -> _Index:
    """Decode all pictures into a file, and return what is known of its rows."""
    labels, readable, enlarged = [], [], 0
    own = f".{os.getpid()}.unfinished"
    unfinished = Temporary(path.with_name(f".{path.name}{own}"))
    with _errors_of(path), unfinished.path.open("wb") as file:
        for done, (picture, answer) in enumerate(_decoded(collection.pictures(), fitting), start=1):
            labels.append(picture.label)
            readable.append(not isinstance(answer, InputError))
            if isinstance(answer, InputError):
                unreadable.note(answer)
            else:
                enlarged += answer.enlarged
                file.write(answer.pixels.data)
            if report:
                report(done / max(done, collection.count), {})
    if len(labels) != collection.count:
        raise InputError(
            f"{collection.where} gave {len(labels)} of {collection.count} pictures: the folder is "
            "damaged; remove it, then prepare or copy it again"
        )
    unreadable.report(len(labels))
    warn_of_enlarged(enlarged, sum(readable), collection.where, fitting)
    chosen = np.flatnonzero(readable)
    of_each = np.array(labels, np.int64)
    test = collection.test(of_each)
    index = _Index(of_each[chosen].tolist(), test[chosen].tolist())
    with _errors_of(path):
        _replace(unfinished.path, path, index)
    return index


def _replace(unfinished: Path, path: Path, index: _Index) -> None:
    """Put a finished file in its place, and what is known of it, whole or not at all."""
    _index_path(unfinished).write_text(json.dumps(asdict(index)), "utf-8")
    os.replace(unfinished, path)
    os.replace(_index_path(unfinished), _index_path(path))


def _decoded(
    pictures: Iterable[Picture], fitting: Fitting
) -> Iterator[tuple[Picture, Fitted | InputError]]:
    """Yield every picture with its bytes or its error, in order, decoded ahead by threads."""
    threads = os.cpu_count() or 1
    waiting: deque[tuple[Picture, Future[Fitted | InputError]]] = deque()
    with ThreadPoolExecutor(threads) as executor:
        for picture in pictures:
            waiting.append((picture, executor.submit(_fit, picture, fitting)))
            if len(waiting) >= AHEAD * threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _fit(picture: Picture, fitting: Fitting) -> Fitted | InputError:
    try:
        return fitted(picture.name, picture.content, fitting)
    except InputError as error:
        return error


def _make_folder(folder: Path) -> None:
    with _errors_of(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Raise InputError, naming the file, where it cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
