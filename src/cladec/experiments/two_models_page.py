"""Two models compared, as one HTML page that needs no network."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from cladec import plots
from cladec.data.dataset import Split
from cladec.experiments import pages
from cladec.experiments.layer_page import coloured, side_of
from cladec.metrics import lost_information
from cladec.models.predictions import named
from cladec.plots import sprites
from cladec.startup import own_version
from cladec.storage import model_files

if TYPE_CHECKING:
    from cladec.experiments.two_models import ModelDiff


def write(found: "ModelDiff", path: Path) -> Path:
    """Write the page, completely or not at all, and return its path."""
    text = render(found)
    model_files.write(path, lambda file: file.write_text(text, "utf-8"))
    return path


def render(found: "ModelDiff") -> str:
    """Return the page as text."""
    height, width = found.examples.images.shape[1:3]
    stream = io.BytesIO()
    plots.differences_by_layer(found.layers).savefig(stream, format="png")
    return pages.template("cladec.experiments", "diff.html").render(
        names=found.names,
        caption=found.caption(),
        chart=base64.b64encode(stream.getvalue()).decode(),
        layers=found.layers.to_dict("records"),
        codes=found.codes.to_dict("records"),
        tables={
            "Where the answers differ": _by_layer(found, found.answers),
            "By class": _by_layer(found, found.classes),
        },
        groups=_groups(found),
        ratio=f"{width} / {height}",
        side=side_of(width),
        style=Markup(pages.text("cladec.experiments", "layer.css")),
        version=own_version(),
    )


def _by_layer(found: "ModelDiff", table: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Return layer -> the rows of its groups that have images, of layers that differ."""
    rows = table[(table["images"] > 0) & table["layer"].isin(found.differing)]
    return {
        str(layer): part.to_dict("records") for layer, part in rows.groupby("layer", sort=False)
    }


def _groups(found: "ModelDiff") -> list[dict[str, Any]]:
    """Return the sprites of layers that differ, for changed answers and for every class."""
    count = len(found.examples.images)
    parts: list[tuple[str, Split | None, slice]] = [
        ("images whose answer differs", found.changed, slice(count, None)),
        ("images of every class", found.examples, slice(count)),
    ]
    return [
        _group(
            found,
            f"{layer}: {title}",
            split,
            {name: images[rows] for name, images in found.pictures[layer].items()},
        )
        for layer in found.differing
        for title, split, rows in parts
        if split is not None
    ]


def _group(
    found: "ModelDiff", title: str, split: Split, decoded: dict[str, np.ndarray]
) -> dict[str, Any]:
    maps = lost_information.lost_maps(split.images, decoded["after"], decoded["before"])
    shown = [("original", split.images)]
    shown += [(found.title(name), images) for name, images in decoded.items()]
    count, names = len(split.images), found.facts.class_names
    said = zip(*found.said, strict=True) if split is found.changed else []
    return {
        "title": title,
        "pictures": [(name, sprites.data_url(images)) for name, images in shown],
        "difference": sprites.data_url(coloured(maps)),
        "labels": [named(label, names) for label in split.labels],
        "said": [[named(answer, names) for answer in pair] for pair in said],
        "sums": [f"{of_image.sum():.3g}" for of_image in maps],
        "largest": f"{np.abs(maps).max():.2g}",
        "positions": sprites.positions(count),
        "across": sprites.columns(count),
        "down": -(-count // sprites.columns(count)),
    }
