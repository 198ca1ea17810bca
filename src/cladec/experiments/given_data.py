"""Load the images of a user's own classifier, in its size and with its classes."""

import os

import keras

from cladec.data.dataset import Dataset, load
from cladec.experiments.plans import Given
from cladec.models import cutting
from cladec.models.fitting import check_data
from cladec.progress import OnProgress


def read(
    source: str, classifier: keras.Model, user: Given, report: OnProgress | None = None
) -> Dataset:
    """Return a dataset as the classifier takes it.

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
    data = load(
        source,
        shape=cutting.image_shape(classifier),
        fit=user.fit,
        skip_unreadable=user.skip_unreadable,
        cache=user.cache if is_there else None,
        report=report,
    )
    if user.class_names:
        data = data.with_class_names(tuple(user.class_names))
    return check_data(classifier, data)
