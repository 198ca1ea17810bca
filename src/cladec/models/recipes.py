"""What is trained by default: the alphas, and how long and how fast each kind of model.

Adam with a warm-up and a cosine decay to zero reaches in a few passes over the images what a
constant learning rate reaches in ten.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from cladec import checks
from cladec.errors import InputError
from cladec.models.precision import Precision

SMALLEST_BATCH = 16

ALPHAS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.99, 0.999, 0.9999, 1.0)

UnitChoice = Literal["first", "random", "important"]
"""How the part of a layer is chosen that is decoded: see `units.choose_units`."""

UNIT_CHOICES: tuple[UnitChoice, ...] = get_args(UnitChoice)


LATENT_DIM = 2
"""Dimensions of a variational decoder's latent space: two can be drawn."""

BETA = 1.0
"""Weight of the KL divergence in a variational decoder's loss."""


def check_alpha(alpha: float) -> float:
    """Return `alpha` as a float; the one place where its range is checked.

    Raises:
        InputError: `alpha` is not a fraction in [0, 1].
    """
    value = checks.number("alpha", alpha, "a number in [0, 1]")
    expected = "a fraction in [0, 1], such as 0.99 for 99 %"
    return float(checks.number("alpha", value, expected, lambda value: 0.0 <= value <= 1.0))


def check_fraction(fraction: float) -> float:
    """Return the fraction of a layer's units as a float; the one place where it is checked.

    Raises:
        InputError: it is not in (0, 1].
    """
    expected = "above 0 and at most 1, 0.1 for 10 %"
    return float(checks.number("fraction", fraction, expected, lambda value: 0.0 < value <= 1.0))


def check_beta(beta: float) -> float:
    """Return `beta`, the weight of the KL divergence, as a float.

    Raises:
        InputError: `beta` is negative or not finite.
    """
    expected = "a finite number of at least 0, such as 1"
    return float(checks.number("beta", beta, expected, lambda value: value >= 0.0))


def check_latent_dim(latent_dim: int) -> int:
    """Return `latent_dim`, the dimensions of a variational decoder's latent space.

    Raises:
        InputError: `latent_dim` is no whole number of at least 1.
    """
    return checks.whole("latent_dim", latent_dim, 1)


def alpha_text(alpha: float) -> str:
    """An alpha as it appears in file names and columns: 0, 0.01, 0.9999, 1."""
    return f"{alpha:.12g}"


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a model is trained.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of a step.
        learning_rate: the highest that Adam reaches, after the warm-up.
        least_images: small sets are passed over more often, until this many images were seen.
        least_steps: small sets are cut into smaller batches, for this many steps of a pass.
        warm_up: share of the steps in which the learning rate rises from zero.
        precision: number format that the layers compute in.

    Raises InputError for a value that makes no sense.

    Examples:
        >>> cladec.Recipe(epochs=2, batch_size=64, learning_rate=1e-2).epochs_for(1_000)
        8
    """

    epochs: int
    batch_size: int
    learning_rate: float
    least_images: int = 8_000
    least_steps: int = 40
    warm_up: float = 0.2
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "least_images": 0, "least_steps": 0}
        given: dict[str, Any] = {
            name: checks.whole(name, getattr(self, name), least[name]) for name in least
        }
        given["learning_rate"] = checks.number(
            "learning_rate", self.learning_rate, "a number of at least 0", lambda rate: rate >= 0.0
        )
        given["warm_up"] = checks.number(
            "warm_up", self.warm_up, "a share in [0, 1]", lambda share: 0.0 <= share <= 1.0
        )
        formats = get_args(Precision)
        if not isinstance(self.precision, str) or self.precision not in formats:
            raise InputError(
                f"precision is {self.precision!r:.60}: expected {' or '.join(formats)}"
            )
        vars(self).update(given)  # frozen only for others

    def epochs_for(self, rows: int) -> int:
        """Passes over `rows` images: `epochs`, or as many as `least_images` asks for."""
        return max(self.epochs, math.ceil(self.least_images / rows))

    def batch_size_for(self, rows: int) -> int:
        """Images of a step: `batch_size`, or the fewer that `least_steps` of `rows` ask for."""
        if not self.least_steps:
            return self.batch_size
        return min(self.batch_size, max(SMALLEST_BATCH, rows // self.least_steps))

    def with_changes(self, epochs: int | None, batch_size: int | None) -> "Recipe":
        """This recipe with what is not None replaced; what is given is taken literally."""
        changes: dict[str, Any] = {}
        if epochs is not None:
            changes |= {"epochs": epochs, "least_images": 0}
        if batch_size is not None:
            changes |= {"batch_size": batch_size, "least_steps": 0}
        return replace(self, **changes)


CLASSIFIER = Recipe(epochs=3, batch_size=128, learning_rate=4e-3)
CLADEC = Recipe(epochs=2, batch_size=64, learning_rate=1e-2)
# An encoder that starts from nothing takes longer than a decoder of a trained one.
REFAE = Recipe(epochs=6, batch_size=64, learning_rate=1e-2)
# One decoder for every alpha, instead of one for each.
CONDITIONAL = Recipe(epochs=5, batch_size=64, learning_rate=1e-2)
# What two numbers say of an image is learned anew too: in 2 epochs the forms stay vague.
VARIATIONAL = Recipe(epochs=6, batch_size=64, learning_rate=1e-2)
