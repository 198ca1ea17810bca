"""Which rows train: varied copies of few photographs, never those that are held out."""

import numpy as np
import pytest

from cladec.models import training_rows
from cladec.models.training_rows import Joined, Rows, Varied, of_rows, parts

IMAGES = np.random.default_rng(0).random((10, 40, 36, 3)).astype(np.float32)


def test_the_images_as_they_are_come_first():
    varied = Varied(IMAGES, 2)
    assert (varied.shape, varied.dtype, len(varied)) == ((30, 40, 36, 3), IMAGES.dtype, 30)
    np.testing.assert_array_equal(varied[:10], IMAGES)


@pytest.mark.parametrize("rows", [3, 13, slice(7, 24), np.array([29, 0, 10])])
def test_a_copy_is_the_same_however_it_is_read(rows):
    varied = Varied(IMAGES, 2)
    np.testing.assert_array_equal(varied[rows], varied[:][rows])


def test_a_copy_is_a_part_of_its_image_enlarged_and_perhaps_mirrored():
    """On a ramp, rows and columns are linear: their ends tell the part that is seen."""
    rows, columns = np.meshgrid(np.arange(40), np.arange(36), indexing="ij")
    ramp = np.stack([rows, columns], axis=-1).astype(np.float32)[None]
    copies = Varied(np.repeat(ramp, 200, axis=0), 1)[200:]
    for axis, size in ((0, 40), (1, 36)):
        seen = copies[..., axis]
        line = seen[:, :, 18] if axis == 0 else seen[:, 20]
        assert (np.ptp(seen, axis=2 - axis) < 1e-4).all()
        assert line.min() >= 0
        assert line.max() <= size - 1
        side = np.abs(line[:, 30] - line[:, 5]) / 25
        assert (side > training_rows.SMALLEST - 0.01).all()
        assert (side < 1.0).all()
    mirrored = copies[:, 20, 5, 1] > copies[:, 20, 30, 1]
    assert 0.3 < mirrored.mean() < 0.7
    assert (copies[:, 5, 5, 0] < copies[:, 30, 5, 0]).all()


def test_copies_of_bytes_are_bytes():
    pictures = (255 * IMAGES).astype(np.uint8)
    copies = Varied(pictures, 1)[10:]
    assert copies.dtype == np.uint8
    np.testing.assert_allclose(copies / 255, Varied(IMAGES, 1)[10:], atol=2.5 / 255)


@pytest.mark.parametrize("rows", [3, 13, slice(7, 14), slice(None, None, 3), np.array([14, 0, 10])])
def test_joined_arrays_are_one_array(rows):
    first, second = IMAGES, 2 * IMAGES[:5].astype(np.float16)
    whole, joined = np.concatenate([first, second]), Joined(first, second)
    assert (joined.shape, joined.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(joined[rows], whole[rows])


def test_only_few_photographs_are_varied(monkeypatch):
    assert len(training_rows.varied_if_few(IMAGES)) == 10 * (1 + training_rows.COPIES)
    small = IMAGES[:, :32, :32]
    assert training_rows.varied_if_few(small) is small
    monkeypatch.setattr(training_rows, "MOST", 39)
    assert len(training_rows.varied_if_few(IMAGES)) == 30
    monkeypatch.setattr(training_rows, "MOST", 19)
    assert training_rows.varied_if_few(IMAGES) is IMAGES


def test_a_photograph_is_held_out_with_its_copies():
    images = np.zeros((40, 33, 8, 1))
    chosen = parts(Varied(images, 2), 0)
    assert len(set(chosen.held_out)) == 4
    assert chosen.held_out.max() < 40
    assert len(set(chosen.trained)) == 120 - 12
    assert not set(chosen.trained % 40) & set(chosen.held_out)
    assert not np.array_equal(chosen.held_out, parts(Varied(images, 2), 1).held_out)
    np.testing.assert_array_equal(parts(images, 0).held_out, chosen.held_out)
    assert parts(images[:9], 0) is None


def test_no_more_images_are_held_out_than_a_measurement_needs():
    chosen = parts(np.zeros((20_000, 1, 1, 1), np.uint8), 0)
    assert len(chosen.held_out) == training_rows.MOST_HELD_OUT
    assert len(chosen.trained) == 19_000


def test_arrays_of_some_rows():
    arrays = {"codes": np.arange(20), "images": Rows(np.arange(20) * 2, np.arange(20))}
    some = of_rows(arrays, np.array([3, 15]))
    assert some["codes"][:].tolist() == [3, 15]
    assert some["images"][:].tolist() == [6, 30]
