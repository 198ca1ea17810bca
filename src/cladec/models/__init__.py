"""What is trained: classifiers, the decoders of their layers, and by which recipe."""

from cladec.startup import front

__getattr__, __dir__, __all__ = front(__name__, __file__, {"Recipe"})
