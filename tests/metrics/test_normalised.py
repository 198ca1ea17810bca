"""The normalised error and that of a thumbnail, against the plainest way to compute them."""

import numpy as np
import pytest
import zoo
from PIL import Image

from cladec.metrics import normalised

SHAPE = (12, 8, 3)


@pytest.fixture
def pictures(monkeypatch):
    monkeypatch.setattr(normalised, "ROWS", 3)  # several batches, the last of them smaller
    return zoo.images(8, SHAPE)


def test_the_mean_image_is_that_of_all(pictures):
    np.testing.assert_allclose(normalised.mean_image(pictures), pictures.mean(axis=0), rtol=1e-6)


def test_the_error_is_a_share_of_that_of_the_mean_image(pictures):
    mean, decoded = pictures.mean(axis=0), np.sqrt(pictures)
    expected = ((pictures - decoded) ** 2).sum() / ((pictures - mean) ** 2).sum()
    assert normalised.normalised_error(pictures, decoded, mean) == pytest.approx(expected, rel=1e-5)


def test_nothing_kept_is_one_and_everything_is_zero(pictures):
    mean = pictures.mean(axis=0)
    nothing = np.broadcast_to(mean, pictures.shape)
    assert normalised.normalised_error(pictures, nothing, mean) == pytest.approx(1)
    assert normalised.normalised_error(pictures, pictures, mean) == 0
    assert np.isnan(normalised.normalised_error(nothing, nothing, mean))


def test_a_thumbnail_is_a_picture_of_means_enlarged(pictures):
    mean = pictures.mean(axis=0)
    small = pictures.reshape(8, 3, 4, 2, 4, 3).mean(axis=(2, 4))
    channels = [
        [
            np.asarray(Image.fromarray(picture[..., c]).resize((8, 12), Image.Resampling.BILINEAR))
            for c in range(3)
        ]
        for picture in small
    ]
    enlarged = np.moveaxis(np.array(channels), 1, -1)
    expected = normalised.normalised_error(pictures, enlarged, mean)
    assert normalised.thumbnail_error(pictures, (3, 2), mean) == pytest.approx(expected, rel=1e-4)


def test_a_finer_thumbnail_holds_more_and_one_of_the_same_size_all(pictures):
    mean = pictures.mean(axis=0)
    errors = [normalised.thumbnail_error(pictures, (n, n), mean) for n in (2, 4, 8)]
    assert errors == sorted(errors, reverse=True)
    assert normalised.thumbnail_error(pictures, SHAPE[:2], mean) < 1e-10


@pytest.mark.parametrize(
    ("code", "grid"),
    [((6, 4, 7), (6, 4)), ((1, 1, 7), None), ((96,), None), ((25, 9), (6, 4)), ((3, 9), None)],
)
def test_codes_with_places_have_a_grid(code, grid):
    assert normalised.grid_of(code, 12, 8) == grid
