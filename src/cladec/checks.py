"""Numbers as people give them: what can mean one thing only is taken, the rest is refused."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cladec.errors import InputError

LARGEST = 2**32 - 1
"""No whole number goes beyond this: numpy and Keras take no larger seed."""


def whole(name: str, value: Any, least: int | None = None) -> int:
    """`value` as an int, given as a whole number of any type, 1e3 or "8" for instance.

    Args:
        name: what the number is, for the error.
        value: the number.
        least: that it must be.

    Raises:
        InputError: it is no whole number, below `least`, or beyond `LARGEST`.
    """
    found = _plain(value)
    limit = "" if least is None else f" of at least {least}"
    if found is None or found % 1 != 0 or (least is not None and found < least):  # NaN as well
        raise InputError(f"{name} is {value!r:.60}: expected a whole number{limit}")
    if abs(found) > LARGEST:
        raise InputError(f"{name} is {value!r:.60}: expected at most {LARGEST}")
    return int(found)


def wholes(name: str, value: Any) -> tuple[int, ...]:
    """Whole numbers, given as one or as a tuple, list, range or array of them.

    Raises:
        InputError: one is no whole number.
    """
    single = isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray)
    if single or getattr(value, "ndim", 1) == 0:
        return (whole(name, value),)
    return tuple(whole(name, each) for each in value)


def shape(name: str, value: Any, ranks: Sequence[int], expected: str) -> tuple[int, ...]:
    """The shape of something without its batch, as a tuple of sizes of at least 1.

    Args:
        name: of what, for the error.
        value: the sizes.
        ranks: how many there may be.
        expected: the shapes that may be, in words.

    Raises:
        InputError: a size is missing, no whole number or not positive, or there are too many.
    """
    try:
        sizes = wholes(name, value)
    except InputError:
        sizes = ()
    if len(sizes) not in ranks or min(sizes) < 1:
        raise InputError(f"{name} of shape {value!r:.60}: expected {expected}, all sizes known")
    return sizes


def array(name: str, value: Any, dtype: Any = None) -> np.ndarray:
    """`value` as an array, the same one where it is that already.

    Raises:
        InputError: it is no array of numbers, a list of lists of several lengths for instance.
    """
    try:
        with np.errstate(all="ignore"):  # what is beyond a type becomes infinite
            return np.asarray(value, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{name} is {value!r:.60}: expected an array of numbers ({error})"
        ) from None


def number(
    name: str,
    value: Any,
    expected: str = "a finite number",
    fits: Callable[[float], bool] = lambda number: True,
) -> float:
    """`value` as a number of Python, given as one of any type or as text; an int stays an int.

    Args:
        name: what the number is, for the error.
        value: the number.
        expected: what it must be, in words.
        fits: whether a finite number is that.

    Raises:
        InputError: it is no finite number, or not what is expected.
    """
    found = _plain(value)
    if found is None or not math.isfinite(found) or not fits(found):
        raise InputError(f"{name} is {value!r:.60}: expected {expected}")
    return found


def flag(name: str, value: Any) -> bool:
    """`value` as a bool, given as one or as 0 or 1.

    Raises:
        InputError: it is neither.
    """
    if isinstance(value, np.bool_):
        return bool(value)
    found = value if isinstance(value, bool) else _plain(value)
    if found not in (0, 1):
        raise InputError(f"{name} is {value!r:.60}: expected True or False")
    return bool(found)


def _plain(value: Any) -> int | float | None:
    """A number as an int or a float of Python, None for anything else, a bool as well."""
    if getattr(value, "shape", None) == ():
        value = np.asarray(value).item()
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        as_float = float(value)
    except (OverflowError, ValueError):  # 10**400 has no float
        return None
    return as_float if isinstance(value, str) else value


def at_least(minimum: float, **options: float) -> None:
    """Raises InputError for an option below `minimum`: `at_least(1, samples=samples)`."""
    for name, value in options.items():
        if not value >= minimum:
            raise InputError(f"{name} is {value}: expected {minimum} or more")
