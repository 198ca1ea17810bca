"""Read picture files, alone or all of a folder, into arrays."""

import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cladec.data.held_out import check_parts
from cladec.data.picture_lists import check_regular, list_images
from cladec.data.unreadable import Unreadable
from cladec.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

Arrays = tuple[np.ndarray, np.ndarray]
PathLike = str | os.PathLike[str]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""The formats that are read, whatever the file name; others, such as EPS, may start a program."""


def read(source: Path, *, skip_unreadable: bool = False) -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Read the pictures of `list_images`: (images, labels) of both splits, and the class names.

    Grey pictures have one channel unless there is a colour picture. Classes and files are sorted by
    name, so that the order is the same everywhere.

    Raises:
        InputError: pictures are missing, of several sizes, or unreadable and not to be skipped; a
            file or folder is named.
    """
    class_names, train_files, test_files = list_images(source)
    unreadable = Unreadable(skip=skip_unreadable)
    decoded: list[np.ndarray] = []
    labels: list[list[int]] = [[], []]
    first: Path | None = None
    for part, files in enumerate((train_files, test_files)):
        for path, label in files:
            try:
                pixels = read_pixels(path)
            except InputError as error:
                unreadable.note(error)
                continue
            decoded.append(pixels)
            labels[part].append(label)
            first = first or path
            _check_size(path, pixels, first, decoded[0])
    unreadable.report(len(train_files) + len(test_files))
    check_parts(source, class_names, *labels)
    images = np.empty((len(decoded), *np.broadcast_shapes(*{a.shape for a in decoded})), np.float32)
    for i, pixels in enumerate(decoded):  # grey broadcasts to the three channels of colour
        images[i] = fractions(pixels)
    train, test = (np.array(of_part, np.int64) for of_part in labels)
    return (images[: len(train)], train), (images[len(train) :], test), class_names


def _check_size(path: Path, pixels: np.ndarray, first: Path, expected: np.ndarray) -> None:
    size, first_size = pixels.shape[1::-1], expected.shape[1::-1]
    if size != first_size:
        raise InputError(
            f"{path} has (width, height) {size} but {first} has {first_size}: resize all images to "
            "one size, or have them fitted with shape=(height, width, channels)"
        )


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
def opened(content: Path | bytes, name: PathLike | None = None) -> Iterator["Image.Image"]:
    """Open an image file that has one of `FORMATS` and keeps within Pillow's limit of pixels.

    Args:
        content: the path of the file, or its bytes.
        name: the name of the image in errors; None for the path.

    Raises:
        InputError: any error while the file is open; it names the image.
    """
    from PIL import Image

    if isinstance(content, Path):
        name = content
        check_regular(content)
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    with _errors_of(name or "image"), Image.open(file, formats=FORMATS) as image:
        # Not by a filter of warnings, which threads that decode would share.
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise ValueError(f"{image.size} pixels, could be a decompression bomb")
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
    pixels = _convert(name, checked_range(name, pixels), shape[2])
    if pixels.shape == tuple(shape):
        return pixels
    if not resize:
        raise InputError(
            f"{name} is {pixels.shape[1]} wide and {pixels.shape[0]} high, but the model takes "
            f"{shape[1]} x {shape[0]}: resize it (with --resize in a command)"
        )
    return _resized(pixels, shape[1], shape[0])


def checked_range(name: PathLike, pixels: np.ndarray) -> np.ndarray:
    """Return float pixels unchanged; raise InputError if one is NaN or outside [0, 1]."""
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN fails both comparisons
        raise InputError(
            f"{name} holds values from {pixels.min():g} to {pixels.max():g}: expected 0 to 1"
        )
    return pixels


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
