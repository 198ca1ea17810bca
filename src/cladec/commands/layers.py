"""`cladec layers`: the layers of a classifier, and which of them can be decoded."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Listing:
    """List the layers of a classifier with their shapes, and say which can be decoded."""

    model: Path
    """The classifier, a .keras file."""
