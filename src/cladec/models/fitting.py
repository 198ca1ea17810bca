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
from cladec.models.recipes import Recipe
from cladec.models.selection import Units
from cladec.models.training import fit, seeded
from cladec.models.training_rows import Joined, Rows, parts, varied_if_few


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
    return data.with_label_rows(classes) if multi_label else data


def decoder_of(shape: tuple[int, ...], data: Dataset, given: keras.Model | None) -> keras.Model:
    """Return the caller's decoder (N, *shape) -> images of `data`, or build one for None.

    Raises:
        InputError: the input or output of the caller's decoder has another shape.
    """
    if given is None:
        return build_decoder(shape, data.image_shape, mean_pixel=data.mean_pixel)
    return check_decoder(given, shape, data.image_shape)


def training_set(
    encoder: keras.Model, data: Dataset, codes: np.ndarray | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the codes, and the images and labels for `compute_loss`, of a training.

    Few photographs come with varied copies.

    Args:
        encoder: the encoder.
        data: the images and labels.
        codes: the codes of the training images, with or without those of their varied copies; or
            None to compute them.

    Raises:
        InputError: the caller's codes have another shape.
    """
    images, labels = data.train.images, data.train.labels
    varied = varied_if_few(images)
    times = len(varied) // len(images)
    compared = {"images": varied, "labels": np.concatenate([labels] * times)}
    if codes is None:
        return encode(encoder, varied), compared
    codes = _checked_codes(encoder, (len(images), len(varied)), codes)
    if len(codes) < len(varied):
        copies = encode(encoder, Rows(varied, np.arange(len(images), len(varied))))
        codes = cast(np.ndarray, Joined(codes, copies))
    return codes, compared


def _checked_codes(encoder: keras.Model, counts: tuple[int, int], codes: Any) -> np.ndarray:
    """Return codes of as many images as one of these counts; the first is named otherwise."""
    if not isinstance(codes, StoredRows):
        codes = checks.array("codes", codes)
    code_shape = encoder.output_shape[1:]
    if codes.shape not in [(count, *code_shape) for count in counts]:
        raise InputError(
            f"codes of shape {codes.shape}: expected those of the {counts[0]} training images, "
            f"each {code_shape}, as compute_codes gives them"
        )
    return cast(np.ndarray, codes)


def fit_decoder(
    model: keras.Model,
    inputs: Any,
    compared: Any,
    recipe: Recipe,
    *,
    seed: int,
    alpha: float = 0.0,
    **options: Any,
) -> None:
    """Train a model that decodes a layer by `training.fit`; photographs by a recipe of their own.

    A recipe with a tolerance holds some images out, which tell when the training ends.
    """
    images = compared["images"] if isinstance(compared, dict) else compared
    chosen = None
    if isinstance(recipe, Recipe):  # `fit` refuses anything else
        recipe = recipe.for_images(images.shape[1:]).for_alpha(alpha)
        chosen = parts(images, seed) if recipe.tolerance else None
    fit(model, inputs, compared, recipe, seed=seed, parts=chosen, **options)


def codes_of(classifier: keras.Model, layer: str, images: Any, units: Units = None) -> np.ndarray:
    """Return the codes of checked images, see `compute_codes`."""
    with seeded(0):
        encoder = cutting.part(cutting.cut(classifier, layer, units), "codes")
    return encode(encoder, images)


def encode(encoder: keras.Model, images: Any) -> np.ndarray:
    """Return the codes that `encoder` computes from images, see `compute_codes`."""
    with np.errstate(over="ignore"):
        codes = batches.predict(encoder, images, dtype="float16")
    if is_beyond_half_precision(codes):
        codes = batches.predict(encoder, images)
    return codes


def is_beyond_half_precision(codes: np.ndarray) -> bool:
    """Return whether a number of the codes became infinite."""
    rows = batches.batches(len(codes), batches.PREDICTION_BATCH)
    return any(bool(np.isinf(codes[part]).any()) for part in rows)
