"""cladec: what a layer of an image classifier keeps, shown as pictures.

Names are imported when they are first used, so that `import cladec` does not wait for TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cladec.errors import InputError
from cladec.startup import import_keras

if TYPE_CHECKING:
    from cladec.classifier import build_classifier, fit_classifier
    from cladec.conditional import ConditionalClaDec, fit_conditional
    from cladec.data import Dataset, Split, load
    from cladec.decoder import build_decoder
    from cladec.explainers import EXPLAINERS, explain
    from cladec.models import ClaDec, RefAE, fit_cladec, fit_refae
    from cladec.variational import (
        VariationalClaDec,
        VariationalRefAE,
        fit_variational_cladec,
        fit_variational_refae,
    )

__all__ = [
    "EXPLAINERS",
    "ClaDec",
    "ConditionalClaDec",
    "Dataset",
    "InputError",
    "RefAE",
    "Split",
    "VariationalClaDec",
    "VariationalRefAE",
    "build_classifier",
    "build_decoder",
    "explain",
    "fit_cladec",
    "fit_classifier",
    "fit_conditional",
    "fit_refae",
    "fit_variational_cladec",
    "fit_variational_refae",
    "load",
]

_MODULES = {
    "ClaDec": "models",
    "ConditionalClaDec": "conditional",
    "Dataset": "data",
    "EXPLAINERS": "explainers",
    "RefAE": "models",
    "Split": "data",
    "VariationalClaDec": "variational",
    "VariationalRefAE": "variational",
    "build_classifier": "classifier",
    "build_decoder": "decoder",
    "explain": "explainers",
    "fit_cladec": "models",
    "fit_classifier": "classifier",
    "fit_conditional": "conditional",
    "fit_refae": "models",
    "fit_variational_cladec": "variational",
    "fit_variational_refae": "variational",
    "load": "data",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'cladec' has no attribute {name!r}")
    module = _MODULES[name]
    if module not in ("data", "explainers"):
        import_keras()
    return getattr(import_module(f"cladec.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
