"""Class activation maps: what the channels of one layer say about a class."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from cladec.explainers.backends import CLASSES, Function, gradient_of, of_class
from cladec.explainers.grids import enlarged
from cladec.explainers.inputs import Targets, prepare
from cladec.explainers.scores import LogitsModel
from cladec.models import cutting
from cladec.models.batches import batches
from cladec.models.given import checked
from cladec.models.places import Spatial


@checked
def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    layer: str | None = None,
    grid: Sequence[int] | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Where the channels of a layer that speak for a class are active.

        ReLU(sum over k of w_k A_k),    w_k = mean over positions of d logit / d A_k

    enlarged bilinearly from the grid of the layer to the image (Selvaraju et al., arXiv 1610.02391,
    eq. 1 and 2).

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        targets: the class or classes to explain; None for the predicted ones.
        layer: whose activations A are taken, (N, height, width, channels) or the tokens of a
            transformer (N, T, channels), "outer/inner" inside a nested model; None for the last one
            whose places the answer depends on.
        grid: (rows, columns) of tokens, the last ones in row order; class and register tokens come
            first. None to find it by the shapes of the classifier.
        batch_size: images of one model call; as many as suit the memory by default.

    Returns:
        (N, H, W) float32, not negative; not scaled to [0, 1].

    Raises:
        InputError: model, images, targets, layer or grid are not what is expected.
    """

    def weighted(activations: Any, gradients: Any) -> Any:
        return activations * keras.ops.mean(gradients, axis=(1, 2), keepdims=True)

    return _activation_maps(weighted, model, images, targets, layer, grid, batch_size)


@checked
def hires_cam(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    layer: str | None = None,
    grid: Sequence[int] | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Where the activations of a layer raise the score of a class.

        ReLU(sum over k of A_k * d logit / d A_k)

    enlarged as in `grad_cam`. It differs from Grad-CAM in that the gradient is not averaged over
    positions, so that a channel may speak for the class in one place only (Draelos & Carin,
    arXiv 2011.08891). Arguments, result and errors as for `grad_cam`.
    """

    def product(activations: Any, gradients: Any) -> Any:
        return activations * gradients

    return _activation_maps(product, model, images, targets, layer, grid, batch_size)


@checked
def grad_cam_plus_plus(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    layer: str | None = None,
    grid: Sequence[int] | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Grad-CAM that finds every place of a class, not the strongest one alone.

        ReLU(sum over k of w_k A_k),    w_k = sum over positions of a_k * ReLU(g_k),
        a_k = g_k^2 / (2 g_k^2 + g_k^3 * sum over positions of A_k),    g_k = d logit / d A_k

    (Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
    Convolutional Networks", arXiv 1710.11063, eq. 5 and 19, for the exponential of the logit.)
    Arguments, result and errors as for `grad_cam`.
    """

    def weighted(activations: Any, gradients: Any) -> Any:
        squares = keras.ops.square(gradients)
        sums = keras.ops.sum(activations, axis=(1, 2), keepdims=True)
        parts = 2 * squares + squares * gradients * sums
        shares = keras.ops.where(parts == 0, 0.0, squares / keras.ops.where(parts == 0, 1.0, parts))
        weights = shares * keras.ops.relu(gradients)
        return activations * keras.ops.sum(weights, axis=(1, 2), keepdims=True)

    return _activation_maps(weighted, model, images, targets, layer, grid, batch_size)


@checked
def layer_cam(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    layer: str | None = None,
    grid: Sequence[int] | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Where a layer's activations that raise the score are, sharp in early layers as well.

        ReLU(sum over k of ReLU(d logit / d A_k) * A_k)

    It differs from `hires_cam` in that activations that lower the score count for nothing (Jiang et
    al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", 2021, eq. 6 and
    7). Arguments, result and errors as for `grad_cam`.
    """

    def positive(activations: Any, gradients: Any) -> Any:
        return activations * keras.ops.relu(gradients)

    return _activation_maps(positive, model, images, targets, layer, grid, batch_size)


def _activation_maps(
    contributions: Function,
    model: keras.Model,
    images: np.ndarray,
    targets: Targets,
    layer: str | None,
    grid: Sequence[int] | None,
    batch_size: int | None,
) -> np.ndarray:
    logits, images, targets = prepare(model, images, targets)
    batch_size = logits.images_per_call(batch_size, gradients=True)
    spatial = logits.spatial(layer, grid)
    run = logits.keep(
        (contributions.__qualname__, spatial.path, spatial.grid),
        lambda: _compiled(contributions, logits, spatial),
    )
    result = np.empty(images.shape[:3], np.float32)
    for rows in batches(len(images), batch_size):
        maps = run(images[rows], targets[rows])
        result[rows] = enlarged(maps, images.shape[1:3])
    return result


def _compiled(
    contributions: Function, logits: LogitsModel, spatial: Spatial
) -> Callable[..., np.ndarray]:
    """The maps on the grid of the layer, of images (N, H, W, C) and classes (N,)."""
    flat = logits.flat
    encoder, head = cutting.split(flat.inputs, spatial.output, flat.logits)

    def maps(images: Any, targets: Any) -> Any:
        def score(activations: Any) -> Any:
            return of_class(head([images, activations], training=False), targets)

        activations = encoder(images, training=False)
        gradients = gradient_of(score)(activations)
        parts = contributions(spatial.on_grid(activations), spatial.on_grid(gradients))
        return keras.ops.cast(keras.ops.relu(keras.ops.sum(parts, axis=-1)), "float32")

    return logits.compiled(maps, CLASSES)
