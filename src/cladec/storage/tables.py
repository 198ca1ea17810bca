"""This module writes CSV tables that are safe for spreadsheets, and reads those they save."""

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
"""The start of a spreadsheet formula, with any apostrophes before it."""


def write_table(table: "pd.DataFrame", path: Path) -> Path:
    """Write a table as CSV with six decimals, completely or not at all, and return `path`.

    Text that a spreadsheet would take for a formula gets an apostrophe; `read_table` removes it.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    content = csv_text(table).encode()
    model_files.write(path, lambda temporary: temporary.write_bytes(content))
    return path


def csv_text(table: "pd.DataFrame") -> str:
    """Return the text that `write_table` writes."""
    return _with_text(table, _neutral).to_csv(index=False, float_format="%.6f")


def _neutral(text: str) -> str:
    # In countries with decimal commas, spreadsheets separate cells by semicolons.
    text = printable(text)
    return text if _NUMBER.fullmatch(text) else re.sub(f"(^|;)(?={_FORMULA})", r"\1'", text)


def _original(text: str) -> str:
    return re.sub(f"(^|;)'(?={_FORMULA})", r"\1", text)


def _with_text(table: "pd.DataFrame", change: Callable[[str], str]) -> "pd.DataFrame":
    """Return the table with `change` applied to the text in cells and column names."""

    def changed(cell):
        return change(cell) if isinstance(cell, str) else cell

    return table.map(changed).rename(columns=changed)


def read_table(path: Path, columns: tuple[str, ...]) -> "pd.DataFrame | None":
    """Read a CSV table that has at least these columns; return None if there is no such file.

    Raises:
        InputError: the file cannot be read or lacks a column.
    """
    import pandas as pd

    if not path.exists():
        return None
    # Spreadsheets of many countries separate by semicolons, so the separator is detected.
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
