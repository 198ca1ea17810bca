"""Explainers that average the gradient of a class score over variants of an image."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cladec.checks import at_least
from cladec.explainers.inputs import Targets, background_image, background_images, prepare
from cladec.models.batches import batches, part_of
from cladec.models.given import checked
from cladec.progress import OnProgress

Gradients = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A function of images (N, H, W, C) and classes (N,) that gives d logit / d image, (N, H, W, C)."""


@checked
def saliency(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    smooth_samples: int = 0,
    noise: float = 0.15,
    times_input: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """How much the score of a class changes with each pixel: max over channels of |d logit / d x|.

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        targets: the class or classes to explain; None for the predicted ones.
        smooth_samples: average the gradient over so many noisy copies of the image (SmoothGrad:
            Smilkov et al., arXiv 1706.03825); 0 for the gradient at the image itself.
        noise: standard deviation of that noise, in units of a pixel.
        times_input: multiply the gradient by the image before the maximum is taken.
        batch_size: images, noisy copies counted, of one model call; by default what suits memory.
        seed: the seed of the noise, which is the same for every image.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, not negative, in logits per unit of a pixel (Simonyan et al.,
        arXiv 1312.6034).

    Raises:
        InputError: model, images, targets or an option are not what is expected.
    """
    at_least(0, smooth_samples=smooth_samples, noise=noise)
    logits, images, targets = prepare(model, images, targets)
    batch_size = logits.images_per_call(batch_size, gradients=True)
    scale = noise if smooth_samples else 0.0
    samples = (max(1, smooth_samples), *logits.image_shape)
    shifts = np.random.default_rng(seed).normal(0.0, scale, samples)
    gradients = _mean_gradients(
        logits.gradients,
        images,
        targets,
        variant=lambda images, sample: images + shifts[sample],
        variants=len(shifts),
        batch_size=batch_size,
        report=report,
    )
    return strongest_channel(gradients * images if times_input else gradients)


@checked
def gradient_input(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    batch_size: int | None = None,
    report: OnProgress | None = None,
) -> np.ndarray:
    """What each pixel adds to the score of a class, to first order: sum over channels of x * g.

    g = d logit / d x. For a network of ReLUs without biases the map sums to the logit (Shrikumar et
    al., "Not Just a Black Box", arXiv 1605.01713, section 3).

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        targets: the class or classes to explain; None for the predicted ones.
        batch_size: images of one model call; as many as suit the memory by default.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, in logits; negative where a pixel speaks against the class.

    Raises:
        InputError: model, images or targets are not what is expected.
    """
    logits, images, targets = prepare(model, images, targets)
    maps = np.empty(images.shape[:3], np.float32)
    for rows in batches(len(images), logits.images_per_call(batch_size, gradients=True), report):
        maps[rows] = (images[rows] * logits.gradients(images[rows], targets[rows])).sum(axis=-1)
    return maps


@checked
def smooth_grad(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    batch_size: int | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """The gradient of a class score, averaged over noisy copies of the image.

        max over channels of |mean over samples of d logit / d x at x + e|,    e ~ N(0, noise^2)

    (Smilkov et al., "SmoothGrad: removing noise by adding noise", arXiv 1706.03825, section 3).

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        targets: the class or classes to explain; None for the predicted ones.
        samples: noisy copies of each image.
        noise: standard deviation of the noise, in units of a pixel.
        batch_size: noisy copies of one model call; as many as suit the memory by default.
        seed: the seed of the noise, which is the same for every image.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, not negative, in logits per unit of a pixel.

    Raises:
        InputError: model, images, targets or an option are not what is expected.
    """
    at_least(1, samples=samples)
    return saliency(
        model,
        images,
        targets,
        smooth_samples=samples,
        noise=noise,
        batch_size=batch_size,
        seed=seed,
        report=report,
    )


@checked
def square_grad(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    batch_size: int | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """The square of the gradient of a class score, averaged over noisy copies of the image.

        max over channels of mean over samples of (d logit / d x at x + e)^2,    e ~ N(0, noise^2)

    (Hooker et al., "A Benchmark for Interpretability Methods in Deep Neural Networks",
    arXiv 1806.10758, section 3). Arguments and errors as for `smooth_grad`; the result is in
    squared logits per squared unit of a pixel.
    """
    _, squares = _noisy_moments(model, images, targets, samples, noise, batch_size, seed, report)
    return strongest_channel(squares).astype(np.float32)


@checked
def var_grad(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    batch_size: int | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """How much the gradient of a class score varies over noisy copies of the image.

        max over channels of the variance over samples of d logit / d x at x + e,  e ~ N(0, noise^2)

    (Adebayo et al., "Sanity Checks for Saliency Maps", arXiv 1810.03292, appendix; the mean square
    less the square of the mean.) Arguments and errors as for `smooth_grad`; the result is in
    squared logits per squared unit of a pixel.
    """
    mean, squares = _noisy_moments(model, images, targets, samples, noise, batch_size, seed, report)
    return strongest_channel(np.maximum(squares - mean**2, 0)).astype(np.float32)


def _noisy_moments(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets,
    samples: int,
    noise: float,
    batch_size: int | None,
    seed: int,
    report: OnProgress | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the gradients at noisy copies of each image, and that of their squares.

    Both are (N, H, W, C) float64, so that the variance survives the subtraction.
    """
    at_least(1, samples=samples)
    at_least(0, noise=noise)
    logits, images, targets = prepare(model, images, targets)
    shifts = np.random.default_rng(seed).normal(0.0, noise, (samples, *logits.image_shape))

    def gradients_and_squares(shown: np.ndarray, classes: np.ndarray) -> np.ndarray:
        found = logits.gradients(shown, classes).astype(np.float64)
        return np.stack([found, found**2], axis=1)

    both = _mean_gradients(
        gradients_and_squares,
        images,
        targets,
        variant=lambda images, sample: images + shifts[sample],
        variants=samples,
        batch_size=logits.images_per_call(batch_size, gradients=True),
        report=report,
    )
    return both[:, 0], both[:, 1]


@checked
def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    baseline: Any = 0.0,
    steps: int = 64,
    tolerance: float = 0.01,
    max_steps: int = 576,
    batch_size: int | None = None,
    report: OnProgress | None = None,
) -> np.ndarray:
    """What each pixel adds to the score of a class on the way from a baseline to the image.

        sum over channels of (x - b) * integral from 0 to 1 of d logit / d x at b + t (x - b) dt

    The integral is taken by the midpoint rule. By completeness a map sums to logit(x) - logit(b)
    (Sundararajan et al., arXiv 1703.01365, eq. 1 and proposition 1); where it does not, the steps
    are made three times as many.

    Args:
        model: an image classifier.
        images: (N, H, W, C) float32 in [0, 1].
        targets: the class or classes to explain; None for the predicted ones.
        baseline: what counts as no information: a number, a colour (C,) or an image (H, W, C).
        steps: points of the integral at first.
        tolerance: by what share of logit(x) - logit(b) a map may miss completeness.
        max_steps: the most points, whatever the tolerance.
        batch_size: images, points counted, of one model call; by default what suits memory.
        report: a function that is called with the share done of each round.

    Returns:
        (N, H, W) float32, in logits; negative where a pixel speaks against the class.

    Raises:
        InputError: model, images, targets or an option are not what is expected.
    """
    at_least(1, steps=steps)
    at_least(0, tolerance=tolerance)
    logits, images, targets = prepare(model, images, targets)
    batch_size = logits.images_per_call(batch_size, gradients=True)
    start = background_image("baseline", baseline, logits.image_shape)

    def mean_gradients(chosen: np.ndarray, shares: np.ndarray) -> np.ndarray:
        return _mean_gradients(
            logits.gradients,
            images[chosen],
            targets[chosen],
            variant=lambda images, step: start + shares[step, None, None, None] * (images - start),
            variants=len(shares),
            batch_size=batch_size,
            report=report,
        )

    every = np.arange(len(images))
    gained = logits.predict(images)[every, targets]
    gained -= logits.predict(start[None])[0, targets]
    mean = mean_gradients(every, (np.arange(steps) + 0.5) / steps)
    while True:
        maps = ((images - start) * mean).sum(axis=-1)
        missing = np.abs(maps.sum(axis=(1, 2)) - gained)
        unfinished = np.flatnonzero(missing > tolerance * np.abs(gained))
        if not len(unfinished) or 3 * steps > max_steps:
            return maps
        # Each step falls into thirds, whose middle one is known already.
        outer = np.add.outer(np.arange(steps), (1 / 6, 5 / 6)).ravel() / steps
        mean[unfinished] = (mean[unfinished] + 2 * mean_gradients(unfinished, outer)) / 3
        steps *= 3


@checked
def shap_gradient(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    backgrounds: np.ndarray | None = None,
    samples: int = 200,
    batch_size: int | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """What each pixel adds to the target's logit, by expected gradients; takes every layer.

    The mean of (image - background) * gradient at a random point between the image and a random
    background: integrated gradients averaged over backgrounds. The values of an image sum to its
    logit less the mean logit of the backgrounds, as far as the samples go. Erion et al., "Improving
    performance of deep learning models with axiomatic attribution priors and expected gradients",
    2021, eq. 2.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        backgrounds: images (M, H, W, C) that say what a pixel is compared with, some of the
            training images for instance; one black image by default.
        samples: random points for each image.
        batch_size: points of one model call.
        seed: the seed of the points, which are alike for every image.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, signed, summed over channels.

    Raises:
        InputError: the images, targets, backgrounds or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    batch_size = logits.images_per_call(batch_size, gradients=True)
    at_least(1, samples=samples)
    backgrounds = background_images(model, backgrounds)
    generator = np.random.RandomState(seed)
    draws = [(generator.choice(len(backgrounds)), generator.uniform()) for _ in range(samples)]
    numbers, shares = map(np.array, zip(*draws, strict=True))
    # Rounded before they are multiplied, as shap does: a ReLU may switch at the last digit.
    shown, hidden = (part[:, None, None, None].astype(np.float32) for part in (shares, 1 - shares))
    maps = np.zeros(images.shape[:3], np.float32)
    for i, image in enumerate(images):
        for rows in batches(samples, batch_size, part_of(report, i, len(images))):
            compared = backgrounds[numbers[rows]]
            points = shown[rows] * image + hidden[rows] * compared
            found = logits.gradients(points, np.full(len(points), targets[i]))
            maps[i] += (found * (image - compared)).sum(axis=(0, 3)) / samples
    return maps


def strongest_channel(gradients: np.ndarray) -> np.ndarray:
    """One value for each pixel, (N, H, W): the largest absolute value over its channels."""
    return np.abs(gradients).max(axis=-1)


def _mean_gradients(
    gradients: Gradients,
    images: np.ndarray,
    targets: np.ndarray,
    *,
    variant: Callable[[np.ndarray, np.ndarray], np.ndarray],
    variants: int,
    batch_size: int,
    report: OnProgress | None,
) -> np.ndarray:
    """The mean of what `gradients` gives at the variants of each image, (N, ...).

    `variant(images, numbers)` gives one variant of each image; all variants of all images form one
    queue, cut into batches.
    """
    result: np.ndarray = np.zeros(0)
    for rows in batches(len(images) * variants, batch_size, report):
        image, number = np.divmod(np.arange(rows.start, rows.stop), variants)
        found = gradients(variant(images[image], number), targets[image])
        if not rows.start:
            result = np.zeros((len(images), *found.shape[1:]), found.dtype)
        first = np.flatnonzero(np.diff(image, prepend=-1))
        result[image[first]] += np.add.reduceat(found, first)
    return result / variants
