"""Folders on object stores and file servers: `s3://bucket/prefix` and every other URL of fsspec.

`location` turns a URL into an object with the methods of a `Path`. Files there cannot be renamed
into place, so they are written and read on this machine and copied as a whole.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, cast

from tyro.constructors import PrimitiveConstructorSpec

from cladec.errors import InputError


class Unreachable(Exception):
    """An unusable URL on the command line; tyro would print a page about an `InputError`."""


def location(text: str) -> Path:
    """Return the path or URL in `text`; a URL is contacted without its cache.

    Raises:
        Unreachable: the package for such URLs is missing, or the URL is unknown or does not answer.
    """
    if "://" not in text:
        return Path(text)
    try:
        from upath import UPath

        url = UPath(text)
        url.fs.invalidate_cache()
        url.exists()
    except ImportError as error:
        raise Unreachable(
            f"{text} needs more than is installed ({error}): pip install 'cladec[ray]' brings what "
            "s3:// needs"
        ) from None
    # Every kind of store has exceptions of its own.
    except Exception as error:
        raise Unreachable(f"{text} cannot be reached: {error}") from None
    return cast(Path, url)


Location = Annotated[
    Path,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="FOLDER|URL",
        instance_from_str=lambda words: location(words[0]),
        is_instance=lambda value: hasattr(value, "joinpath"),
        str_from_instance=lambda path: [str(path)],
    ),
]
"""The type of a setting that takes a folder or a URL."""


def is_remote(path: Path) -> bool:
    """Return whether `path` is a URL."""
    return not isinstance(path, Path)


def write(path: Path, writer: Callable[[Path], Any]) -> None:
    """Let `writer` write a temporary file on this machine, then copy it to the URL `path`.

    Raises:
        InputError: the URL does not answer or cannot be written.
    """
    url = cast(Any, path)
    with TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        writer(temporary)
        with _reaching(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            url.fs.put_file(str(temporary), url.path)


@contextmanager
def fetched(path: Path) -> Iterator[Path]:
    """Yield a temporary copy on this machine of the file at the URL `path`.

    Raises:
        InputError: the URL does not answer, or there is no such file.
    """
    url = cast(Any, path)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with _reaching(path):
            url.fs.get_file(url.path, str(copy))
        yield copy


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    try:
        yield
    # Every kind of store has exceptions of its own.
    except Exception as error:
        raise InputError(f"{path} cannot be read or written: {error}") from error
