"""cladec: what a layer of an image classifier keeps, shown as pictures.

Names are imported when they are first used, so that `import cladec` does not wait for Keras.
"""

from typing import Any

import lazy_loader

from cladec.startup import keras_needed

_imported, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'cladec' has no attribute {name!r}")
    with keras_needed():
        return _imported(name)
