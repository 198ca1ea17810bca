"""Which pixels matter: a function for each method, and the table of all of them."""

from typing import Any

import lazy_loader

from cladec.explainers.registry import EXPLAINERS

_imported, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """A row of the table is enough for a method to be handed on."""
    if name in EXPLAINERS and name not in __all__:
        return EXPLAINERS[name].function
    return _imported(name)
