"""CSV tables, each with a `.json` beside it that holds its checksum.

A table that was cut off, damaged or edited since then is named when it is read, and not used.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cladec import artifacts
from cladec.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def write_table(table: "pd.DataFrame", path: Path) -> Path:
    """Write a table as CSV with six decimals, whole or not at all, and return `path`.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """

    def write_both(temporary: Path) -> None:
        table.to_csv(temporary, index=False, float_format="%.6f")
        record = {"sha256": artifacts.checksum(temporary)}
        artifacts.write_json(artifacts.record_path(path), record)

    artifacts.write(path, write_both)
    return path


def read_table(path: Path, columns: tuple[str, ...]) -> "pd.DataFrame | None":
    """A CSV table that has at least these columns; None where there is no such file.

    A table without a `.json` beside it, made by hand or by another program, is taken as it is.

    Raises:
        InputError: it cannot be read, is not as it was written, or lacks a column.
    """
    import pandas as pd

    if not path.exists():
        return None
    record = artifacts.record_path(path)
    if record.exists() and artifacts.read_json(record).get("sha256") != artifacts.checksum(path):
        raise InputError(
            f"{path} was changed since it was written: make it anew, or remove {record} to use it "
            "as it is"
        )
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}: expected {', '.join(columns)}; make it anew"
        )
    return table
