"""Fit pictures of any size and colour to the images that a model takes, as bytes."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cladec import checks
from cladec.data import image_folder
from cladec.errors import InputError, InputWarning

if TYPE_CHECKING:
    from PIL import Image

Arrays = tuple[np.ndarray, np.ndarray]
"""Images (N, height, width, channels), and their labels (N,)."""

FITS = ("crop", "pad", "stretch")
"""The ways to make another proportion of a picture."""


@dataclass(frozen=True)
class Fitting:
    """How pictures are fitted to the images that a model takes.

    Attributes:
        shape: the shape (H, W, C) of the images, of 1 or 3 channels. Colour becomes grey for 1.
        fit: "crop" scales a picture until it covers the image, whose middle is kept; "pad" scales
            it until it is inside, on black; "stretch" changes its proportion.

    Raises:
        InputError: the shape or the way is another.
    """

    shape: tuple[int, int, int]
    fit: str = "crop"

    def __post_init__(self) -> None:
        expected = "(height, width, channels) with 1 or 3 channels"
        shape = checks.shape("shape", self.shape, [3], expected)
        if shape[2] not in (1, 3):
            raise InputError(f"shape is {self.shape}: expected {expected}")
        object.__setattr__(self, "shape", shape)
        if self.fit not in FITS:
            raise InputError(f"fit is {self.fit!r:.60}: expected one of {', '.join(FITS)}")


class Fitted(NamedTuple):
    """A fitted picture, (H, W, C) uint8, and whether it was smaller before."""

    pixels: np.ndarray
    enlarged: bool


def fitted(name: Any, content: Path | bytes | np.ndarray, fitting: Fitting) -> Fitted:
    """Return a picture as bytes of the shape of `fitting`.

    Args:
        name: the name of the picture, for errors.
        content: the path or the bytes of an image file, or pixels (height, width, 1 or 3), integers
            or floats in [0, 1].
        fitting: the shape and the way to it.

    Raises:
        InputError: the picture cannot be read, is transparent, has several frames, or values
            outside [0, 1].
    """
    from PIL import Image

    height, width, channels = fitting.shape
    pixels = content if isinstance(content, np.ndarray) else _read(name, content, fitting)
    picture = Image.fromarray(_bytes(name, pixels))
    mode = "L" if channels == 1 else "RGB"
    enlarged = picture.width < width or picture.height < height
    scaled = _scaled(picture if picture.mode == mode else picture.convert(mode), fitting)
    return Fitted(np.ascontiguousarray(scaled).reshape(fitting.shape), enlarged)


def fitted_arrays(where: str, splits: tuple[Arrays, Arrays], fitting: Fitting) -> list[Arrays]:
    """Return both splits (images, labels) with images (N, H, W, C) of the shape of `fitting`.

    Images of another shape become bytes; others stay as they are. `where` names them in a warning.
    """
    found, enlarged = [], 0
    for images, labels in splits:
        if images.shape[1:] == fitting.shape:
            found.append((images, labels))
            continue
        named = ((f"image {place}", image) for place, image in enumerate(images))
        answers = [fitted(name, image, fitting) for name, image in named]
        enlarged += sum(answer.enlarged for answer in answers)
        found.append((np.stack([answer.pixels for answer in answers]), labels))
    warn_of_enlarged(enlarged, sum(len(images) for images, _ in splits), where, fitting)
    return found


def warn_of_enlarged(enlarged: int, count: int, where: str, fitting: Fitting) -> None:
    """Warn of pictures that were smaller than the images that a model takes, if there are any."""
    if enlarged:
        height, width, _ = fitting.shape
        warnings.warn(
            f"{enlarged} of {count} pictures of {where} are smaller than the {height} x {width} "
            "pixels that are asked for: they are enlarged, and show nothing more for it",
            InputWarning,
            stacklevel=4,
        )


def _read(name: Any, content: Path | bytes, fitting: Fitting) -> np.ndarray:
    """Return the pixels of an image file; those of a much larger JPEG are already fewer."""
    with image_folder.opened(content, name) as stored:
        # JPEG decodes to a half, a quarter or an eighth quickly; twice the size stays sharp.
        stored.draft(None, (2 * max(fitting.shape[:2]),) * 2)
        return image_folder.pixels_of(stored, name)


def _bytes(name: Any, pixels: np.ndarray) -> np.ndarray:
    """Return pixels as bytes, (height, width) if they are grey."""
    if pixels.dtype != np.uint8:
        floats = image_folder.checked_range(name, image_folder.fractions(pixels))
        pixels = np.round(floats * 255).astype(np.uint8)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def _scaled(picture: "Image.Image", fitting: Fitting) -> "Image.Image":
    """Return a picture of the wanted height and width; shrinking averages areas."""
    from PIL import Image

    height, width, _ = fitting.shape
    bilinear = Image.Resampling.BILINEAR
    if picture.size == (width, height):
        return picture
    if fitting.fit == "stretch":
        return picture.resize((width, height), bilinear)
    across, down = picture.width / width, picture.height / height
    if fitting.fit == "crop":
        left, top = ((1 - min(across, down) / each) / 2 for each in (across, down))
        box = (left * picture.width, top * picture.height)
        opposite = (picture.width - box[0], picture.height - box[1])
        return picture.resize((width, height), bilinear, box=(*box, *opposite))
    scale = max(across, down)
    size = max(1, round(picture.width / scale)), max(1, round(picture.height / scale))
    padded = Image.new(picture.mode, (width, height))
    place = ((width - size[0]) // 2, (height - size[1]) // 2)
    padded.paste(picture.resize(size, bilinear), place)
    return padded
