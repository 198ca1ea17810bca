"""The exception and the warning that cladec addresses to its users."""

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args, get_origin, get_type_hints


class InputError(ValueError):
    """A mistake that the user can correct.

    The message is one line that names the value received, what was expected and what to do next;
    the command line prints it and exits with code 2.

    Examples:
        >>> cladec.Recipe(epochs=0, batch_size=64, learning_rate=1e-2)
        Traceback (most recent call last):
        cladec.errors.InputError: epochs is 0: expected a whole number of at least 1
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(line.strip() for line in message.splitlines()))


class InputWarning(UserWarning):
    """A warning that the user's input may be wrong, although the work continues.

    The message is one sentence, as in `InputError`, and the command line prints it on one line.

    Examples:
        >>> import warnings
        >>> wants_bytes = [keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255), classifier]
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("error", cladec.InputWarning)
        ...     cladec.explain(keras.Sequential(wants_bytes), images[:2], method="saliency")
        Traceback (most recent call last):
        cladec.errors.InputWarning: model ... seems to want pixels from 0 to 255, ...
    """


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Import a dependency that an extra of the package installs.

    Args:
        extra: the name of the extra.
        what: the feature that needs the dependency, as the message names it.

    Raises:
        InputError: if the dependency is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{what} needs more than is installed ({error}): pip install 'cladec[{extra}]'"
        ) from None


def check_at_least_one(name: str, value: int | None) -> None:
    """Raise an InputError if a setting that has a value is below 1."""
    if value is not None and value < 1:
        raise InputError(f"--{name.replace('_', '-')} is {value}: expected at least 1")


def check_types(settings: Any) -> None:
    """Raise an InputError if a field of a dataclass does not have its declared type."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if not _fits(value, hint):
            raise InputError(f"{name} is {value!r:.60}: expected {getattr(hint, '__name__', hint)}")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:  # (kind, ...)
        return isinstance(value, tuple) and all(_fits(each, get_args(hint)[0]) for each in value)
    if isinstance(hint, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if hint is float:  # JSON has one number type; floats hold every int up to 2**53
        return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**53)
    return isinstance(value, get_origin(hint) or hint)
