"""Arrays and tables -> matplotlib figures. Nothing here shows, saves or computes a model.

Examples:
    >>> rows = {"original": images[:3], "darker": images[:3] / 2}
    >>> figure = cladec.plots.image_grid(rows, titles=["first", "second", "third"])
    >>> type(figure).__name__
    'Figure'
"""

from cladec.plots.alpha_axis import AlphaAxis, slider_alphas
from cladec.plots.classification import confusion, curves, reliability
from cladec.plots.depth import kept_by_depth
from cladec.plots.erasure import erasure
from cladec.plots.explanations import explanation_grid, side_by_side
from cladec.plots.heat_maps import Scale, heat_map
from cladec.plots.images import draw_image, image_grid
from cladec.plots.kept import Row, kept_by_layer
from cladec.plots.latent import latent_classes, latent_codes, latent_grid
from cladec.plots.layers import conditional_beside_separate, layers_by_depth, lost_by_layer
from cladec.plots.leak import leaked_by_layer
from cladec.plots.measures import LABELS, measures_over_alpha, measures_over_fraction, ranking
from cladec.plots.rows import image_rows
from cladec.plots.story import alpha_frames, layer_story
from cladec.plots.two_models import changed_by_layer, differences_by_layer

__all__ = [
    "LABELS",
    "AlphaAxis",
    "Row",
    "Scale",
    "alpha_frames",
    "changed_by_layer",
    "conditional_beside_separate",
    "confusion",
    "curves",
    "differences_by_layer",
    "draw_image",
    "erasure",
    "explanation_grid",
    "heat_map",
    "image_grid",
    "image_rows",
    "kept_by_depth",
    "kept_by_layer",
    "latent_classes",
    "latent_codes",
    "latent_grid",
    "layer_story",
    "layers_by_depth",
    "leaked_by_layer",
    "lost_by_layer",
    "measures_over_alpha",
    "measures_over_fraction",
    "ranking",
    "reliability",
    "side_by_side",
    "slider_alphas",
]
