"""Grids of cells over an image: how much of each cell is in each pixel of an axis."""

import numpy as np


def interpolation(centres: np.ndarray, cells: int) -> np.ndarray:
    """What the pixels with these centres (..., P) take of each cell, linearly, (..., P, cells).

    Cell k has its centre at k; outside of the outermost centres, the outermost cell is taken.
    """
    places = np.arange(cells, dtype=np.float32)
    return np.maximum(0, 1 - np.abs(np.clip(centres, 0, cells - 1)[..., None] - places))


def enlargement(size: int, cells: int) -> np.ndarray:
    """What each pixel of an axis takes of each cell, linearly, (size, cells) float32."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) * cells / size - 0.5
    return interpolation(centres, cells)


def reduction(cells: int, size: int) -> np.ndarray:
    """What each cell of an axis takes of each pixel, by the area they share, (cells, size)."""
    borders = np.arange(cells + 1) * size / cells
    starts, ends, pixels = borders[:-1, None], borders[1:, None], np.arange(size)
    shared = np.minimum(ends, pixels + 1) - np.maximum(starts, pixels)
    return (np.maximum(0, shared) * cells / size).astype(np.float32)


def enlarged(grids: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Grids (N, h, w) enlarged bilinearly to maps of this size, (N, H, W)."""
    return along_axes(grids, *map(enlargement, size, grids.shape[1:]))


def along_axes(arrays: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Arrays (N, h, w, ...) with `rows` (H, h) and `columns` (W, w) applied, (N, H, W, ...)."""
    return np.einsum("ih,jw,nhw...->nij...", rows, columns, arrays, optimize=True)
