"""This module builds and trains the classifiers that judge decoded images by what they learn."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from cladec.data.dataset import Dataset
from cladec.models import batches, cutting
from cladec.models.classifiers import PROBABILITIES, build_classifier
from cladec.models.precision import keras_defaults
from cladec.models.predictions import agreement, predicted
from cladec.models.recipes import Recipe
from cladec.models.training import fit, seeded

LARGEST_SIDE = 64
"""Larger images are averaged to at most this side for an architecture that was made for small ones:
the dense layer of `vgg` would have 26 million weights at 224x224."""


@keras_defaults()
def like(classifier: keras.Model, *, seed: int) -> keras.Model:
    """Return an untrained classifier of the same architecture, images -> scores (N, K)."""
    with seeded(seed):
        flat = cutting.flatten(classifier, fresh=True)
        return keras.Model(flat.inputs, flat.logits)


@keras_defaults()
def of_architecture(
    architecture: str, image_shape: tuple[int, int, int], classes: int, *, seed: int
) -> keras.Model:
    """Return an untrained classifier of one of our architectures, images -> scores (N, K).

    Raises:
        InputError: the architecture is unknown, or the images are too small for it.
    """
    images = keras.Input(image_shape)
    pool = math.ceil(max(image_shape[:2]) / LARGEST_SIDE)
    with seeded(seed):
        small = layers.AveragePooling2D(pool)(images) if pool > 1 else images
        built = build_classifier(small.shape[1:], max(2, classes), architecture, seed=seed)
        scores = keras.Model(built.inputs, built.get_layer(PROBABILITIES).input)
        return keras.Model(images, scores(small))


def learned(
    network: keras.Model,
    data: Dataset,
    *,
    recipe: Recipe,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> float:
    """Train a network, images -> scores, and return its accuracy on the test images, in [0, 1].

    With several labels, it is the share of right decisions on a label.
    """
    several = data.is_multi_label
    loss = (
        keras.losses.BinaryCrossentropy if several else keras.losses.SparseCategoricalCrossentropy
    )
    fit(
        network,
        data.train.images,
        data.train.labels,
        recipe,
        seed=seed,
        loss=loss(from_logits=True),
        callbacks=callbacks,
    )
    scores = batches.predict(network, data.test.images)
    return agreement(predicted(scores, multi_label=several), data.test.labels)
