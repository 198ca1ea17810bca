"""Locks that let one process at a time use an output folder.

The operating system frees a lock when its process ends, however it ends.
"""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cladec.errors import InputError
from cladec.storage import model_files
from cladec.storage.remote import is_remote

if TYPE_CHECKING:
    from filelock import FileLock

LOCK = ".lock"


@contextmanager
def locked(*folders: Path, reading: Sequence[Path] = ()) -> Iterator[None]:
    """Lock folders and remove the temporary files that killed processes have left in them.

    Args:
        folders: existing folders; child processes may write into them as well. A folder at a URL
            is not locked.
        reading: folders that are mostly read; one that cannot be written is not locked.

    Raises:
        InputError: another process uses a folder, or a folder cannot be written.
    """
    written = {folder.resolve() for folder in folders if not is_remote(folder)}
    read = {folder.resolve() for folder in reading if not is_remote(folder)}
    with ExitStack() as stack:
        for folder in sorted(written | read):
            stack.enter_context(_locked(folder, needed=folder in written))
        yield


@contextmanager
def _locked(folder: Path, needed: bool) -> Iterator[None]:
    path = folder / LOCK
    lock = _acquired(path, needed)
    if lock is None:
        yield
        return
    try:
        now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        with suppress(OSError):  # on a full disk, reading still works
            path.write_text(f"process {os.getpid()} on {platform.node()} since {now}")
        model_files.remove_unfinished(folder)
        yield
    finally:
        model_files.remove_unfinished(folder)
        with suppress(OSError):  # a process that waits for this file notices that it is gone
            path.unlink()
        lock.release()


def _acquired(path: Path, needed: bool) -> "FileLock | None":
    from filelock import FileLock, Timeout

    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{path.parent} is in use by {_owner(path)}: wait for it, or choose another folder"
        ) from None
    except OSError as error:
        if needed:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
        return None
    return lock


def _owner(path: Path) -> str:
    with suppress(OSError, ValueError):
        return path.read_text() or "another process"
    return "another process"
