"""Pictures of one size as bytes in a file, which look like an array of floats in [0, 1]."""

from pathlib import Path

import numpy as np

from cladec.data.stored_rows import StoredRows


class Pictures(StoredRows):
    """Images (N, H, W, C), float32 in [0, 1], of which only the rows asked for are in memory.

    They are read from a file of bytes, whose rows are images. They have the shape, dtype, ndim and
    length of an array, are indexed by an int, a slice or an array of ints, and `numpy.asarray`
    reads all of them.

    Args:
        path: the file of bytes, one image after the other.
        shape: the shape (H, W, C) of an image.
        rows: the places of the images in the file, (N,).

    Examples:
        >>> photos = cladec.load("photos", shape=(224, 224, 3))
        >>> photos.train.images[:32].shape
        (32, 224, 224, 3)
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], rows: np.ndarray):
        super().__init__(path, (len(rows), *shape), np.uint8, np.float32, rows=rows)
