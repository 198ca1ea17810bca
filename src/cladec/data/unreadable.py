"""Count and name pictures that cannot be read, and leave them out if that is wanted."""

import warnings

from cladec.errors import InputError, InputWarning

SHOWN = 3
"""The number of pictures whose errors are shown."""


class Unreadable:
    """The pictures that could not be read so far.

    Args:
        skip: whether they are left out, with a warning; else `report` raises an error.
    """

    def __init__(self, *, skip: bool):
        self.skip = skip
        self._errors: list[InputError] = []

    def note(self, error: InputError) -> None:
        """Count a picture by the error that names it."""
        self._errors.append(error)

    def report(self, total: int) -> None:
        """Tell of the pictures that cannot be read, if there are any.

        Args:
            total: the number of all pictures.

        Raises:
            InputError: they are not to be skipped; the message names the first few and the option.
        """
        if not self._errors:
            return
        errors = "; ".join(str(error) for error in self._errors[:SHOWN])
        more = "; and others" if len(self._errors) > SHOWN else ""
        told = f"{len(self._errors)} of {total} pictures cannot be used: {errors}{more}"
        if not self.skip:
            raise InputError(
                f"{told}. Leave such pictures out with skip_unreadable=True, or --skip-unreadable "
                "in a command"
            )
        warnings.warn(f"{told}. They are left out", InputWarning, stacklevel=3)
