"""Classifiers, the decoders of their layers, and the recipes that train them."""

from cladec.startup import front

__getattr__, __dir__, __all__ = front(__name__, __file__, {"Recipe"})
