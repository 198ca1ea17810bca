"""The memory that a file may take: a small file must not unpack to gigabytes."""

from cladec.errors import InputError

EXPANSION, ALWAYS = 10, 16 * 2**20
"""A file may unpack to 10 times its size, or to 16 MiB. Keras does not compress its files; trained
weights that are compressed afterwards shrink by less than half."""

VALUE = 64
"""The bytes that Python needs for each value in JSON or a vocabulary."""


def largest(size: int) -> int:
    """Return the most bytes that a file of `size` bytes may take in memory."""
    return max(ALWAYS, EXPANSION * size)


def in_python(text: bytes) -> int:
    """Return the bytes that Python needs for the values in a text, at most."""
    return VALUE * sum(text.count(mark) for mark in (b",", b":", b"[", b"{", b"\n"))


def check_size(size: int, limit: int) -> None:
    """Raise InputError if a file would take more than `limit` bytes."""
    if size > limit:
        raise InputError(
            f"it would inflate to {size / 2**20:,.0f} MiB, more than {EXPANSION} times its size"
        )
