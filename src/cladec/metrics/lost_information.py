"""What a layer lost of each image: the error of ClaDec less that of RefAE, as a map and a number.

RefAE is the same encoder and decoder free of the classifier's training: what both miss is the
decoder's fault, what only ClaDec misses was lost by the layer (Schneider & Vlachos, "Explaining
Neural Networks by Decoding Layer Activations", arXiv 2005.13630). Signed: below zero the layer
keeps what RefAE does not.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec.errors import InputError
from cladec.metrics import bootstrap, correlations
from cladec.models.predictions import is_right

if TYPE_CHECKING:
    import pandas as pd

EVERY_CLASS = "all"
"""The class of the row that is over all images."""


@dataclass(frozen=True, eq=False)
class Summary:
    """What a layer lost of a set of images, see `summarize`.

    Attributes:
        classes: class, images, lost (the mean over its images), low, high; first the row "all".
        correlation: one row: images, wrong (how many are wrongly classified), correlation, low,
            high.
        most_lost: indices of the images of which most was lost, the most first.
    """

    classes: "pd.DataFrame"
    correlation: "pd.DataFrame"
    most_lost: np.ndarray


def lost_maps(
    images: np.ndarray, cladec_images: np.ndarray, refae_images: np.ndarray
) -> np.ndarray:
    """The squared error of ClaDec less that of RefAE, per pixel.

        lost = sum over channels of (x - ClaDec(x))^2 - (x - RefAE(x))^2

    Args:
        images: the originals, (N, H, W, C) in [0, 1].
        cladec_images: what ClaDec at alpha 0 makes of them.
        refae_images: what the RefAE of the same layer makes of them.

    Returns:
        (N, H, W) float32 in [-C, C]; above zero where the layer lost what RefAE keeps.

    Raises:
        InputError: the three are not of one shape (N, H, W, C).

    Examples:
        >>> grey = np.full_like(images, 0.5)
        >>> lost = cladec.lost_maps(images, cladec_images=grey, refae_images=images)
        >>> lost.shape, bool((lost >= 0).all())
        ((360, 28, 28), True)
    """
    shapes = [images.shape, cladec_images.shape, refae_images.shape]
    if images.ndim != 4 or len(set(shapes)) > 1:
        raise InputError(
            f"images, cladec_images and refae_images are {', '.join(map(str, shapes))}: expected "
            "the same images three times, (N, H, W, C)"
        )
    errors = np.square(images - cladec_images) - np.square(images - refae_images)
    return errors.sum(axis=-1, dtype=np.float32)


def lost_per_image(maps: np.ndarray) -> np.ndarray:
    """What was lost of each image: `lost_maps` (N, H, W) summed over pixels, (N,) float64.

    Its mean is the reconstruction loss of ClaDec at alpha 0 less that of RefAE.
    """
    return maps.sum(axis=(1, 2), dtype=np.float64)


def remark(low: float, high: float) -> str:
    """A warning if less than nothing was lost, by the interval of the mean; else nothing.

    RefAE trains the encoder as well, so it can only be worse where it was not trained enough.
    """
    return "RefAE was not trained enough: ClaDec is better" if high < 0 else ""


def summarize(
    lost: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    class_names: tuple[str, ...],
    *,
    most: int = 8,
    seed: int = 0,
) -> Summary:
    """Means per class and overall, the images where most was lost, the link to being wrong.

    The correlation is Pearson's between `lost` and whether the classifier is wrong on the original
    image (point-biserial): above zero, more is lost of the images it gets wrong. It is NaN where no
    image is wrong, or every one is, or the same was lost of each; so is what was lost of a class
    without images. Intervals are bootstrap percentile intervals of 95 %.

    Args:
        lost: `lost_per_image`, (N,) in squared pixel values.
        labels: (N,) true classes, or (N, K) the labels of each image.
        predicted: the classifier's answers, in the same form.
        class_names: K names.
        most: how many of the images where most was lost to name.
        seed: the seed of the bootstrap.
    """
    import pandas as pd  # here, as it would double the time of --help

    rows = [_row(EVERY_CLASS, lost, seed)]
    rows += [
        _row(name, lost[labels == k if labels.ndim == 1 else labels[:, k] == 1], seed)
        for k, name in enumerate(class_names)
    ]
    correlation = _correlation_row(lost, ~is_right(predicted, labels), seed)
    most_lost = np.argsort(-lost, kind="stable")[:most]
    return Summary(pd.DataFrame(rows), pd.DataFrame([correlation]), most_lost)


def _row(name: str, lost: np.ndarray, seed: int) -> dict[str, Any]:
    mean, drawn = np.nan, np.empty(0)
    if len(lost):
        mean, drawn = lost.mean(), bootstrap.resampled_means(lost, seed=seed)
    return {"class": name, "images": len(lost), "lost": mean} | _interval(drawn)


def _correlation_row(lost: np.ndarray, wrong: np.ndarray, seed: int) -> dict[str, float]:
    moments = correlations.moments(lost, wrong)
    drawn = correlations.from_means(bootstrap.resampled_means(moments, seed=seed))
    row = {
        "images": len(lost),
        "wrong": int(wrong.sum()),
        "correlation": float(correlations.from_means(moments.mean(axis=-1))),
    }
    return row | _interval(drawn)


def _interval(drawn: np.ndarray) -> dict[str, float]:
    """The interval of bootstrap results; of those that are defined, NaN where none is."""
    defined = drawn[~np.isnan(drawn)]  # a sample without a wrong image has no correlation
    if not len(defined):
        return {"low": np.nan, "high": np.nan}
    low, high = bootstrap.interval(defined)
    return {"low": float(low), "high": float(high)}
