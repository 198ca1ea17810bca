"""Models loaded from their files, those of this package among them; nothing in them is executed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cladec.errors import InputError
from cladec.models.precision import keras_defaults
from cladec.storage import model_files, remote

if TYPE_CHECKING:
    import keras


def load_model(path: str | os.PathLike[str]) -> "keras.Model":
    """Load any `.keras` file, on this disk or at a URL.

    Raises:
        InputError: the file is missing or damaged, holds code of its own, leads to another file, or
            would inflate to far more than it could hold; a URL does not answer.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     classifier.save(f"{folder}/classifier.keras")
        ...     loaded = cladec.load_model(f"{folder}/classifier.keras")
        >>> np.array_equal(loaded.predict(images, verbose=0), classifier.predict(images, verbose=0))
        True
    """
    try:
        file = cast(Path, path) if hasattr(path, "joinpath") else remote.location(os.fspath(path))
    except remote.Unreachable as error:
        raise InputError(str(error)) from None
    if remote.is_remote(file):
        with remote.fetched(file) as copy:
            return load_model(copy)
    # Keras finds the classes of a model among those that it has been told of.
    from cladec.models import cladec, conditional, variational  # noqa: F401

    with keras_defaults():
        return model_files.read(file)


def load_saved(path: Path) -> "keras.Model":
    """Load a model that this package saved, where its file is the one that its record describes.

    Raises:
        InputError: the file is missing, damaged or no model of ours.
    """
    model_files.verify(path)
    return load_model(path)
