"""Hide what a map marks, and see what it changes: a map of nothing shows as one.

It is one step of `deletion`, a single call of the model for the images of each method.
"""

from collections.abc import Mapping

import keras
import numpy as np

from cladec.errors import InputError
from cladec.explainers.inputs import Targets, prepare
from cladec.explainers.registry import EXPLAINERS
from cladec.explainers.scores import LogitsModel
from cladec.metrics.effects import FLOORS, Effects, strongest
from cladec.metrics.faithfulness import blurred, check_maps
from cladec.models import predictions


def hiding_effects(
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    targets: Targets = None,
    *,
    of: str = "probability",
    batch_size: int | None = None,
) -> Effects:
    """Blur the tenth of each image that its map marks most strongly, and ask the classifier again.

    It is one step of `deletion`, with the blurred image of `insertion` in place of black, which
    would be no change at all in a dark background. Pixels that are marked as strongly as the last
    one are hidden too, so that a segment is hidden whole; of a signed map, those of the sign that
    weighs more; and of a map that is the same everywhere, none.

    Args:
        model: any built classifier.
        images: (N, H, W, C) in [0, 1].
        maps: attribution of each pixel to the target class, (N, H, W).
        targets: a class for all, one for each, or None for the predicted ones.
        of: what the maps explain, "probability" or "score".
        batch_size: images of a model call.

    Raises:
        InputError: an array does not fit the model, or `of` is neither.

    Examples:
        >>> from cladec.metrics import hiding_effects
        >>> maps = cladec.explain(classifier, images[:2], method="gradient_input")
        >>> hiding_effects(classifier, images[:2], maps, of="score").changes.shape
        (2,)
    """
    logits, images, classes = prepare(model, images, targets)
    return _compared(logits, images, {of: maps}, classes, {of: of}, batch_size)[of]


def effects_of_methods(
    model: keras.Model,
    images: np.ndarray,
    maps: Mapping[str, np.ndarray],
    targets: Targets = None,
    *,
    batch_size: int | None = None,
) -> dict[str, Effects]:
    """The `hiding_effects` of the maps of several methods, each of what it explains.

    Args:
        model: any built classifier.
        images: (N, H, W, C) in [0, 1].
        maps: method -> (N, H, W). Methods that explain neither a score nor a probability (rules,
            decoded layers, images of a class) are left out; of one that is not in `EXPLAINERS`, the
            probability is compared.
        targets: a class for all, one for each, or None for the predicted ones.
        batch_size: images of a model call.
    """
    explained = {
        method: EXPLAINERS[method].explains if method in EXPLAINERS else "probability"
        for method, of_method in maps.items()
        if of_method.ndim == 3  # not an image of a class
    }
    of = {method: what for method, what in explained.items() if what in FLOORS}
    logits, images, classes = prepare(model, images, targets)
    return _compared(
        logits, images, {method: maps[method] for method in of}, classes, of, batch_size
    )


def _compared(
    logits: LogitsModel,
    images: np.ndarray,
    maps: Mapping[str, np.ndarray],
    targets: np.ndarray,
    of: Mapping[str, str],
    batch_size: int | None,
) -> dict[str, Effects]:
    """The effects of each method's maps; the images themselves are classified once."""
    for what in set(of.values()) - set(FLOORS):
        raise InputError(f"of is {what!r}: expected one of {', '.join(map(repr, FLOORS))}")
    before = logits.predict(images, batch_size)
    others = np.stack([blurred(image) for image in images])
    effects = {}
    for method, of_method in maps.items():
        marked = strongest(check_maps(images, of_method))
        after = logits.predict(np.where(marked[..., None], others, images), batch_size)
        values = [_value(logits, scores, targets, of[method]) for scores in (before, after)]
        effects[method] = Effects(of[method], *values)
    return effects


def _value(logits: LogitsModel, scores: np.ndarray, targets: np.ndarray, of: str) -> np.ndarray:
    if of == "probability":
        scores = predictions.probabilities(scores, multi_label=logits.multi_label)
    return scores[np.arange(len(scores)), targets]
