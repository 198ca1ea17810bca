"""Names that somebody else chose, made fit for a terminal, a page, a figure, or a file."""

import hashlib
import os
import re

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, what turns the direction of writing, and bytes that are no UTF-8."""

LONGEST_NAME = 255
"""Bytes that the name of a file may have."""


def printable(text: str) -> str:
    r"""The text with every character that could do more than be read written as Python does: \x1b.

    What moves a terminal's cursor, reverses the text around it or cannot be encoded is changed;
    all other Unicode stays as it is.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(name: str, size: int = LONGEST_NAME) -> str:
    """The name itself where it has at most `size` bytes, else its beginning and a digest of all."""
    encoded = os.fsencode(name)
    if len(encoded) <= size:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return f"{encoded[: size - len(digest) - 1].decode(errors='ignore')}-{digest}"
