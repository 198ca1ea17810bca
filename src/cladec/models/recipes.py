"""The default alphas, and the default training recipe of each kind of model.

Muon with a warm-up and a rate that falls to zero needs two epochs where Adam at a constant rate
needs ten.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from cladec import checks
from cladec.errors import InputError
from cladec.models.precision import Precision

SMALLEST_BATCH = 16

SMALL = 32
"""Images of more pixels a side are photographs, which have a decoder and a recipe of their own."""

PHOTOGRAPH_PIXELS = 96 * 96
"""Photographs of more pixels are seen less often, so that a training takes as long."""

PHOTOGRAPH_RATE = 4e-3
"""The highest learning rate of a decoder of photographs."""

GENTLEST = 0.2
"""The share of the learning rate for a decoder that is trained on the classification alone."""

USUAL_RATIO = 10.0
"""About the ratio of the reconstruction loss to the classification loss of a decoder."""

ALPHAS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.99, 0.999, 0.9999, 1.0)

SCALES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
"""The assumed ratios of the two losses by which a decoder of every alpha knows its alpha."""

UnitChoice = Literal["first", "random", "important"]
"""The way to choose which units of a layer are decoded, see `units.choose_units`."""

Start = Literal["auto", "fresh", "tuned"]
"""The weights that the encoder of a RefAE starts from, see `cladec.fit_refae`."""

UNIT_CHOICES: tuple[UnitChoice, ...] = get_args(UnitChoice)


LATENT_DIM = 2
"""The dimensions of a variational decoder's latent space: two can be drawn."""

BETA = 1.0
"""The weight of the KL divergence in a variational decoder's loss."""


def is_photograph(height: int, width: int) -> bool:
    """Return whether images of this size count as photographs."""
    return max(height, width) > SMALL


def check_alpha(alpha: float) -> float:
    """Check the range of `alpha` and return it as a float.

    Raises:
        InputError: `alpha` is not a fraction in [0, 1].
    """
    value = checks.number("alpha", alpha, "a number in [0, 1]")
    expected = "a fraction in [0, 1], such as 0.99 for 99 %"
    return float(checks.number("alpha", value, expected, lambda value: 0.0 <= value <= 1.0))


def check_fraction(fraction: float) -> float:
    """Check the fraction of a layer's units and return it as a float.

    Raises:
        InputError: the fraction is not in (0, 1].
    """
    expected = "above 0 and at most 1, 0.1 for 10 %"
    return float(checks.number("fraction", fraction, expected, lambda value: 0.0 < value <= 1.0))


def check_beta(beta: float) -> float:
    """Check `beta`, the weight of the KL divergence, and return it as a float.

    Raises:
        InputError: `beta` is negative or not finite.
    """
    expected = "a finite number of at least 0, such as 1"
    return float(checks.number("beta", beta, expected, lambda value: value >= 0.0))


def check_latent_dim(latent_dim: int) -> int:
    """Check and return `latent_dim`, the dimensions of a variational decoder's latent space.

    Raises:
        InputError: `latent_dim` is not a whole number of at least 1.
    """
    return checks.whole("latent_dim", latent_dim, 1)


def alpha_text(alpha: float) -> str:
    """Return an alpha as written in file names and columns: 0, 0.01, 0.9999, 1."""
    return f"{alpha:.12g}"


@dataclass(frozen=True)
class Recipe:
    """The settings of a training.

    Attributes:
        epochs: the number of passes over the training images; with a tolerance, the most.
        batch_size: the number of images per step.
        learning_rate: the highest learning rate of the optimizer, reached after the warm-up; that
            of a ClaDec at alpha 0, see `for_alpha`.
        least_images: the least images to train on; small data sets get more epochs.
        least_steps: the least steps per epoch; small data sets get smaller batches.
        warm_up: the share of the steps in which the learning rate rises from zero.
        precision: the number format of the layers' computations.
        least_photographs: as `least_images`, where images have more than 32 pixels a side; fewer of
            more than 96x96 pixels.
        tolerance: a decoder is trained until the loss of held-out images falls by no more than this
            share within a few rounds, and then at a falling rate for as long as before, see
            `plateau`. 0 trains for exactly the epochs, on all images.

    Raises InputError for an invalid value.

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
    least_photographs: int = 75_000
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "least_images": 0, "least_steps": 0}
        least["least_photographs"] = 0
        given: dict[str, Any] = {
            name: checks.whole(name, getattr(self, name), least[name]) for name in least
        }
        given["learning_rate"] = checks.number(
            "learning_rate", self.learning_rate, "a number of at least 0", lambda rate: rate >= 0.0
        )
        given["warm_up"] = checks.number(
            "warm_up", self.warm_up, "a share in [0, 1]", lambda share: 0.0 <= share <= 1.0
        )
        given["tolerance"] = checks.number(
            "tolerance", self.tolerance, "a share in [0, 1)", lambda share: 0.0 <= share < 1.0
        )
        formats = get_args(Precision)
        if not isinstance(self.precision, str) or self.precision not in formats:
            raise InputError(
                f"precision is {self.precision!r:.60}: expected {' or '.join(formats)}"
            )
        vars(self).update(given)  # the dataclass is frozen

    def epochs_for(self, rows: int) -> int:
        """Return the epochs over `rows` images: `epochs`, or more to reach `least_images`."""
        return max(self.epochs, math.ceil(self.least_images / rows))

    def batch_size_for(self, rows: int) -> int:
        """Return the images per step: `batch_size`, or fewer to reach `least_steps`."""
        if not self.least_steps:
            return self.batch_size
        return min(self.batch_size, max(SMALLEST_BATCH, rows // self.least_steps))

    def for_images(self, image_shape: tuple[int, int, int]) -> "Recipe":
        """Return the recipe for decoding images (H, W, C): for photographs longer and gentler.

        The decoder of photographs has ten times the weights, and its error has no plateau within a
        few passes. Where `least_images` is 0, the epochs are exact.
        """
        if not is_photograph(*image_shape[:2]):
            return self
        share = min(1.0, PHOTOGRAPH_PIXELS / (image_shape[0] * image_shape[1]))
        least = max(self.least_images, int(share * self.least_photographs))
        least = least if self.least_images else 0
        rate = min(self.learning_rate, PHOTOGRAPH_RATE)
        return replace(self, least_images=least, learning_rate=rate)

    def for_alpha(self, alpha: float) -> "Recipe":
        """Return the recipe for a ClaDec: gentler, the more of its loss is the classification.

        The gradients of the classification get small, and the steps of Muon do not: at the rate of
        alpha 0, a decoder of alpha 1 gets worse with every pass.
        """
        share = alpha / (alpha + (1.0 - alpha) * USUAL_RATIO)
        rate = self.learning_rate * (1.0 - (1.0 - GENTLEST) * share)
        return replace(self, learning_rate=rate)

    def with_changes(self, epochs: int | None, batch_size: int | None) -> "Recipe":
        """Return this recipe with exactly these values in place of its own, except for None."""
        changes: dict[str, Any] = {}
        if epochs is not None:
            changes |= {"epochs": epochs, "least_images": 0, "tolerance": 0.0}
        if batch_size is not None:
            changes |= {"batch_size": batch_size, "least_steps": 0}
        return replace(self, **changes)


CLASSIFIER = Recipe(epochs=3, batch_size=128, learning_rate=2e-3)
CLADEC = Recipe(epochs=20, batch_size=64, learning_rate=1e-2, tolerance=0.08)
# What ClaDec loses and RefAE keeps must not be a matter of passes.
REFAE = CLADEC
# One decoder learns every alpha.
CONDITIONAL = Recipe(epochs=20, batch_size=64, learning_rate=5e-3, tolerance=0.08)
# The latent space is learned as well: after 2 epochs, shapes are still vague.
VARIATIONAL = Recipe(epochs=6, batch_size=64, learning_rate=1e-2)
