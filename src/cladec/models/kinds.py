"""The kinds of decoders: a row says what a kind is called, how it is trained and how it decodes.

A new kind is a file beside this one and a row in `KINDS`; nothing else in the package names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cladec.errors import InputError
from cladec.models import recipes
from cladec.models.recipes import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np

PLAIN = "plain"
"""The usual kind."""


@dataclass(frozen=True)
class Kind:
    """A kind of decoder, whose module is imported when it is first trained.

    Attributes:
        module: where its functions are, in `cladec.models`.
        fit: the name of the function that trains its ClaDec, see `fit_cladec`.
        recipe: of its ClaDec.
        fit_reference: the name of the function that trains its RefAE, see `fit_refae`; None where
            the RefAE of the plain kind is its reference.
        reference_recipe: of its RefAE.
        settings: arguments of both functions that other kinds do not have; fields of a `Run`.
        every_alpha: one ClaDec serves every alpha, which it is told when it decodes.
        title: what it is, in words.
    """

    module: str
    fit: str
    recipe: Recipe
    fit_reference: str | None = None
    reference_recipe: Recipe = recipes.REFAE
    settings: tuple[str, ...] = ()
    every_alpha: bool = False
    title: str = ""

    def fit_cladec(self, *given: Any, alpha: float | None, **options: Any) -> "keras.Model":
        """Train a ClaDec: the arguments of `fit_cladec`, and the settings of the kind."""
        if not self.every_alpha:
            options["alpha"] = alpha
        return self._function(self.fit)(*given, **options)

    def fit_refae(self, *given: Any, **options: Any) -> "keras.Model":
        """Train a RefAE: the arguments of `fit_refae`, and the settings of the kind."""
        return self._function(str(self.fit_reference))(*given, **options)

    def _function(self, name: str) -> Any:
        return getattr(import_module(f"cladec.models.{self.module}"), name)

    def decode(self, model: "keras.Model", inputs: Any, alpha: float | None) -> "np.ndarray":
        """What a ClaDec or RefAE makes of images (N, H, W, C), float32 in [0, 1].

        Args:
            model: of this kind.
            inputs: images (N, H, W, C) in [0, 1], or `{"codes": codes}` for a ClaDec.
            alpha: what a model for every alpha decodes at.
        """
        from cladec.models import batches

        if self.every_alpha:
            return model.predict(inputs, alpha=alpha)
        return batches.predict(model, inputs)


KINDS: Mapping[str, Kind] = {
    PLAIN: Kind("cladec", "fit_cladec", recipes.CLADEC, "fit_refae"),
    "conditional": Kind(
        *("conditional", "fit_conditional", recipes.CONDITIONAL),
        every_alpha=True,
        title="one network for every alpha",
    ),
    "variational": Kind(
        *("variational", "fit_variational_cladec", recipes.VARIATIONAL),
        *("fit_variational_refae", recipes.VARIATIONAL),
        settings=("latent_dim", "beta"),
        title="variational decoders",
    ),
}
"""Every kind of decoder by its name."""


def find_kind(name: str) -> Kind:
    """The row of `KINDS` of this name.

    Raises:
        InputError: there is none; the message names those there are.
    """
    if name not in KINDS:
        raise InputError(f"unknown kind of decoder {name!r:.60}: choose from {', '.join(KINDS)}")
    return KINDS[name]
