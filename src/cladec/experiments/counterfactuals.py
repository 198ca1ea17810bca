"""What would have to be seen for another answer: the nearest codes that get it, decoded.

The idea is that of Wachter, Mittelstadt & Russell, "Counterfactual Explanations without Opening the
Black Box", arXiv 1711.00399, in the codes of a layer instead of the pixels, where a small change
means something to the network, and a decoder shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

from cladec import checks, plots
from cladec.errors import InputError
from cladec.experiments import layer_edits
from cladec.experiments.layer_explanation import LayerExplanation
from cladec.experiments.layer_measures import LOST_AT
from cladec.explainers.backends import CLASSES, compiled, gradient_of, of_class
from cladec.models import given_images, memory, recipes
from cladec.models.batches import batches
from cladec.models.predictions import named

PICTURES = 5
"""The number of pictures from the image to its counterfactual."""

RATE = 0.05
"""The step of Adam, as a share of the root mean square of the codes."""

FORCES = (0.1, 30.0)
"""The weight of the wanted answer in the first and in the last step; it grows geometrically."""

LARGE = 1e6
"""Is subtracted from a logit that is not to be the largest."""


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The way from N images to what the network would call something else, in P pictures.

    Attributes:
        images: the images, (N, H, W, C).
        to: the name of the class, or label, that was asked for, of each image.
        codes: the nearest codes found, (N, ...) float32.
        found: whether these get the answer as surely as asked, and so does their picture, (N,).
        distance: how far they are from those of the image, as a share of its own length, (N,).
        path: what ClaDec shows on a straight line to these codes, (N, P, H, W, C) in [0, 1].
        probabilities: what the rest of the network says of the codes on it, (N, P, classes).
        seen: what the whole classifier says of its pictures, (N, P, classes).
        class_names: the names of the classes.
        multi_label: whether these are labels, of which an image may have several.

    Examples:
        >>> layer = cladec.explain_layer(classifier, "dense", images[:40], epochs=1)
        [1/3] RefAE: ...
        >>> cladec.counterfactual(layer, images[:1], to="3", steps=20).show()
        <Figure size ...>
    """

    images: np.ndarray
    to: tuple[str, ...]
    codes: np.ndarray
    found: np.ndarray
    distance: np.ndarray
    path: np.ndarray
    probabilities: np.ndarray
    seen: np.ndarray
    class_names: tuple[str, ...] = field(repr=False)
    multi_label: bool = field(default=False, repr=False)

    def show(self) -> Figure:
        """Return a figure: each image, the pictures of its path, and what the classifier sees."""
        rows = []
        for image, path, seen, found, to in zip(
            self.images, self.path, self.seen, self.found, self.to, strict=True
        ):
            said = layer_edits.answers(seen, multi_label=self.multi_label)
            texts = [named(answer, self.class_names) for answer in said]
            pictures = np.concatenate([image[None], path])
            name = f"to {to}" if found else f"to {to}: not found"
            changed = [False, *(text != texts[0] for text in texts)]
            rows.append(plots.Row(name, pictures, ["", *texts], changed))
        between = [f"{share:.0%}" for share in np.linspace(0, 1, len(self.path[0]))[1:-1]]
        title = "what would have to be seen; below: what the classifier says of the picture"
        return plots.image_rows(rows, ["original", "decoded", *between, "changed"], title=title)


def counterfactual(
    layer: LayerExplanation,
    images: Any,
    to: Any,
    *,
    alpha: float = LOST_AT,
    confidence: float = 0.9,
    smoothness: float = 0.02,
    likeness: float = 1.0,
    steps: int = 200,
) -> Counterfactual:
    """Return the nearest codes of a layer that the rest of the network calls `to`, decoded.

    From the codes z0 of an image on, codes z are sought by Adam that minimise

        |z - z0|^2 / |z0|^2 + smoothness * TV(D(z) - D(z0))
            + force * (max(0, wanted - margin(z)) + likeness * max(0, wanted - seen(D(z))))

    where D decodes at `alpha`, TV is the total variation per pixel row, and the margin the logit of
    `to` less the largest other one, `seen` that of the whole classifier on the picture; `wanted` is
    the margin at which two classes have the `confidence`. The force grows until the answer is
    reached; of all codes that reach it the nearest are kept. Without the likeness, codes are found
    whose picture hardly anybody takes for `to`: the rest of the network can be led to an answer by
    codes that no image has. Codes below zero are left out where the layer gives none.

    Args:
        layer: an explained layer, from `explain_layer` or `load_explanation`.
        images: images in any form that `explain` takes.
        to: the name of the class, or its number, or one of these for each image; or a label of
            several.
        alpha: the alpha to decode at, as in `LayerExplanation.decode`.
        confidence: how sure the rest of the network has to be, in (0, 1).
        smoothness: the weight of a smooth change.
        likeness: the weight of what the classifier says of the picture; 0 asks for nearest codes
            whatever they look like.
        steps: the number of steps of Adam.

    Raises:
        InputError: the class is unknown, the images do not fit the classifier, or a number is out
            of range.

    Examples:
        >>> layer = cladec.explain_layer(classifier, "dense", images[:40], epochs=1)
        [1/3] RefAE: ...
        >>> found = cladec.counterfactual(layer, images[:2], to="3", steps=20)
        >>> found.path.shape
        (2, 5, 28, 28, 1)
    """
    images = np.asarray(given_images.check_images(layer.decoder.classifier, images))
    weights = {"smoothness": smoothness, "likeness": likeness}
    for name, value in weights.items():
        checks.number(name, value, "a number of at least 0", lambda weight: weight >= 0.0)
    share = checks.number("confidence", confidence, "in (0, 1)", lambda value: 0.0 < value < 1.0)
    several = isinstance(to, list | tuple | np.ndarray)
    targets = np.array([_class_of(layer, each) for each in (to if several else [to])], np.int32)
    if len(targets) not in (1, len(images)):
        raise InputError(
            f"to has {len(targets)} classes for {len(images)} images: expected as many"
        )
    targets = np.broadcast_to(targets, len(images))
    search = _Search(
        layer,
        recipes.check_alpha(alpha),
        float(np.log(share / (1.0 - share))),
        smoothness,
        likeness,
        checks.whole("steps", steps, 1),
    )
    start = layer_edits.codes_of(layer, images)
    parts = [
        search.nearest(images[rows], start[rows], targets[rows])
        for rows in batches(len(images), memory.images_per_call(layer.decoder, gradients=True))
    ]
    codes, found = (np.concatenate(each) for each in zip(*parts, strict=True))
    lengths = [np.sqrt(_mean_square(each)) for each in (codes - start, start)]
    return Counterfactual(
        images,
        tuple(layer.facts.class_names[target] for target in targets),
        codes,
        found,
        lengths[0] / np.maximum(lengths[1], keras.config.epsilon()),
        *_path(layer, images, start, codes, search.alpha),
        layer.facts.class_names,
        layer.decoder.multi_label,
    )


def _class_of(layer: LayerExplanation, to: Any) -> int:
    """Return the number of a class that is given by its name or number."""
    names = layer.facts.class_names
    if isinstance(to, str) and to in names:
        return names.index(to)
    try:
        number = checks.whole("to", to, 0)
    except InputError:
        number = len(names)
    if number >= len(names):
        known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise InputError(
            f"to is {to!r:.60}: expected a class of {layer.facts.classifier!r}, by its name or a "
            f"number from 0 to {len(names) - 1}: {known}"
        )
    return number


def _path(
    layer: LayerExplanation, images: np.ndarray, start: np.ndarray, end: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pictures (N, P, H, W, C) on a straight line of codes, and what is said of them."""
    steps = [
        layer_edits.of_codes(layer, layer_edits.blended(start, end, share), images, alpha)
        for share in np.linspace(0.0, 1.0, PICTURES).tolist()
    ]
    several = [[each.decoded, each.probabilities, each.seen] for each in steps]
    decoded, probabilities, seen = (np.stack(each, axis=1) for each in zip(*several, strict=True))
    return decoded, probabilities, seen


def _mean_square(codes: np.ndarray) -> np.ndarray:
    """Return the mean square of each image's codes, (N,)."""
    return np.square(codes, dtype=np.float64).reshape(len(codes), -1).mean(axis=1)


class _Search:
    """The search for the nearest codes of one class, with its compiled functions."""

    def __init__(
        self,
        layer: LayerExplanation,
        alpha: float,
        wanted: float,
        smoothness: float,
        likeness: float,
        steps: int,
    ):
        self.layer, self.alpha, self.wanted = layer, alpha, wanted
        self.smoothness, self.likeness, self.steps = smoothness, likeness, steps
        decoder = layer.decoder
        codes = keras.KerasTensor(decoder.encoder.output_shape, "float32")
        pictures = keras.KerasTensor(decoder.network.inputs[0].shape, "float32")
        numbers = keras.KerasTensor((None,), "float32")
        self._least_margin = self._compiled(self.least_margin, codes, pictures, CLASSES)
        given = (codes, codes, pictures, CLASSES, pictures, numbers, numbers)
        self._gradient = self._compiled(gradient_of(self.loss), *given)

    def _compiled(
        self, function: Callable, *arguments: keras.KerasTensor
    ) -> Callable[..., np.ndarray]:
        return compiled(function, self.layer.decoder, *arguments)

    def margin(self, codes: Any, images: Any, targets: Any) -> Any:
        """Return by how much the logit of each image's class exceeds all others, (N,)."""
        return self._above_others(
            self.layer.rest_of_network([images, codes], training=False), targets
        )

    def seen(self, picture: Any, targets: Any) -> Any:
        """Return the same of pictures that the whole classifier sees, (N,)."""
        return self._above_others(self.layer.decoder.classifier(picture, training=False), targets)

    def least_margin(self, codes: Any, images: Any, targets: Any) -> Any:
        """Return the margin of codes, or that of their picture if it is less and counts, (N,)."""
        margin = self.margin(codes, images, targets)
        if not self.likeness:
            return margin
        return ops.minimum(margin, self.seen(self.picture(codes), targets))

    def picture(self, codes: Any) -> Any:
        """Return what ClaDec shows of a tensor of codes."""
        alpha = ops.full((ops.shape(codes)[0],), self.alpha, dtype="float32")
        return self.layer.decoder.decoder({"codes": codes, "alpha": alpha}, training=False)

    def _above_others(self, logits: Any, targets: Any) -> Any:
        logits = ops.cast(logits, "float32")
        score = of_class(logits, targets)
        if self.layer.decoder.multi_label:
            return score
        own = ops.one_hot(targets, logits.shape[-1], dtype="float32")
        return score - ops.max(logits - LARGE * own, axis=-1)

    def loss(
        self,
        codes: Any,
        start: Any,
        images: Any,
        targets: Any,
        decoded: Any,
        square: Any,
        force: Any,
    ) -> Any:
        """Return what is minimised for each image, (N,), see `counterfactual`.

        Args:
            codes: the codes.
            start: those of the images.
            images: the images.
            targets: the class of each, (N,).
            decoded: the pictures of `start`.
            square: the mean square of the codes of each image, (N,).
            force: the weight of the answer, (N,).
        """
        missing = ops.relu(self.wanted - self.margin(codes, images, targets))
        total = _mean(ops.square(codes - start)) / square
        if self.smoothness or self.likeness:
            picture = self.picture(codes)
            total = total + self.smoothness * _variation(picture - decoded)
            seen = ops.relu(self.wanted - self.seen(picture, targets))
            missing = missing + self.likeness * seen
        return total + force * missing

    def nearest(
        self, images: np.ndarray, start: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest codes (N, ...) that get the answer, and whether they do, (N,).

        Where none do, the codes are the last ones.
        """
        decoded = self.layer.decoder.predict({"codes": start}, alpha=self.alpha)
        square = np.maximum(_mean_square(start), keras.config.epsilon()).astype(np.float32)
        least = 0.0 if (start >= 0.0).all() else -np.inf
        step = RATE * np.sqrt(square).reshape(-1, *[1] * (start.ndim - 1))
        codes, best, nearest = start.copy(), start.copy(), np.full(len(start), np.inf)
        mean, variance = np.zeros_like(start), np.zeros_like(start)
        for number, force in enumerate(np.geomspace(*FORCES, self.steps), start=1):
            reached = self._least_margin(codes, images, targets) >= self.wanted
            distance = _mean_square(codes - start)
            better = reached & (distance < nearest)
            best[better], nearest[better] = codes[better], distance[better]
            forces = np.full(len(start), force, np.float32)
            gradient = self._gradient(codes, start, images, targets, decoded, square, forces)
            mean = 0.9 * mean + 0.1 * gradient
            variance = 0.99 * variance + 0.01 * np.square(gradient)
            update = mean / (1 - 0.9**number)
            update = update / (np.sqrt(variance / (1 - 0.99**number)) + 1e-8)
            codes = np.maximum(codes - step * update, least).astype(np.float32)
        found = np.isfinite(nearest)
        best[~found] = codes[~found]
        return best, found


def _mean(values: Any) -> Any:
    """Return the mean over everything but the first axis."""
    return ops.mean(ops.reshape(values, (ops.shape(values)[0], -1)), axis=-1)


def _variation(change: Any) -> Any:
    """Return the total variation of pictures (N, H, W, C), a mean over rows: (N,)."""
    across = ops.abs(change[:, :, 1:] - change[:, :, :-1])
    down = ops.abs(change[:, 1:] - change[:, :-1])
    return (ops.sum(across, axis=(1, 2, 3)) + ops.sum(down, axis=(1, 2, 3))) / change.shape[1]
