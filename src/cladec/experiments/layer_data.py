"""The images that a layer is explained with: labelled or not, trained on or held out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cladec.data import forms
from cladec.data.arrays import drawn_rows
from cladec.data.dataset import Dataset, Split, as_dataset, load_unlabelled
from cladec.data.picture_lists import is_unlabelled
from cladec.errors import InputError
from cladec.experiments.given_data import own_answers
from cladec.models import cutting, given_images
from cladec.models.fitting import check_data
from cladec.models.pixel_layers import takes_bytes

HELD_OUT = 5
"""One of so many images is held out, where there is no test split."""


@dataclass(frozen=True, eq=False)
class LayerData:
    """The images of an explanation.

    Attributes:
        dataset: those to train on, and those to measure on.
        own_answers: whether the labels are the classifier's own answers.
        held_out: whether the images to measure on were held out of those given.
        class_names: the name of every class of the classifier; its number where it has none.
    """

    dataset: Dataset
    own_answers: bool
    held_out: bool
    class_names: tuple[str, ...]

    def drawn(self, train: int, test: int, seed: int = 0) -> "LayerData":
        """Return the same with at most so many images to train and to measure on, drawn at random.

        Those that are drawn are in memory.
        """
        splits = self.dataset.train, self.dataset.test
        parts = [
            _drawn(split, count, seed) for split, count in zip(splits, (train, test), strict=True)
        ]
        return replace(self, dataset=replace(self.dataset, train=parts[0], test=parts[1]))


def _drawn(split: Split, count: int, seed: int) -> Split:
    if len(split.images) <= count:
        return split
    rows = drawn_rows(len(split.images), count, seed)
    return Split(np.asarray(split.images[rows]), split.labels[rows])


def layer_data(
    classifier: keras.Model,
    data: Any,
    *,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> LayerData:
    """Return the images for an explanation of a classifier.

    Args:
        classifier: the classifier, as `image_classifier` returns it.
        data: everything that `as_dataset` takes; or images alone, in any form, or (images, None):
            then the answers of the classifier are the labels.
        class_names: the names of the classes, in the order of the classifier's outputs.
        seed: the seed of the choice of what is held out: a fifth, where nothing is there to test
            on.

    Raises:
        InputError: the data do not fit the classifier, are a single image, or there are more
            classes than names.
    """
    labelled = _labelled(classifier, data)
    own_answers = labelled is not data
    count = cutting.num_classes(classifier)
    found = as_dataset(
        labelled,
        count,
        shape=cutting.image_shape(classifier),
        bytes_wanted=takes_bytes(classifier),
    )
    if class_names is not None:
        found = replace(found, class_names=_names(class_names, count))
    dataset = check_data(classifier, found)
    held_out = dataset.train.images is dataset.test.images
    if held_out:
        dataset = _holding_out(dataset, seed)
    known = dataset.class_names
    names = (*known, *map(str, range(len(known), count)))
    return LayerData(dataset, own_answers, held_out, names)


def _labelled(classifier: keras.Model, data: Any) -> Any:
    """Return the data as they are if they have labels, else with the classifier's answers."""
    if isinstance(data, str | os.PathLike) and is_unlabelled(Path(data)):
        return _folder_answered(classifier, data)
    if isinstance(data, Dataset | Split | str | os.PathLike):
        return data
    if isinstance(data, tuple | list) and len(data) == 2:
        return data if data[1] is not None else _answered(classifier, data[0])
    if not forms.is_dataset(data):
        return _answered(classifier, data)
    images, labels = forms.gathered(data, cutting.image_shape(classifier))
    return _answered(classifier, images) if labels is None else (images, labels)


def _answered(classifier: keras.Model, images: Any) -> tuple[np.ndarray, np.ndarray]:
    images = given_images.check_images(classifier, images)
    return images, own_answers(classifier, images)


def _folder_answered(classifier: keras.Model, folder: str | os.PathLike[str]) -> Dataset:
    """Return the pictures of a folder without classes, with the classifier's answers."""
    names = tuple(map(str, range(cutting.num_classes(classifier))))
    return load_unlabelled(
        folder,
        names,
        lambda images: own_answers(classifier, images),
        shape=cutting.image_shape(classifier),
    )


def _names(class_names: Sequence[str], count: int) -> tuple[str, ...]:
    listed = isinstance(class_names, Sequence) and not isinstance(class_names, str)
    if not listed or len(class_names) != count:
        raise InputError(
            f"class_names is {class_names!r:.60}: expected the names of the classifier's {count} "
            "classes, in the order of its outputs"
        )
    return tuple(map(str, class_names))


def _holding_out(dataset: Dataset, seed: int) -> Dataset:
    """Return the dataset with a part of its images to train on and the rest to test on."""
    images, labels = dataset.train.images, dataset.train.labels
    if len(images) < 2:
        raise InputError(
            "data is a single image: expected many, to train decoders on and to measure on others"
        )
    order = np.random.default_rng(seed).permutation(len(images))
    count = max(1, len(images) // HELD_OUT)
    test, train = (np.sort(part) for part in np.split(order, [count]))
    parts = [Split(images[rows], labels[rows]) for rows in (train, test)]
    return replace(dataset, train=parts[0], test=parts[1])
