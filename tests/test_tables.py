"""Tables: what is read is what was written, or is named."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from cladec.errors import InputError
from cladec.tables import checksum_path, read_table, write_table

COLUMNS = ("layer", "value")


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
