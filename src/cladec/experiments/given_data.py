"""Load the images of a user's own classifier, in its size and with its classes."""

import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cladec.data.dataset import Dataset, load, load_unlabelled
from cladec.data.picture_lists import is_unlabelled
from cladec.experiments.plans import Given
from cladec.explainers.scores import logits_model
from cladec.models import cutting, predictions
from cladec.models.fitting import check_data
from cladec.progress import OnProgress


def read(
    source: str, classifier: keras.Model, user: Given, report: OnProgress | None = None
) -> Dataset:
    """Return a dataset as the classifier takes it; its own answers stand for missing classes.

    Args:
        source: the name or folder of the dataset, as `load` takes it.
        classifier: the user's classifier, in the one form that can be cut.
        user: what was said of it.
        report: is called with the share of the pictures that is decoded, see `load`.

    Raises:
        InputError: if the dataset cannot be loaded, does not fit the classifier, or has a class
            that is none of its outputs.
    """
    # Another machine may not have the folder.
    is_there = user.cache is not None and os.path.isdir(os.path.dirname(user.cache))
    options: dict[str, Any] = {
        "shape": cutting.image_shape(classifier),
        "fit": user.fit,
        "skip_unreadable": user.skip_unreadable,
        "cache": Path(user.cache) if user.cache is not None and is_there else None,
        "report": report,
    }
    names = tuple(user.class_names)
    if is_unlabelled(Path(source)):
        names = names or tuple(map(str, range(cutting.num_classes(classifier))))
        return load_unlabelled(
            source, names, lambda images: own_answers(classifier, images), **options
        )
    data = load(source, **options)
    if names:
        data = data.with_class_names(names)
    return check_data(classifier, data)


def own_answers(classifier: keras.Model, images: Any) -> np.ndarray:
    """Return the classes (N,), or labels (N, K) float32, that a classifier sees in images."""
    scores = logits_model(classifier)
    answers = predictions.predicted(scores.predict(images), multi_label=scores.multi_label)
    return answers.astype("int64" if answers.ndim == 1 else "float32")
