"""Where images come from: a row for each source of datasets."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cladec.data import digits, image_folder, tensorflow_datasets

PathLike = str | os.PathLike[str]

USUAL_NAMES = ("mnist", "fashion_mnist")
"""Known without the half second TFDS takes to import."""


def _nothing(name: str, data_dir: PathLike | None) -> None:
    """What there is to check or to fetch where nothing can be wrong."""


@dataclass(frozen=True)
class Source:
    """A source of datasets; each function is given the name and the folder of prepared sets.

    Attributes:
        takes: whether it is this source that a name is of.
        read: gives (images, labels) of the training and of the test images, and the class names.
        check: raises InputError, reading no image, for a name that it has no dataset of.
        prepare: fetches what reading will need.
    """

    takes: Callable[[str], bool]
    read: Callable[[str, PathLike | None], tuple[Any, Any, tuple[str, ...]]]
    check: Callable[[str, PathLike | None], Any] = _nothing
    prepare: Callable[[str, PathLike | None], Any] = _nothing


def _check_tensorflow_dataset(name: str, data_dir: PathLike | None) -> None:
    if name not in USUAL_NAMES:
        tensorflow_datasets.check(name, tensorflow_datasets.folder(data_dir))


SOURCES: Mapping[str, Source] = {
    "digits": Source(
        takes=lambda name: name == "digits",
        read=lambda name, data_dir: digits.read(),
    ),
    "folder": Source(
        takes=os.path.isdir,
        read=lambda name, data_dir: image_folder.read(Path(name)),
        check=lambda name, data_dir: image_folder.list_images(Path(name)),
    ),
    "tensorflow_datasets": Source(
        takes=lambda name: True,
        read=lambda name, data_dir: tensorflow_datasets.read(
            name, tensorflow_datasets.folder(data_dir)
        ),
        check=_check_tensorflow_dataset,
        prepare=lambda name, data_dir: tensorflow_datasets.prepare(
            name, tensorflow_datasets.folder(data_dir)
        ),
    ),
}
"""Every source by its name; the first that takes a name reads it."""


def find_source(name: str) -> Source:
    """The source that `name` is of."""
    return next(source for source in SOURCES.values() if source.takes(name))
