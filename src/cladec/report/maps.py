"""Explain the images of a section of the report, and draw the maps over them."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from cladec import metrics
from cladec.errors import InputError, InputWarning
from cladec.experiments.saved_models import SavedClassifier
from cladec.explainers import find_explainer
from cladec.explainers.decoding import difference
from cladec.plots import Scale, heat_map, sprites
from cladec.plots.heat_maps import drawn_values, number
from cladec.progress import OnProgress
from cladec.report.section import ColourScale, Maps

FAST_OPTIONS: dict[str, dict[str, Any]] = {
    "integrated_gradients": {"steps": 20, "tolerance": 0.1},
    "rise": {"masks": 300},
    "sobol": {"designs": 8},
    "hsic": {"masks": 200},
    "lime": {"samples": 200},
    "kernel_shap": {"samples": 200},
    "anchors": {"segments": 10, "margin": 0.15, "delta": 0.2, "beam": 1, "batch_size": 100},
    "shap_gradient": {"samples": 30},
}
"""Options that make coarser maps in a fraction of the time that `explain` takes."""

MOST_IMAGES = {"anchors": 6}
"""The number of images for a method that takes a second for each."""

BACKGROUNDS = 20
"""The number of training images that SHAP and Anchors use, fewer than in `explain` to save time."""

COLOURS = 9
"""The number of colours that tell a colour bar; the page draws those between."""


@dataclass(frozen=True, eq=False)
class Explained:
    """The images that are explained.

    Attributes:
        saved: their classifier.
        images: (N, H, W, C) in [0, 1].
        targets: the class to explain of each, (N,).
        decoded: layer -> the images as its ClaDec of alpha 0 and its RefAE decode them.
        seed: the seed of the random draws.
    """

    saved: SavedClassifier
    images: np.ndarray
    targets: np.ndarray
    decoded: Mapping[str, tuple[np.ndarray, np.ndarray]]
    seed: int

    def maps(
        self, methods: Sequence[str], report: OnProgress
    ) -> tuple[tuple[Maps, ...], tuple[str, ...]]:
        """Return the maps of each method, and the error messages of methods without maps."""
        found, refusals = [], []
        explained = list(self._layers(methods))
        for done, (method, layer) in enumerate(explained, start=1):
            try:
                found.append(self._maps(method, layer))
            except InputError as error:
                refusals.append(str(error))
            report(done / len(explained), {})
        return tuple(found), tuple(refusals)

    def _layers(self, methods: Sequence[str]) -> Iterator[tuple[str, str | None]]:
        """Yield each method, and the layer if the method explains a decoded one."""
        for method in methods:
            if method != "cladec":
                yield method, None
                continue
            for layer in self.decoded:
                yield method, layer

    def _maps(self, method: str, layer: str | None) -> Maps:
        count = MOST_IMAGES.get(method, len(self.images))
        images, targets = self.images[:count], self.targets[:count]
        if layer is None:
            maps = self._explain(method, images, targets)
        else:
            maps = difference(*self.decoded[layer])
        effects = metrics.effects_of_methods(
            self.saved.classifier, images, {method: maps}, targets
        ).get(method)
        found = np.asarray(maps.any(axis=(1, 2)) if effects is None else effects.found)
        row, values = find_explainer(method), drawn_values(maps, method)
        told = values[found] if found.any() else values
        scale = Scale.of(told, signed=row.signed or row.around_mean)
        shown = [each if is_found else None for each, is_found in zip(values, found, strict=True)]
        return Maps(
            name=method.replace("_", " "),
            about=self._about(method, layer),
            count=len(maps),
            picture=drawn(self.images, shown, scale),
            scale=colours(scale),
            effects=_effects(effects, found),
        )

    def _explain(self, method: str, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # below each map stands what was found
            return self.saved.explain(
                images,
                method=method,
                targets=targets,
                seed=self.seed,
                backgrounds=BACKGROUNDS,
                **FAST_OPTIONS.get(method, {}),
            )

    def _about(self, method: str, layer: str | None) -> str:
        """Return the layer that a method looks at, the alpha of its ClaDec, or what is zero."""
        if layer is not None:
            return f"layer {layer}, alpha 0"
        if find_explainer(method).around_mean:
            return "above and below the mean of each map"
        if "grid" in find_explainer(method).options:
            return f"layer {self.saved.scores.spatial(None).path}"
        return ""


def drawn(images: np.ndarray, maps: Iterable[np.ndarray | None], scale: Scale) -> str:
    """Return the sprite of maps over their images, which may be more; None shows no map."""
    pictures = np.zeros((*images.shape[:3], 3))
    for row, values in enumerate(maps):
        pictures[row] = heat_map(images[row], values, scale)
    return sprites.data_url(pictures)


def colours(scale: Scale) -> ColourScale:
    """Return the colours of a scale for the page."""
    places = np.linspace(0, 1, COLOURS)
    return ColourScale(
        (scale.ends[0], scale.ends[-1]), tuple(to_hex(scale.colours(place)) for place in places)
    )


def _effects(effects: metrics.Effects | None, found: np.ndarray) -> tuple[str, ...]:
    """Return in words what hiding the strongest pixels of each map changes."""
    if effects is None:
        return tuple("" if each else "nothing found" for each in found)
    texts = [f"hidden: {effects.of} {number(change)}" for change in effects.changes]
    return tuple(
        text if each else f"nothing found ({text})" for text, each in zip(texts, found, strict=True)
    )
