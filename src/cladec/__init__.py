"""cladec shows as pictures what a layer of an image classifier keeps.

Names are imported when they are first used, so that `import cladec` does not wait for Keras.

The examples in the docstrings go on from this one; they run in a few seconds, and train too little
to be looked at.

Examples:
    >>> import cladec, keras, numpy as np
    >>> data = cladec.load("digits")
    >>> images, labels = data.test.images, data.test.labels
    >>> quick = cladec.Recipe(1, batch_size=240, learning_rate=1e-2, least_images=0, least_steps=0)
    >>> classifier = cladec.build_classifier(data.image_shape, data.num_classes)
    >>> history = cladec.fit_classifier(classifier, data, recipe=quick)
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
