"""Images cut into segments, the units that LIME and anchors hide and keep."""

from collections.abc import Iterator

import numpy as np

from cladec import checks
from cladec.errors import InputError
from cladec.explainers.inputs import Fill, background_image

Segments = int | np.ndarray
"""How many segments to look for, or the label of every pixel: (H, W), or (N, H, W) for each."""


def segment(image: np.ndarray, count: int) -> np.ndarray:
    """Cut one image into about `count` connected segments of like pixels by SLIC; into fewer where
    these would be smaller than 2x2 pixels.

    Segments follow edges as far as that leaves them about as many as asked for: the flat ground of
    a grey digit is cut into a grid, a photograph along its contours. The same image always gives
    the same segments. Achanta et al., "SLIC Superpixels Compared to State-of-the-art Superpixel
    Methods", 2012.

    Args:
        image: (H, W, C) in [0, 1]; three channels are taken for RGB.
        count: at least 2.

    Returns:
        (H, W) int64, labels counted from 0 without a gap.
    """
    from skimage.segmentation import slic

    # The mean of a single pixel, which stands for a hidden segment, would hide nothing.
    count = max(2, min(count, image.shape[0] * image.shape[1] // 4))
    labels = np.zeros(image.shape[:2], np.int64)
    # Three channels are compared as CIE Lab, whose values go to 100.
    scale = 100.0 if image.shape[2] == 3 else 1.0
    for share in (0.1, 0.3, 1.0, 10.0):
        compactness = scale * share
        found = slic(image, count, compactness, start_label=0, channel_axis=-1)
        distinct, inverse = np.unique(found, return_inverse=True)
        labels = inverse.reshape(found.shape)
        if len(distinct) >= count / 2:
            break
    return labels.astype(np.int64)


def segmentations(images: np.ndarray, segments: Segments) -> Iterator[np.ndarray]:
    """The segments of every image in turn, (H, W) int64, labels from 0 without a gap.

    Raises:
        InputError: the count is below 2, or the labels are no whole numbers of the images' shape.
    """
    labels = checks.array("segments", segments)
    if labels.ndim == 0:
        count = checks.whole("segments", segments)
        if count < 2:
            raise InputError(f"segments is {segments}: expected at least 2 to compare")
        yield from (segment(image, count) for image in images)
        return
    shape = images.shape[:3]
    if labels.shape not in (shape, shape[1:]) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"segments is a {labels.dtype} array of shape {labels.shape}: expected a number of "
            f"segments, or a whole number for every pixel, of shape {shape[1:]} or {shape}"
        )
    for image_labels in np.broadcast_to(labels, shape):
        yield np.unique(image_labels, return_inverse=True)[1].reshape(shape[1:])


def without_detail(image: np.ndarray, segments: np.ndarray, fill: Fill | None = None) -> np.ndarray:
    """What stands for hidden segments: the image with all of them hidden, (H, W, C) float32.

    Args:
        image: (H, W, C).
        segments: (H, W) labels.
        fill: a number, a colour (C,) or an image (H, W, C), in [0, 1]; without it, each segment's
            mean colour.

    Raises:
        InputError: `fill` is none of these.
    """
    if fill is not None:
        return background_image("fill", fill, image.shape)
    sizes = np.bincount(segments.ravel())
    pixels = image.reshape(-1, image.shape[2]).astype(np.float64)
    sums = [np.bincount(segments.ravel(), weights=channel) for channel in pixels.T]
    means = np.stack(sums, axis=1) / sizes[:, None]
    return means[segments].astype(np.float32)


def keep(
    image: np.ndarray, hidden: np.ndarray, segments: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """The image with all segments hidden but some, once for every row of `kept`.

    Args:
        image: (H, W, C).
        hidden: what shows in place of a hidden segment, (H, W, C), or (B, H, W, C) for each row.
        segments: (H, W) labels.
        kept: (B, K) bool.

    Returns:
        (B, H, W, C).
    """
    return np.where(kept[:, segments][..., None], image, hidden)
