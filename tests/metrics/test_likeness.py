"""How like two pictures are: beside scikit-image, the formula, and a naive search."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from cladec import metrics
from cladec.errors import InputError


@pytest.fixture(params=[(16, 13, 1), (12, 11, 3), (8, 8, 1), (3, 5, 2)], ids=str)
def pair(request):
    random = np.random.default_rng(0)
    images = random.random((3, *request.param), np.float32)
    return images, np.clip(images + random.normal(0, 0.2, images.shape), 0, 1).astype(np.float32)


def test_psnr_is_that_of_scikit_image(pair):
    expected = [peak_signal_noise_ratio(*both, data_range=1) for both in zip(*pair, strict=True)]
    np.testing.assert_allclose(metrics.psnr(*pair), expected, rtol=1e-5)
    assert (metrics.psnr(pair[0], pair[0]) == 100).all()


def naive_ssim(image, other, weights):
    """Eq. 13 of Wang et al. at every place where the window (side, side) lies within, and channel.

    Args:
        image: (H, W).
        other: (H, W).
        weights: of the window, which sum to 1.
    """
    side, found = len(weights), []
    for top in range(image.shape[0] - side + 1):
        for left in range(image.shape[1] - side + 1):
            x, y = (
                each[top : top + side, left : left + side].astype(float) for each in (image, other)
            )
            means = (weights * x).sum(), (weights * y).sum()
            variances = [
                (weights * (each - mean) ** 2).sum()
                for each, mean in zip((x, y), means, strict=True)
            ]
            together = (weights * (x - means[0]) * (y - means[1])).sum()
            light = (2 * means[0] * means[1] + 1e-4) / (means[0] ** 2 + means[1] ** 2 + 1e-4)
            found.append(light * (2 * together + 9e-4) / (sum(variances) + 9e-4))
    return np.mean(found)


def test_ssim_is_that_of_the_paper(pair):
    side = min(pair[0].shape[1:3])
    weights = np.full((min(7, side),) * 2, 1.0)
    if side >= 11:
        bell = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
        weights = np.outer(bell, bell)
    weights /= weights.sum()
    expected = [
        np.mean(
            [
                naive_ssim(*(each[..., k] for each in both), weights)
                for k in range(len(both[0][0, 0]))
            ]
        )
        for both in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(metrics.ssim(*pair), expected, rtol=1e-6)
    np.testing.assert_allclose(metrics.ssim(pair[0], pair[0]), 1)


def test_the_original_is_found_where_it_is_the_nearest():
    random = np.random.default_rng(1)
    images = random.random((300, 4, 4, 1), np.float32)
    decoded = images + random.normal(0, 0.3, images.shape)
    distances = np.square(decoded[:, None] - images[None]).sum(axis=(2, 3, 4))
    expected = distances.argmin(axis=1) == np.arange(300)
    assert 0.2 < expected.mean() < 0.99
    np.testing.assert_array_equal(metrics.reidentified(images, decoded), expected)
    assert metrics.reidentified(images, np.zeros_like(images)).sum() == 1


@pytest.mark.parametrize("measure", [metrics.psnr, metrics.ssim, metrics.reidentified])
def test_other_images_are_refused(measure):
    with pytest.raises(InputError, match="the same images twice"):
        measure(np.zeros((2, 8, 8, 1)), np.zeros((3, 8, 8, 1)))


def test_images_without_a_neighbourhood_are_refused():
    with pytest.raises(InputError, match="2 pixels a side"):
        metrics.ssim(np.zeros((2, 2, 8, 1)), np.zeros((2, 2, 8, 1)))
