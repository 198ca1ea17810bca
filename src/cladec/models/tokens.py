"""The grid that the tokens of a transformer form over an image."""

import math

Grid = tuple[int, int]
"""(rows, columns)."""

SMALLEST_TOKEN_GRID = 4
"""Fewer tokens than this are no grid."""

FIRST_TOKENS = 5
"""The most class and register tokens before the tokens that form a grid."""


def token_grid(count: int, height: int, width: int) -> Grid | None:
    """Return the grid of `count` tokens that were made of (height, width) positions; None if none.

    It is that of the positions themselves or of square patches of them, or else a square; a few
    tokens may come first, such as a class token.
    """
    sides = range(1, min(height, width) + 1)
    patches = [(height // side, width // side) for side in sides]
    cells = range(count, max(SMALLEST_TOKEN_GRID, count - FIRST_TOKENS) - 1, -1)
    squares = [(math.isqrt(number), math.isqrt(number)) for number in cells]
    for grids in (patches, squares):
        for number in cells:
            for rows, columns in grids:
                if rows * columns == number:
                    return rows, columns
    return None
