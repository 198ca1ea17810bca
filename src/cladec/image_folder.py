"""A folder of pictures, train/<class>/*.png and test/<class>/*.png, as arrays."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cladec.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

Arrays = tuple[np.ndarray, np.ndarray]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""What is read, whatever a file is called. Others may start another program: EPS Ghostscript."""


def read(folder: Path) -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Reads train/<class>/* and test/<class>/*: (images, labels) of both, and the class names.

    Grey pictures give one channel, unless one in the folder is in colour. Classes and files come
    sorted by name, so the order is the same everywhere.
    Raises InputError, naming file or folder, for what is missing, unreadable or of another size.
    """
    class_names, train_files, test_files = list_images(folder)
    decoded: list[np.ndarray] = []
    for path, _ in train_files + test_files:
        decoded.append(read_pixels(path))
        size, first_size = decoded[-1].shape[1::-1], decoded[0].shape[1::-1]
        if size != first_size:
            raise InputError(
                f"{path} has (width, height) {size} but {train_files[0][0]} has {first_size}: "
                "resize all images to one size"
            )
    images = np.empty((len(decoded), *np.broadcast_shapes(*{a.shape for a in decoded})), np.float32)
    for i, pixels in enumerate(decoded):  # grey broadcasts to the three channels of colour
        images[i] = fractions(pixels)
    labels = np.array([label for _, label in train_files + test_files], np.int64)
    count = len(train_files)
    return (images[:count], labels[:count]), (images[count:], labels[count:]), class_names


def list_images(
    folder: Path,
) -> tuple[tuple[str, ...], list[tuple[Path, int]], list[tuple[Path, int]]]:
    """Returns the class names and the (file, label) pairs of train and test, sorted by name."""
    classes = _list_classes(folder / "train")
    class_names = tuple(classes)
    if len(class_names) < 2:
        raise InputError(
            f"{folder / 'train'} has one class folder, {class_names[0]!r}, expected at least two: "
            "add the images of another class"
        )
    test_classes = _list_classes(folder / "test")
    for name, files in classes.items():
        if not files:
            raise InputError(
                f"{folder / 'train' / name} has no {', '.join(IMAGE_SUFFIXES)} file: "
                "add images of this class or remove the folder"
            )
    for name in test_classes:
        if name not in classes:
            raise InputError(
                f"{folder / 'test' / name} is a class that train does not have "
                f"({len(class_names)} there, {class_names[0]!r} for one): rename or remove it"
            )
    if not any(test_classes.values()):
        raise InputError(f"{folder / 'test'} has no image in any class: move some of train there")
    train_files, test_files = (
        [(path, class_names.index(name)) for name, files in found.items() for path in files]
        for found in (classes, test_classes)
    )
    return class_names, train_files, test_files


def _list_classes(split: Path) -> dict[str, list[Path]]:
    """Returns the image files of every class folder; hidden and other files are passed over."""
    layout = "expected train/<class>/ and test/<class>/ with .png or .jpg images"
    if not split.is_dir():
        raise InputError(f"{split.parent.absolute()} has no folder {split.name!r}: {layout}")
    folders = [entry for entry in _visible(split) if entry.is_dir()]
    if not folders:
        raise InputError(f"{split} has no class folders: {layout}")
    return {
        folder.name: [file for file in _visible(folder) if file.suffix.lower() in IMAGE_SUFFIXES]
        for folder in folders
    }


def _visible(folder: Path) -> list[Path]:
    # Paths themselves sort by other rules on Windows.
    return sorted((p for p in folder.iterdir() if p.name[0] != "."), key=lambda path: path.name)


def fractions(pixels: np.ndarray) -> np.ndarray:
    """Integer pixels as float32 in [0, 1]; those of a picture of floats as they are."""
    if np.issubdtype(pixels.dtype, np.floating):
        return pixels
    return np.divide(pixels, np.iinfo(pixels.dtype).max, dtype=np.float32)


def read_pixels(path: Path) -> np.ndarray:
    """Returns uint8, uint16 or float32 pixels (height, width, 1 or 3), turned as EXIF says.

    Raises InputError, naming the file, for what is no image or damaged.
    """
    from PIL import ImageOps

    with opened(path) as stored:
        image = ImageOps.exif_transpose(stored)
        if image.mode.startswith("I"):
            return _sixteen_bits(np.asarray(image))[:, :, None]
        if image.mode == "F":
            return np.asarray(image)[:, :, None]
        if image.mode in ("1", "L", "LA"):
            return np.asarray(image.convert("L"))[:, :, None]
        if image.mode == "P":  # Pillow warns when a palette's transparency is dropped
            image = image.convert("RGBA")
        return np.asarray(image.convert("RGB"))


def _sixteen_bits(pixels: np.ndarray) -> np.ndarray:
    """Grey pixels as uint16, whatever integers Pillow keeps them in."""
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(f"its values run from {pixels.min()} to {pixels.max()}, not in 16 bits")
    return pixels.astype(np.uint16)


@contextmanager
def opened(path: Path) -> Iterator["Image.Image"]:
    """An image file that is open, of one of `FORMATS` and within Pillow's limit of pixels.

    Raises InputError, naming the file, for whatever goes wrong while it is open.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise InputError(
            f"{path} cannot be read as an image ({error}): replace or remove it"
        ) from error
