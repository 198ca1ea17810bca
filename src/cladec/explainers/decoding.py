"""The ClaDec explanation: the decoded image of a layer, and what the layer itself lost."""

import keras
import numpy as np

from cladec.errors import InputError
from cladec.explainers.inputs import Targets, check_images
from cladec.explainers.scores import logits_model
from cladec.models.batches import batches
from cladec.models.cladec import ClaDec
from cladec.models.given import checked
from cladec.models.refae import RefAE


@checked
def cladec(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    decoder: keras.Model,
    reference: keras.Model,
    batch_size: int | None = None,
) -> np.ndarray:
    """What a layer of the classifier lost of each image, decoding faults of its own left out.

        mean over channels of |ClaDec(x) - RefAE(x)|

    (Schneider & Vlachos, "Explaining Neural Networks by Decoding Layer Activations",
    arXiv 2005.13630.)

    Args:
        model: the classifier that `decoder` was trained for.
        images: (N, H, W, C) float32 in [0, 1].
        targets: not used: it explains the layer, not a class.
        decoder: a ClaDec, from `fit_cladec`.
        reference: the RefAE of the same layer, from `fit_refae`.
        batch_size: images of one model call; as many as suit the memory by default.

    Returns:
        (N, H, W) float32 in [0, 1].

    Raises:
        InputError: the images are not what is expected, or `decoder` is of another classifier.
    """
    if not isinstance(reference, RefAE):
        raise InputError(
            f"reference is a {type(reference).__name__}: expected a RefAE, as fit_refae gives it"
        )
    batch_size = logits_model(model).images_per_call(batch_size)
    images = _checked(model, images, decoder, batch_size)
    own = _answers(decoder, images, batch_size)
    return difference(own, _answers(reference, images, batch_size))


def difference(decoded: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """What `cladec` tells of images (N, H, W, C) as ClaDec and RefAE decode them, (N, H, W)."""
    return np.abs(decoded - reference).mean(axis=-1)


@checked
def decoded_images(
    model: keras.Model,
    images: np.ndarray,
    *,
    decoder: keras.Model,
    batch_size: int | None = None,
) -> np.ndarray:
    """The images as the decoder of a layer shows them, (N, H, W, C) float32 in [0, 1].

    Arguments and errors as for `cladec`.
    """
    batch_size = logits_model(model).images_per_call(batch_size)
    return _answers(decoder, _checked(model, images, decoder, batch_size), batch_size)


def _checked(
    model: keras.Model, images: np.ndarray, decoder: keras.Model, batch_size: int
) -> np.ndarray:
    if not isinstance(decoder, ClaDec):
        raise InputError(
            f"decoder is a {type(decoder).__name__}: expected a ClaDec, as fit_cladec gives it"
        )
    logits = logits_model(model)
    images = check_images(model, images)
    theirs = _answers(decoder.classifier, images, batch_size)
    if not np.allclose(theirs, logits.predict(images, batch_size), rtol=1e-3, atol=1e-3):
        raise InputError(
            f"the ClaDec decodes a layer of another classifier than {model.name!r}: train one with "
            "fit_cladec(classifier, layer, data, alpha=...)"
        )
    return images


def _answers(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """What a model answers to images, (N, ...) float32."""
    parts = [
        keras.ops.convert_to_numpy(keras.ops.cast(model(images[rows], training=False), "float32"))
        for rows in batches(len(images), batch_size)
    ]
    return np.concatenate(parts)
