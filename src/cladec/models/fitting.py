"""What every fit of a decoder begins with: data that suit the classifier, codes, a decoder."""

import keras
import numpy as np

from cladec import checks
from cladec.data.dataset import Data, Dataset, as_dataset
from cladec.errors import InputError
from cladec.models import batches, cutting, pixels
from cladec.models.decoder import build_decoder, check_decoder
from cladec.models.training import seeded


def check_data(classifier: keras.Model, data: Data) -> Dataset:
    """The data as a Dataset that fits the classifier.

    Warns, once for each classifier, where it seems to want pixels of another range than [0, 1].

    Raises InputError for what is no data, images of another size, or more classes than it has.
    """
    with seeded(0):
        pixels.examine(classifier)
    expected, classes = cutting.image_shape(classifier), classifier.outputs[0].shape[-1]
    data = as_dataset(data, classes)
    if data.image_shape != expected:
        raise InputError(
            f"the images are {data.image_shape}, the classifier takes {expected}: resize them"
        )
    if data.num_classes > classes:
        raise InputError(
            f"the dataset has {data.num_classes} classes, the classifier {classes}: use the "
            "dataset that it was trained on"
        )
    return data


def decoder_of(shape: tuple[int, ...], data: Dataset, given: keras.Model | None) -> keras.Model:
    """A decoder (N, *shape) -> images of `data`: the one given, or one that is newly built.

    Raises:
        InputError: the one given takes or gives something else.
    """
    if given is None:
        return build_decoder(shape, data.image_shape, mean_pixel=data.mean_pixel)
    return check_decoder(given, shape, data.image_shape)


def training_codes(encoder: keras.Model, data: Dataset, codes: np.ndarray | None) -> np.ndarray:
    """The codes of the training images: those given, or computed where there are none.

    Raises:
        InputError: those given are of another shape.
    """
    images = data.train.images
    if codes is None:
        return encode(encoder, images)
    codes = checks.array("codes", codes)
    code_shape = encoder.output_shape[1:]
    if codes.shape != (len(images), *code_shape):
        raise InputError(
            f"codes of shape {codes.shape}: expected those of the {len(images)} training images, "
            f"each {code_shape}, as compute_codes gives them"
        )
    return codes


def targets(data: Dataset) -> dict[str, np.ndarray]:
    """What `compute_loss` of a ClaDec compares the decoded training images with."""
    return {"images": data.train.images, "labels": data.train.labels}


def encode(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    """What `encoder` makes of images, see `compute_codes`."""
    with np.errstate(over="ignore"):
        codes = batches.predict(encoder, images, dtype="float16")
    if np.isinf(codes).any():
        codes = batches.predict(encoder, images)
    return codes
