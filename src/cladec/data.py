"""Labelled images: the embedded digits, a TensorFlow Datasets name, or a folder of pictures."""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cladec import image_folder, tfds
from cladec.errors import InputError
from cladec.pixels import way_out

PathLike = str | os.PathLike[str]

USUAL_NAMES = ("mnist", "fashion_mnist")  # known without the half second TFDS takes to import


@dataclass(frozen=True, eq=False)
class Split:
    """Images and the class of each.

    images: float32 (N, height, width, channels), N at least 1, every value in [0, 1].
    labels: int64 (N,), the index of the class, counted from 0.
    Raises InputError for another type, shape or dtype, no image, or a value out of range or NaN.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        _check_array("images", self.images, np.float32, 4)
        _check_array("labels", self.labels, np.int64, 1)
        if len(self.images) != len(self.labels):
            raise InputError(
                f"{len(self.images)} images but {len(self.labels)} labels: pass one label an image"
            )
        low, high = self.images.min(), self.images.max()
        if not (low >= 0 and high <= 1):  # NaN fails both comparisons
            raise InputError(
                f"images hold values from {low:g} to {high:g}, expected finite ones from 0 to 1: "
                f"{way_out(self.images.shape[1:])}"
            )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split over the same classes.

    name: becomes a folder of the saved models: letters, digits, "_", "-" and "." only.
    train, test: splits whose images share one (height, width, channels).
    class_names: at least two names; label i is class_names[i].
    Raises InputError when the splits disagree, a label has no class, or the name is no folder name.
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
                f"train images have shape {self.image_shape} but test images "
                f"{self.test.images.shape[1:]}: resize them to one (height, width, channels)"
            )
        for split_name, split in (("train", self.train), ("test", self.test)):
            low, high = split.labels.min(), split.labels.max()
            if low < 0 or high >= self.num_classes:
                raise InputError(
                    f"{split_name} labels run from {low} to {high}, expected 0 to "
                    f"{self.num_classes - 1} for {self.num_classes} class names: "
                    "number the classes from 0, or name all of them"
                )

    @cached_property
    def mean_pixel(self) -> float:
        """The mean over the pixels and channels of all training images, in [0, 1]."""
        return float(self.train.images.mean())

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)


def load(name: PathLike, *, data_dir: PathLike | None = None) -> Dataset:
    """Loads a dataset: the same images in the same order, always.

    name: "digits" (scikit-learn's, enlarged to 28x28, embedded), a folder holding
        train/<class>/*.png|jpg|jpeg and test/<class>/*, or a name from the TensorFlow Datasets
        catalogue with labelled images of one size, "mnist" or "emnist/letters" for example.
    data_dir: where TensorFlow Datasets prepares its files; without it the environment variable
        TFDS_DATA_DIR, else ~/tensorflow_datasets. What is prepared is read without network.
    Raises InputError if there is no such dataset, it cannot be fetched, or its files are at fault.
    """
    name = os.fspath(name)
    if name == "digits":
        return _load_digits()
    if os.path.isdir(name):
        train, test, class_names = image_folder.read(Path(name))
    else:
        train, test, class_names = tfds.read(name, tfds.folder(data_dir))
    return Dataset(dataset_name(name), Split(*train), Split(*test), class_names)


def check_name(name: PathLike, *, data_dir: PathLike | None = None) -> None:
    """Raises InputError, within a second and reading no image, for a name `load` cannot use."""
    name = os.fspath(name)
    if name == "digits":
        return
    if os.path.isdir(name):
        image_folder.list_images(Path(name))
    elif name not in USUAL_NAMES:
        tfds.check(name, tfds.folder(data_dir))


def prepare(name: PathLike, *, data_dir: PathLike | None = None) -> None:
    """Fetches what `load` will need, so that it cannot fail for want of a network later.

    Raises InputError if it cannot be fetched.
    """
    name = os.fspath(name)
    if name != "digits" and not os.path.isdir(name):
        tfds.prepare(name, tfds.folder(data_dir))


def dataset_name(name: PathLike) -> str:
    """The name of what `load(name)` gives: of a folder the last part, always fit for a path."""
    name = os.fspath(name)
    return _artifact_name(Path(name).resolve().name if os.path.isdir(name) else name)


def _check_array(name: str, array: Any, dtype: Any, rank: int) -> None:
    wanted = f"expected a {np.dtype(dtype)} array of {rank} dimension{'s' * (rank > 1)}"
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name} is a {type(array).__name__}, {wanted}: use numpy.asarray")
    if array.dtype != dtype or array.ndim != rank:
        raise InputError(
            f"{name} is a {array.dtype} array of shape {array.shape}, {wanted}: "
            f"convert with astype({np.dtype(dtype).name!r}) or reshape it"
        )
    if array.size == 0:
        raise InputError(f"{name} is empty, of shape {array.shape}: pass at least one image")


def _artifact_name(name: str) -> str:
    """Returns the name made fit for a path: "emnist/letters" -> "emnist-letters"."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "images"


def _load_digits() -> Dataset:
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.empty((len(digits.images), 28, 28, 1), np.float32)
    for i, image in enumerate((digits.images / 16).astype(np.float32)):
        enlarged = Image.fromarray(image).resize((28, 28), Image.Resampling.BICUBIC)
        images[i, :, :, 0] = np.clip(np.asarray(enlarged), 0, 1)  # bicubic overshoots at edges
    labels = digits.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=360, random_state=0, stratify=labels
    )
    class_names = tuple(str(digit) for digit in range(10))
    train, test = Split(train_images, train_labels), Split(test_images, test_labels)
    return Dataset("digits", train, test, class_names)
