"""cladec: what a layer of an image classifier keeps, shown as pictures.

Names are imported when they are first used, so that `import cladec` does not wait for Keras.
"""

from typing import Any

import lazy_loader

from cladec.startup import import_keras, own_version

WITHOUT_KERAS = {
    *("EXPLAINERS", "Dataset", "Evaluation", "InputError", "InputWarning", "Recipe", "Split"),
    *("Sweep", "explain", "load", "lost_maps", "plots"),
}
"""What is imported, if not used, where Keras is not installed or wrongly set."""

_imported, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return own_version()
    if name not in __all__:
        raise AttributeError(f"module 'cladec' has no attribute {name!r}")
    if name not in WITHOUT_KERAS:
        import_keras()
    return _imported(name)
