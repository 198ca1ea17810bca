"""What is missing of a sweep, its training, and what came out."""

from cladec.startup import front

__getattr__, __dir__, __all__ = front(
    __name__, __file__, {"VARIANTS", "Evaluation", "Sweep", "published"}
)
