"""Load labelled images: the embedded digits, a TensorFlow Datasets name, or a picture folder."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec.data import arrays, forms, picture_files
from cladec.data.fitting_pictures import Fitting, fitted_arrays
from cladec.data.picture_cache import fitted_splits
from cladec.data.picture_lists import check_labelled
from cladec.data.sources import SOURCES, PathLike, find_source
from cladec.data.splits import Dataset, Split, artifact_name, as_split
from cladec.errors import InputError

if TYPE_CHECKING:
    from cladec.progress import OnProgress


Classify = Callable[[Any], Any]
"""A function that answers for images."""

Data = Dataset | Split | tuple[Any, Any] | str | os.PathLike[str] | Iterable[Any]
"""The forms of training data that `as_dataset` accepts."""


def load(
    name: PathLike,
    *,
    data_dir: PathLike | None = None,
    shape: tuple[int, int, int] | None = None,
    fit: str = "crop",
    skip_unreadable: bool = False,
    cache: PathLike | None = None,
    report: "OnProgress | None" = None,
) -> Dataset:
    """Load a dataset, always with the same images in the same order.

    Args:
        name: "digits" (embedded in scikit-learn, enlarged to 28x28); a folder with pictures in
            train/<class>/ and test/<class>/, or val/<class>/, or in <class>/ alone, of which a
            fifth is held out by a hash of the name; a CSV file with the columns file (relative to
            it) and label, and maybe split (PNG, JPEG, WebP, GIF, BMP, TIFF or PPM, opaque and with
            one frame); or a name from the TensorFlow Datasets catalogue of labelled images, for
            example "mnist" or "emnist/letters".
        data_dir: the folder of TensorFlow Datasets; the default is the environment variable
            TFDS_DATA_DIR, or ~/tensorflow_datasets. Prepared datasets are read without a network.
        shape: the shape (H, W, C) that a model takes, to which pictures of any size and colour are
            fitted. They stay on the disk as bytes, `Split.images` reads those that are used, and
            memory does not grow with their number. None for pictures of one size, in memory.
        fit: how the proportion is changed: "crop" keeps the middle, "pad" all, on black, and
            "stretch" all, distorted.
        skip_unreadable: leave pictures that cannot be read out, with a warning, instead of raising
            an error that names them.
        cache: the folder for the bytes of fitted pictures, which are used again; None for a
            temporary folder that is removed with the dataset.
        report: is called with the share of the pictures that is decoded, and first with their size.

    Raises:
        InputError: the dataset does not exist, cannot be fetched, has invalid files, or does not
            fit the disk.

    Examples:
        >>> cladec.load("digits").train.images.shape
        (1437, 28, 28, 1)
        >>> cladec.load("digits", shape=(24, 24, 3)).train.images.shape
        (1437, 24, 24, 3)
    """
    name, source = os.fspath(name), find_source(os.fspath(name))
    if shape is not None and source.collect is not None:
        fitting, collection = Fitting(shape, fit), source.collect(name, data_dir)
        fitted_train, fitted_test = fitted_splits(
            collection,
            fitting,
            cache=None if cache is None else Path(cache),
            skip_unreadable=skip_unreadable,
            report=report,
        )
        return _dataset(name, fitted_train, fitted_test, collection.class_names)
    options = {"skip_unreadable": True} if source.skips and skip_unreadable else {}
    train, test, class_names = source.read(name, data_dir, **options)
    if shape is not None:
        train, test = fitted_arrays(name, (train, test), Fitting(shape, fit))
    return _dataset(name, train, test, class_names)


def load_sample(name: PathLike, count: int, *, seed: int = 0) -> Dataset:
    """Load a dataset with some of its training images, for work that needs no more.

    Of TensorFlow Datasets only these and the test images are read, which takes a fraction of the
    time.

    Args:
        name: as for `load`.
        count: the number of training images.
        seed: the seed of their choice.

    Raises:
        InputError: as `load`.
    """

    def choose(total: int) -> np.ndarray:
        return arrays.drawn_rows(total, count, seed)

    name, source = os.fspath(name), find_source(os.fspath(name))
    options = {"choose": choose} if source.chooses else {}
    train, test, class_names = source.read(name, None, **options)
    if len(train[0]) > count:
        rows = choose(len(train[0]))
        train = train[0][rows], train[1][rows]
    return _dataset(name, train, test, class_names)


def load_unlabelled(
    name: PathLike, class_names: tuple[str, ...], classify: Classify, **options: Any
) -> Dataset:
    """Load a folder of pictures without classes, for which a classifier answers.

    Args:
        name: a folder of pictures, or one with folders train and test of them.
        class_names: the names of the classes of the classifier.
        classify: returns the classes (N,), or labels (N, K), of images (N, H, W, C).
        **options: the options of `load`; `shape` is needed.

    Raises:
        InputError: as `load`.
    """
    collection = picture_files.collect(Path(name))
    fitting = Fitting(options.pop("shape"), options.pop("fit", "crop"))
    parts: Any = fitted_splits(collection, fitting, **options)
    train, test = ((images, classify(images)) for images, _ in parts)
    return Dataset(dataset_name(name), Split(*train), Split(*test), class_names)


def _dataset(name: str, train: Any, test: Any, class_names: tuple[str, ...]) -> Dataset:
    check_labelled(name, class_names)
    return Dataset(dataset_name(name), Split(*train), Split(*test), class_names)


def check_name(
    name: PathLike,
    *,
    data_dir: PathLike | None = None,
    shape: tuple[int, int, int] | None = None,
) -> None:
    """Raise InputError quickly, without reading an image, for a name that `load` cannot use."""
    name = os.fspath(name)
    find_source(name).check(name, data_dir, shape is not None)


def prepare(
    name: PathLike,
    *,
    data_dir: PathLike | None = None,
    shape: tuple[int, int, int] | None = None,
) -> None:
    """Fetch the files that `load` will need, or raise InputError if they cannot be fetched."""
    name = os.fspath(name)
    find_source(name).prepare(name, data_dir, shape is not None)


def is_folder(name: PathLike) -> bool:
    """Whether `load(name)` reads picture files, of a folder or of a table."""
    return find_source(os.fspath(name)) is SOURCES["folder"]


def dataset_name(name: PathLike) -> str:
    """Return the name of the dataset `load(name)`, made valid for a path.

    A folder has its own, and a table that of its file, without the ending.
    """
    name = os.fspath(name)
    if not is_folder(name):
        return artifact_name(name)
    path = Path(name).resolve()
    return artifact_name(path.stem if path.is_file() else path.name)


def as_dataset(
    data: Data,
    num_classes: int,
    *,
    shape: tuple[int, int, int] | None = None,
    bytes_wanted: bool = False,
) -> Dataset:
    """Convert labelled images in any form to a Dataset; a Dataset is returned as it is.

    Args:
        data: a Dataset, or the name or path of one that `load` takes; a Split, a pair (images,
            labels) of what `Split` takes, or a dataset of such pairs (`tf.data.Dataset`,
            `keras.utils.PyDataset`, a `DataLoader` of PyTorch); or two of these, for training and
            for testing. A single one is used for both, and its classes are named by their numbers.
        num_classes: the number of classes.
        shape: the shape (H, W, C) of the images that a model takes, if it is known.
        bytes_wanted: whether that model is known to want pixels from 0 to 255, see `arrays.pixels`.

    Raises:
        InputError: the data are anything else; the message shows how to make a Dataset.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, str | os.PathLike):
        return load(data, shape=shape)
    splits = _splits(data, shape, bytes_wanted)
    if splits is None:
        raise InputError(
            f"data is a {type(data).__name__}, expected a Dataset, as cladec.load returns it, or "
            "the name of one, arrays (images, labels), or a tf.data.Dataset, PyDataset or "
            "DataLoader of images and labels"
        )
    train, test = splits
    if train.has_names or test.has_names:
        raise InputError(
            f"labels are names such as {str(train.labels[0])!r}, and their order is not known: "
            "pass Dataset(name, train, test, class_names) with the names in the order of the "
            "classifier's outputs"
        )
    return Dataset("data", train, test, tuple(map(str, range(num_classes))))


def _splits(
    data: Any, shape: tuple[int, int, int] | None, bytes_wanted: bool
) -> tuple[Split, Split] | None:
    """Return the training and test split of one form of a split or two, or None for others."""
    if isinstance(data, tuple | list) and len(data) == 2 and all(map(_is_split, data)):
        pair = list(data)
    else:
        pair = [data]
    splits = [as_split(each, shape, bytes_wanted) for each in pair]
    train, test = splits[0], splits[-1]
    return None if train is None or test is None else (train, test)


def _is_split(given: Any) -> bool:
    """Return whether `given` holds both images and labels."""
    pair = type(given) is tuple and len(given) == 2
    return isinstance(given, Split) or pair or forms.is_dataset(given)
