"""Make names from untrusted sources safe for terminals, pages, figures and files."""

import hashlib
import os
import re

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, characters that change the writing direction, and bytes outside UTF-8."""

LONGEST_NAME = 255
"""The maximum length of a file name in bytes."""


def printable(text: str) -> str:
    r"""Replace unsafe characters with Python escapes such as \x1b, and keep all other Unicode.

    Unsafe characters move a terminal's cursor, reverse the text around them or cannot be encoded.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(name: str, size: int = LONGEST_NAME) -> str:
    """Return a name of at most `size` bytes; a longer one keeps its beginning and gets a digest."""
    encoded = os.fsencode(name)
    if len(encoded) <= size:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    return f"{encoded[: size - len(digest) - 1].decode(errors='ignore')}-{digest}"
