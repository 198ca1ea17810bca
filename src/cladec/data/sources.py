"""List the sources that datasets come from, one row per source."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cladec.data import digits, image_folder, tensorflow_datasets

PathLike = str | os.PathLike[str]

USUAL_NAMES = ("mnist", "fashion_mnist")
"""Names that are known without importing TensorFlow Datasets, which takes half a second."""


def _nothing(name: str, data_dir: PathLike | None) -> None:
    """Check or fetch nothing, for a source that cannot fail."""


@dataclass(frozen=True)
class Source:
    """A source of datasets; its functions take a name, and all but `takes` also the data folder.

    Attributes:
        takes: tells whether the name belongs to this source.
        read: returns (images, labels) of the training and of the test images, and class names.
        check: raises InputError, without reading an image, if there is no dataset of this name.
        prepare: fetches the files that `read` will need.
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
"""All sources by name; a dataset is read by the first source that takes its name."""


def find_source(name: str) -> Source:
    """Return the source of the dataset `name`."""
    return next(source for source in SOURCES.values() if source.takes(name))
