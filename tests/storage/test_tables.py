"""Tables: what is read is what was written, or is named."""

import csv
import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from cladec.errors import InputError
from cladec.storage.tables import checksum_path, csv_text, read_table, write_table

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
    assert sorted(path.name for path in written.parent.iterdir()) == [
        "table.csv",
        "table.csv.sha256",
    ]


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


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_each_flipped_bit_is_found(written: Path, place: int) -> None:
    content = bytearray(written.read_bytes())
    content[place % len(content)] ^= 1
    written.write_bytes(content)
    with pytest.raises(InputError, match="was changed since") as caught:
        read_table(written, COLUMNS)
    assert str(written) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 5, 25])
def test_a_table_cut_off(written: Path, kept: int) -> None:
    written.write_bytes(written.read_bytes()[:kept])
    with pytest.raises(InputError, match="was changed since"):
        read_table(written, COLUMNS)


@pytest.mark.parametrize("content", [b"", b"no checksum", b"0" * 64 + b"  table.csv\n"])
def test_a_checksum_that_was_changed(written: Path, content: bytes) -> None:
    checksum_path(written).write_bytes(content)
    with pytest.raises(InputError, match="was changed since"):
        read_table(written, COLUMNS)
    checksum_path(written).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"table\.csv\.sha256 cannot be read"):
        read_table(written, COLUMNS)


@pytest.mark.parametrize("of", [lambda path: path, checksum_path], ids=["table", "checksum"])
def test_nobody_waits_for_a_pipe(written: Path, of) -> None:
    pipe = of(written)
    pipe.unlink()
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="cannot be read: it is no file"):
        read_table(written, COLUMNS)


def test_other_programs_can_check_it(written: Path) -> None:
    digest, name = checksum_path(written).read_text().split()
    assert name == written.name
    assert digest == hashlib.sha256(written.read_bytes()).hexdigest()


def test_a_table_made_by_hand_is_taken_as_it_is(written: Path) -> None:
    checksum_path(written).unlink()
    written.write_text("layer,value\ndense,7\n")
    assert read_table(written, COLUMNS)["value"].item() == 7
    written.write_text("layer,other\ndense,7\n")
    with pytest.raises(InputError, match="has no column 'value'"):
        read_table(written, COLUMNS)
    written.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_table(written, COLUMNS)
