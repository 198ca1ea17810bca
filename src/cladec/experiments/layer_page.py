"""An explained layer as one HTML page with a slider over alpha, and as a cell of a notebook."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from cladec.data.dataset import Split
from cladec.experiments import layer_edits_page, layer_pictures, pages
from cladec.experiments.layer_pictures import Pictures
from cladec.models.recipes import alpha_text
from cladec.plots import Scale, sprites
from cladec.startup import own_version
from cladec.storage import model_files

if TYPE_CHECKING:
    from cladec.experiments.layer_explanation import LayerExplanation

ALPHAS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0)
"""The alphas of the slider, besides those that were measured."""

SIDE = 112
"""The approximate width of an image on the page; small ones are scaled by whole numbers."""


def write(layer: "LayerExplanation", path: Path) -> Path:
    """Write the page, completely or not at all, and return its path."""
    text = render(layer)
    model_files.write(path, lambda file: file.write_text(text, "utf-8"))
    return path


def render(layer: "LayerExplanation") -> str:
    """Return the page as text."""
    alphas = sorted({*ALPHAS, *layer.fidelity()})
    groups = {
        "Images of every class": _group(layer, layer.examples, alphas),
        "Where most was lost": _group(layer, layer.most_lost, alphas),
    }
    height, width = layer.examples.images.shape[1:3]
    script = pages.text("cladec.experiments", "layer.js")
    return pages.template("cladec.experiments", "layer.html").render(
        layer=layer.layer,
        reference=layer_pictures.reference_title(layer),
        caption=layer_pictures.caption(layer),
        numbers=layer_pictures.five_numbers(layer),
        table=layer_pictures.table_of(layer),
        classes=layer.lost_by_class.to_dict("records"),
        groups=groups,
        edits=layer_edits_page.edits(layer),
        alphas=[alpha_text(alpha) for alpha in alphas],
        ratio=f"{width} / {height}",
        side=side_of(width),
        style=Markup(pages.text("cladec.experiments", "layer.css")),
        script=Markup(script),
        script_digest=pages.digest(script),
        version=own_version(),
    )


def side_of(width: int) -> int:
    """Return how wide images of this width are on a page, in pixels."""
    return width * max(1, round(SIDE / width)) if width <= SIDE else SIDE


def _group(layer: "LayerExplanation", split: Split, alphas: Sequence[float]) -> dict[str, Any]:
    """Return the sprites and the texts of some images."""
    pictures = Pictures(layer, split.images, alphas)
    titles, wrong = pictures.titles(split.labels)
    reference, *decoded = pictures.decoded.values()
    count = len(split.images)
    return {
        "original": sprites.data_url(split.images),
        "reference": sprites.data_url(reference),
        "cladec": [sprites.data_url(images) for images in decoded],
        "lost": sprites.data_url(coloured(pictures.lost)),
        "positions": sprites.positions(count),
        "across": sprites.columns(count),
        "down": -(-count // sprites.columns(count)),
        "titles": list(zip(titles, wrong, strict=True)),
        "sums": [f"{of_image.sum():.3g}" for of_image in pictures.lost],
        "reference_said": _said(pictures, reference),
        "said": [_said(pictures, images) for images in decoded],
        "largest": f"{np.abs(pictures.lost).max():.2g}",
    }


def _said(pictures: Pictures, decoded: np.ndarray) -> list[tuple[str, bool]]:
    return list(zip(*pictures.said_of(decoded), strict=True))


def coloured(maps: np.ndarray) -> np.ndarray:
    """Return signed maps (N, H, W) in the colours of one scale around zero, (N, H, W, 3)."""
    scale = Scale.around_zero(maps)
    return scale.colours(scale.norm(maps))[..., :3]


def inline(layer: "LayerExplanation") -> str:
    """Return the figure and the five numbers as HTML for a notebook."""
    stream = io.BytesIO()
    layer.show().savefig(stream, format="png")
    picture = base64.b64encode(stream.getvalue()).decode()
    cells = Markup("").join(
        Markup("<tr><th style='text-align:left'>{}</th><td>{}</td></tr>").format(name, value)
        for name, value in layer_pictures.five_numbers(layer).items()
    )
    about = escape(layer_pictures.one_line(layer))
    return f'<img alt="{about}" src="data:image/png;base64,{picture}"><table>{cells}</table>'
