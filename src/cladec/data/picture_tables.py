"""Read a table of picture files: a CSV file with the columns file and label, and maybe split."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cladec.errors import InputError

COLUMNS = "expected the columns file and label, and maybe split, in the first line"


class Row(NamedTuple):
    """A picture of a table; `is_test` is None where the table has no column split."""

    file: Path
    label: str
    is_test: bool | None


def is_table(path: Path) -> bool:
    """Return whether a path is that of a CSV file."""
    return path.suffix.lower() == ".csv" and path.is_file()


def read_rows(table: Path, test_names: tuple[str, ...]) -> list[Row]:
    """Return the rows of a table; paths are relative to its folder.

    Args:
        table: the CSV file.
        test_names: the names of a split for testing; that for training is "train".

    Raises:
        InputError: a column, a value or a file is missing, or a split has another name; the line is
            given.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [str(name).strip().lower() for name in reader.fieldnames or ()]
            if "file" not in columns or "label" not in columns:
                raise InputError(f"{table} has the columns {', '.join(columns) or None}: {COLUMNS}")
            reader.fieldnames = columns
            rows = list(_rows(table, reader, test_names))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as CSV ({error}): {COLUMNS}") from None
    if not rows:
        raise InputError(f"{table} names no picture: {COLUMNS}")
    _check_there(table, rows)
    return rows


def _rows(table: Path, reader: "csv.DictReader[str]", test_names: tuple[str, ...]) -> Iterator[Row]:
    with_split = "split" in (reader.fieldnames or ())
    for values in reader:
        file, label = ((values[name] or "").strip() for name in ("file", "label"))
        split = (values.get("split") or "").strip().lower() if with_split else None
        place = f"{table}, line {reader.line_num}"
        if not file or not label or "\0" in file:
            raise InputError(f"{place}: expected the name of a file and a label")
        if split is not None and split not in ("train", *test_names):
            names = ", ".join(("train", *test_names))
            raise InputError(f"{place}: the split is {split!r:.60}, expected one of {names}")
        yield Row(table.parent / file, label, None if split is None else split != "train")


def _check_there(table: Path, rows: list[Row]) -> None:
    missing = [row.file for row in rows if not os.path.exists(row.file)]
    if missing:
        raise InputError(
            f"{table} names {len(missing)} files of {len(rows)} that do not exist, first "
            f"{missing[0]}: correct their paths, which are relative to the table, or take them out"
        )
