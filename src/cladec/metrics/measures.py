"""The measures that explainers are ranked by, a row for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cladec import checks

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Measure:
    """A measure of how far a map of an explainer can be trusted, a value for each image.

    Attributes:
        module: where its function is, in `cladec.metrics`.
        function: its name; (model, images, maps, targets, *, seed) -> (N,), or what has an `auc`.
        question: what it asks: "faithfulness", "robustness" or "randomisation"; measures of
            different questions are ranked apart and never averaged.
        higher_is_better: else a low value is a good one.
        explains_anew: its function is given the explainer first, to explain other images or models.
        changes_model: it explains copies of the model with other weights.
    """

    module: str
    function: str
    question: str
    higher_is_better: bool = False
    explains_anew: bool = False
    changes_model: bool = False

    def __call__(self, explainer: Callable, *given: Any, seed: int) -> "np.ndarray":
        """The values of maps: of an explainer, a model, images, maps and targets."""
        measure = getattr(import_module(f"cladec.metrics.{self.module}"), self.function)
        values = measure(*((explainer,) if self.explains_anew else ()), *given, seed=seed)
        return getattr(values, "auc", values)


MEASURES: Mapping[str, Measure] = {
    "deletion": Measure("faithfulness", "deletion", "faithfulness"),
    "insertion": Measure("faithfulness", "insertion", "faithfulness", higher_is_better=True),
    "mu_fidelity": Measure("faithfulness", "mu_fidelity", "faithfulness", higher_is_better=True),
    "stability": Measure("robustness", "stability", "robustness", explains_anew=True),
    "randomisation": Measure(
        "robustness", "randomisation", "randomisation", explains_anew=True, changes_model=True
    ),
}
"""Every measure by its name."""


def find_measure(name: str) -> Measure:
    """The row of `MEASURES` of this name.

    Raises:
        InputError: there is none; the message names those there are.
    """
    return checks.row("measure", name, MEASURES)
