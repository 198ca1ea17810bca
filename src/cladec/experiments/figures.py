"""Draw all figures of an evaluation of saved models, and measure what the layers lost.

Each maker yields the named figures of one classifier, or none if the models for them are missing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import plots
from cladec.experiments import stories
from cladec.experiments.runs import Run, by_classifier
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics import lost_information
from cladec.models import cutting, latent_plane
from cladec.models.kinds import PLAIN
from cladec.models.recipes import alpha_text
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

COLUMNS = 5
"""The number of correctly classified images in a grid, and also of wrongly classified ones."""

RIGHT, WRONG = 3, 2
"""The numbers of correctly and wrongly classified images in a smaller figure."""

LOST_TABLE = "evaluation_lost.csv"
CORRELATION_TABLE = "evaluation_lost_correlation.csv"

Figures = Iterator[tuple[str, Figure]]


def save_figures(runs: Sequence[Run], table: pd.DataFrame, models: Path, out: Path) -> list[Path]:
    """Draw and save every figure, and measure what the layers lost.

    Args:
        runs: the saved runs, from `saved_runs`.
        table: the tidy table with the measures of these models.
        models: the folder with the trained models.
        out: the folder for the tables of lost information; the figures go into its folder img/.

    Returns:
        The files written.
    """
    files, lost = [], []
    for of_classifier in by_classifier(runs):
        saved = SavedClassifier(of_classifier, models, measures=table)
        for make in MAKERS:
            for name, figure in make(saved):
                files.append(save_figure(figure, out / "img" / f"{name}.png"))
        for layer in layers_lost(saved):
            files.append(save_figure(layer.figure, out / "img" / f"{layer.name}.png"))
            lost.append(layer)
    return save_lost(lost, out) + files


def file_name(saved: SavedClassifier, layer: str, what: str) -> str:
    """Return the file name, without suffix, of a figure of one layer."""
    return f"{saved.name}-{layer.replace('/', '.')}-{what}"


def reconstructions(saved: SavedClassifier) -> Figures:
    """Draw images as decoded by every plain decoder of a whole layer."""
    for layer in saved.layers:
        if runs := saved.plain(layer):
            shown = saved.choose(COLUMNS, COLUMNS)
            rows = {"original": shown.images}
            rows |= {run.short_title: saved.decode(run, shown.images) for run in runs}
            figure = plots.image_grid(rows, shown.titles, marked=shown.wrong)
            yield file_name(saved, layer, "reconstructions"), figure


def measures(saved: SavedClassifier) -> Figures:
    """Draw every measure of the plain decoders over alpha."""
    if saved.layers:
        figure = plots.measures_over_alpha(saved.plain_measures, title=saved.name)
        yield f"{saved.name}-measures", figure


def fractions(saved: SavedClassifier) -> Figures:
    """Draw the measures over the fraction of a layer, and decoded images at each fraction."""
    for layer in saved.layers:
        runs = [run for run in saved.runs if run.layer == layer and run.decoder == PLAIN]
        if all(run.fraction == 1 for run in runs):
            continue
        table = saved.measures[saved.measures["decoder"] == PLAIN]
        table = table[table["layer"].isna() | (table["layer"] == layer)]
        figure = plots.measures_over_fraction(table, title=saved.name)
        yield file_name(saved, layer, "fractions"), figure
        shown = saved.choose(RIGHT, WRONG)
        rows = {"original": shown.images}
        for run in _smallest_alpha(runs):
            part = "whole layer" if run.fraction == 1 else f"{run.fraction:.12g}, {run.units}"
            rows[f"{run.short_title}\n{part}"] = saved.decode(run, shown.images)
        figure = plots.image_grid(rows, shown.titles, marked=shown.wrong)
        yield file_name(saved, layer, "fraction-images"), figure


def _smallest_alpha(runs: list[Run]) -> list[Run]:
    """Return RefAE and the ClaDec of the smallest alpha for every part, the whole layer last."""
    alpha = min((run.alpha for run in runs if run.alpha is not None), default=None)
    kept = [run for run in runs if run.alpha in (None, alpha)]
    return sorted(
        kept, key=lambda run: (run.fraction == 1, run.units, run.fraction, run.alpha is not None)
    )


def layer_stories(saved: SavedClassifier) -> Figures:
    """Draw what each layer keeps of a few images, at one glance."""
    for layer in saved.layers:
        if (figure := stories.story(saved, layer)) is not None:
            yield file_name(saved, layer, "story"), figure


def layers(saved: SavedClassifier) -> Figures:
    """Draw what each layer keeps, from input to output, if more than two are decoded."""
    runs = _smallest_alpha([run for layer in saved.layers for run in saved.plain(layer)])
    names = {str(run.layer) for run in runs}
    if len(names) <= 2:
        return
    shown = saved.choose(RIGHT - 1, WRONG)
    depths = list(cutting.layer_shapes(saved.classifier))
    decoded: dict[str, dict[str, np.ndarray]] = {}
    for layer in sorted(names, key=lambda name: _depth(name, depths)):
        of_layer = [run for run in runs if run.layer == layer]
        decoded[layer] = {run.model: saved.decode(run, shown.images) for run in of_layer}
    alpha = max((run.alpha for run in runs if run.alpha is not None), default=0.0)
    table = saved.plain_measures
    table = table[table["alpha"].isna() | (table["alpha"] == alpha)]
    title = f"{saved.name}: what each layer still knows, ClaDec at alpha {alpha_text(alpha)}"
    figure = plots.layers_by_depth(shown.images, decoded, table, title=title)
    yield f"{saved.name}-layers", figure


def _depth(layer: str, paths: list[str]) -> int:
    """Return the depth of a layer, which may be named by the end of its path."""
    return next(i for i, path in enumerate(paths) if f"/{path}".endswith(f"/{layer}"))


def one_for_every_alpha(saved: SavedClassifier) -> Figures:
    """Draw one network for every alpha beside the decoders that were trained for one alpha."""
    for run in saved.runs:
        if not run.kind.every_alpha or run.layer is None or run.fraction != 1:
            continue
        alphas = {measured.alpha for measured in run.measured()}
        others = [other for other in saved.plain(run.layer) if other.alpha in alphas]
        if not others:
            continue
        shown = saved.choose(RIGHT, WRONG)
        separate = {cast(float, other.alpha): other for other in others}
        figure = plots.conditional_beside_separate(
            shown.images,
            {alpha: saved.decode(other, shown.images) for alpha, other in separate.items()},
            {alpha: saved.decode(run, shown.images, alpha) for alpha in separate},
            both_kinds(saved, run),
            shown.titles,
            marked=shown.wrong,
            title=f"{saved.name} {run.layer}",
        )
        yield file_name(saved, run.layer, run.decoder), figure


def both_kinds(saved: SavedClassifier, run: Run) -> pd.DataFrame:
    """Return the measures of plain decoders of a whole layer, and of decoders of the run's kind."""
    table = saved.measures
    kinds = table["decoder"].isin([PLAIN, run.decoder])
    return table[kinds & (table["layer"] == run.layer) & (table["fraction"] == 1)]


def latent_planes(saved: SavedClassifier) -> Figures:
    """Draw decoded points, codes of the test images and classes for each variational model."""
    data = saved.data
    runs = [run for run in saved.runs if run.latent_dim is not None and run.layer is not None]
    codes = {run: saved.load(run).encode(data.test.images)[0] for run in runs}
    for run, z_mean in codes.items():
        # One scale for all models of a layer, which are looked at side by side.
        beside = [codes[other] for other in runs if other.layer == run.layer]
        extent = max(latent_plane.extent_of(of_other) for of_other in beside)
        model = saved.load(run)
        classes = latent_plane.classified_plane(model, saved.classifier, extent=extent)
        name = file_name(saved, str(run.layer), run.path(saved.models).stem)
        title, names = run.title, data.class_names
        yield f"{name}-images", plots.latent_grid(latent_plane.decoded_plane(model), title=title)
        points = plots.latent_codes(z_mean, data.test.labels, names, extent=extent, title=title)
        yield f"{name}-codes", points
        yield f"{name}-classes", plots.latent_classes(classes, extent, names, title=title)


MAKERS: tuple[Callable[[SavedClassifier], Figures], ...] = (
    *(reconstructions, layer_stories, measures, fractions, layers, one_for_every_alpha),
    latent_planes,
)
"""The functions that draw the figures of one classifier."""


@dataclass(frozen=True, eq=False)
class LayerLost:
    """What one layer lost from the test images.

    Attributes:
        name: the name of the figure's file, without suffix.
        about: the dataset, architecture, layer and the start of RefAE, which are the first columns
            of the tables.
        summary: the means, the correlation and the images that lost most.
        figure: a figure of the images that lost most, and of the means.
    """

    name: str
    about: dict[str, str]
    summary: lost_information.Summary
    figure: Figure


def layers_lost(saved: SavedClassifier) -> Iterator[LayerLost]:
    """Yield what each layer lost, if RefAE and ClaDec at alpha 0 decode the whole layer."""
    for layer, lost in saved.lost.items():
        labels, names = saved.data.test.labels, saved.data.class_names
        summary = lost_information.summarize(lost, labels, saved.predicted, names)
        about = {"dataset": saved.dataset, "architecture": saved.architecture, "layer": layer}
        about["reference"] = saved.pair(layer, 0.0)[0].start
        name = file_name(saved, layer, "lost")
        yield LayerLost(name, about, summary, _where_most_was_lost(saved, layer, summary))


def _where_most_was_lost(
    saved: SavedClassifier, layer: str, summary: lost_information.Summary
) -> Figure:
    shown = saved.show(summary.most_lost)
    runs = saved.pair(layer, 0.0)
    refae, cladec = (saved.decode(run, shown.images) for run in runs)
    return plots.lost_by_layer(
        {"original": shown.images, runs[0].short_title: refae, runs[1].short_title: cladec},
        lost_information.lost_maps(shown.images, cladec, refae),
        shown.titles,
        summary.classes,
        marked=shown.wrong,
        title=f"{saved.name} {layer}: {_in_words(summary)}",
    )


def _in_words(summary: lost_information.Summary) -> str:
    overall, row = summary.classes.iloc[0], summary.correlation.iloc[0]
    mean = f"lost {overall['lost']:.3g} per image ({overall['low']:.3g} to {overall['high']:.3g})"
    if warning := lost_information.remark(overall["low"], overall["high"]):
        mean = f"{mean}\n{warning}"
    if np.isnan(row["correlation"]):
        return f"{mean}\nno correlation with being wrong: {row['wrong']:.0f} images are wrong"
    interval = f"{row['low']:.3f} to {row['high']:.3f}"
    return f"{mean}\ncorrelation with being wrong {row['correlation']:.3f} ({interval})"


def _remarked(classes: pd.DataFrame) -> pd.DataFrame:
    """Return the table of what was lost of each class with a column of remarks."""
    intervals = zip(classes["low"], classes["high"], strict=True)
    return classes.assign(remark=[lost_information.remark(*interval) for interval in intervals])


def save_lost(layers: Sequence[LayerLost], out: Path) -> list[Path]:
    """Write what the layers lost and its correlations as CSV files, and return these files.

    A remark says where RefAE was not trained enough. A cell is empty if its value is undefined: for
    a class without images, or a correlation without wrongly classified images. There is no column
    `reference` if every RefAE is fresh. Without layers, nothing is written.
    """
    tables = {
        LOST_TABLE: [_remarked(layer.summary.classes).assign(**layer.about) for layer in layers],
        CORRELATION_TABLE: [layer.summary.correlation.assign(**layer.about) for layer in layers],
    }
    files = []
    for name, parts in tables.items() if layers else ():
        table = pd.concat(parts, ignore_index=True)
        first = list(layers[0].about)
        table = table[[*first, *table.columns.drop(first)]]
        if (table["reference"] == "fresh").all():
            table = table.drop(columns="reference")
        files.append(write_table(table, out / name))
    return files
