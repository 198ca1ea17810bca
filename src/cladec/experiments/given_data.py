"""Load the images of a user's own classifier, in its size and with its classes."""

import keras

from cladec.data.dataset import Dataset, load
from cladec.experiments.plans import Given
from cladec.models.fitting import check_data


def read(source: str, classifier: keras.Model, user: Given) -> Dataset:
    """Return a dataset as the classifier takes it.

    Args:
        source: the name or folder of the dataset, as `load` takes it.
        classifier: the user's classifier, in the one form that can be cut.
        user: what was said of it.

    Raises:
        InputError: if the dataset cannot be loaded, does not fit the classifier, or has a class
            that is none of its outputs.
    """
    data = load(source)
    if user.class_names:
        data = data.with_class_names(tuple(user.class_names))
    return check_data(classifier, data)
