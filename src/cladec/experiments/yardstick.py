"""What the decoders of several layers are measured by: the same images, on one scale."""

from typing import Any

import keras
import numpy as np

from cladec.data.dataset import Dataset
from cladec.experiments.layer_measures import squared_errors
from cladec.explainers.scores import logits_model
from cladec.metrics import bootstrap, normalised
from cladec.models import predictions


class Yardstick:
    """The held-out images of a dataset, what a classifier says of them, and the scale of errors.

    Attributes:
        images: the images that are decoded, (N, H, W, C).
        mean: the mean of the training images, (H, W, C).
        predicted: what the classifier says of them, (N,), or (N, K) of several labels.
    """

    def __init__(self, classifier: keras.Model, data: Dataset, seed: int):
        self.images, self._seed = np.asarray(data.test.images), seed
        self._scores = logits_model(classifier)
        self.mean = normalised.mean_image(data.train.images)
        self._largest = normalised.squared_error(self.images, self.mean) or np.nan
        self.predicted = self.answers(self.images)

    def answers(self, images: Any) -> np.ndarray:
        """Return what the classifier says of images."""
        logits = self._scores.predict(images)
        return predictions.predicted(logits, multi_label=self._scores.multi_label)

    def errors(self, decoded: np.ndarray) -> np.ndarray:
        """Return the normalised error of each decoded image, (N,); 1 is that of the mean image.

        NaN if every image is the mean image.
        """
        return squared_errors(self.images, decoded) / self._largest

    def same(self, decoded: np.ndarray) -> np.ndarray:
        """Return for each image, (N,), the share of answers that are those to the original."""
        return predictions.agreements(self.answers(decoded), self.predicted)

    def with_interval(self, name: str, values: np.ndarray) -> dict[str, float]:
        """Return the mean of values (N,) by its name, and its interval of 95 %, `_low`, `_high`."""
        return bootstrap.with_interval(name, values, seed=self._seed)
