"""Choose and start Keras and its backend."""

import os
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import lazy_loader

from cladec.errors import InputError

BACKENDS = ("tensorflow", "jax", "torch")
"""The Keras backends that can train models."""


def front(
    package: str, file: str, without_keras: Collection[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package that exports its stub's names.

    Each name is imported when it is first used, and Keras is started first if the name needs it.

    Args:
        package: the `__name__` of the package.
        file: the `__file__` of the package.
        without_keras: the names that work even if Keras is missing or misconfigured.
    """
    imported, directory, names = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if name not in without_keras:
            start_keras()
        return imported(name)

    return get, directory, names


def import_keras() -> None:
    """Import Keras; if only one backend is installed and none is set, Keras uses that one.

    Raises:
        InputError: if the backend is not installed or cannot train, or `keras.json` is invalid.
    """
    _choose_backend()
    try:
        import keras
    except Exception as error:
        if getattr(error, "name", None) == "keras":
            raise
        raise InputError(f"Keras does not start ({error}): {_remedy(error)}") from error
    if keras.backend.backend() not in BACKENDS:
        raise InputError(
            f"Keras is set to run on {keras.backend.backend()}, which cannot train: set the "
            f"environment variable KERAS_BACKEND to one of {', '.join(BACKENDS)}"
        )


def own_version() -> str:
    """Return the version of this package, or "unknown" if it is not installed."""
    # At the top of the file, this import would slow down `import cladec`.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cladec")
    except PackageNotFoundError:
        return "unknown"


def _choose_backend() -> None:
    """Choose the only installed backend unless it is TensorFlow, which Keras uses by default."""
    installed = _installed()
    if len(installed) == 1 and "tensorflow" not in installed and "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", installed[0])


def _installed() -> list[str]:
    # A folder that only has the name of a backend has no origin.
    return [name for name in BACKENDS if getattr(find_spec(name), "origin", None)]


def _remedy(error: Exception) -> str:
    """Say how to fix an error that occurs when Keras is imported."""
    missing = getattr(error, "name", None)
    if missing in BACKENDS:
        others = "".join(f", or set KERAS_BACKEND={name}" for name in _installed())
        return f"pip install 'cladec[{missing}]'{others}"
    settings = os.path.join(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json")
    names = ", ".join(BACKENDS)
    return f"set the environment variable KERAS_BACKEND to one of {names}, or correct {settings}"


def start_keras(threads: int | None = None) -> None:
    """Import Keras and its backend without the messages that native code prints at the start.

    If the program has already imported Keras, its settings are not changed.

    Args:
        threads: the number of threads for TensorFlow; the default is one per core.

    Raises:
        InputError: in the same cases as `import_keras`.
    """
    if "keras" in sys.modules:
        import_keras()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Otherwise the first process with JAX takes most of a GPU's memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as greeting:
        os.dup2(greeting.fileno(), 2)
        try:
            import_keras()

            # Keras later imports TensorFlow, if it is installed, whatever the backend is.
            with suppress(ImportError):
                _start_tensorflow(threads)
        except BaseException:
            greeting.seek(0)
            os.write(terminal, greeting.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _start_tensorflow(threads: int | None) -> None:
    import tensorflow

    # TensorFlow warns about repeated tracing when many small models are used in turn.
    tensorflow.get_logger().setLevel("ERROR")
    if threads:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tensorflow.config.list_physical_devices("GPU"):
        # Otherwise the first process takes all GPU memory. A GPU in use cannot be changed.
        with suppress(RuntimeError):
            tensorflow.config.experimental.set_memory_growth(device, True)
