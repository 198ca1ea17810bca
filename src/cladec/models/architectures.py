"""The table of the classifier architectures that this package trains itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from cladec import checks
from cladec.models import recipes
from cladec.models.recipes import Recipe

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """An architecture; its module is imported when a classifier is first built.

    Attributes:
        function: the name of the function (image_shape, num_classes) -> model.
        recipe: the recipe that trains a classifier of this architecture.
        module: the module of `cladec.models` that holds the function.
    """

    function: str
    recipe: Recipe = recipes.CLASSIFIER
    module: str = "classifiers"

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Return an untrained classifier."""
        module = import_module(f"cladec.models.{self.module}")
        return getattr(module, self.function)(image_shape, num_classes)


ARCHITECTURES: Mapping[str, Architecture] = {
    "vgg": Architecture("vgg"),
    "perfect_ae": Architecture("vgg"),  # what vgg was called in the first notebooks of ClaDec
    "diff_ae": Architecture("diff_ae"),
    # Eight convolutions need a lower rate and, on small sets such as 5,000 images, more passes.
    "vgg11": Architecture("vgg11", Recipe(epochs=8, batch_size=128, learning_rate=2e-3)),
}
"""Every architecture by its name."""


def find_architecture(name: str) -> Architecture:
    """Return the architecture of this name.

    Raises:
        InputError: the name is unknown; the message lists the known ones.
    """
    return checks.row("architecture", name, ARCHITECTURES)
