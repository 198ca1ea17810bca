"""This module prepares the data, the codes and the decoder for every training of a decoder."""

from typing import Any, cast

import keras
import numpy as np

from cladec import checks
from cladec.data.dataset import Data, Dataset, as_dataset
from cladec.data.stored_rows import StoredRows
from cladec.errors import InputError
from cladec.models import batches, cutting, pixels
from cladec.models.decoder import build_decoder, check_decoder
from cladec.models.pixel_layers import takes_bytes
from cladec.models.training import seeded


def check_data(classifier: keras.Model, data: Data) -> Dataset:
    """Return the data as a Dataset that fits the classifier.

    A warning is given once per classifier if it seems to expect pixels outside of [0, 1].

    Raises:
        InputError: the data are unusable, of another image size, or have too many classes.
    """
    with seeded(0):  # what is found once only must not change the random numbers that follow
        pixels.examine(classifier)
        multi_label = cutting.is_multi_label(classifier)
    expected, classes = cutting.image_shape(classifier), cutting.num_classes(classifier)
    data = as_dataset(data, classes, shape=expected, bytes_wanted=takes_bytes(classifier))
    if data.is_multi_label and not multi_label:
        raise InputError(
            "the images have several labels each, or none, and the classifier answers with one "
            "class: end it in a sigmoid for each label, or give one class for each image"
        )
    if data.image_shape != expected:
        raise InputError(
            f"the images are {data.image_shape}, the classifier takes {expected}: resize them"
        )
    if data.num_classes > classes:
        raise InputError(
            f"the dataset has {data.num_classes} classes, the classifier {classes}: use the "
            "dataset that it was trained on"
        )
    return data.with_label_rows() if multi_label and data.num_classes == classes else data


def decoder_of(shape: tuple[int, ...], data: Dataset, given: keras.Model | None) -> keras.Model:
    """Return the caller's decoder (N, *shape) -> images of `data`, or build one for None.

    Raises:
        InputError: the input or output of the caller's decoder has another shape.
    """
    if given is None:
        return build_decoder(shape, data.image_shape, mean_pixel=data.mean_pixel)
    return check_decoder(given, shape, data.image_shape)


def training_codes(encoder: keras.Model, data: Dataset, codes: Any) -> np.ndarray:
    """Return the codes of the training images: the caller's, or computed ones for None.

    Raises:
        InputError: the caller's codes have another shape.
    """
    images = data.train.images
    if codes is None:
        return encode(encoder, images)
    if not isinstance(codes, StoredRows):
        codes = checks.array("codes", codes)
    code_shape = encoder.output_shape[1:]
    if codes.shape != (len(images), *code_shape):
        raise InputError(
            f"codes of shape {codes.shape}: expected those of the {len(images)} training images, "
            f"each {code_shape}, as compute_codes gives them"
        )
    return cast(np.ndarray, codes)


def targets(data: Dataset) -> dict[str, np.ndarray]:
    """Return the training images and labels for `compute_loss` of a ClaDec."""
    return {"images": data.train.images, "labels": data.train.labels}


def encode(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the codes that `encoder` computes from images, see `compute_codes`."""
    with np.errstate(over="ignore"):
        codes = batches.predict(encoder, images, dtype="float16")
    parts = batches.batches(len(codes), batches.PREDICTION_BATCH)
    if any(np.isinf(codes[rows]).any() for rows in parts):
        codes = batches.predict(encoder, images)
    return codes
