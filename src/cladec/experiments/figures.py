"""Saved models -> every figure that their evaluation shows, as PNG files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from cladec import plots
from cladec.experiments import losing, research_figures
from cladec.experiments.gallery import Gallery, galleries
from cladec.experiments.runs import Run
from cladec.models.recipes import alpha_text
from cladec.storage import model_files
from cladec.text import LONGEST_NAME, shortened

COLUMNS = 5
"""Correctly classified images of a grid, and as many wrongly classified ones."""


def save_figures(runs: list[Run], table: pd.DataFrame, models: Path, out: Path) -> list[Path]:
    """Draw and save every figure, and measure what the layers lost.

    Args:
        runs: the saved runs, from `saved_runs`.
        table: the tidy table of their measures.
        models: folder of the trained models.
        out: where the tables of what was lost go; the figures go into img/ in it.

    Returns:
        The files written.
    """
    files, lost = [], []
    for gallery in galleries(runs, table, models):
        for make in MAKERS:
            for name, figure in make(gallery):
                files.append(save(figure, out / "img" / f"{name}.png"))
        for layer in losing.layers_lost(gallery):
            files.append(save(layer.figure, out / "img" / f"{layer.name}.png"))
            lost.append(layer)
    return losing.save_tables(lost, out) + files


def reconstructions(gallery: Gallery) -> Iterator[tuple[str, Figure]]:
    """Images as every plain decoder of a whole layer shows them."""
    for layer in gallery.layers:
        if runs := gallery.plain(layer):
            shown = gallery.choose(COLUMNS, COLUMNS)
            rows = {"original": shown.images}
            for run in runs:
                name = "RefAE" if run.alpha is None else f"ClaDec {alpha_text(run.alpha)}"
                rows[name] = gallery.decode(run, shown.images)
            figure = plots.image_grid(rows, shown.titles, marked=shown.wrong)
            yield gallery.file_name(layer, "reconstructions"), figure


def measures(gallery: Gallery) -> Iterator[tuple[str, Figure]]:
    """Every measure of the plain decoders over alpha."""
    if gallery.layers:
        figure = plots.measures_over_alpha(gallery.plain_measures, title=gallery.name)
        yield f"{gallery.name}-measures", figure


MAKERS: tuple[Callable[[Gallery], Iterator[tuple[str, Figure]]], ...] = (
    reconstructions,
    measures,
    research_figures.fractions,
    research_figures.layers,
    research_figures.conditional,
    research_figures.latent_planes,
)
"""What draws the figures of one classifier, each with its name; nothing where it has no models."""


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all; its path, whose name may have become shorter."""
    path = path.with_name(shortened(path.stem, LONGEST_NAME - len(path.suffix)) + path.suffix)
    model_files.write(path, lambda file: figure.savefig(file))
    return path
