"""Name the models that decode a layer, the same in every picture, title and table."""

from collections.abc import Iterable

from cladec.models.recipes import alpha_text

USUAL = "fresh"
"""The start of a RefAE that needs no word, since the paper's is like that."""


def refae_title(starts: Iterable[str] = ()) -> str:
    """Return "RefAE", or "RefAE (tuned)" if its encoder began with the classifier's weights.

    Args:
        starts: where the encoder began, "fresh" or "tuned", of every RefAE that is meant.

    Examples:
        >>> refae_title(["fresh"]), refae_title(["tuned"]), refae_title(["tuned", "fresh"])
        ('RefAE', 'RefAE (tuned)', 'RefAE (fresh, tuned)')
    """
    kinds = sorted({*starts})
    return "RefAE" if kinds in ([], [USUAL]) else f"RefAE ({', '.join(kinds)})"


def cladec_title(alpha: float) -> str:
    """Return "ClaDec" and its alpha."""
    return f"ClaDec {alpha_text(alpha)}"
