"""The architectures of the classifiers that this package trains itself, a row for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from cladec.errors import InputError
from cladec.models import recipes
from cladec.models.recipes import Recipe

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """An architecture, whose module is imported when it is first built.

    Attributes:
        function: the name of its function of (image_shape, num_classes).
        recipe: how a classifier of it is trained.
        module: where the function is, in `cladec.models`.
    """

    function: str
    recipe: Recipe = recipes.CLASSIFIER
    module: str = "classifiers"

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """An untrained classifier."""
        module = import_module(f"cladec.models.{self.module}")
        return getattr(module, self.function)(image_shape, num_classes)


ARCHITECTURES: Mapping[str, Architecture] = {
    "vgg": Architecture("vgg"),
    "perfect_ae": Architecture("vgg"),  # what vgg was called in the first notebooks of ClaDec
    "diff_ae": Architecture("diff_ae"),
    # Eight convolutions want a lower rate and, of a small set such as 5,000 images, more passes.
    "vgg11": Architecture("vgg11", Recipe(epochs=8, batch_size=128, learning_rate=2e-3)),
}
"""Every architecture by its name."""


def find_architecture(name: str) -> Architecture:
    """The row of `ARCHITECTURES` of this name.

    Raises:
        InputError: there is none; the message names those there are.
    """
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise InputError(
            f"unknown architecture {name!r:.60}: choose from {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]
