"""Datasets: values, order, and one line for everything a user can get wrong."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cladec.data import tensorflow_datasets
from cladec.data.dataset import Dataset, Split, as_dataset, check_name, load, load_sample
from cladec.data.image_folder import read_pixels
from cladec.errors import InputError, InputWarning

MakeSet = Callable[..., str]


def message_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Returns the message of the InputError that the call must raise, checked to be one line."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def make_split(count: int = 4, channels: int = 1, classes: int = 2) -> Split:
    images = np.linspace(0, 1, count * 6 * 5 * channels, dtype=np.float32)
    return Split(images.reshape(count, 6, 5, channels), np.arange(count) % classes)


def save_image(path: Path, pixels: Any, mode: str | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def grey(value: int, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six grey images, made in an order that is not the sorted one."""
    folder = tmp_path / "my pictures"
    save_image(folder / "train" / "dog" / "b.png", grey(40))
    save_image(folder / "train" / "cat" / "2.PNG", grey(20))
    save_image(folder / "train" / "cat" / "10.png", grey(10))
    save_image(folder / "train" / "dog" / "a.png", grey(30))
    save_image(folder / "test" / "dog" / "x.png", grey(60))
    save_image(folder / "test" / "cat" / "x.png", grey(50))
    return folder


# Split and Dataset


def test_dataset_tells_shape_and_number_of_classes() -> None:
    dataset = Dataset("mine", make_split(6, 3), make_split(4, 3), ("cat", "dog"))
    assert dataset.image_shape == (6, 5, 3)
    assert dataset.num_classes == 2


FLOATS, NUMBERS = np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        ([[1.0]], NUMBERS, "float64 array of shape (1, 1), expected 4 dimensions"),
        (np.zeros((4, 4, 1), np.float32), NUMBERS, "shape (4, 4, 1), expected 4 dimensions"),
        (np.zeros((0, 4, 4, 1), np.float32), np.zeros(0, np.int64), "images is empty"),
        (FLOATS, np.zeros(3, np.int64), "2 images but 3 labels"),
        (np.full((2, 4, 4, 1), 255, np.float32), NUMBERS, "255 to 255"),
        (np.full((2, 4, 4, 1), -0.5, np.float32), NUMBERS, "from -0.5"),
        (np.full((2, 4, 4, 1), np.nan, np.float32), NUMBERS, "a pixel of the images is NaN"),
        (np.full((2, 4, 4, 1), np.inf, np.float32), NUMBERS, "inf"),
        (np.full((2, 4, 4, 1), 1e300), NUMBERS, "inf"),
        (np.full((2, 4, 4, 1), 200), NUMBERS, "int64 array with values up to 200"),
        (np.full((2, 4, 4, 1), 200, np.uint16), NUMBERS, "uint16 array with values up to 200"),
        (np.ones((2, 4, 4, 1), np.uint8), NUMBERS, "uint8 array with values up to 1"),
        ([np.zeros((4, 4, 1)), np.zeros((5, 4, 1))], NUMBERS, "image 1 is of shape (5, 4, 1)"),
        ([[[[0.0]]], [[0.0]]], NUMBERS, "images is a list, not an array"),
        (FLOATS, [0.0, 1.5], "labels[1] is 1.5, expected a class number"),
        (FLOATS, [np.nan, np.inf], "labels[0] is nan"),
        (FLOATS, [0.0, np.inf], "labels[1] is inf"),
        (FLOATS, np.array([0, 2**64 - 1], np.uint64), "labels[1] is 18446744073709551615"),
        (FLOATS, [[1, 0], [0.1, 0.9]], "labels[1] is [0.1, 0.9], expected a row of 0 and 1"),
        (FLOATS, [[1, 0, 0], [1, 2, 1]], "labels[1] is [1, 2, 1], expected a row of 0 and 1"),
        (FLOATS, [[1, 0], [np.nan, 1]], "labels[1] is [nan,"),
        (FLOATS, np.zeros((2, 1, 1), np.int64), "int64 array of shape (2, 1, 1), expected (N,)"),
        (FLOATS, np.array([["a", "b"], ["c", "d"]]), "shape (2, 2), expected (N,)"),
        (FLOATS, np.zeros(2, complex), "complex128 array"),
        (FLOATS, [None, 1], "object array"),
        (FLOATS, np.ma.array([0, 1], mask=[True, False]), "masked"),
    ],
)
def test_split_names_what_is_wrong(images: Any, labels: Any, expected: str) -> None:
    assert expected in message_of(Split, images, labels)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.uint64, np.float16, np.float64])
@pytest.mark.parametrize("form", ["numbers", "column", "one-hot", "list"])
def test_labels_that_mean_one_thing_only_are_converted(dtype: Any, form: str) -> None:
    classes = [0, 1, 1]
    given: Any = np.array(classes, dtype)
    if form == "column":
        given = given[:, None]
    if form == "one-hot":
        given = np.eye(4).astype(dtype)[classes]
    split = Split(np.zeros((3, 2, 2, 1)), given.tolist() if form == "list" else given)
    assert split.labels.dtype == np.int64
    assert split.labels.tolist() == classes


def test_images_that_mean_one_thing_only_are_converted() -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), np.uint8)
    kept = values.copy()
    expected = (values / 255).astype(np.float32)
    for images in (values, values / 255, (values / 255).tolist()):
        split = Split(images, [0, 1, 0])
        assert split.images.dtype == np.float32
        np.testing.assert_allclose(split.images, expected, atol=1e-7)
    np.testing.assert_array_equal(values, kept)
    np.testing.assert_array_equal(Split(values > 99, [0, 1, 0]).images, values > 99)
    assert Split(np.zeros((3, 4, 4, 1), np.uint8), [0, 1, 0]).images.max() == 0


def test_arrays_that_are_right_are_not_copied() -> None:
    split = Split(FLOATS, NUMBERS)
    assert split.images is FLOATS
    assert split.labels is NUMBERS


@pytest.mark.parametrize("dtype", [np.str_, object, np.bytes_])
def test_labels_that_are_names_become_places_among_the_class_names(dtype: Any) -> None:
    names = np.array(["dog", "cat", "dog", "cat"], dtype)
    named = Split(make_split().images, names)
    dataset = Dataset("mine", named, make_split(), ("cow", "dog", "cat"))
    assert dataset.train.labels.dtype == np.int64
    assert dataset.train.labels.tolist() == [1, 2, 1, 2]
    message = message_of(Dataset, "mine", named, make_split(), ("cow", "dog"))
    assert "label 'cat' occurs 0 times in class_names" in message
    message = message_of(Dataset, "mine", make_split(), named, ("cat", "dog", "cat"))
    assert "label 'cat' occurs 2 times in class_names" in message


def test_pairs_of_arrays_become_a_dataset() -> None:
    images, labels = make_split(6, 3).images, np.arange(6) % 3
    dataset = as_dataset((images, labels), 5)
    assert dataset.train.images is images
    assert dataset.class_names == tuple("01234")
    assert as_dataset(dataset, 7) is dataset
    for pairs in (
        [(images, labels), (images[:2], [2, 0])],
        (Split(images, labels), make_split(4, 3)),
    ):
        assert len(as_dataset(tuple(pairs), 5).test.images) in (2, 4)
    assert as_dataset([list(images), list(labels)], 3).train.labels.tolist() == labels.tolist()
    message = message_of(as_dataset, (images, labels), 2)
    assert "train labels run from 0 to 2, expected 0 to 1" in message
    message = message_of(as_dataset, (images, list("abcabc")), 3)
    assert "'a'" in message
    assert "Dataset(name, train, test, class_names)" in message
    assert as_dataset("digits", 10).name == "digits"
    for wrong in (7, images, None, (images,), {"images": images, "labels": labels}):
        message = message_of(as_dataset, wrong, 3)
        assert f"data is a {type(wrong).__name__}" in message


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_rows_of_several_labels_stay_rows(dtype: Any) -> None:
    rows = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]], dtype)
    split = Split(make_split().images, rows)
    assert split.is_multi_label
    assert split.labels.dtype == np.float32
    np.testing.assert_array_equal(split.labels, rows)
    assert not make_split().is_multi_label
    dataset = Dataset("mine", split, make_split(), ("sea", "sun", "tree"))
    assert dataset.is_multi_label
    np.testing.assert_array_equal(dataset.test.labels, np.eye(3)[[0, 1, 0, 1]])
    message = message_of(Dataset, "mine", split, split, ("sea", "sun"))
    assert "train labels have rows of 3, expected 2 for as many class names" in message


def test_dataset_names_what_is_wrong() -> None:
    split, names = make_split(), ("cat", "dog")
    assert "'a/b'" in message_of(Dataset, "a/b", split, split, names)
    assert "'..'" in message_of(Dataset, "..", split, split, names)
    assert "('cat',)" in message_of(Dataset, "mine", split, split, ("cat",))
    assert "['cat', 'dog']" in message_of(Dataset, "mine", split, split, list(names))
    assert "(6, 5, 3)" in message_of(Dataset, "mine", split, make_split(channels=3), names)
    three = make_split(classes=3)
    message = message_of(Dataset, "mine", split, three, names)
    assert "test labels run from 0 to 2" in message
    negative = Split(split.images, -split.labels)
    assert "train labels run from -1" in message_of(Dataset, "mine", negative, split, names)


def test_input_error_is_one_line() -> None:
    assert str(InputError("first\n  second")) == "first second"


# The embedded digits


def test_digits_match_scikit_learn() -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load("digits")
    assert digits.name == "digits"
    assert digits.image_shape == (28, 28, 1)
    assert digits.class_names == tuple("0123456789")
    assert len(digits.train.images) == 1437
    assert np.bincount(digits.test.labels).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    source = load_digits()
    train, test = train_test_split(
        np.arange(1797), test_size=360, random_state=0, stratify=source.target
    )
    np.testing.assert_array_equal(digits.train.labels, source.target[train])
    np.testing.assert_array_equal(digits.test.labels, source.target[test])
    box = Image.Resampling.BOX
    shrunk = [
        np.asarray(Image.fromarray(i).resize((8, 8), box)) for i in digits.test.images[..., 0]
    ]
    distance = np.abs(np.stack(shrunk)[:, None] - source.images[test] / 16).mean((2, 3))
    assert np.diag(distance).max() < 0.1
    np.testing.assert_array_equal(distance.argmin(1), np.arange(360))
    np.testing.assert_allclose(  # down the middle of the first image, a 3
        digits.train.images[0, ::3, 14, 0],
        [1, 0.861, 0.544, 0.544, 0.922, 0.903, 0.343, 0.328, 0.796, 1],
        atol=2e-3,
    )


def test_digits_are_the_same_on_every_call() -> None:
    first, second = load("digits"), load("digits")
    np.testing.assert_array_equal(first.train.images, second.train.images)
    np.testing.assert_array_equal(first.test.images, second.test.images)
    np.testing.assert_array_equal(first.test.labels, second.test.labels)


def test_import_and_usual_names_stay_light() -> None:
    heavy = ("tensorflow", "tensorflow_datasets", "sklearn", "PIL", "keras")
    code = (
        "import sys; from cladec import data; [data.check_name(n) for n in "
        f"('digits', 'mnist', 'fashion_mnist')]; print([m for m in {heavy} if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


# A folder of images


def test_folder_pairs_images_with_labels_in_sorted_order(pictures: Path) -> None:
    (pictures / "train" / ".hidden").mkdir()
    (pictures / "train" / "cat" / ".DS_Store").write_bytes(b"no image")
    (pictures / "train" / "cat" / "._10.png").write_bytes(b"no image")
    (pictures / "test" / "dog" / "Thumbs.db").write_bytes(b"no image")
    (pictures / "train" / "readme.txt").write_text("no class")
    check_name(pictures)
    dataset = load(pictures)
    assert dataset.name == "my-pictures"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.image_shape == (4, 6, 1)
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert dataset.test.labels.tolist() == [0, 1]
    np.testing.assert_allclose(dataset.train.images[:, 0, 0, 0] * 255, [10, 20, 30, 40], rtol=1e-6)
    np.testing.assert_allclose(dataset.test.images[:, 3, 5, 0] * 255, [50, 60], rtol=1e-6)


def test_one_colour_file_makes_all_of_them_colour(pictures: Path) -> None:
    colour = np.zeros((4, 6, 3), np.uint8)
    colour[..., 0], colour[..., 2] = 255, 51
    save_image(pictures / "test" / "dog" / "x.png", colour)
    dataset = load(pictures)
    assert dataset.image_shape == (4, 6, 3)
    np.testing.assert_allclose(dataset.train.images[0, 0, 0] * 255, [10, 10, 10], rtol=1e-6)
    np.testing.assert_allclose(dataset.test.images[1, 0, 0], [1, 0, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("mode", "suffix", "channels", "value"),
    [
        ("1", ".png", 1, 1.0),
        ("LA", ".png", 1, 0.8),
        ("I;16", ".png", 1, 204 / 65535),
        ("P", ".png", 3, 0.8),
        ("RGBA", ".png", 3, 0.8),
        ("CMYK", ".jpg", 3, 0.8),
        ("L", ".JPEG", 1, 0.8),
    ],
)
def test_every_mode_is_read(
    pictures: Path, mode: str, suffix: str, channels: int, value: float
) -> None:
    pixels = Image.fromarray(grey(255 if mode == "1" else 204))
    if mode in ("P", "CMYK"):
        pixels = pixels.convert("RGB")
    path = pictures / "test" / "cat" / f"x{suffix}"
    (pictures / "test" / "cat" / "x.png").unlink()
    options: dict[str, Any] = {"transparency": b"\x80\x00"} if mode == "P" else {}
    pixels.convert(mode).save(path, **options)
    dataset = load(pictures)
    assert dataset.image_shape == (4, 6, channels)
    np.testing.assert_allclose(dataset.test.images[0], value, atol=0.01 if channels == 3 else 1e-6)


def test_exif_orientation_is_applied(pictures: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn by 90 degrees clockwise to view
    upright = np.repeat(np.linspace(0, 250, 4).astype(np.uint8)[:, None], 6, 1)
    stored = np.rot90(upright)
    save_image(pictures / "test" / "cat" / "x.png", stored, exif=exif)
    dataset = load(pictures)
    np.testing.assert_allclose(dataset.test.images[0, :, :, 0] * 255, upright, atol=1e-3)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_the_test_pictures_may_be_called_otherwise(pictures: Path, name: str) -> None:
    expected = load(pictures)
    shutil.copytree(pictures / "test", pictures / name)
    for file in (pictures / name).rglob("*.png"):
        save_image(file, grey(0))
    np.testing.assert_array_equal(load(pictures).test.images, expected.test.images)
    shutil.rmtree(pictures / "test")
    check_name(pictures)
    found = load(pictures)
    assert found.test.images.max() == 0
    np.testing.assert_array_equal(found.test.labels, expected.test.labels)
    (pictures / name / "zebra").mkdir()
    assert str(pictures / name / "zebra") in message_of(load, pictures)


def test_folder_errors_name_the_file(pictures: Path) -> None:
    file = pictures / "train" / "dog" / "b.png"
    save_image(file, grey(1, height=5, width=7))
    message = message_of(load, pictures)
    assert str(file) in message
    assert "(7, 5)" in message
    assert "(6, 4)" in message
    assert "resize" in message
    noise = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
    save_image(file, noise)
    file.write_bytes(file.read_bytes()[:1000])  # truncated: the header is whole
    assert str(file) in message_of(load, pictures)
    file.write_text("no image")
    assert str(file) in message_of(load, pictures)


def test_folder_errors_name_the_folder(pictures: Path) -> None:
    (pictures / "test" / "zebra").mkdir()
    for call in (load, check_name):
        assert str(pictures / "test" / "zebra") in message_of(call, pictures)
    (pictures / "test" / "zebra").rmdir()
    (pictures / "train" / "bird").mkdir()
    assert str(pictures / "train" / "bird") in message_of(load, pictures)
    (pictures / "train" / "bird").rmdir()
    shutil.move(pictures / "train" / "cat", pictures / "cat")
    message = message_of(load, pictures)
    assert str(pictures / "train") in message
    assert "'dog'" in message
    shutil.move(pictures / "cat", pictures / "train" / "cat")
    for file in (pictures / "test").rglob("*.png"):
        file.unlink()
    assert str(pictures / "test") in message_of(load, pictures)
    shutil.rmtree(pictures / "test" / "cat")
    shutil.rmtree(pictures / "test" / "dog")
    message = message_of(load, pictures)
    assert str(pictures / "test") in message
    assert "class folders" in message
    shutil.rmtree(pictures / "test")
    message = message_of(load, pictures)
    assert str(pictures) in message
    assert "'test'" in message
    shutil.rmtree(pictures / "train")
    assert "'train'" in message_of(load, pictures)


def test_every_format_is_read_in_its_place(pictures: Path) -> None:
    """Formats beside .png, with names in upper or lower case, sorted in among the rest."""
    folder = pictures / "train" / "cat"
    suffixes = ("bmp", "GIF", "jfif", "JPG", "pgm", "tif", "TIFF", "webp")
    for value, suffix in enumerate(suffixes, start=3):
        options = {"lossless": True} if suffix == "webp" else {}
        save_image(folder / f"{value}.{suffix}", grey(10 * value), **options)
    order = sorted(path.name for path in folder.iterdir())
    expected = [10 * int(name.split(".")[0]) if name != "10.png" else 10 for name in order]
    dataset = load(pictures)
    assert dataset.image_shape == (4, 6, 3)  # WebP knows no grey
    assert dataset.train.labels.tolist() == [0] * 10 + [1] * 2
    np.testing.assert_allclose(dataset.train.images[:10, 0, 0, 0] * 255, expected, atol=1.01)


@pytest.mark.parametrize("name", ["a.heic", "a.JP2", "a.avif", "a.svg", "a.psd", "a.raw", "a.CR2"])
def test_pictures_of_other_formats_are_named(pictures: Path, name: str) -> None:
    (pictures / "train" / "dog" / name).write_bytes(b"whatever")
    for call in (load, check_name):
        message = message_of(call, pictures)
        assert str(pictures / "train" / "dog" / name) in message
        assert "save it as .png" in message


def test_what_is_no_picture_is_passed_over(pictures: Path) -> None:
    before = load(pictures)
    for name in ("notes.txt", "boxes.json", "labels.csv", "x.xml", "Thumbs.db", ".x.heic"):
        (pictures / "train" / "cat" / name).write_bytes(b"whatever")
    (pictures / "train" / "cat" / "more.png").mkdir()
    np.testing.assert_array_equal(load(pictures).train.images, before.train.images)


def transparent(mode: str, opacity: int) -> Image.Image:
    """A picture, of which one pixel has this opacity."""
    if mode == "P":
        image = Image.fromarray(np.indices((4, 6))[1].astype(np.uint8)).convert("P")
        image.putpalette(np.arange(24).astype(np.uint8).tobytes())
        image.info["transparency"] = bytes([255, opacity])
        return image
    if mode in ("I;16", "L", "RGB"):
        pixels = np.full((4, 6), 40, {"I;16": np.uint16}.get(mode, np.uint8))
        pixels[1, 2] = 41 if opacity == 255 else 42
        image = Image.fromarray(pixels)
        image = image.convert("RGB") if mode == "RGB" else image
        image.info["transparency"] = (42, 42, 42) if mode == "RGB" else 42
        return image
    alpha = np.full((4, 6), 255, np.uint8)
    alpha[1, 2] = opacity
    image = Image.fromarray(grey(7)).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    return image


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB", "I;16"])
def test_transparent_pictures_are_named_and_opaque_ones_read(pictures: Path, mode: str) -> None:
    path = pictures / "test" / "cat" / "x.png"
    transparent(mode, 255).save(path)
    load(pictures)
    transparent(mode, 254).save(path)
    with Image.open(path) as stored:
        assert stored.has_transparency_data
    message = message_of(load, pictures)
    assert f"{path} is transparent in places: put it on a background" in message


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_several_frames_are_named(pictures: Path, suffix: str) -> None:
    path = pictures / "test" / "cat" / f"y.{suffix}"
    frames = [Image.fromarray(grey(value)) for value in (10, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    message = message_of(load, pictures)
    assert f"{path} holds several pictures" in message
    frames[0].save(path, save_all=True)
    assert len(load(pictures).test.images) == 3


def test_of_the_views_of_a_camera_the_first_is_read(pictures: Path) -> None:
    frames = [Image.fromarray(grey(value)) for value in (10, 200)]
    path = pictures / "test" / "cat" / "x.jpg"
    frames[0].save(path, "MPO", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(load(pictures).test.images[0] * 255, 10, atol=1)


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "socket"])
def test_only_regular_files_are_opened(pictures: Path, kind: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(pictures)  # the name of a socket must be short
    path = Path("train/cat/x.png")
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        os.mkfifo("pipe" if kind != "pipe" else path)
    if kind == "link to a pipe":
        path.symlink_to(pictures / "pipe")
    for call, argument in ((load, pictures), (check_name, pictures), (read_pixels, path)):
        message = message_of(call, argument)
        assert "train/cat/x.png is a pipe, a socket or a device" in message


@pytest.mark.skipif(sys.platform != "linux", reason="file names there are text")
def test_names_of_classes_become_text_each_once(pictures: Path) -> None:
    names = [b"caf\xe9", b"caf\\xe9", b"bell\x07", "caf\xe9".encode(), b"snow \xe2\x98\x83"]
    for split in ("train", "test"):
        for value, name in enumerate(names):
            folder = pictures / split / os.fsdecode(name)
            save_image(folder / "x.png", grey(value))
    dataset = load(pictures)
    for name in dataset.class_names:
        name.encode()
        assert name.isprintable()
    assert len(set(dataset.class_names)) == 7
    shown = dict(zip(dataset.class_names, dataset.test.images[:, 0, 0, 0] * 255, strict=True))
    by_name = {
        "caf\\xe9 (2)": 0,
        "caf\\xe9": 1,
        "bell\\x07": 2,
        "caf\xe9": 3,
        "snow \u2603": 4,
        "cat": 50,
        "dog": 60,
    }
    assert shown == pytest.approx(by_name)


# TensorFlow Datasets


@pytest.fixture(scope="module")
def prepared() -> Path:
    """The folder of prepared TFDS sets."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "tensorflow_datasets"
    folder = Path(os.environ.get("TFDS_DATA_DIR", beside))
    if not (folder / "mnist").is_dir():
        pytest.skip(f"mnist is not prepared in {folder} (TFDS_DATA_DIR)")
    return folder


def test_mnist_is_read_from_the_variable(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    cut_network(monkeypatch, closed_port())
    dataset = load("mnist")
    assert dataset.name == "mnist"
    assert dataset.image_shape == (28, 28, 1)
    assert dataset.class_names == tuple("0123456789")
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(dataset.train.labels).tolist() == train
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(dataset.test.labels).tolist() == test
    assert dataset.train.labels[:5].tolist() == [4, 1, 0, 7, 8]
    assert dataset.train.images.dtype == np.float32
    assert dataset.train.images.max() == 1
    assert dataset.train.images.mean() == pytest.approx(0.1307, abs=1e-4)
    assert dataset.test.images.mean() == pytest.approx(0.1325, abs=1e-4)


def test_truncated_records_name_the_folder(prepared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mnist" / "3.0.1"
    shutil.copytree(prepared / "mnist" / "3.0.1", copy)
    for file in copy.glob("*train*"):
        file.write_bytes(file.read_bytes()[:100_000])
    message = message_of(load, "mnist", data_dir=tmp_path)
    assert str(copy) in message
    assert "damaged" in message
    (copy / "dataset_info.json").write_text("{")
    assert str(tmp_path) in message_of(load, "mnist", data_dir=tmp_path)
    (copy / "dataset_info.json").unlink()
    assert str(copy) in message_of(load, "mnist", data_dir=tmp_path)


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def cut_network(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Sends every request to a port of this machine, so that each machine fails alike."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
    for variable in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


def test_without_network_one_line_within_twenty_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_network(monkeypatch, closed_port())
    start = time.monotonic()
    message = message_of(load, "cifar10", data_dir=tmp_path)
    assert time.monotonic() - start < 20
    assert "'cifar10'" in message
    assert str(tmp_path / "cifar10") in message
    assert "https://www.cs.toronto.edu/" in message
    assert "TFDS_DATA_DIR" in message
    assert "--datasets digits" in message


def test_a_silent_server_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_datasets, "PROBE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cut_network(monkeypatch, silent.getsockname()[1])
        start = time.monotonic()
        message = message_of(load, "cifar10", data_dir=tmp_path)
        assert time.monotonic() - start < 10
    assert "0.5 s" in message


def test_names_are_checked_before_anything_else() -> None:
    for name in ("digits", "mnist", "fashion_mnist", "cifar10", "emnist/letters"):
        check_name(name)
    for call in (check_name, load):
        message = message_of(call, "minst")
        assert "'minst'" in message
        assert "did you mean 'mnist'?" in message
        assert "digits" in message
    assert "did you mean 'digits'?" in message_of(check_name, "digit")
    assert "did you mean 'cifar10'?" in message_of(check_name, "CIFAR10")
    assert "no/such/folder" in message_of(check_name, "no/such/folder")
    assert "''" in message_of(check_name, "")
    assert "aaaa" in message_of(check_name, "a" * 5000)
    assert "huggingface:mnist" in message_of(check_name, "huggingface:mnist")
    assert "nonsense" in message_of(check_name, "emnist/nonsense")
    assert "(None, None, 3)" in message_of(check_name, "cats_vs_dogs")
    assert "'text' of type Text" in message_of(check_name, "imdb_reviews")
    assert "supervised keys None" in message_of(check_name, "celeb_a")


@pytest.fixture(scope="module")
def make_set(tmp_path_factory: pytest.TempPathFactory) -> MakeSet:
    """Registers tiny TFDS sets, whose preparation is the real one."""
    import tensorflow_datasets as tfds

    def make(
        name: str,
        splits: tuple[str, ...] = ("train", "test"),
        url: str = "",
        dtype: Any = np.uint8,
        *,
        count: int = 5,
        fixed: bool = True,
    ) -> str:
        def info(self: Any) -> Any:
            features = {
                "image": tfds.features.Image(
                    shape=(2, 3, 3) if fixed else (None, None, 3), dtype=dtype
                ),
                "label": tfds.features.ClassLabel(names=["no", "yes"]),
            }
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
            )

        def generate(top: int) -> Iterator[tuple[int, Any]]:
            for i in range(count):
                shape = (2, 3, 3) if fixed else (2 + i % 5, 3 + i % 7, 3)
                yield i, {"image": np.full(shape, top - i, dtype), "label": i % 2}

        def split_generators(self: Any, manager: Any) -> dict[str, Any]:
            if url:
                manager.download(url)
            return {split: generate(np.iinfo(dtype).max) for split in splits}

        members = {
            "__module__": __name__,
            "VERSION": tfds.core.Version("1.0.0"),
            "_info": info,
            "_split_generators": split_generators,
            "_generate_examples": lambda self: iter(()),
            "pkg_dir_path": tmp_path_factory.mktemp(name),
        }
        if url:
            members["url_infos"] = {url: SimpleNamespace(checksum="ab" * 32, filename="x.bin")}
        type(
            "".join(part.title() for part in name.split("_")),
            (tfds.core.GeneratorBasedBuilder,),
            members,
        )
        return name

    return make


def test_unprepared_set_is_prepared_then_read(make_set: MakeSet, tmp_path: Path) -> None:
    name = make_set("tiny_bytes")
    check_name(name)
    dataset = load(name, data_dir=tmp_path)
    assert (tmp_path / name / "1.0.0" / "dataset_info.json").exists()
    assert dataset.class_names == ("no", "yes")
    values = dataset.test.images[:, 0, 0, 0]
    np.testing.assert_allclose(np.sort(values) * 255, [251, 252, 253, 254, 255], rtol=1e-6)
    np.testing.assert_array_equal(dataset.test.labels, np.round(255 - values * 255) % 2)


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    place = 2 * len(content) // 3
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.fixture(scope="module")
def tiny_set(make_set: MakeSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the set `tiny_whole` is prepared."""
    folder = tmp_path_factory.mktemp("whole")
    load(make_set("tiny_whole"), data_dir=folder)
    return folder


@pytest.fixture
def tiny_copy(tiny_set: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(tiny_set, tmp_path / "copy"))


@pytest.mark.parametrize(
    "damage", [truncate, flip, lambda content: b""], ids=["cut", "flip", "empty"]
)
@pytest.mark.parametrize("pattern", ["*train.tfrecord*", "*test.tfrecord*", "dataset_info.json"])
def test_a_damaged_file_of_a_set_is_never_used(
    tiny_copy: Path, pattern: str, damage: Callable[[bytes], bytes]
) -> None:
    (file,) = (tiny_copy / "tiny_whole" / "1.0.0").glob(pattern)
    file.write_bytes(damage(file.read_bytes()))
    assert str(tiny_copy) in message_of(load, "tiny_whole", data_dir=tiny_copy)


@pytest.mark.parametrize("name", ["features.json", "label.labels.txt"])
def test_a_damaged_file_that_is_not_read_does_no_harm(
    tiny_set: Path, tiny_copy: Path, name: str
) -> None:
    (tiny_copy / "tiny_whole" / "1.0.0" / name).write_text("")
    damaged, whole = (load("tiny_whole", data_dir=folder) for folder in (tiny_copy, tiny_set))
    assert damaged.class_names == whole.class_names
    np.testing.assert_array_equal(damaged.train.images, whole.train.images)
    np.testing.assert_array_equal(damaged.test.labels, whole.test.labels)


def test_records_cut_between_two_images_are_noticed(tiny_copy: Path) -> None:
    """Every record that is left is whole, so that no checksum of theirs is wrong."""
    (file,) = (tiny_copy / "tiny_whole" / "1.0.0").glob("*train.tfrecord*")
    content = file.read_bytes()
    length = 16 + int.from_bytes(content[:8], "little")  # of the first record
    file.write_bytes(content[length:])
    assert str(file.parent) in message_of(load, "tiny_whole", data_dir=tiny_copy)


def test_of_a_sample_only_the_drawn_training_images_are_read(
    make_set: MakeSet, tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tiny_set))
    whole, sample = load("tiny_whole"), load_sample("tiny_whole", 2, seed=3)
    rows = sorted(np.random.default_rng(3).choice(5, 2, replace=False))
    np.testing.assert_array_equal(sample.train.images, whole.train.images[rows])
    np.testing.assert_array_equal(sample.train.labels, whole.train.labels[rows])
    np.testing.assert_array_equal(sample.test.images, whole.test.images)
    few = load_sample("tiny_whole", 100)
    np.testing.assert_array_equal(few.train.images, whole.train.images)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    name = make_set("tiny_train_only", splits=("train",), count=20)
    held_out, drawn = load(name), load_sample(name, 3)
    assert len(drawn.train.images) == 3
    np.testing.assert_array_equal(drawn.test.images, held_out.test.images)


def test_a_sample_of_the_digits_is_drawn_from_their_training_images() -> None:
    whole, sample = load("digits"), load_sample("digits", 4, seed=1)
    rows = sorted(np.random.default_rng(1).choice(len(whole.train.labels), 4, replace=False))
    np.testing.assert_array_equal(sample.train.images, whole.train.images[rows])
    np.testing.assert_array_equal(sample.train.labels, whole.train.labels[rows])
    np.testing.assert_array_equal(sample.test.images, whole.test.images)


def test_sixteen_bits_are_scaled_by_their_own_range(make_set: MakeSet, tmp_path: Path) -> None:
    dataset = load(make_set("tiny_words", dtype=np.uint16), data_dir=tmp_path)
    assert dataset.train.images.max() == 1
    assert dataset.train.images.min() == np.float32(65531 / 65535)


def test_a_validation_split_serves_as_a_test_split(make_set: MakeSet, tmp_path: Path) -> None:
    dataset = load(make_set("tiny_val", splits=("train", "validation")), data_dir=tmp_path)
    assert len(dataset.test.labels)


def test_missing_split_is_named(make_set: MakeSet, tmp_path: Path) -> None:
    message = message_of(load, make_set("tiny_single", splits=("test",)), data_dir=tmp_path)
    assert "['test']" in message
    assert "'train'" in message


def test_of_a_train_split_alone_a_fifth_is_held_out(make_set: MakeSet, tmp_path: Path) -> None:
    name = make_set("tiny_alone", splits=("train",), count=60)
    first, second = (load(name, data_dir=tmp_path) for _ in range(2))
    assert len(first.train.labels) + len(first.test.labels) == 60
    assert 4 <= len(first.test.labels) <= 20
    np.testing.assert_array_equal(first.test.images, second.test.images)
    assert not set(np.unique(first.test.images)) & set(np.unique(first.train.images))


def test_a_set_of_several_sizes_is_fitted_and_refused_without_a_shape(
    make_set: MakeSet, tmp_path: Path
) -> None:
    name = make_set("tiny_sizes", splits=("train",), count=30, fixed=False)
    check_name(name, shape=(4, 4, 3))
    message = message_of(check_name, name)
    assert "images of no fixed size, shape (None, None, 3)" in message
    assert "shape=(height, width, channels)" in message
    with pytest.warns(InputWarning, match="smaller than the 4 x 4"):
        dataset = load(name, data_dir=tmp_path, shape=(4, 4, 3))
    assert dataset.image_shape == (4, 4, 3)
    values = [split.images[:][:, 0, 0, 0] * 255 for split in (dataset.train, dataset.test)]
    assert sorted(np.round(np.concatenate(values))) == list(range(226, 256))
    for split, found in zip((dataset.train, dataset.test), values, strict=True):
        np.testing.assert_array_equal(split.labels, np.round(255 - found) % 2)


def test_a_damaged_set_is_named_while_it_is_fitted(tiny_copy: Path) -> None:
    fits = {"data_dir": tiny_copy, "shape": (2, 3, 3)}
    whole = load("tiny_whole", **fits)
    np.testing.assert_allclose(
        whole.train.images, load("tiny_whole", data_dir=tiny_copy).train.images
    )
    (file,) = (tiny_copy / "tiny_whole" / "1.0.0").glob("*train.tfrecord*")
    file.write_bytes(truncate(file.read_bytes()))
    assert str(tiny_copy) in message_of(load, "tiny_whole", **fits)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, "cannot be downloaded and prepared"), (503, "x.bin answers HTTP 503")],
)
def test_failing_download_names_the_folder(
    make_set: MakeSet, tmp_path: Path, status: int, expected: str
) -> None:
    """A missing file is left to TFDS; a server in trouble it would ask for minutes is not."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *arguments: Any) -> None:
            """Keeps quiet."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        name = make_set(f"tiny_fetched{status}", url=f"http://127.0.0.1:{server.server_port}/x.bin")
        message = message_of(load, name, data_dir=tmp_path)
        server.shutdown()
    assert str(tmp_path / name) in message
    assert str(status) in message
    assert expected in message
    assert "--datasets digits" in message
