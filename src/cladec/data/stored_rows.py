"""Arrays in files, of which only the rows that are asked for are in memory."""

import itertools
import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cladec.errors import InputError

IN_MEMORY = 512 * 2**20
"""The bytes from which computed rows, such as codes, go to a file."""

GIB = 2**30

_NUMBERS = itertools.count()


class StoredRows:
    """An array (N, ...) in a file that is read by rows, so that it takes no memory of its own.

    Rows are copied by plain reads: the pages of a memory map would count as memory of the process.
    It is indexed by an int, a slice or an array of ints, in any order, and `numpy.asarray` reads
    all. Any thread or process may read, since each read opens the file.

    Args:
        path: the file, rows one after the other.
        shape: the shape (N, ...) of the array.
        stored: the type of the numbers in the file.
        dtype: the type of the numbers that are read; bytes become float32 in [0, 1].
        rows: the places in the file of the N rows, (N,); None for the first N.

    Attributes:
        path, shape, dtype: as given.

    Examples:
        >>> rows = StoredRows(path, (1000, 28, 28, 1), "uint8", "float32")
        >>> rows[[3, 1]].shape
        (2, 28, 28, 1)
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        stored: Any,
        dtype: Any = None,
        *,
        rows: np.ndarray | None = None,
    ):
        self.path, self.shape = path, shape
        self.stored = np.dtype(stored)
        self.dtype = self.stored if dtype is None else np.dtype(dtype)
        self._rows = rows
        self._row_bytes = math.prod(shape[1:]) * self.stored.itemsize
        self._kept: Any = None

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes of all rows in the file."""
        return len(self) * self._row_bytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        chosen = np.arange(len(self))[key]
        read = self._converted(self._read(np.atleast_1d(chosen)))
        return read if chosen.ndim else read[0]

    def __setitem__(self, key: slice, values: np.ndarray) -> None:
        """Write rows, one after the other in the file."""
        first = key.indices(len(self))[0]
        try:
            with open(self.path, "r+b") as file:
                file.seek(first * self._row_bytes)
                file.write(np.ascontiguousarray(values, self.stored).data.cast("B"))
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def slices(self, rows: int) -> Iterator[slice]:
        """Yield slices of at most `rows` rows that cover the array."""
        return (slice(first, first + rows) for first in range(0, len(self), rows))

    def mean(self, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
        """Return the mean of all numbers, or with `axis` 0 that of the rows, by batches.

        The arguments are those that `numpy.mean` passes on; another axis reads all rows.
        """
        if axis not in (None, 0):
            return np.asarray(self).mean(axis=axis, dtype=dtype)
        total = sum(self[rows].sum(axis=axis, dtype=np.float64) for rows in self.slices(256))
        mean = total / (len(self) if axis == 0 else math.prod(self.shape))
        return np.asarray(mean, dtype or self.dtype)[()]

    def keep(self, owner: Any) -> "StoredRows":
        """Keep `owner`, which removes the file when it is gone, and return these rows."""
        self._kept = owner
        return self

    def _converted(self, read: np.ndarray) -> np.ndarray:
        if self.stored == np.uint8 and self.dtype == np.float32:
            return np.divide(read, 255, dtype=np.float32)
        return read.astype(self.dtype, copy=False)

    def _read(self, chosen: np.ndarray) -> np.ndarray:
        """Return the rows at these places in the array, read in the order of the file."""
        places = chosen if self._rows is None else self._rows[chosen]
        result = np.empty((len(places), *self.shape[1:]), self.stored)
        if not len(places):
            return result
        order = np.argsort(places, kind="stable")
        in_order = bool((order == np.arange(len(order))).all())
        target = result if in_order else np.empty_like(result)
        self._fill(target, places[order])
        if not in_order:
            result[order] = target
        return result

    def _fill(self, target: np.ndarray, places: np.ndarray) -> None:
        """Read rows at ascending places into `target`, neighbours by one read."""
        breaks = np.flatnonzero(np.diff(places) != 1) + 1
        raw = target.reshape(len(places), -1).view(np.uint8)
        with open(self.path, "rb", buffering=0) as file:
            for first, last in itertools.pairwise((0, *breaks, len(places))):
                file.seek(int(places[first]) * self._row_bytes)
                _read_fully(file, raw[first:last].reshape(-1), self.path)


def _read_fully(file: Any, part: Any, path: Path) -> None:
    """Fill a buffer from a file; a single read gives at most 2 GiB."""
    while len(part):
        count = file.readinto(part)
        if not count:
            raise InputError(f"{path} is shorter than it was: remove it, then load the images anew")
        part = part[count:]


def room(
    shape: tuple[int, ...], stored: Any, dtype: Any = None, *, beside: Any = None
) -> "np.ndarray | StoredRows":
    """Return an array to be filled, in memory or, from `IN_MEMORY` bytes, in a temporary file.

    Args:
        shape: the shape (N, ...) of the array.
        stored: the type of the numbers in a file.
        dtype: the type of the numbers that are read, and of those in memory; None for `stored`.
        beside: stored rows, such as the images, in whose folder the file is; for None, or an array,
            it is in the user's folder of temporary files. It is removed with the array.

    Raises:
        InputError: there is not enough space on the disk.
    """
    folder = folder_for(shape, stored, beside=beside)
    if folder is None:
        return np.empty(shape, dtype or stored)
    owner = Temporary(folder / f".rows-{next(_NUMBERS)}.{os.getpid()}.unfinished")
    owner.path.touch()
    return StoredRows(owner.path, shape, stored, dtype).keep(owner)


def folder_for(
    shape: tuple[int, ...], stored: Any, *, beside: Any = None, what: str | None = None
) -> Path | None:
    """Return the folder of the file of `room`, or None if the array is in memory.

    Args:
        shape, stored, beside: those of `room`.
        what: what the rows are, in words, for the error.

    Raises:
        InputError: there is not enough space on the disk.
    """
    size = math.prod(shape) * np.dtype(stored).itemsize
    if size <= IN_MEMORY:
        return None
    folder = beside.path.parent if isinstance(beside, StoredRows) else Path(tempfile.gettempdir())
    check_space(folder, size, what or f"{shape[0]:,} rows of shape {shape[1:]}")
    return folder


class Temporary:
    """A file or folder that is removed when this object is gone, at the latest at the exit."""

    def __init__(self, path: Path):
        self.path = path
        self._finalizer = weakref.finalize(self, _remove, path)


def temporary_folder() -> Temporary:
    """Make a folder that is removed with the returned object."""
    return Temporary(Path(tempfile.mkdtemp(prefix="cladec-")))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def in_words(size: float) -> str:
    """Return a number of bytes in words: "1.5 GiB", "0.3 MiB"."""
    return f"{size / GIB:,.1f} GiB" if size >= GIB / 10 else f"{size / 2**20:,.1f} MiB"


def check_space(folder: Path, size: int, what: str) -> None:
    """Raise InputError if a folder's disk has less than `size` bytes left.

    Args:
        folder: the folder, which exists.
        size: the bytes that are needed.
        what: what they are for, in words.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(
            f"{what} take {in_words(size)} on the disk, and {folder} has {in_words(free)} left: "
            "free some, choose a folder on another disk with cache or TMPDIR, or use "
            "fewer images"
        )
