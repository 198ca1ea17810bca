"""Maps and units of saved models: python explained.py FOLDER FILE writes them, on any backend.

The folder holds models with names of `MODELS`, a transformer, and a ClaDec and a RefAE of the
first.
"""

import sys
from pathlib import Path

import numpy as np

MODELS = ("sequential", "shared_layer", "residual_add", "nested_twice")
TRANSFORMER = "class_token"
CAMS = ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "score_cam", "eigen_cam")
"""The methods that lay out the tokens of a transformer."""

OPTIONS = {
    "saliency": {"smooth_samples": 3},
    "smooth_grad": {"samples": 3},
    "square_grad": {"samples": 3},
    "var_grad": {"samples": 3},
    "integrated_gradients": {"steps": 4, "max_steps": 12},
    "rise": {"masks": 30, "grid": 3},
    "sobol": {"designs": 4, "grid": 3},
    "hsic": {"masks": 30, "grid": 3},
    "lime": {"samples": 40, "segments": 6},
    "kernel_shap": {"samples": 12, "segments": 6},
    "anchors": {"segments": 4},
    "shap_gradient": {"samples": 10},
    "activation_maximization": {"steps": 3, "jitter": 1, "total_variation": 0.1},
    "deep_dream": {"steps": 2},
}


def explained(folder: Path) -> dict[str, np.ndarray]:
    """What every explainer but `shap_deep` gives, and the important units, by what it is of."""
    import zoo

    from cladec.explainers import EXPLAINERS, choose_units, explain
    from cladec.models import cutting, loading

    images, found = zoo.images(3), {}
    decoders = {
        name: loading.load_saved(folder / f"{name}.keras") for name in ("decoder", "reference")
    }
    for name in MODELS:
        model = loading.load_model(folder / f"{name}.keras")
        for method in EXPLAINERS:
            if method != "shap_deep" and (method != "cladec" or name == MODELS[0]):
                options = decoders if method == "cladec" else OPTIONS.get(method, {})
                found[f"{method} of {name}"] = explain(model, images, method=method, **options)
        for layer in cutting.layer_shapes(model):
            units = choose_units(model, layer, 0.5, "important", images=images)
            found[f"units of {layer} of {name}"] = units
    transformer = loading.load_model(folder / f"{TRANSFORMER}.keras")
    for method in CAMS:
        found[f"{method} of {TRANSFORMER}"] = explain(transformer, images, method=method)
    return found


if __name__ == "__main__":
    from cladec.startup import start_keras

    start_keras()
    np.savez(sys.argv[2], **explained(Path(sys.argv[1])))
