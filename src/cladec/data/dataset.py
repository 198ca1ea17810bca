"""Load labelled images: the embedded digits, a TensorFlow Datasets name, or a picture folder."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cladec.data import arrays
from cladec.data.pixel_ranges import WAY_OUT
from cladec.data.sources import SOURCES, PathLike, find_source
from cladec.errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes.

    images: float32 (N, height, width, channels) in [0, 1], with N at least 1. Floats of other types
        are converted, and uint8 is divided by 255.
    labels: int64 (N,), the class of each image, counted from 0. Whole numbers of other types,
        (N, 1) and one-hot rows (N, K) are converted; a Dataset replaces names by numbers.
    Raises InputError for other shapes, ambiguous labels, missing images, and values that are NaN or
    out of range.

    Examples:
        >>> split = cladec.Split(np.array([[[[255]]], [[[51]]]], "uint8"), [[0, 1], [1, 0]])
        >>> split.images.ravel(), split.labels
        (array([1. , 0.2], dtype=float32), array([1, 0]))
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", arrays.pixels(self.images))
        object.__setattr__(self, "labels", arrays.class_indices(self.labels))
        if len(self.images) != len(self.labels):
            raise InputError(
                f"{len(self.images)} images but {len(self.labels)} labels: pass one label per image"
            )
        low, high = self.images.min(), self.images.max()
        if not (low >= 0 and high <= 1):  # NaN fails both comparisons
            raise InputError(
                f"images hold values from {low:g} to {high:g}, expected finite values from 0 to 1: "
                f"{WAY_OUT}"
            )

    @property
    def has_names(self) -> bool:
        """Whether the labels are still names."""
        return self.labels.dtype.kind == "U"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training split and a test split with the same classes.

    name: also the name of a folder of saved models: letters, digits, "_", "-" and "." only.
    train, test: splits whose images share one (height, width, channels).
    class_names: at least two names; label i is class_names[i], and labels that are names become i.
    Raises InputError if the splits disagree, a label has no class or the name cannot name a folder.

    Examples:
        >>> split = cladec.Split(images, labels)
        >>> cladec.Dataset("mine", split, split, tuple("0123456789")).image_shape
        (28, 28, 1)
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.name != _artifact_name(self.name):
            raise InputError(
                f"dataset name {self.name!r} cannot name a folder: use letters, digits, "
                f"'_', '-' and '.', for example {_artifact_name(self.name)!r}"
            )
        if not isinstance(self.class_names, tuple) or len(self.class_names) < 2:
            raise InputError(
                f"class_names is {self.class_names!r}, expected a tuple of at least two names"
            )
        if self.test.images.shape[1:] != self.image_shape:
            raise InputError(
                f"train images have shape {self.image_shape} but test images have "
                f"{self.test.images.shape[1:]}: resize them to one (height, width, channels)"
            )
        for split_name in ("train", "test"):
            split = _numbered(getattr(self, split_name), self.class_names)
            object.__setattr__(self, split_name, split)
            low, high = split.labels.min(), split.labels.max()
            if low < 0 or high >= self.num_classes:
                raise InputError(
                    f"{split_name} labels run from {low} to {high}, expected 0 to "
                    f"{self.num_classes - 1} for {self.num_classes} class names: "
                    "number the classes from 0, or name all of them"
                )

    @cached_property
    def mean_pixel(self) -> float:
        """The mean over all pixels and channels of the training images, in [0, 1]."""
        return float(self.train.images.mean())

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The (height, width, channels) of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


Data = Dataset | Split | tuple[Any, Any]
"""The forms of training data that `as_dataset` accepts."""


def load(name: PathLike, *, data_dir: PathLike | None = None) -> Dataset:
    """Load a dataset, always with the same images in the same order.

    name: "digits" (embedded in scikit-learn, enlarged to 28x28), a folder with pictures in
        train/<class>/ and test/<class>/ (PNG, JPEG, WebP, GIF, BMP, TIFF or PPM, opaque and with
        one frame), or a name from the TensorFlow Datasets catalogue with labelled images of one
        size, for example "mnist" or "emnist/letters".
    data_dir: the folder of TensorFlow Datasets; the default is the environment variable
        TFDS_DATA_DIR, or ~/tensorflow_datasets. Prepared datasets are read without a network.
    Raises InputError if the dataset does not exist, cannot be fetched or has invalid files.

    Examples:
        >>> cladec.load("digits").train.images.shape
        (1437, 28, 28, 1)
    """
    name = os.fspath(name)
    train, test, class_names = find_source(name).read(name, data_dir)
    return Dataset(dataset_name(name), Split(*train), Split(*test), class_names)


def check_name(name: PathLike, *, data_dir: PathLike | None = None) -> None:
    """Raise InputError quickly, without reading an image, for a name that `load` cannot use."""
    name = os.fspath(name)
    find_source(name).check(name, data_dir)


def prepare(name: PathLike, *, data_dir: PathLike | None = None) -> None:
    """Fetch the files that `load` will need, or raise InputError if they cannot be fetched."""
    name = os.fspath(name)
    find_source(name).prepare(name, data_dir)


def is_folder(name: PathLike) -> bool:
    """Whether `load(name)` reads a folder of pictures."""
    return find_source(os.fspath(name)) is SOURCES["folder"]


def dataset_name(name: PathLike) -> str:
    """Return the name of the dataset `load(name)`, made valid for a path; a folder has its own."""
    name = os.fspath(name)
    return _artifact_name(Path(name).resolve().name if is_folder(name) else name)


def as_dataset(data: Data, num_classes: int) -> Dataset:
    """Convert (images, labels), or such a pair for training and one for testing, to a Dataset.

    A Dataset is returned as it is. The arrays are those that `Split` takes, the classes are named
    by their numbers, and a single pair is used for both training and testing.
    Raises InputError for anything else; the message shows how to make a Dataset.
    """
    if isinstance(data, Dataset):
        return data
    splits = _splits(data)
    if splits is None:
        raise InputError(
            f"data is a {type(data).__name__}, expected a Dataset, as cladec.load returns it, or "
            "arrays (images, labels), which you get from a batched tf.data set with "
            "tuple(map(numpy.concatenate, zip(*data.as_numpy_iterator())))"
        )
    train, test = splits
    if train.has_names or test.has_names:
        raise InputError(
            f"labels are names such as {str(train.labels[0])!r}, and their order is not known: "
            "pass Dataset(name, train, test, class_names) with the names in the order of the "
            "classifier's outputs"
        )
    return Dataset("data", train, test, tuple(map(str, range(num_classes))))


def _splits(data: Any) -> tuple[Split, Split] | None:
    """Return the training and test split of a Split, a pair or two of them, or None for others."""
    if isinstance(data, Split):
        return data, data
    if not isinstance(data, tuple | list) or len(data) != 2:
        return None
    if all(isinstance(each, Split) or (type(each) is tuple and len(each) == 2) for each in data):
        train, test = (each if isinstance(each, Split) else Split(*each) for each in data)
        return train, test
    split = Split(*data)
    return split, split


def _numbered(split: Split, class_names: tuple[str, ...]) -> Split:
    """Replace labels that are names by their positions in the class names."""
    if not split.has_names:
        return split
    found, places = np.unique(split.labels, return_inverse=True)
    numbers = {name: [i for i, each in enumerate(class_names) if each == name] for name in found}
    for name, of_name in numbers.items():
        if len(of_name) != 1:
            raise InputError(
                f"label {str(name)!r} occurs {len(of_name)} times in class_names, expected once: "
                f"the names are {class_names!r:.200}"
            )
    return Split(split.images, np.array([numbers[name][0] for name in found])[places])


def _artifact_name(name: str) -> str:
    """Make a name valid for a path: "emnist/letters" -> "emnist-letters"."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "images"
