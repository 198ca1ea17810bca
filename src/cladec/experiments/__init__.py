"""Train the missing models of a sweep, evaluate them and draw the results."""

from cladec.startup import front

__getattr__, __dir__, __all__ = front(
    __name__, __file__, {"VARIANTS", "Evaluation", "Sweep", "published"}
)
