"""Tell the accuracy of a classifier before it is used, and doubt the range of its pixels."""

import warnings

import numpy as np

from cladec.data.arrays import drawn_rows
from cladec.errors import InputWarning
from cladec.experiments.saved_models import SavedClassifier
from cladec.models import pixels
from cladec.models.pixel_layers import declared, has_integer_pixels
from cladec.models.predictions import is_right
from cladec.progress import Progress

TEST_IMAGES = 500
"""The maximum number of test images that check a classifier before it is used."""


def tell_accuracy(saved: SavedClassifier, seed: int, progress: Progress) -> None:
    """Print the accuracy on test images, and warn if the pixel range seems to be wrong."""
    data = saved.data
    rows = drawn_rows(len(data.test.labels), TEST_IMAGES, seed)
    images, labels = data.test.images[rows], data.test.labels[rows]

    def answers(images: np.ndarray) -> np.ndarray:
        return saved.predictions(saved.logits(images))

    predicted = answers(images)
    right = is_right(predicted, labels)
    of_labels = "all labels right" if predicted.ndim == 2 else "accuracy"
    progress.say(f"{of_labels} on {len(rows)} test images of {data.name}: {right.mean():.2f}")
    if predicted.ndim == 2:  # there is no chance to compare with
        return
    told = pixels.doubt(
        answers,
        images,
        labels,
        predicted,
        data.num_classes,
        said=declared(saved.classifier),
        others=not has_integer_pixels(saved.classifier),
    )
    if told is not None:
        warnings.warn(told, InputWarning, stacklevel=3)
