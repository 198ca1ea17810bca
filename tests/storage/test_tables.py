"""Tables: what is read is what was written, also after a spreadsheet has saved it."""

import csv
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from cladec.errors import InputError
from cladec.storage.tables import csv_text, read_table, write_table

COLUMNS = ("layer", "value")
EVAL = Path(__file__).parent.parent.parent / "eval"

FORMULAS = [
    *("=1+1", "+49 170", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", "a;=1", ";-b;@c", "\uff1d1"),
    *("'=1", "''@x", "a;'=b"),
]
"""What a spreadsheet would reckon with, and what looks as if it had been made safe already."""

TEXTS = ["", "T-shirt/top", "a-b", "'", "it's", "-1", "+1.5", "-2e-3", "a; b", "1=1", ' "q", r']
"""What it takes for text or numbers."""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    table = pd.DataFrame({"layer": ["dense", "conv"], "value": [1.25, 3.5]})
    return write_table(table, tmp_path / "deep" / "table.csv")


def test_what_is_read_is_what_was_written(written: Path) -> None:
    table = read_table(written, COLUMNS)
    assert table.to_dict("list") == {"layer": ["dense", "conv"], "value": [1.25, 3.5]}
    assert list(written.parent.iterdir()) == [written]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_in_a_spreadsheet_and_comes_back_as_it_was(text, tmp_path):
    table = pd.DataFrame({"layer": [text, "b"], "value": [-1.5, 2.0], text: [-1, 1]})
    path = write_table(table, tmp_path / "table.csv")
    with path.open(newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    for cell in (written[0][2], written[1][0]):
        for part in cell.split(";"):
            assert part == "" or part[0] not in "=+-@\uff1d"
    assert written[1][1:] == ["-1.500000", "-1"]
    pd.testing.assert_frame_equal(read_table(path, COLUMNS), table)


@pytest.mark.parametrize("text", TEXTS)
def test_other_text_is_written_as_it_is(text):
    table = pd.DataFrame({"layer": [text, "b"], "-1": [-1.5, float("nan")]})
    assert csv_text(table) == table.to_csv(index=False, float_format="%.6f")


def test_names_that_cannot_be_encoded_are_written_out(tmp_path):
    path = write_table(
        pd.DataFrame([["\udcff\x1b\n", 1.0]], columns=COLUMNS, dtype=object), tmp_path / "t.csv"
    )
    assert path.read_text() == "layer,value\n\\udcff\\x1b\\n,1.000000\n"


@pytest.mark.parametrize("path", sorted(EVAL.glob("*.csv")), ids=lambda path: path.name)
def test_the_committed_tables_are_written_as_they_are(path):
    assert csv_text(read_table(path, ())).encode() == path.read_bytes()


def test_where_there_is_none(tmp_path: Path) -> None:
    assert read_table(tmp_path / "table.csv", COLUMNS) is None


def test_nobody_waits_for_a_pipe(written: Path) -> None:
    written.unlink()
    os.mkfifo(written)
    with pytest.raises(InputError, match="cannot be read: it is no file"):
        read_table(written, COLUMNS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_saved_by_a_spreadsheet_is_read(separator, end, encoding, written: Path) -> None:
    lines = ["layer,value", '"größte",7', '"a, b; c",-0.5', ""]
    lines = [re.sub(r",(?! )", separator, line) for line in lines]
    written.write_bytes(end.join(lines).encode(encoding))
    table = read_table(written, COLUMNS)
    assert table.to_dict("list") == {"layer": ["größte", "a, b; c"], "value": [7, -0.5]}


def test_a_checksum_of_an_earlier_version_is_ignored(written: Path) -> None:
    written.with_name("table.csv.sha256").write_text("0" * 64 + "  table.csv\n")
    assert read_table(written, COLUMNS)["value"].tolist() == [1.25, 3.5]


@pytest.mark.parametrize("content", [b"layer,other\ndense,7\n", b"layer\ndense\n"])
def test_a_column_that_is_missing_is_named(content: bytes, written: Path) -> None:
    written.write_bytes(content)
    with pytest.raises(InputError, match=r"has no column .*: expected layer, value"):
        read_table(written, COLUMNS)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"layer,value\n1,2,3\n1,2,3,4\n"])
def test_what_is_no_table_is_named(content: bytes, written: Path) -> None:
    written.write_bytes(content)
    with pytest.raises(InputError, match=r"table\.csv cannot be read: "):
        read_table(written, COLUMNS)
