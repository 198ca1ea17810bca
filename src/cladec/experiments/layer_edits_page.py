"""The static form of the controls of an explained layer: changed codes of a handful of images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec.experiments import layer_edits
from cladec.experiments.layer_edits import Edited
from cladec.experiments.layer_measures import LOST_AT
from cladec.experiments.layer_pictures import Pictures
from cladec.models.predictions import named
from cladec.plots import sprites

if TYPE_CHECKING:
    from cladec.experiments.layer_explanation import LayerExplanation

IMAGES = 4
"""The number of images whose codes are changed."""

DOUBLED = 2.0
"""The factor of the units that are scaled."""

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The shares of the other image in a blend."""


def edits(layer: "LayerExplanation") -> list[dict[str, Any]]:
    """Return the title of some images, and rows of pictures of their changed codes."""
    images, labels = layer.examples.images[:IMAGES], layer.examples.labels[:IMAGES]
    titles, _ = Pictures(layer, images, [LOST_AT]).titles(labels)
    others = np.roll(np.arange(len(images)), -1)
    return [
        {
            "title": titles[place],
            "rows": _scaled(layer, images[place])
            | _blended(layer, images[place], images[other], titles[other]),
        }
        for place, other in enumerate(others)
    ]


def _scaled(layer: "LayerExplanation", image: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """Return a row of each strong unit switched off, and one of it doubled."""
    codes = layer_edits.codes_of(layer, image[None])
    units = layer_edits.strongest(codes[0])
    names = [f"unit {unit}" for unit in units]
    return {
        name: _row(
            layer,
            np.concatenate([codes, *(layer_edits.scaled(codes, {unit: by}) for unit in units)]),
            np.repeat(image[None], len(units) + 1, axis=0),
            ["as it is", *names],
        )
        for name, by in (("switched off", 0.0), ("doubled", DOUBLED))
    }


def _blended(
    layer: "LayerExplanation", image: np.ndarray, other: np.ndarray, title: str
) -> dict[str, list[dict[str, Any]]]:
    """Return a row of mixtures with another image."""
    first, second = (layer_edits.codes_of(layer, each[None]) for each in (image, other))
    codes = np.concatenate([layer_edits.blended(first, second, share) for share in SHARES])
    between = np.stack([(1 - share) * image + share * other for share in SHARES])
    return {f"blended with {title}": _row(layer, codes, between, [f"{s:.0%}" for s in SHARES])}


def _row(
    layer: "LayerExplanation", codes: np.ndarray, images: np.ndarray, about: Sequence[str]
) -> list[dict[str, Any]]:
    edited = layer_edits.of_codes(layer, codes, images, LOST_AT)
    said = _answers(layer, edited)
    return [
        {
            "url": sprites.data_url(edited.decoded[[place]]),
            "about": about[place],
            "said": text,
            "changed": text != said[0],
        }
        for place, text in enumerate(said)
    ]


def _answers(layer: "LayerExplanation", edited: Edited) -> list[str]:
    found = layer_edits.answers(edited.probabilities, multi_label=layer.decoder.multi_label)
    return [named(answer, layer.facts.class_names) for answer in found]
