"""Prepare the picture of the network for the report: the decoded layers from input to output."""

from typing import Any

import numpy as np

from cladec.report.section import Section


def start(section: Section) -> int:
    """Return the number of the variant that is shown first: of the layer that lost most."""
    lost = [section.mean_lost.get(each.variant.layer, -np.inf) for each in section.decoded]
    return int(np.argmax(lost)) if lost else 0


def nodes(section: Section) -> list[dict[str, Any]]:
    """Return the decoded layers from input to output, for the picture of the network."""
    drawn: list[dict[str, Any]] = []
    largest, last = max(section.mean_lost.values(), default=0.0), -1
    for number, decoded in enumerate(section.decoded):
        layer = decoded.variant.layer
        if drawn and drawn[-1]["layer"] == layer:
            continue
        between = section.network[last + 1 : decoded.place]
        lost, last = section.mean_lost.get(layer), decoded.place
        drawn.append(
            {
                "layer": layer,
                "number": number,
                "between": sum(each.is_decodable for each in between),
                "lost": lost,
                "share": 0.0 if lost is None or largest <= 0 else max(0.0, lost / largest),
                **_block(section.network[decoded.place].shape, section.image_shape),
            }
        )
    return drawn


def _block(shape: tuple[int | None, ...], image_shape: tuple[int, ...]) -> dict[str, Any]:
    """Return how a layer's activations are drawn: the height of their grid, and their depth."""
    sizes = [size or 1 for size in shape]
    is_grid = len(sizes) == 3
    return {
        "shape": "\N{MULTIPLICATION SIGN}".join(
            "?" if size is None else str(size) for size in shape
        ),
        "height": round((sizes[0] / image_shape[0]) ** 0.5, 2) if is_grid else 0,
        "depth": max(1, round(np.log2(sizes[-1]))),
    }
