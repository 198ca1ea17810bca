"""Read a folder of pictures, train/<class>/*.png and test/<class>/*.png, into arrays.

The second folder may also be called val, valid or validation.
"""

import hashlib
import itertools
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cladec.errors import InputError
from cladec.text import printable

if TYPE_CHECKING:
    from PIL import Image

Arrays = tuple[np.ndarray, np.ndarray]
PathLike = str | os.PathLike[str]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""The formats that are read, whatever the file name; others, such as EPS, may start a program."""

IMAGE_FILE = re.compile(r"\.(a?png|jpe?g|jpe|jfif|gif|bmp|dib|tiff?|webp|p[bgnp]m)$", re.IGNORECASE)
"""The file names of these formats."""

UNREAD_FILE = re.compile(
    r"\.(hei[cf]|hif|avif|jp2|j2k|jp[fx]|jxl|svgz?|ps[bd]|xcf|icns|ico|tga|pcx|pict|eps|emf|wmf|exr|"
    r"hdr|pfm|dds|dcm|dicom|raw|dng|cr[23]|nef|arw|orf|rw2|raf|pef|srw)$",
    re.IGNORECASE,
)
"""The file names of other picture formats, which cause an error instead of being ignored."""

TEST_NAMES = ("test", "val", "valid", "validation")
"""The names of the folder with the test pictures; the first one that exists is used."""

PICTURES = "pictures (.png, .jpg, .webp, .gif, .tif, .bmp, .ppm)"


def read(folder: Path) -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Read train/<class>/* and test/<class>/*: (images, labels) of both, and the class names.

    Grey pictures have one channel unless the folder has a colour picture. Classes and files are
    sorted by name, so that the order is the same everywhere.
    Raises InputError, naming the file or folder, for missing or unreadable pictures or other sizes.
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
    """Return the class names and the (file, label) pairs of train and test, sorted by name."""
    test = _test_folder(folder)
    classes = _list_classes(folder / "train")
    names = list(classes)
    if len(names) < 2:
        raise InputError(
            f"{folder / 'train'} has one class folder, {names[0]!r}, expected at least two: "
            "add the images of another class"
        )
    test_classes = _list_classes(test)
    for name, files in classes.items():
        if not files:
            raise InputError(
                f"{folder / 'train' / name} has no {PICTURES}: "
                "add images of this class or remove the folder"
            )
    for name in test_classes:
        if name not in classes:
            raise InputError(
                f"{test / name} is a class that train does not have "
                f"(it has {len(names)}, for example {names[0]!r}): rename or remove it"
            )
    if not any(test_classes.values()):
        raise InputError(f"{test} has no image in any class: move some from train")
    train_files, test_files = (
        [(path, names.index(name)) for name, files in found.items() for path in files]
        for found in (classes, test_classes)
    )
    return _clean_names(names), train_files, test_files


def _test_folder(folder: Path) -> Path:
    """Return the folder with the test pictures, "test" if there is none of its names."""
    folders = [folder / name for name in TEST_NAMES]
    return next((path for path in folders if path.is_dir()), folders[0])


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of the relative paths and the sizes of the training pictures.

    Raises InputError, like `read`, if pictures are missing.
    """
    _, files, _ = list_images(folder)
    lines = [f"{path.relative_to(folder).as_posix()} {path.stat().st_size}" for path, _ in files]
    return hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest()


def _clean_names(names: list[str]) -> tuple[str, ...]:
    """Make the names of class folders printable and unique; invalid bytes are escaped: \\xe9."""
    clean: list[str] = []
    for name in names:
        text = printable(os.fsencode(name).decode("utf-8", "backslashreplace"))
        taken = {*clean, *names} - {name}
        numbered = itertools.chain([text], (f"{text} ({n})" for n in itertools.count(2)))
        clean.append(next(each for each in numbered if each not in taken))
    return tuple(clean)


def _list_classes(split: Path) -> dict[str, list[Path]]:
    """Return the pictures of every class folder, without hidden and other files."""
    layout = f"expected train/<class>/ and test/<class>/ (or val/) with {PICTURES}"
    if not split.is_dir():
        raise InputError(f"{split.parent.absolute()} has no folder {split.name!r}: {layout}")
    folders = [entry for entry in _visible(split) if entry.is_dir()]
    if not folders:
        raise InputError(f"{split} has no class folders: {layout}")
    return {folder.name: list(filter(_is_picture, _visible(folder))) for folder in folders}


def _is_picture(path: Path) -> bool:
    """Return whether a path is a picture, and raise InputError for one that cannot be read."""
    if path.is_dir():
        return False
    if UNREAD_FILE.search(path.name):
        raise InputError(
            f"{path} has a picture format that cannot be read: save it as .png, or move it away"
        )
    return IMAGE_FILE.search(path.name) is not None and _check_regular(path)


def _check_regular(path: Path) -> bool:
    """Raise InputError for a pipe, a socket or a device, whose content may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is a pipe, a socket or a device, expected a file: remove it")
    return True


def _visible(folder: Path) -> list[Path]:
    # Paths sort by different rules on Windows, so their names are compared.
    return sorted((p for p in folder.iterdir() if p.name[0] != "."), key=lambda path: path.name)


def fractions(pixels: np.ndarray) -> np.ndarray:
    """Convert integer pixels to float32 in [0, 1]; pixels that are floats stay as they are."""
    if np.issubdtype(pixels.dtype, np.floating):
        return pixels
    return np.divide(pixels, np.iinfo(pixels.dtype).max, dtype=np.float32)


def read_pixels(path: Path) -> np.ndarray:
    """Return uint8, uint16 or float32 pixels (height, width, 1 or 3), rotated as EXIF says.

    Raises InputError, naming the file, if it is not an image, is damaged, has several frames or
    pages, or is transparent anywhere, because its look then depends on the background.
    """
    with opened(path) as stored:
        return pixels_of(stored, path)


def pixels_of(stored: "Image.Image", name: PathLike) -> np.ndarray:
    """Return the pixels of a PIL image, like `read_pixels`; errors give its `name`."""
    from PIL import ImageOps

    with _errors_of(name):
        # A camera may add further views of the first picture to a JPEG file (MPO).
        if getattr(stored, "is_animated", False) and stored.format != "MPO":
            raise InputError(
                f"{name} holds several pictures, frames or pages: save the one you need as a file"
            )
        image = ImageOps.exif_transpose(stored)
        if _is_transparent(image):
            raise InputError(f"{name} is transparent in places: put it on a background and save it")
        if image.mode.startswith("I"):
            return _sixteen_bits(np.asarray(image))[:, :, None]
        if image.mode == "F":
            return np.asarray(image)[:, :, None]
        if image.mode in ("1", "L", "LA"):
            return np.asarray(image.convert("L"))[:, :, None]
        if image.mode == "P":  # Pillow warns when a palette's transparency is dropped
            image = image.convert("RGBA")
        return np.asarray(image.convert("RGB"))


def _is_transparent(image: "Image.Image") -> bool:
    """Return whether any pixel is transparent, even partly."""
    if not image.has_transparency_data:
        return False
    if image.mode.startswith("I"):  # one grey value means transparent
        return bool((np.asarray(image) == image.info["transparency"]).any())
    return bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)


def _sixteen_bits(pixels: np.ndarray) -> np.ndarray:
    """Convert grey pixels from the integer type that Pillow uses to uint16."""
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(f"values from {pixels.min()} to {pixels.max()} do not fit into 16 bits")
    return pixels.astype(np.uint16)


@contextmanager
def opened(path: Path) -> Iterator["Image.Image"]:
    """Open an image file that has one of `FORMATS` and keeps within Pillow's limit of pixels.

    Raises InputError, naming the file, for any error while the file is open.
    """
    from PIL import Image

    _check_regular(path)
    with _errors_of(path), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as image:
            yield image


@contextmanager
def _errors_of(name: PathLike) -> Iterator[None]:
    """Raise InputError, naming the image, for any error inside the context."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a damaged file can make Pillow raise almost any error
        raise InputError(
            f"{name} cannot be read as an image ({error}): replace or remove it"
        ) from error


def read_image(path: Path, shape: tuple[int, int, int], *, resize: bool = False) -> np.ndarray:
    """Read an image in the shape that a model takes, rotated as EXIF says.

    A grey image becomes a colour image if the model needs it; the reverse needs equal channels.

    Args:
        path: the image file.
        shape: the shape (H, W, C) that the model takes.
        resize: whether to resize an image of another size; proportions are not kept.

    Returns:
        (H, W, C) float32 in [0, 1].

    Raises:
        InputError: if the file is not a single opaque image, has another size, has colour for a
            grey model, or has float values that are NaN or outside [0, 1]; the file is named.
    """
    return fitted(path, fractions(read_pixels(path)), shape, resize=resize)


def fitted(
    name: PathLike, pixels: np.ndarray, shape: tuple[int, int, int], *, resize: bool = False
) -> np.ndarray:
    """Return float pixels (height, width, 1 or 3) in the shape that a model takes.

    Arguments and errors are those of `read_image`; errors give the `name` of the image.
    """
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN fails both comparisons
        raise InputError(
            f"{name} holds values from {pixels.min():g} to {pixels.max():g}: expected 0 to 1"
        )
    pixels = _convert(name, pixels, shape[2])
    if pixels.shape == tuple(shape):
        return pixels
    if not resize:
        raise InputError(
            f"{name} is {pixels.shape[1]} wide and {pixels.shape[0]} high, but the model takes "
            f"{shape[1]} x {shape[0]}: resize it (with --resize in a command)"
        )
    return _resized(pixels, shape[1], shape[0])


def _convert(name: PathLike, pixels: np.ndarray, channels: int) -> np.ndarray:
    """Give pixels the number of channels that a model takes, if no colour is lost."""
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=2)
    if channels == 1 and (pixels == pixels[..., :1]).all():
        return pixels[..., :1]
    raise InputError(
        f"{name} has {pixels.shape[2]} channels, but the model takes {channels}: convert it in the "
        "same way as the training images"
    )


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    from PIL import Image

    # Bilinear resizing keeps values in range, and Pillow averages areas when it shrinks images.
    planes = [
        Image.fromarray(pixels[..., c]).resize((width, height), Image.Resampling.BILINEAR)
        for c in range(pixels.shape[2])
    ]
    return np.clip(np.stack([np.asarray(plane) for plane in planes], axis=-1), 0, 1)
