"""Load a saved classifier with its images, and tell what it says of them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from cladec.data.dataset import Dataset, load
from cladec.experiments import given_data, records
from cladec.experiments.plans import Given
from cladec.explainers.scores import LogitsModel, logits_model
from cladec.metrics import normalised
from cladec.models import cutting, loading, predictions
from cladec.models.fitting import check_data
from cladec.models.given import as_classifier
from cladec.models.pixel_layers import with_pixels
from cladec.storage import model_files


class Shown(NamedTuple):
    """Test images (N, H, W, C), their titles "true - predicted", and whether each is wrong."""

    images: np.ndarray
    titles: list[str]
    wrong: list[bool]


class SavedNetwork:
    """A saved classifier and its images, which are loaded when they are used.

    Args:
        path: the file of the classifier.
        source: the name or folder of the dataset that it was trained on, as its run has it.
        models: the folder with the trained models.
        is_given: whether it is a user's own, of which its record says more.
        is_elsewhere: whether its file is not one of the folder of models.
        data: the loaded dataset; None loads the dataset that the classifier was trained on.
        form: the options of `image_classifier`.
        pixels: the range of pixels that the classifier wants, see `with_pixels`.

    Attributes:
        path: as given.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        models: Path,
        *,
        is_given: bool,
        is_elsewhere: bool,
        data: Dataset | None,
        form: Mapping[str, Any] | None,
        pixels: str,
    ):
        self.path, self._source, self._folder = path, source, models
        self._is_given, self._is_elsewhere = is_given, is_elsewhere
        self._data, self._form, self._pixels = data, form or {}, pixels

    @cached_property
    def data(self) -> Dataset:
        """The dataset that was given, or the one that the classifier was trained on."""
        if self._data is not None:
            return self._data
        if self.given is None:
            return load(self._source)
        return given_data.read(self._source, self._network, self.given)

    @cached_property
    def given(self) -> Given | None:
        """What is known of a user's own classifier; None for one that was trained here."""
        return Given.from_record(self.record) if self._is_given else None

    @cached_property
    def origin(self) -> records.Origin | None:
        """The place of the pictures, for the records."""
        return records.origin(self._source, self._folder)

    @cached_property
    def classifier(self) -> keras.Model:
        """The classifier itself, loaded from its file.

        Raises:
            InputError: if the file is missing or damaged, its images have another size, or it does
                not take pixels of the range.
        """
        if self._has_data and not self._is_given:
            check_data(self._network, self.data)
        return self._network

    @cached_property
    def _network(self) -> keras.Model:
        """The classifier, which was not compared with the data."""
        if not self._is_elsewhere:
            classifier = loading.load_saved(self.path)
        else:
            images = {"images": self.data.train.images} if self._has_data else {}
            classifier = as_classifier(self.path, **{**self._form, **images})
        return with_pixels(classifier, self._pixels)

    @property
    def _has_data(self) -> bool:
        return self._data is not None or not self._is_elsewhere

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of all classes of the model; a class without a name has its number."""
        known = self.data.class_names if self._has_data else ()
        return *known, *map(str, range(len(known), cutting.num_classes(self.classifier)))

    @cached_property
    def record(self) -> dict[str, Any]:
        """The record of its training."""
        return model_files.verify(self.path)

    @cached_property
    def scores(self) -> LogitsModel:
        """The scores of the classifier before its softmax, as the explainers use them."""
        return logits_model(self.classifier)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the scores before the softmax for images (N, H, W, C), (N, K) float32."""
        return self.scores.predict(images)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of all classes for images (N, H, W, C), (N, K) float32."""
        return self.scores.probabilities(images)

    def predictions(self, logits: np.ndarray) -> np.ndarray:
        """Return the predicted class of each image, (N,), or its labels, see `predictions`."""
        return predictions.predicted(logits, multi_label=self.scores.multi_label)

    @cached_property
    def mean_image(self) -> np.ndarray:
        """The mean of the training images, (H, W, C) float32."""
        return normalised.mean_image(self.data.train.images)

    @cached_property
    def test_logits(self) -> np.ndarray:
        """The scores of the test images, (N, K)."""
        return self.logits(self.data.test.images)

    @property
    def predicted(self) -> np.ndarray:
        """The predicted classes of the test images, (N,)."""
        return self.predictions(self.test_logits)

    def choose(self, right: int, wrong: int) -> Shown:
        """Choose correctly classified test images, followed by wrongly classified ones."""
        labels, is_right = self.data.test.labels, self.is_right
        chosen: list[int] = []
        for rows, count in ((is_right, right), (~is_right, wrong)):
            chosen += _of_each_class(np.flatnonzero(rows), labels)[:count]
        return self.show(chosen)

    @cached_property
    def is_right(self) -> np.ndarray:
        """Whether each test image has the class, or exactly the labels, predicted, (N,)."""
        return predictions.is_right(self.predicted, self.data.test.labels)

    def show(self, chosen: Sequence[int] | np.ndarray) -> Shown:
        """Return the test images with these indices."""
        test, predicted = self.data.test, self.predicted
        names = self.class_names
        titles = [
            f"{predictions.named(test.labels[i], names)} - {predictions.named(predicted[i], names)}"
            for i in chosen
        ]
        wrong = [not self.is_right[i] for i in chosen]
        return Shown(test.images[list(chosen)], titles, wrong)


def _of_each_class(indices: np.ndarray, labels: np.ndarray) -> list[int]:
    """Return the indices with the first one of every class at the beginning."""
    _, firsts = np.unique(labels[indices], axis=0, return_index=True)
    return [*indices[firsts], *np.delete(indices, firsts)]
