"""Saved models -> the figures of parts of layers, all layers, one network for every alpha, planes.

Each function yields the figures of one classifier with their names, none where it has no models
for them.
"""

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import plots
from cladec.experiments.gallery import Gallery
from cladec.experiments.runs import Run
from cladec.models import cutting, latent_plane
from cladec.models.recipes import alpha_text

RIGHT, WRONG = 3, 2
"""Correctly and wrongly classified images in the figures of this module."""

MODEL_NAMES = {"refae": "RefAE", "cladec": "ClaDec"}


def fractions(gallery: Gallery) -> Iterator[tuple[str, Figure]]:
    """The measures over the fraction of a layer, and images from RefAE and ClaDec at each."""
    for layer in gallery.layers:
        runs = [run for run in gallery.runs if run.layer == layer and run.decoder == "plain"]
        if all(run.fraction == 1 for run in runs):
            continue
        table = gallery.measures[gallery.measures["decoder"] == "plain"]
        table = table[table["layer"].isna() | (table["layer"] == layer)]
        figure = plots.measures_over_fraction(table, title=gallery.name)
        yield gallery.file_name(layer, "fractions"), figure
        shown = gallery.choose(RIGHT, WRONG)
        rows = {"original": shown.images}
        for run in _smallest_alpha(runs):
            rows[_part_name(run)] = gallery.decode(run, shown.images)
        figure = plots.image_grid(rows, shown.titles, marked=shown.wrong)
        yield gallery.file_name(layer, "fraction-images"), figure


def _smallest_alpha(runs: list[Run]) -> list[Run]:
    """RefAE and the ClaDec of smallest alpha of every part of a layer, the whole of it last."""
    alpha = min((run.alpha for run in runs if run.alpha is not None), default=None)
    kept = [run for run in runs if run.alpha in (None, alpha)]
    return sorted(kept, key=_part)


def _part(run: Run) -> tuple:
    return run.fraction == 1, run.units, run.fraction, run.alpha is not None


def _part_name(run: Run) -> str:
    part = "whole layer" if run.fraction == 1 else f"{run.fraction:.12g}, {run.units}"
    alpha = "" if run.alpha is None else f" {alpha_text(run.alpha)}"
    return f"{MODEL_NAMES[run.model]}{alpha}\n{part}"


def layers(gallery: Gallery) -> Iterator[tuple[str, Figure]]:
    """What each layer still knows, where more than two are decoded, from input to output."""
    runs = _smallest_alpha([run for layer in gallery.layers for run in gallery.plain(layer)])
    names = {run.layer for run in runs if run.layer is not None}
    if len(names) <= 2:
        return
    shown = gallery.choose(RIGHT - 1, WRONG)
    decoded: dict[str, dict[str, np.ndarray]] = {}
    for layer in sorted(names, key=_depth(gallery)):
        of_layer = [run for run in runs if run.layer == layer]
        decoded[layer] = {run.model: gallery.decode(run, shown.images) for run in of_layer}
    alpha = max((run.alpha for run in runs if run.alpha is not None), default=0.0)
    table = gallery.plain_measures
    table = table[table["alpha"].isna() | (table["alpha"] == alpha)]
    title = f"{gallery.name}: what each layer still knows, ClaDec at alpha {alpha_text(alpha)}"
    figure = plots.layers_by_depth(shown.images, decoded, table, title=title)
    yield f"{gallery.name}-layers", figure


def _depth(gallery: Gallery) -> Callable[[str], int]:
    """How far from the input a layer is; it may be named by the end of its path."""
    paths = list(cutting.layer_shapes(gallery.material.classifier))

    def depth(layer: str) -> int:
        return next(i for i, path in enumerate(paths) if f"/{path}".endswith(f"/{layer}"))

    return depth


def conditional(gallery: Gallery) -> Iterator[tuple[str, Figure]]:
    """One network for every alpha beside the decoders that were trained for one alpha each."""
    for run in gallery.runs:
        if run.decoder != "conditional" or run.layer is None or run.fraction != 1:
            continue
        published = {measured.alpha for measured in run.measured()}
        others = [other for other in gallery.plain(run.layer) if other.alpha in published]
        if not others:
            continue
        shown, network = gallery.choose(RIGHT, WRONG), gallery.load(run)
        separate = {cast(float, other.alpha): other for other in others}
        figure = plots.conditional_beside_separate(
            shown.images,
            {alpha: gallery.decode(other, shown.images) for alpha, other in separate.items()},
            {alpha: network.predict(shown.images, alpha=alpha) for alpha in separate},
            _both(gallery, run.layer),
            shown.titles,
            marked=shown.wrong,
            title=f"{gallery.name} {run.layer}",
        )
        yield gallery.file_name(run.layer, "conditional"), figure


def _both(gallery: Gallery, layer: str) -> pd.DataFrame:
    """The measures of the plain and the conditional decoders of one whole layer."""
    table = gallery.measures
    kinds = table["decoder"].isin(["plain", "conditional"])
    return table[kinds & (table["layer"] == layer) & (table["fraction"] == 1)]


def latent_planes(gallery: Gallery) -> Iterator[tuple[str, Figure]]:
    """Of each variational model: decoded points, the codes of the test images, and the classes."""
    data = gallery.material.data
    for run in gallery.runs:
        if run.decoder != "variational" or run.layer is None:
            continue
        model = gallery.load(run)
        z_mean, _ = model.encode(data.test.images)
        extent = latent_plane.extent_of(z_mean)
        classes = latent_plane.classified_plane(model, gallery.material.classifier, extent=extent)
        name = gallery.file_name(run.layer, run.path(gallery.models).stem)
        title, names = run.title, data.class_names
        yield f"{name}-images", plots.latent_grid(latent_plane.decoded_plane(model), title=title)
        codes = plots.latent_codes(z_mean, data.test.labels, names, extent=extent, title=title)
        yield f"{name}-codes", codes
        yield f"{name}-classes", plots.latent_classes(classes, extent, names, title=title)
