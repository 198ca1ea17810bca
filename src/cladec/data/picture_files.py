"""Collect the pictures of a folder or a table of files, to be decoded and fitted to a model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cladec.data.picture_cache import Collection, Picture
from cladec.data.picture_lists import list_images, relative


def collect(source: Path) -> Collection:
    """Return the pictures of `list_images`, which are not decoded.

    Raises:
        InputError: as `list_images`.
    """
    class_names, train, test = list_images(source)
    files = train + test

    def pictures() -> Iterator[Picture]:
        return (Picture(path, label, path) for path, label in files)

    facts = [
        f"{relative(source, path)} {label} {status.st_size} {status.st_mtime_ns}"
        for path, label in files
        for status in [path.stat()]
    ]
    is_test = np.arange(len(files)) >= len(train)
    return Collection(
        str(source), class_names, "\n".join(facts), len(files), pictures, lambda labels: is_test
    )
