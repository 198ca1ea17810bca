"""What is trained: classifiers, the decoders of their layers, and by which recipe."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
