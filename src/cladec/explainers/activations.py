"""Class activation maps without gradients: from the activations of a layer, and what they show."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from cladec.explainers.grids import enlarged
from cladec.explainers.inputs import Targets, prepare
from cladec.explainers.scores import LogitsModel
from cladec.models.batches import batches, part_of
from cladec.models.given import checked
from cladec.models.places import Spatial
from cladec.models.predictions import softmax
from cladec.progress import OnProgress


@checked
def score_cam(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    layer: str | None = None,
    grid: Sequence[int] | None = None,
    batch_size: int | None = None,
    report: OnProgress | None = None,
) -> np.ndarray:
    """Where those channels of a layer are active that keep the score when they alone show.

        ReLU(sum over k of w_k A_k),    w = softmax over k of logit(x * H_k)

    with H_k the channel A_k enlarged to the image and scaled to [0, 1] (Wang et al., "Score-CAM:
    Score-Weighted Visual Explanations for Convolutional Neural Networks", arXiv 1910.01279, eq. 4
    to 8 and algorithm 1, whose scores pass through a softmax). One call of the model for each
    channel, hundreds or thousands; a channel that is the same everywhere hides the image.

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        targets: the class or classes to explain; None for the predicted ones.
        layer: whose activations A are taken, (N, height, width, channels) or the tokens of a
            transformer (N, T, channels), "outer/inner" inside a nested model; None for the last one
            whose places the answer depends on.
        grid: (rows, columns) of tokens, the last ones in row order; class and register tokens come
            first. None to find it by the shapes of the classifier.
        batch_size: masked images of one model call; as many as suit the memory by default.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, not negative; not scaled to [0, 1].

    Raises:
        InputError: model, images, targets, layer or grid are not what is expected.
    """
    logits, images, targets = prepare(model, images, targets)
    spatial = logits.spatial(layer, grid)
    size = logits.images_per_call(batch_size)
    maps = np.empty(images.shape[:3], np.float32)
    for i, (image, target) in enumerate(zip(images, targets, strict=True)):
        activations = _activations(logits, spatial, image[None], size)[0]
        channels = np.moveaxis(activations, -1, 0)
        scores = np.empty(len(channels), np.float32)
        for rows in batches(len(channels), size, part_of(report, i, len(images))):
            masks = _scaled(enlarged(channels[rows], image.shape[:2]))
            scores[rows] = logits.predict(image * masks[..., None], size)[:, target]
        weighted = np.tensordot(softmax(scores), channels, axes=1)
        maps[i] = enlarged(np.maximum(weighted, 0)[None], image.shape[:2])[0]
    return maps


@checked
def eigen_cam(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    layer: str | None = None,
    grid: Sequence[int] | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Where what a layer's channels have most in common is active, whatever the class.

        ReLU(A v),    v the first right singular vector of A (positions, channels)

    of the sign that most of the map is positive with (Muhammad & Yeasin, "Eigen-CAM: Class
    Activation Map using Principal Components", arXiv 2008.00299, eq. 2 to 4).

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        targets: not used: no class is explained, but what the layer sees.
        layer: whose activations A are taken, (N, height, width, channels) or the tokens of a
            transformer (N, T, channels), "outer/inner" inside a nested model; None for the last one
            whose places the answer depends on.
        grid: (rows, columns) of tokens, the last ones in row order; class and register tokens come
            first. None to find it by the shapes of the classifier.
        batch_size: images of one model call; as many as suit the memory by default.

    Returns:
        (N, H, W) float32, not negative; not scaled to [0, 1].

    Raises:
        InputError: model, images, layer or grid are not what is expected.
    """
    logits, images, _ = prepare(model, images, 0)
    spatial = logits.spatial(layer, grid)
    size = logits.images_per_call(batch_size)
    maps = np.empty(images.shape[:3], np.float32)
    for rows in batches(len(images), size):
        activations = _activations(logits, spatial, images[rows], size)
        count, height, width, channels = activations.shape
        flat = activations.reshape(count, height * width, channels)
        vectors = np.linalg.svd(flat, full_matrices=False)[2][:, 0]
        found = np.einsum("npc,nc->np", flat, vectors)
        found *= np.where(found.sum(axis=1) < 0, -1, 1)[:, None]
        grids = np.maximum(found, 0).reshape(count, height, width)
        maps[rows] = enlarged(grids, images.shape[1:3])
    return maps


def _activations(
    logits: LogitsModel, spatial: Spatial, images: np.ndarray, size: int
) -> np.ndarray:
    """The activations of a layer, (N, height, width, channels) float32."""
    key = "activations", spatial.path, spatial.grid
    run = logits.keep(key, lambda: _compiled(logits, spatial))
    return np.concatenate([run(images[rows]) for rows in batches(len(images), size)])


def _compiled(logits: LogitsModel, spatial: Spatial) -> Callable[..., np.ndarray]:
    encoder = keras.Model(logits.flat.inputs, spatial.output)

    def activations(images: Any) -> Any:
        return keras.ops.cast(spatial.on_grid(encoder(images, training=False)), "float32")

    return logits.compiled(activations)


def _scaled(masks: np.ndarray) -> np.ndarray:
    """Masks (B, H, W) scaled to [0, 1]; zeros where one is the same everywhere."""
    low, high = (pick(masks, axis=(1, 2), keepdims=True) for pick in (np.min, np.max))
    return (masks - low) / np.where(high > low, high - low, 1)
