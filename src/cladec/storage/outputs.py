"""This module writes figures and arrays, each file completely or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cladec.storage import model_files
from cladec.text import LONGEST_NAME, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a figure as PNG and return its path, whose name may have been shortened."""
    path = path.with_name(shortened(path.stem, LONGEST_NAME - len(path.suffix)) + path.suffix)
    model_files.write(path, lambda file: figure.savefig(file))
    return path


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays as `.npz` and return `path`."""

    def writer(file: Path) -> None:
        with file.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    model_files.write(path, writer)
    return path
