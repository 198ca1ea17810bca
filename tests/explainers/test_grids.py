"""Grids over an image, against weights written out and an interpolation by NumPy."""

import naive
import numpy as np
import pytest

from cladec.explainers.grids import along_axes, enlargement, reduction


def test_a_cell_takes_pixels_by_the_area_that_they_share():
    np.testing.assert_allclose(reduction(2, 4), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    expected = [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]]
    np.testing.assert_allclose(reduction(2, 3), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(reduction(5, 5), np.eye(5))


@pytest.mark.parametrize(("height", "width"), [(9, 7), (3, 2), (2, 5), (1, 1)])
def test_enlarged_grids_are_interpolated_between_centres(height, width):
    grids = np.random.default_rng(0).random((2, 3, 2), dtype=np.float32)
    found = along_axes(grids, enlargement(height, 3), enlargement(width, 2))
    expected = [naive.enlarged(grid, height, width) for grid in grids]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
