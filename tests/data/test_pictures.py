"""Pictures of any size: how they are fitted, kept on the disk and read again."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cladec.data import stored_rows
from cladec.data.dataset import Dataset, Split, as_dataset, load
from cladec.data.fitting_pictures import Fitting, fitted
from cladec.data.pictures import Pictures
from cladec.data.stored_rows import StoredRows, Temporary, room
from cladec.errors import InputError, InputWarning


def message_of(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Rows in a file


@pytest.fixture
def numbers(tmp_path: Path) -> tuple[np.ndarray, StoredRows]:
    """An array, and the same array in a file."""
    array = np.random.default_rng(0).random((40, 3, 2)).astype("float16")
    path = tmp_path / "rows"
    path.write_bytes(array.tobytes())
    return array, StoredRows(path, array.shape, "float16")


@pytest.mark.parametrize(
    "key",
    [
        *(3, -1, [7], [9, 2, 2, 39, 3, 4, 5], np.array([], int), np.arange(40) % 3 == 0),
        *(slice(None), slice(5, 9), slice(30, 99), slice(20, 4, -3)),
        np.random.default_rng(1).permutation(40),
    ],
    ids=str,
)
def test_rows_in_a_file_are_indexed_like_an_array(numbers: Any, key: Any) -> None:
    array, stored = numbers
    np.testing.assert_array_equal(stored[key], array[key])
    assert stored[key].dtype == np.float16


def test_rows_in_a_file_look_like_an_array(numbers: Any) -> None:
    array, stored = numbers
    assert (stored.shape, stored.ndim, len(stored), stored.nbytes) == ((40, 3, 2), 3, 40, 480)
    np.testing.assert_array_equal(np.asarray(stored), array)
    assert np.asarray(stored, np.float64).dtype == np.float64
    assert stored.mean() == pytest.approx(array.mean(dtype=np.float64), abs=1e-3)
    np.testing.assert_allclose(np.mean(stored, axis=0), array.mean(axis=0), atol=1e-3)
    np.testing.assert_array_equal(np.mean(stored, axis=2), array.mean(axis=2))
    for wrong in (40, [0, 99]):
        with pytest.raises(IndexError):
            stored[wrong]


def test_a_file_that_was_cut_is_named(numbers: Any) -> None:
    _, stored = numbers
    stored.path.write_bytes(stored.path.read_bytes()[:-8])
    assert f"{stored.path} is shorter" in message_of(np.asarray, stored)


def test_bytes_become_fractions_of_chosen_rows(tmp_path: Path) -> None:
    array = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1)
    (tmp_path / "b").write_bytes(array.tobytes())
    pictures = Pictures(tmp_path / "b", (2, 2, 1), np.array([4, 0, 2]))
    expected = np.divide(array[[4, 0, 2]], 255, dtype=np.float32)
    np.testing.assert_array_equal(pictures[:], expected)
    np.testing.assert_array_equal(pictures[[2, 1]], expected[[2, 1]])
    assert pictures.dtype == pictures[0].dtype == np.float32
    split = Split(pictures, [0, 1, 1])
    assert split.images is pictures
    mine = Dataset("mine", split, split, ("a", "b"))
    assert (mine.image_shape, mine.mean_pixel) == ((2, 2, 1), pytest.approx(expected.mean()))


def test_much_is_written_to_a_file_that_goes_with_the_rows(monkeypatch: Any, tmp_path: Any) -> None:
    assert isinstance(room((10, 2), "float16"), np.ndarray)
    monkeypatch.setattr(stored_rows, "IN_MEMORY", 39)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(stored_rows.tempfile, "tempdir", None)
    rows = room((10, 2), "float16", "float32")
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    for part in (slice(6, 10), slice(0, 6)):
        rows[part] = values[part]
    np.testing.assert_array_equal(rows[:], values)
    assert rows.dtype == np.float32
    path = rows.path
    assert path.parent == tmp_path
    (tmp_path / "sub").mkdir()
    beside = room((10, 2), "float16", beside=StoredRows(tmp_path / "sub" / "x", (1, 1), "uint8"))
    del rows
    assert not path.exists()
    assert beside.path.parent == tmp_path / "sub"


def test_what_does_not_fit_the_disk_is_refused_before(tmp_path: Path) -> None:
    beside = StoredRows(tmp_path / "x", (1, 1), "uint8")
    message = message_of(room, (10**6, 10**9), "float16", beside=beside)
    assert "1,000,000 rows of shape (1000000000,) take 1,862,645.1 GiB" in message
    assert not list(tmp_path.iterdir())


# Fitting


def stripes(width: int, height: int) -> np.ndarray:
    """A picture of three stripes: red, green and blue, along its longer side."""
    colours = np.eye(3, dtype=np.uint8) * 255
    places = np.arange(max(width, height)) * 3 // max(width, height)
    line = colours[places]
    shape = (height, width, 3)
    return np.broadcast_to(line[None] if width >= height else line[:, None], shape).copy()


def test_the_middle_is_kept_all_is_kept_or_all_is_distorted() -> None:
    wide = stripes(60, 20)
    crop, pad, stretch = (
        fitted("x", wide, Fitting((20, 20, 3), fit)).pixels for fit in ("crop", "pad", "stretch")
    )
    np.testing.assert_array_equal(crop, np.full((20, 20, 3), (0, 255, 0)))
    assert not pad[:6].any()
    assert not pad[14:].any()
    np.testing.assert_array_equal(pad[10, [1, 10, 18]], np.eye(3) * 255)
    np.testing.assert_array_equal(stretch[[0, 10, 19], [1, 10, 18]], np.eye(3) * 255)
    tall = fitted("x", stripes(20, 60), Fitting((10, 10, 3))).pixels
    np.testing.assert_array_equal(tall[1:-1], np.full((8, 10, 3), (0, 255, 0)))
    same = fitted("x", wide, Fitting((20, 60, 3)))
    np.testing.assert_array_equal(same.pixels, wide)
    assert not same.enlarged
    assert fitted("x", wide, Fitting((21, 60, 3))).enlarged


def test_shrinking_averages_and_colours_follow_the_model() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    small = fitted("x", board, Fitting((8, 8, 3))).pixels
    assert small.shape == (8, 8, 3)
    assert np.abs(small[1:-1, 1:-1] - 127.5).max() < 2
    grey = fitted("x", stripes(9, 9), Fitting((9, 9, 1))).pixels
    np.testing.assert_array_equal(grey[0, ::3, 0], [76, 150, 29])  # ITU-R 601
    words = np.full((2, 2, 1), 65535 // 2, np.uint16)
    assert fitted("x", words, Fitting((2, 2, 1))).pixels.max() == 127
    floats = np.full((2, 2, 1), np.nan, np.float32)
    assert "x holds values from nan" in message_of(fitted, "x", floats, Fitting((2, 2, 1)))


@pytest.mark.parametrize(
    ("shape", "fit", "told"),
    [((8, 8), "crop", "1 or 3"), ((8, 8, 4), "crop", "1 or 3"), ((8, 8, 3), "cut", "crop, pad")],
)
def test_a_wrong_shape_or_way_is_named(shape: Any, fit: str, told: str) -> None:
    assert told in message_of(load, "digits", shape=shape, fit=fit) if fit == "cut" else True
    assert told in message_of(Fitting, shape, fit)


# Folders


def save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of grey and coloured pictures of several sizes and formats, without any split."""
    random = np.random.default_rng(0)
    suffixes = ("png", "JPG", "webp", "bmp", "tif", "gif")
    for label, name in enumerate(("dark", "light")):
        for number in range(12):
            shape = (20 + number, 40 - number, *[3] * (number % 2))
            pixels = random.integers(128 * label, 128 + 127 * label, shape, np.uint8)
            deeper = "more/" * (number % 3 == 0)
            save(tmp_path / "pics" / name / f"{deeper}{number}.{suffixes[number % 6]}", pixels)
    return tmp_path / "pics"


def test_a_folder_of_any_sizes_is_fitted_as_it_is(photos: Path, tmp_path: Path) -> None:
    told: list[Any] = []
    cache = tmp_path / "cache" / "deep"
    options: dict[str, Any] = {"shape": (16, 16, 3), "cache": cache}
    data = load(photos, **options, report=lambda share, values: told.append((share, dict(values))))
    assert data.class_names == ("dark", "light")
    assert len(data.train.images) + len(data.test.images) == 24
    assert 1 <= len(data.test.images) <= 10
    for split in (data.train, data.test):
        means = np.asarray(split.images).mean(axis=(1, 2, 3))
        np.testing.assert_array_equal(means > 0.5, split.labels)
    assert told[0] == (0.0, {"GiB": 24 * 768 / 2**30})
    assert told[-1] == (1.0, {})
    assert sorted(path.suffix for path in cache.iterdir()) == [".bytes", ".json"]
    grey = load(photos, shape=(8, 8, 1), fit="pad")
    assert grey.image_shape == (8, 8, 1)
    assert grey.train.images[:3].max() <= 1
    assert as_dataset(photos, 2, shape=(8, 8, 1)).image_shape == (8, 8, 1)


def test_the_bytes_are_used_again_until_a_picture_changes(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    options: dict[str, Any] = {"shape": (16, 16, 3), "cache": cache}
    first = load(photos, **options)
    (file,) = cache.glob("*.bytes")
    before = file.stat().st_mtime_ns
    again = load(photos, **options)
    assert file.stat().st_mtime_ns == before
    np.testing.assert_array_equal(first.train.images, again.train.images)
    np.testing.assert_array_equal(first.test.labels, again.test.labels)
    moved = shutil.move(photos, tmp_path / "elsewhere")
    load(moved, **options)
    assert file.stat().st_mtime_ns == before
    save(moved / "dark" / "1.JPG", np.zeros((30, 30), np.uint8))
    changed = load(moved, **options)
    assert len(list(cache.glob("*.bytes"))) == 2
    zeros = (np.asarray(changed.train.images).max(axis=(1, 2, 3)) == 0).sum()
    assert zeros + (np.asarray(changed.test.images).max(axis=(1, 2, 3)) == 0).sum() == 1
    file.write_bytes(b"cut")
    shutil.rmtree(tmp_path / "elsewhere" / "dark" / "more")
    assert len(load(moved, **options).train.images) < len(first.train.images)


def test_pictures_that_cannot_be_read_are_counted_named_and_left_out(photos: Path) -> None:
    for number in range(4):
        (photos / "dark" / f"broken{number}.png").write_bytes(b"no picture")
    frames = [Image.fromarray(np.full((30, 30), value, np.uint8)) for value in (10, 200)]
    frames[0].save(photos / "light" / "two.gif", save_all=True, append_images=frames[1:])
    message = message_of(load, photos, shape=(16, 16, 3))
    assert message.startswith("5 of 29 pictures cannot be used: ")
    assert message.count("cannot be read as an image") == 3
    assert str(photos / "dark" / "broken") in message
    assert "skip_unreadable=True" in message
    assert "--skip-unreadable" in message
    with pytest.warns(InputWarning, match="5 of 29 pictures cannot be used"):
        data = load(photos, shape=(16, 16, 3), skip_unreadable=True)
    assert len(data.train.labels) + len(data.test.labels) == 24
    np.testing.assert_array_equal(
        np.asarray(data.train.images).mean(axis=(1, 2, 3)) > 0.5, data.train.labels
    )


def test_unreadable_pictures_of_one_size_are_left_out_too(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for value, name in enumerate(("a", "b")):
            save(tmp_path / split / name / "x.png", np.full((4, 4), value, np.uint8))
    (tmp_path / "train" / "a" / "w.png").write_bytes(b"no picture")
    assert "1 of 5 pictures cannot be used" in message_of(load, tmp_path)
    with pytest.warns(InputWarning, match=r"w\.png"):
        data = load(tmp_path, skip_unreadable=True)
    np.testing.assert_array_equal(data.train.images[:, 0, 0, 0] * 255, [0, 1])
    (tmp_path / "train" / "b" / "x.png").write_bytes(b"no picture")
    with pytest.warns(InputWarning, match="2 of 5"):
        message = message_of(load, tmp_path, skip_unreadable=True)
    assert "no training picture of 'b'" in message


def test_pictures_that_do_not_fit_the_disk_are_refused_before(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    message = message_of(load, photos, shape=(10**6, 10**6, 3), cache=cache)
    assert "24 pictures of (1000000, 1000000, 3) take" in message
    assert not list(cache.iterdir())


def test_of_smaller_pictures_it_is_said_once_that_they_are_enlarged(photos: Path) -> None:
    with pytest.warns(InputWarning, match="24 of 24 pictures .* smaller than the 64 x 64"):
        load(photos, shape=(64, 64, 3))


def test_a_rotated_photograph_is_turned_and_a_large_one_stays_sharp(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = np.rot90(stripes(200, 600)).copy()
    save(tmp_path / "x.jpg", lying, exif=exif, quality=95)
    for content in (tmp_path / "x.jpg", (tmp_path / "x.jpg").read_bytes()):
        pixels = fitted("x", content, Fitting((30, 10, 3))).pixels.astype(int)
        assert np.abs(pixels[[3, 15, 26], 5] - np.eye(3) * 255).max() < 30


def test_arrays_of_another_size_are_fitted_in_memory() -> None:
    digits = load("digits")
    with pytest.warns(InputWarning, match="1797 of 1797 pictures of digits are smaller"):
        larger = load("digits", shape=(32, 32, 3))
    assert isinstance(larger.train.images, np.ndarray)
    assert larger.image_shape == (32, 32, 3)
    np.testing.assert_array_equal(larger.test.labels, digits.test.labels)
    same = load("digits", shape=(28, 28, 1))
    np.testing.assert_array_equal(same.train.images, digits.train.images)


def test_a_temporary_file_is_gone_with_its_owner(tmp_path: Path) -> None:
    owner = Temporary(tmp_path / "x")
    owner.path.touch()
    del owner
    assert not (tmp_path / "x").exists()
