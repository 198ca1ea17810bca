"""Images made to please a part of the classifier: activation maximization and DeepDream."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from scipy.ndimage import gaussian_filter

from cladec import checks
from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.backends import CLASSES, gradient_of, of_class
from cladec.explainers.grids import along_axes, enlargement, reduction
from cladec.explainers.inputs import Targets, check_images, for_each_image, resolve_targets
from cladec.explainers.scores import LogitsModel, logits_model
from cladec.models.batches import batches
from cladec.models.given import checked
from cladec.progress import OnProgress

START_NOISE = 0.05
"""Standard deviation around grey of the pixels that activation maximization starts from."""


@checked
def activation_maximization(
    model: keras.Model,
    images: np.ndarray | None = None,
    targets: Targets = None,
    *,
    layer: str | None = None,
    units: Targets = None,
    position: Sequence[int] | None = None,
    steps: int = 128,
    step_size: float = 0.02,
    jitter: int = 0,
    blur: float = 0.0,
    total_variation: float = 0.0,
    batch_size: int | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """Images that a class, a channel or a neuron answers to most strongly.

        x <- clip(x + step_size * g / rms(g), 0, 1),    g = d (score(x) - weight * TV(x)) / d x

    (Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009; the regularizers:
    Mahendran & Vedaldi, arXiv 1512.02017.)

    Args:
        model: an image classifier.
        images: where to start, (N, H, W, C) float32 in [0, 1]; None for grey noise, drawn once.
        targets: the class or classes to maximize; None for the predicted ones of `images`, or for
            every class where there are none. Not used with `layer`.
        layer: whose units to maximize instead of a class.
        units: channels or neurons of the layer, its last axis: one for all images or one for each;
            None for every one, where there are no images.
        position: the place of one neuron in its layer, (row, column) for instance; None for the
            mean of the unit over all positions.
        steps: gradients taken.
        step_size: change of a step, root mean square over the pixels.
        jitter: shift the image by up to so many pixels, at random, before each gradient.
        blur: standard deviation in pixels of a Gaussian that smooths each gradient.
        total_variation: weight of the mean absolute difference of neighbouring pixels.
        batch_size: images made side by side.
        seed: the seed of the start and of the jitter, the same for every image.
        report: a function that is called with the share done.

    Returns:
        (N, H, W, C) float32 in [0, 1], one for each class or unit.

    Raises:
        InputError: model, images, targets, layer, units or an option are not what is expected.
    """
    at_least(0, steps=steps, step_size=step_size, jitter=jitter, blur=blur)
    at_least(0, total_variation=total_variation)
    logits = logits_model(model)
    if layer is None and units is not None:
        raise InputError("units are those of a layer: name it, or give the classes as targets")
    output = logits.flat.logits if layer is None else logits.flat.find(layer)
    place = None if position is None else _place(position, output.shape[1:-1])
    if images is not None:
        images = check_images(model, images)
    if layer is None:
        chosen = _chosen("class", logits, images, targets, logits.classes)
    else:
        chosen = _chosen("unit", logits, images, units, output.shape[-1])
    start = _grey(logits.image_shape, len(chosen), seed) if images is None else images
    batch_size = logits.images_per_call(batch_size, gradients=True)
    network = keras.Model(logits.flat.inputs, output)
    score = partial(_activation, network, place, total_variation)
    gradients = logits.compiled(gradient_of(score), CLASSES)
    shifts = np.random.default_rng(seed).integers(-jitter, jitter, (steps, 2), endpoint=True)
    blur = min(blur, max(logits.image_shape))  # a wider one is no smoother, and takes for ever
    smooth = partial(gaussian_filter, sigma=(0.0, blur, blur, 0.0))
    result = np.empty_like(start)
    for rows in batches(len(start), batch_size, report):
        image = start[rows]
        for shift in shifts:
            gradient = gradients(np.roll(image, shift, axis=(1, 2)), chosen[rows])
            gradient = np.roll(gradient, -shift, axis=(1, 2))
            image = _climb(image, smooth(gradient), step_size)
        result[rows] = image
    return result


def _activation(
    network: keras.Model,
    place: tuple[int, ...] | None,
    total_variation: float,
    images: Any,
    units: Any,
) -> Any:
    """The activation of a unit of each image, (N,): at a place or its mean, less the roughness."""
    answers = keras.ops.cast(network(images, training=False), "float32")
    if place is not None:
        answers = answers[:, *place]
    if positions := range(1, len(answers.shape) - 1):
        answers = keras.ops.mean(answers, axis=tuple(positions))
    return of_class(answers, units) - total_variation * _roughness(images)


@checked
def deep_dream(
    model: keras.Model,
    images: np.ndarray,
    *,
    layer: str | None = None,
    channel: int | None = None,
    octaves: int = 3,
    octave_scale: float = 1.4,
    steps: int = 10,
    step_size: float = 0.01,
    batch_size: int | None = None,
    report: OnProgress | None = None,
) -> np.ndarray:
    """The images, with more of whatever a layer sees in them.

    The mean square of the layer's activations is raised by gradient ascent, with coarse changes
    first and finer ones later (Mordvintsev et al., "Inceptionism", 2015). There the network sees
    images shrunk to each octave; a classifier takes one size only, so here the gradient is shrunk
    to the octave's grid and enlarged again.

        x <- clip(x + step_size * g / rms(g), 0, 1),    g = enlarge(shrink(d mean(A(x)^2) / d x))

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        layer: whose activations A to raise; None for the last one with a height and a width.
        channel: one channel or neuron of the layer, its last axis; None for all.
        octaves: number of grids; the last is the size of the image.
        octave_scale: ratio of the sides of one grid and of the one before it.
        steps: gradients taken in each octave.
        step_size: change of a step, root mean square over the pixels.
        batch_size: images changed side by side.
        report: a function that is called with the share done.

    Returns:
        (N, H, W, C) float32 in [0, 1].

    Raises:
        InputError: model, images, layer or an option are not what is expected.
    """
    at_least(1, octaves=octaves, octave_scale=octave_scale)
    at_least(0, steps=steps, step_size=step_size)
    logits = logits_model(model)
    images = check_images(model, images)
    layer = _last_layer(logits) if layer is None else layer
    network = keras.Model(logits.flat.inputs, logits.flat.find(layer))
    if channel is not None:
        for_each_image("channel", channel, 1, network.output.shape[-1])

    def score(images: Any) -> Any:
        answers = keras.ops.cast(network(images, training=False), "float32")
        if channel is not None:
            answers = answers[..., channel, None]
        return keras.ops.mean(answers**2, axis=tuple(range(1, len(answers.shape))))

    gradients = logits.compiled(gradient_of(score))
    batch_size = logits.images_per_call(batch_size, gradients=True)
    scales = octave_scale ** -np.arange(octaves - 1.0, -1.0, -1.0)
    grids = np.maximum(1, np.round(np.outer(scales, logits.image_shape[:2]))).astype(int)
    result = np.empty_like(images)
    for rows in batches(len(images), batch_size, report):
        image = images[rows]
        for grid in np.repeat(grids, steps, axis=0):
            image = _climb(image, _on_grid(gradients(image), grid), step_size)
        result[rows] = image
    return result


def _last_layer(logits: LogitsModel) -> str:
    """The path of the last layer whose activations have places in the image."""
    spatial = logits.spatial(None)
    kind = type(logits.flat.origins[spatial.path][0]).__name__
    if spatial.of_tokens and "Norm" in kind:
        raise InputError(
            f"the last layer with places in the image, {spatial.path!r}, is a {kind}, which keeps "
            "what is raised the same: name a layer, the sum at the end of a block for instance"
        )
    return spatial.path


def _chosen(
    name: str, logits: LogitsModel, images: np.ndarray | None, numbers: Targets, count: int
) -> np.ndarray:
    """The class or unit that each image is made for, (N,) int64."""
    if images is None:
        every = np.arange(count) if numbers is None else numbers
        return for_each_image(name, every, len(np.atleast_1d(every)), count)
    if numbers is not None:
        return for_each_image(name, numbers, len(images), count)
    if name == "class":
        return resolve_targets(logits, images, None)
    raise InputError(f"units must say which of the {count} units of the layer each image is for")


def _place(position: Any, positions: tuple[int, ...]) -> tuple[int, ...]:
    """A position in a grid, one index for each of its axes."""
    place = checks.wholes("position", position)
    inside = len(place) == len(positions) and all(
        0 <= index < size for index, size in zip(place, positions, strict=True)
    )
    if not inside:
        raise InputError(
            f"position {place}: expected one in a grid of {positions} (rows, columns)"
            if positions
            else f"position {place}: the layer has no positions, leave it out"
        )
    return place


def _grey(image_shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """The same grey noise `count` times."""
    noise = np.random.default_rng(seed).normal(0.5, START_NOISE, image_shape)
    return np.repeat(noise.clip(0.0, 1.0).astype(np.float32)[None], count, axis=0)


def _roughness(images: Any) -> Any:
    """The differences of neighbouring pixels, summed over the image and divided by its size."""
    down, right = images[:, 1:] - images[:, :-1], images[:, :, 1:] - images[:, :, :-1]
    sums = (keras.ops.sum(keras.ops.abs(steps), axis=(1, 2, 3)) for steps in (down, right))
    return sum(sums) / math.prod(images.shape[1:])


def _on_grid(gradient: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The gradient without what is finer than a grid of (rows, columns)."""
    sides = zip(gradient.shape[1:3], grid, strict=True)
    both = [enlargement(size, cells) @ reduction(cells, size) for size, cells in sides]
    return along_axes(gradient, *both)


def _climb(images: np.ndarray, gradient: np.ndarray, step_size: float) -> np.ndarray:
    """One step of the same length for every image, in [0, 1]."""
    length = np.sqrt(np.mean(gradient**2, axis=(1, 2, 3), keepdims=True))
    step = step_size * gradient / np.maximum(length, np.finfo(np.float32).tiny)
    return np.clip(images + step, 0.0, 1.0)
