"""This module converts what users give as images to the arrays that a classifier takes."""

from typing import Any

import keras
import numpy as np

from cladec.data import arrays, forms
from cladec.data.dataset import Split
from cladec.errors import InputError
from cladec.models import cutting
from cladec.models.pixel_layers import takes_bytes


def check_images(model: keras.Model, images: Any) -> np.ndarray:
    """Return images as float32, (N, H, W, C) in [0, 1]; such an array is returned as it is.

    Args:
        model: the classifier that takes them. Where it is known to want pixels from 0 to 255, so
            may be the images, which are divided by 255.
        images: an array or tensor (N, H, W, C), or (N, C, H, W), or a single image; uint8 is
            divided by 255. Or a PIL image, the path of an image file, a list of any of these, a
            `tf.data.Dataset`, `PyDataset` or `DataLoader` of images, with or without labels, or a
            Split.

    Raises:
        InputError: they are not of the size and channels that `model` takes, a pixel is NaN or
            outside [0, 1], or there is none.
    """
    expected = cutting.image_shape(model)
    if isinstance(images, Split):
        images = images.images
    images = forms.as_images(images, expected)
    if images.ndim != 4 or images.shape[1:] != expected:
        raise InputError(
            f"images of shape {images.shape}: the model takes (N, {', '.join(map(str, expected))})"
        )
    return arrays.in_range(arrays.pixels(images, bytes_wanted=takes_bytes(model)))
