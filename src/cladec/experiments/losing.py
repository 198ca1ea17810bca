"""Saved models -> what each layer lost: two tables, and a figure per layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import plots
from cladec.experiments.gallery import Gallery
from cladec.experiments.runs import Run
from cladec.metrics import lost_information
from cladec.storage.tables import write_table

LOST_TABLE = "evaluation_lost.csv"
CORRELATION_TABLE = "evaluation_lost_correlation.csv"


@dataclass(frozen=True, eq=False)
class LayerLost:
    """What one layer lost of the test images.

    Attributes:
        name: of the figure's file, without suffix.
        about: dataset, architecture and layer: the first columns of the tables.
        summary: means, correlation, and where most was lost.
        figure: the images where most was lost, and the means.
    """

    name: str
    about: dict[str, str]
    summary: lost_information.Summary
    figure: Figure


def layers_lost(gallery: Gallery) -> Iterator[LayerLost]:
    """What was lost by every layer that has a RefAE and a ClaDec at alpha 0, each of all of it."""
    for layer in gallery.layers:
        references = [run for run in gallery.plain(layer) if run.model == "refae"]
        decoders = [run for run in gallery.plain(layer) if run.alpha == 0]
        if references and decoders:
            yield _layer_lost(gallery, layer, references[0], decoders[0])


def _layer_lost(gallery: Gallery, layer: str, reference: Run, decoder: Run) -> LayerLost:
    data = gallery.material.data
    refae = gallery.decode(reference, data.test.images)
    cladec = gallery.decode(decoder, data.test.images)
    maps = lost_information.lost_maps(data.test.images, cladec, refae)
    summary = lost_information.summarize(
        lost_information.lost_per_image(maps), data.test.labels, gallery.predicted, data.class_names
    )
    most = summary.most_lost
    shown = gallery.show(most)
    figure = plots.lost_by_layer(
        {"original": shown.images, "RefAE": refae[most], "ClaDec 0": cladec[most]},
        maps[most],
        shown.titles,
        summary.classes,
        marked=shown.wrong,
        title=f"{gallery.name} {layer}: {_in_words(summary)}",
    )
    about = {"dataset": gallery.dataset, "architecture": gallery.architecture, "layer": layer}
    return LayerLost(gallery.file_name(layer, "lost"), about, summary, figure)


def _in_words(summary: lost_information.Summary) -> str:
    overall, row = summary.classes.iloc[0], summary.correlation.iloc[0]
    mean = f"lost {overall['lost']:.3g} per image ({overall['low']:.3g} to {overall['high']:.3g})"
    if np.isnan(row["correlation"]):
        return f"{mean}\nno correlation with being wrong: {row['wrong']:.0f} images are wrong"
    interval = f"{row['low']:.3f} to {row['high']:.3f}"
    return f"{mean}\ncorrelation with being wrong {row['correlation']:.3f} ({interval})"


def save_tables(layers: Sequence[LayerLost], out: Path) -> list[Path]:
    """Write what the layers lost and its correlations as CSV, and return the files.

    An empty cell is a value that is not defined: a class without images, a correlation where no
    image is wrongly classified. Without layers there is nothing to write.
    """
    if not layers:
        return []
    tables = {
        LOST_TABLE: [layer.summary.classes.assign(**layer.about) for layer in layers],
        CORRELATION_TABLE: [layer.summary.correlation.assign(**layer.about) for layer in layers],
    }
    files = []
    for name, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        first = list(layers[0].about)
        table = table[[*first, *table.columns.drop(first)]]
        files.append(write_table(table, out / name))
    return files
