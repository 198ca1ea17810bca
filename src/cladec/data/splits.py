"""Labelled images: a split of them, and a training split with a test split."""

import copy
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cladec.data import arrays, forms
from cladec.errors import InputError


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their classes, or labels.

    images: float32 (N, height, width, channels) in [0, 1], with N at least 1: an array, or the
        `Pictures` of `load(..., shape=...)`, of which only the rows that are asked for are in
        memory. Floats of other types and tensors are converted, and uint8 is divided by 255. Lists
        of arrays, PIL images or paths of image files are taken too, and grey images (N, height,
        width).
    labels: int64 (N,), the class of each image, counted from 0. Whole numbers of other types,
        (N, 1) and one-hot rows (N, K) are converted; a Dataset replaces names by numbers. Rows of 0
        and 1 with several ones or none, the labels of each image, become float32 (N, K).
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
        images, labels = forms.as_images(self.images), arrays.as_labels(self.labels)
        if images.ndim == 3 and len(images) == len(labels):
            images = images[..., None]
        object.__setattr__(self, "images", arrays.in_range(arrays.pixels(images)))
        object.__setattr__(self, "labels", labels)
        if len(self.images) != len(self.labels):
            raise InputError(
                f"{len(self.images)} images but {len(self.labels)} labels: pass one label per image"
            )

    @property
    def has_names(self) -> bool:
        """Whether the labels are still names."""
        return self.labels.dtype.kind == "U"

    @property
    def is_multi_label(self) -> bool:
        """Whether an image may have several labels, or none."""
        return self.labels.ndim == 2


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training split and a test split with the same classes.

    name: also the name of a folder of saved models: letters, digits, "_", "-" and "." only.
    train, test: splits whose images share one (height, width, channels); pairs (images, labels) and
        datasets of such pairs, as those of tf.data, are converted.
    class_names: at least two names; label i is class_names[i], and labels that are names become i.
        If the labels of one split are rows (N, K), those of both are.
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
        if self.name != artifact_name(self.name):
            raise InputError(
                f"dataset name {self.name!r} cannot name a folder: use letters, digits, "
                f"'_', '-' and '.', for example {artifact_name(self.name)!r}"
            )
        if not isinstance(self.class_names, tuple) or len(self.class_names) < 2:
            raise InputError(
                f"class_names is {self.class_names!r}, expected a tuple of at least two names"
            )
        splits = {name: self._checked(name) for name in ("train", "test")}
        multi_label = any(split.is_multi_label for split in splits.values())
        for name, split in splits.items():
            if multi_label and not split.is_multi_label:
                split = _labelled(split, arrays.one_hot(split.labels, self.num_classes))
            object.__setattr__(self, name, split)
        if self.test.images.shape[1:] != self.image_shape:
            raise InputError(
                f"train images have shape {self.image_shape} but test images have "
                f"{self.test.images.shape[1:]}: resize them to one (height, width, channels)"
            )

    def _checked(self, name: str) -> Split:
        """Return the split of this name with labels that are classes of the dataset."""
        split = as_split(getattr(self, name))
        if split is None:
            raise InputError(
                f"{name} is a {type(getattr(self, name)).__name__}, expected a Split, or images "
                "and labels"
            )
        split = _numbered(split, self.class_names)
        if split.is_multi_label:
            if split.labels.shape[1] != self.num_classes:
                raise InputError(
                    f"{name} labels have rows of {split.labels.shape[1]}, expected "
                    f"{self.num_classes} for as many class names"
                )
            return split
        low, high = split.labels.min(), split.labels.max()
        if low < 0 or high >= self.num_classes:
            raise InputError(
                f"{name} labels run from {low} to {high}, expected 0 to "
                f"{self.num_classes - 1} for {self.num_classes} class names: "
                "number the classes from 0, or name all of them"
            )
        return split

    def with_label_rows(self, count: int) -> "Dataset":
        """Return the dataset with labels in rows (N, count), for a classifier of several labels.

        The classifier may have more labels than there are classes: no image has those.
        """
        if self.is_multi_label and count == self.num_classes:
            return self
        train, test = (
            _labelled(split, _rows(split.labels, count)) for split in (self.train, self.test)
        )
        names = (*self.class_names, *map(str, range(self.num_classes, count)))
        return replace(self, train=train, test=test, class_names=names)

    def with_class_names(self, names: tuple[str, ...]) -> "Dataset":
        """Return the dataset with its classes in the order of these names, which may be more.

        Raises InputError if one of its classes is not among the names.

        Examples:
            >>> pair = cladec.Split(images[:2], [0, 1])
            >>> pets = cladec.Dataset("pets", pair, pair, ("cat", "dog"))
            >>> pets.with_class_names(("dog", "bird", "cat")).train.labels
            array([2, 0])
        """
        missing = [name for name in self.class_names if name not in names]
        if missing or self.is_multi_label:
            fault = f"{missing[0]!r} is not among" if missing else "of several labels, and not of"
            raise InputError(
                f"the classes of {self.name} are {', '.join(self.class_names):.200}, {fault} the "
                f"names {', '.join(names):.200}: name each class as its output of the classifier"
            )
        places = np.array([names.index(name) for name in self.class_names])
        train, test = (_labelled(split, places[split.labels]) for split in (self.train, self.test))
        return replace(self, train=train, test=test, class_names=names)

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
    def is_multi_label(self) -> bool:
        """Whether an image may have several labels, or none; labels are then (N, num_classes)."""
        return self.train.is_multi_label

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


def as_split(
    given: Any, shape: tuple[int, int, int] | None = None, bytes_wanted: bool = False
) -> Split | None:
    """Return a Split of one, a pair (images, labels) or a dataset of pairs; None for others."""
    if isinstance(given, Split):
        return given
    if isinstance(given, tuple | list) and len(given) == 2:
        images, labels = forms.as_images(given[0], shape), given[1]
    elif forms.is_dataset(given):
        images, labels = forms.gathered(given, shape)
        if labels is None:
            raise InputError(
                f"the {type(given).__name__} has images alone: expected pairs (images, labels)"
            )
    else:
        return None
    if bytes_wanted:
        images = arrays.pixels(images, bytes_wanted=True)
    return Split(images, labels)


def _rows(labels: np.ndarray, count: int) -> np.ndarray:
    """Return classes (N,), or rows of fewer labels, as rows (N, count)."""
    if labels.ndim == 1:
        return arrays.one_hot(labels, count)
    return np.pad(labels, ((0, 0), (0, count - labels.shape[1])))


def _labelled(split: Split, labels: np.ndarray) -> Split:
    """Return a split with other labels, which are kept in their form."""
    other = copy.copy(split)
    object.__setattr__(other, "labels", labels)
    return other


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
    return _labelled(split, np.array([numbers[name][0] for name in found])[places])


def artifact_name(name: str) -> str:
    """Make a name valid for a path: "emnist/letters" -> "emnist-letters"."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "images"
