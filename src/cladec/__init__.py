"""cladec shows as pictures what a layer of an image classifier keeps.

Names are imported when they are first used, so that `import cladec` does not wait for Keras.
"""

from typing import Any

from cladec.startup import front, own_version

WITHOUT_KERAS = {
    *("EXPLAINERS", "Dataset", "Evaluation", "InputError", "InputWarning", "Recipe", "Split"),
    *("Sweep", "explain", "load", "lost_maps", "plots"),
}
"""The names that can be imported even if Keras is missing or misconfigured."""

_imported, __dir__, __all__ = front(__name__, __file__, WITHOUT_KERAS)


def __getattr__(name: str) -> Any:
    return own_version() if name == "__version__" else _imported(name)
