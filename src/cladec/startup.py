"""How a program of this package starts Keras and what computes for it."""

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
"""What models can be trained on."""


def front(
    package: str, file: str, without_keras: Collection[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package that hands on the names of its stub.

    They are imported when they are first used, those that need Keras after it was started.

    Args:
        package: its `__name__`.
        file: its `__file__`.
        without_keras: the names that are there as well where Keras is not installed or wrongly set.
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
    """Import Keras, on the only backend that is installed where nothing else is set.

    Raises:
        InputError: it is set to run on what is not installed or trains nothing, or its
            `keras.json` is wrong.
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
            f"Keras is set to run on {keras.backend.backend()}, which trains nothing: set the "
            f"environment variable KERAS_BACKEND to one of {', '.join(BACKENDS)}"
        )


def own_version() -> str:
    """The version of this package; "unknown" where it is a source tree that is not installed."""
    # Not at the top: `import cladec` would wait for it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cladec")
    except PackageNotFoundError:
        return "unknown"


def _choose_backend() -> None:
    """Without TensorFlow, on which Keras runs unless told otherwise, take what is there instead."""
    installed = _installed()
    if len(installed) == 1 and "tensorflow" not in installed and "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", installed[0])


def _installed() -> list[str]:
    # A mere folder of that name has no origin.
    return [name for name in BACKENDS if getattr(find_spec(name), "origin", None)]


def _remedy(error: Exception) -> str:
    """What to do where Keras cannot be imported."""
    missing = getattr(error, "name", None)
    if missing in BACKENDS:
        others = "".join(f", or set KERAS_BACKEND={name}" for name in _installed())
        return f"pip install 'cladec[{missing}]'{others}"
    settings = os.path.join(os.environ.get("KERAS_HOME", "~/.keras"), "keras.json")
    names = ", ".join(BACKENDS)
    return f"set the environment variable KERAS_BACKEND to one of {names}, or mend {settings}"


def start_keras(threads: int | None = None) -> None:
    """Import Keras and its backend without the greeting written past Python's own streams.

    Where the program has imported it already, it is left as it is.

    Args:
        threads: that TensorFlow may use; without it one for each core.

    Raises:
        InputError: as `import_keras`.
    """
    if "keras" in sys.modules:
        import_keras()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Else the first process with JAX takes most of a GPU's memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as greeting:
        os.dup2(greeting.fileno(), 2)
        try:
            import_keras()

            # Keras imports it later with any other backend too, if it is there.
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

    # It warns of tracing anew when many small models are used one after the other.
    tensorflow.get_logger().setLevel("ERROR")
    if threads:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tensorflow.config.list_physical_devices("GPU"):
        # Else the first process takes all of its memory; too late where it is in use.
        with suppress(RuntimeError):
            tensorflow.config.experimental.set_memory_growth(device, True)
