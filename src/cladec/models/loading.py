"""This module loads models from their files without executing any code in them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cladec.errors import InputError
from cladec.models.precision import keras_defaults
from cladec.storage import model_files, remote, saved_model

if TYPE_CHECKING:
    import keras

    from cladec.models.saved_function import SavedFunction


def load_model(path: str | os.PathLike[str]) -> "keras.Model | SavedFunction":
    """Load a classifier from this disk or from a URL.

    Args:
        path: a `.keras` file, a `.h5` file of any version of Keras; or, on this disk, the folder of
            a SavedModel, such as `model.export` writes, for methods that need no layers.

    Returns:
        The model, not compiled; for a SavedModel, a function of images that gives scores.

    Raises:
        InputError: the file is missing or damaged, contains code, refers to another file, or would
            unpack to an implausible size; or the URL does not answer.

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
    # Keras can only load classes that are registered.
    from cladec.models import (  # noqa: F401
        cladec,
        conditional,
        refae,
        saved_function,
        variational,
    )

    if saved_model.is_saved_model(file):
        return saved_function.SavedFunction(file)
    with keras_defaults():
        return model_files.read(file)


def load_network(path: str | os.PathLike[str]) -> "keras.Model":
    """Load a classifier whose layers are needed, as `load_model` does.

    Raises:
        InputError: as `load_model`; or it is a SavedModel.
    """
    import keras

    model = load_model(path)
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{path} is a SavedModel, which has no layers: load the model that this was exported "
            "from, or use a method that needs none (rise, occlusion, lime, ...)"
        )
    return model


def load_saved(path: Path) -> "keras.Model":
    """Load a model that this package saved and whose file agrees with its record.

    Raises:
        InputError: the file is missing, damaged or not a model of this package.
    """
    model_files.verify(path)
    return load_network(path)


def give_weights(path: Path, model: "keras.Model") -> None:
    """Give a model the weights of another of its architecture that this package saved.

    Raises:
        InputError: the file is missing, damaged or not a model of this package, or holds another
            architecture.
    """
    model_files.verify(path)
    model_files.read_weights(path, model)
