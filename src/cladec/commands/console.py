"""Print the files, tables, errors and warnings of the commands."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cladec.errors import InputError, InputWarning
from cladec.parallel.stopping import lost_stops_repeated
from cladec.text import printable

if TYPE_CHECKING:
    import pandas as pd  # which takes a while, and the console says something at once

INTERRUPTED = 130
BAD_INPUT = 2

Complain = Callable[[InputError], None]
"""A function that is called with the error of one image or method; the others are still done."""


def guarded(action: Callable[[Any], None], command: Any) -> None:
    """Run a command; an error that the user can correct is printed on one line, with exit code 2.

    Args:
        action: the function that runs the command.
        command: its settings; a command that `resumes` continues where it was stopped.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # file names may hold bytes that are not text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with lost_stops_repeated(), warnings_told():
            action(command)
    except KeyboardInterrupt:
        resumes = getattr(command, "resumes", False)
        hint = "; the same command goes on from here" if resumes else ""
        print(f"stopped{hint}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        told = error if isinstance(error, InputError) else refusal(error, command)
        if told is None:
            raise
        tell(told)
        sys.exit(BAD_INPUT)


def refusal(error: Exception, command: Any) -> InputError | None:
    """Convert an error about memory or a file to an InputError; for others, return None."""
    # No base class distinguishes TensorFlow's memory error from its other errors.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return InputError(f"out of memory: run the same command again {less_memory(command)}")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        return InputError(f"{where}{error.strerror or error}")
    return None


def less_memory(command: Any) -> str:
    """Say which settings of a command to lower if the memory is not enough."""
    lower = []
    if getattr(command, "workers", 1) > 1:
        lower.append("--workers 1")
    if hasattr(command, "batch_size"):
        lower.append("a smaller --batch-size")
    if hasattr(command, "images"):
        lower.append("fewer --images")
    return f"with {' or '.join(lower)}" if lower else "on a machine with more memory"


def tell(error: InputError) -> None:
    """Print an error that the user can correct on one line."""
    print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)


@contextmanager
def warnings_told() -> Iterator[None]:
    """Print each InputWarning on one line, and leave other warnings as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", InputWarning)
        show = warnings.showwarning

        def tell_ours(message, category, *details, **more) -> None:
            if issubclass(category, InputWarning):
                text = " ".join(str(message).split())
                print(f"warning: {printable(text)}", file=sys.stderr)
            else:
                show(message, category, *details, **more)

        warnings.showwarning = tell_ours
        yield


@contextmanager
def complaints() -> Iterator[Complain]:
    """Yield a function that prints errors; if there are any, end the command with exit code 2."""
    errors: list[InputError] = []

    def complain(error: InputError) -> None:
        tell(error)
        errors.append(error)

    yield complain
    if errors:
        sys.exit(BAD_INPUT)


def print_all(files: Sequence[Path]) -> None:
    """Print the files written, one per line."""
    for file in files:
        print(printable(str(file)))


def as_text(table: "pd.DataFrame", *, decimals: int = 3) -> str:
    """Return a table as text, without its index, and with nothing where a number is missing."""
    return table.to_string(
        index=False, na_rep="", float_format=lambda value: f"{value:.{decimals}f}"
    )


def show(table: str) -> None:
    """Print a table, with unsafe characters in its names escaped."""
    print("\n".join(map(printable, table.split("\n"))))


def suggest(command: str) -> None:
    """Print the command that is useful next, at the end of another one."""
    print(f"next: {printable(command)}")
