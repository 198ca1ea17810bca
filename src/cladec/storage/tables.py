"""CSV tables, each with its checksum in a file beside it, as `sha256sum --check` reads it.

A table that was cut off, damaged or edited since then is named when it is read, and not used.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cladec.errors import InputError
from cladec.storage import model_files
from cladec.text import printable

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)

_FORMULA = "'*[=+\\-@\uff1d\uff0b\uff0d\uff20]"
"""What begins a formula of a spreadsheet, and what begins with apostrophes before such."""


def checksum_path(path: Path) -> Path:
    """Where the checksum of the table `path` lies."""
    return path.with_name(f"{path.name}.sha256")


def write_table(table: "pd.DataFrame", path: Path) -> Path:
    """Write a table as CSV with six decimals, whole or not at all, and return `path`.

    What a spreadsheet would take for a formula gets an apostrophe, which `read_table` takes away.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """

    def write_both(temporary: Path) -> None:
        temporary.write_bytes(csv_text(table).encode())
        line = f"{model_files.checksum(temporary)}  {path.name}\n"
        model_files.write(checksum_path(path), lambda file: file.write_text(line))

    model_files.write(path, write_both)
    return path


def csv_text(table: "pd.DataFrame") -> str:
    """What `write_table` writes."""
    return _with_text(table, _neutral).to_csv(index=False, float_format="%.6f")


def _neutral(text: str) -> str:
    # Where commas are decimal points, spreadsheets begin a new cell at every semicolon.
    text = printable(text)
    return text if _NUMBER.fullmatch(text) else re.sub(f"(^|;)(?={_FORMULA})", r"\1'", text)


def _original(text: str) -> str:
    return re.sub(f"(^|;)'(?={_FORMULA})", r"\1", text)


def _with_text(table: "pd.DataFrame", change: Callable[[str], str]) -> "pd.DataFrame":
    """The table with its text changed, in cells and in the names of columns."""

    def changed(cell):
        return change(cell) if isinstance(cell, str) else cell

    return table.map(changed).rename(columns=changed)


def read_table(path: Path, columns: tuple[str, ...]) -> "pd.DataFrame | None":
    """A CSV table that has at least these columns; None where there is no such file.

    A table without a checksum, made by hand or by another program, is taken as it is.

    Raises:
        InputError: it cannot be read, is not as it was written, or lacks a column.
    """
    import pandas as pd

    if not path.exists():
        return None
    _check(path)
    table = _with_text(model_files.read_file(path, pd.read_csv), _original)
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}: expected {', '.join(columns)}; make it anew"
        )
    return table


def _check(path: Path) -> None:
    """Raises InputError if the table is not the one that its checksum was written for."""
    kept = checksum_path(path)
    if not kept.exists():
        return
    expected = model_files.read_file(kept, lambda file: file.read().decode()).partition(" ")[0]
    if expected != model_files.checksum(path):
        raise InputError(
            f"{path} was changed since it was written: make it anew, or remove {kept} to use it as "
            "it is"
        )
