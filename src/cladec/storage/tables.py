"""CSV tables: written whole and safe for spreadsheets, read as spreadsheets save them."""

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


def write_table(table: "pd.DataFrame", path: Path) -> Path:
    """Write a table as CSV with six decimals, whole or not at all, and return `path`.

    What a spreadsheet would take for a formula gets an apostrophe, which `read_table` takes away.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    content = csv_text(table).encode()
    model_files.write(path, lambda temporary: temporary.write_bytes(content))
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

    Raises:
        InputError: it cannot be read or lacks a column.
    """
    import pandas as pd

    if not path.exists():
        return None
    # Spreadsheets of many countries separate by semicolons: what separates is found out.
    table = model_files.read_file(
        path, lambda file: pd.read_csv(file, sep=None, engine="python", encoding="utf-8-sig")
    )
    table = _with_text(table, _original)
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}: expected {', '.join(columns)}; make it anew"
        )
    return table
