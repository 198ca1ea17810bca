"""Convert numbers from users where only one meaning is possible, and refuse all others."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from cladec.errors import InputError

Row = TypeVar("Row")

LARGEST = 2**32 - 1
"""The largest whole number accepted, because NumPy and Keras take no larger seed."""


def whole(name: str, value: Any, least: int | None = None) -> int:
    """Convert a whole number of any type, such as 1e3 or "8", to an int.

    Args:
        name: the name of the number in the error message.
        value: the number.
        least: the smallest number allowed.

    Raises:
        InputError: if the value is not a whole number, is below `least` or exceeds `LARGEST`.
    """
    found = _plain(value)
    limit = "" if least is None else f" of at least {least}"
    if found is None or found % 1 != 0 or (least is not None and found < least):  # NaN as well
        raise InputError(f"{name} is {value!r:.60}: expected a whole number{limit}")
    if abs(found) > LARGEST:
        raise InputError(f"{name} is {value!r:.60}: expected at most {LARGEST}")
    return int(found)


def wholes(name: str, value: Any) -> tuple[int, ...]:
    """Convert one whole number, or a sequence or array of them, to a tuple of ints.

    Raises:
        InputError: if a value is not a whole number.
    """
    single = isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray)
    if single or getattr(value, "ndim", 1) == 0:
        return (whole(name, value),)
    return tuple(whole(name, each) for each in value)


def shape(name: str, value: Any, ranks: Sequence[int], expected: str) -> tuple[int, ...]:
    """Convert a shape without its batch dimension to a tuple of sizes of at least 1.

    Args:
        name: what has this shape, for the error message.
        value: the sizes.
        ranks: the numbers of dimensions allowed.
        expected: the allowed shapes in words.

    Raises:
        InputError: if a size is not a positive whole number, or the rank is not allowed.
    """
    try:
        sizes = wholes(name, value)
    except InputError:
        sizes = ()
    if len(sizes) not in ranks or min(sizes) < 1:
        raise InputError(f"{name} of shape {value!r:.60}: expected {expected}, all sizes known")
    return sizes


def array(name: str, value: Any, dtype: Any = None) -> np.ndarray:
    """Convert a value to an array; an array of this type is returned as it is.

    Raises:
        InputError: if the value is not an array of numbers, for example a ragged list of lists.
    """
    try:
        with np.errstate(all="ignore"):  # values beyond the range of the type become infinite
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
    """Convert a number of any type, or its text, to a Python number; an int stays an int.

    Args:
        name: the name of the number in the error message.
        value: the number.
        expected: the allowed numbers in words.
        fits: a function that tells whether a finite number is allowed.

    Raises:
        InputError: if the value is not finite, or is a number that is not allowed.
    """
    found = _plain(value)
    if found is None or not math.isfinite(found) or not fits(found):
        raise InputError(f"{name} is {value!r:.60}: expected {expected}")
    return found


def flag(name: str, value: Any) -> bool:
    """Convert True, False, 0 or 1 to a bool.

    Raises:
        InputError: if the value is something else.
    """
    if isinstance(value, np.bool_):
        return bool(value)
    found = value if isinstance(value, bool) else _plain(value)
    if found not in (0, 1):
        raise InputError(f"{name} is {value!r:.60}: expected True or False")
    return bool(found)


def _plain(value: Any) -> int | float | None:
    """Return a number as a Python int or float, and None for anything else, including a bool."""
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
    """Raise an InputError for an option below `minimum`: `at_least(1, samples=samples)`."""
    for name, value in options.items():
        if not value >= minimum:
            raise InputError(f"{name} is {value}: expected {minimum} or more")


def row(what: str, name: Any, table: Mapping[str, Row]) -> Row:
    """Return the row of a table by its name.

    Args:
        what: what the rows are, for the message.
        name: the name of the row.
        table: the rows by their names.

    Raises:
        InputError: there is no such row; the message lists the names there are.
    """
    if not isinstance(name, str) or name not in table:
        raise InputError(f"unknown {what} {name!r:.60}: choose from {', '.join(table)}")
    return table[name]
