"""Files at a URL: written whole, read back, and what is told when that cannot be."""

import importlib.util
import pickle
from pathlib import Path

import pytest

from cladec.errors import InputError
from cladec.storage import model_files, remote

needs_upath = pytest.mark.skipif(
    importlib.util.find_spec("upath") is None, reason="upath not installed: the extra cladec[ray]"
)


@pytest.fixture
def url(tmp_path: Path) -> Path:
    """An empty place in the memory of this process."""
    return remote.location(f"memory://{tmp_path.name}/models")


def test_a_path_stays_a_path(tmp_path: Path) -> None:
    assert remote.location("saved-models") == Path("saved-models")
    assert not remote.is_remote(remote.location(str(tmp_path)))


@needs_upath
def test_a_url_is_written_and_read(url: Path) -> None:
    path = url / "digits" / "record.json"
    assert remote.is_remote(path)
    model_files.check_writable(url)
    model_files.write_json(path, {"a": 1})
    assert model_files.read_json(path)["a"] == 1
    assert [found.name for found in url.rglob("*.*")] == ["record.json"], "nothing else is left"
    with remote.fetched(path) as copy:
        assert model_files.checksum(copy) == model_files.checksum(path)
    assert not copy.exists()


@needs_upath
def test_a_writer_that_fails_leaves_what_was_there(url: Path) -> None:
    path = url / "kept.txt"
    model_files.write(path, lambda file: file.write_text("before"))

    def fail(file: Path) -> None:
        file.write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        model_files.write(path, fail)
    assert path.read_text() == "before"


@needs_upath
def test_a_url_travels_to_another_process(url: Path) -> None:
    assert str(pickle.loads(pickle.dumps(url / "a.keras"))) == str(url / "a.keras")


@needs_upath
def test_what_is_missing_is_named(url: Path) -> None:
    with (
        pytest.raises(InputError, match=r"memory://.*/models/no\.keras cannot be read"),
        remote.fetched(url / "no.keras"),
    ):
        pass
    with pytest.raises(InputError, match="is missing"):
        model_files.verify(url / "no.keras")


@needs_upath
def test_no_such_kind_of_url() -> None:
    with pytest.raises(remote.Unreachable, match="foo://bucket/models cannot be reached"):
        remote.location("foo://bucket/models")
