"""List the sources that datasets come from, one row per source."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cladec.data import digits, image_folder, picture_files, picture_lists, tensorflow_datasets
from cladec.data.picture_cache import Collection
from cladec.data.picture_tables import is_table

PathLike = str | os.PathLike[str]

USUAL_NAMES = ("mnist", "fashion_mnist")
"""Names that are known without importing TensorFlow Datasets, which takes half a second."""


def _nothing(name: str, data_dir: PathLike | None, any_size: bool) -> None:
    """Check or fetch nothing, for a source that cannot fail."""


@dataclass(frozen=True)
class Source:
    """A source of datasets; its functions take a name, and all but `takes` also the data folder.

    Attributes:
        takes: tells whether the name belongs to this source.
        read: returns (images, labels) of the training and of the test images, and class names.
        check: raises InputError, without reading an image, if there is no dataset of this name.
            Its third argument tells whether the images may be of several sizes, for a classifier
            that then can answer for those of a folder without classes.
        prepare: fetches the files that `read` or `collect` will need; arguments as `check`.
        collect: returns pictures of any size that are not decoded yet, to be fitted to a model.
            Without it, the images of `read` are fitted in memory.
        skips: whether `read` takes the option `skip_unreadable`.
        chooses: whether `read` takes the option `choose`, and then reads some training images only.
    """

    takes: Callable[[str], bool]
    read: Callable[..., tuple[Any, Any, tuple[str, ...]]]
    check: Callable[[str, PathLike | None, bool], Any] = _nothing
    prepare: Callable[[str, PathLike | None, bool], Any] = _nothing
    collect: Callable[[str, PathLike | None], Collection] | None = None
    skips: bool = False
    chooses: bool = False


def _check_tensorflow_dataset(name: str, data_dir: PathLike | None, any_size: bool) -> None:
    if name not in USUAL_NAMES:
        folder = tensorflow_datasets.folder(data_dir)
        tensorflow_datasets.check(name, folder, any_size=any_size)


def _check_folder(folder: Path, any_size: bool) -> None:
    names = picture_lists.list_images(folder).class_names
    if not any_size:
        picture_lists.check_labelled(folder, names)


SOURCES: Mapping[str, Source] = {
    "digits": Source(
        takes=lambda name: name == "digits",
        read=lambda name, data_dir: digits.read(),
    ),
    "folder": Source(
        takes=lambda name: os.path.isdir(name) or is_table(Path(name)),
        read=lambda name, data_dir, **options: image_folder.read(Path(name), **options),
        check=lambda name, data_dir, any_size: _check_folder(Path(name), any_size),
        collect=lambda name, data_dir: picture_files.collect(Path(name)),
        skips=True,
    ),
    "tensorflow_datasets": Source(
        takes=lambda name: True,
        read=lambda name, data_dir, **options: tensorflow_datasets.read(
            name, tensorflow_datasets.folder(data_dir), **options
        ),
        check=_check_tensorflow_dataset,
        prepare=lambda name, data_dir, any_size: tensorflow_datasets.prepare(
            name, tensorflow_datasets.folder(data_dir), any_size=any_size
        ),
        collect=lambda name, data_dir: tensorflow_datasets.collect(
            name, tensorflow_datasets.folder(data_dir)
        ),
        chooses=True,
    ),
}
"""All sources by name; a dataset is read by the first source that takes its name."""


def find_source(name: str) -> Source:
    """Return the source of the dataset `name`."""
    return next(source for source in SOURCES.values() if source.takes(name))
