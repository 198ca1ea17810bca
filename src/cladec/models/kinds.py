"""The table of the kinds of decoders, with how each kind is trained and how it decodes.

A new kind is a new file beside this one and a row in `KINDS`; no other file names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cladec import checks
from cladec.models import recipes
from cladec.models.recipes import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np

PLAIN = "plain"
"""The default kind."""


@dataclass(frozen=True)
class Kind:
    """A kind of decoder; its module is imported when it is first trained.

    Attributes:
        fit: the function that trains its ClaDec, see `fit_cladec`, as "module.function".
        recipe: the recipe of its ClaDec.
        fit_reference: the function that trains its RefAE, see `fit_refae`; None if the RefAE of the
            plain kind is its reference.
        reference_recipe: the recipe of its RefAE.
        settings: the additional arguments of both functions, which are fields of a `Run`.
        every_alpha: whether one ClaDec serves every alpha and takes alpha as an input.
        title: a short description.
    """

    fit: str
    recipe: Recipe
    fit_reference: str | None = None
    reference_recipe: Recipe = recipes.REFAE
    settings: tuple[str, ...] = ()
    every_alpha: bool = False
    title: str = ""

    def fit_cladec(self, *given: Any, alpha: float | None, **options: Any) -> "keras.Model":
        """Train a ClaDec; the arguments are those of `fit_cladec` and the settings of the kind."""
        if not self.every_alpha:
            options["alpha"] = alpha
        return self._function(self.fit)(*given, **options)

    def fit_refae(self, *given: Any, **options: Any) -> "keras.Model":
        """Train a RefAE; the arguments are those of `fit_refae` and the settings of the kind."""
        return self._function(str(self.fit_reference))(*given, **options)

    def _function(self, name: str) -> Any:
        module, _, function = name.partition(".")
        return getattr(import_module(f"cladec.models.{module}"), function)

    def decode(self, model: "keras.Model", inputs: Any, alpha: float | None) -> "np.ndarray":
        """Return the images (N, H, W, C), float32 in [0, 1], that a ClaDec or RefAE decodes.

        Many large ones are in a file, see `batches.predict`.

        Args:
            model: a model of this kind.
            inputs: images (N, H, W, C) in [0, 1], or `{"codes": codes}` for a ClaDec.
            alpha: the alpha to decode at, for a model that serves every alpha.
        """
        from cladec.models import batches

        if self.every_alpha:
            return model.predict(inputs, alpha=alpha)
        return batches.predict(model, inputs, stored="float16")


KINDS: Mapping[str, Kind] = {
    PLAIN: Kind("cladec.fit_cladec", recipes.CLADEC, "refae.fit_refae"),
    "conditional": Kind(
        *("conditional.fit_conditional", recipes.CONDITIONAL),
        every_alpha=True,
        title="one network for every alpha",
    ),
    "variational": Kind(
        *("variational.fit_variational_cladec", recipes.VARIATIONAL),
        *("variational.fit_variational_refae", recipes.VARIATIONAL),
        settings=("latent_dim", "beta"),
        title="variational decoders",
    ),
}
"""Every kind of decoder by its name."""


def find_kind(name: str) -> Kind:
    """Return the kind of this name.

    Raises:
        InputError: the name is unknown; the message lists the known ones.
    """
    return checks.row("kind of decoder", name, KINDS)
