"""Define the job that training and measuring share; its pieces of work are runs."""

from pathlib import Path
from typing import Any

from cladec.experiments.runs import Run
from cladec.experiments.saved_models import SavedClassifier
from cladec.progress import OnProgress


class RunJob:
    """A job for `Workers` that keeps a classifier loaded until a run needs another one.

    Args:
        models: the folder with the trained models.
    """

    def __init__(self, models: Path):
        self.models = models
        self._last: SavedClassifier | None = None

    def __call__(self, run: Run, report: OnProgress) -> Any:
        if self._last is None or self._last.path != run.classifier_path(self.models):
            self._last = None  # frees the memory before it is needed again
            self._last = SavedClassifier([run], self.models)
        return self.do(self._last, run, report)

    def do(self, saved: SavedClassifier, run: Run, report: OnProgress) -> Any:
        """Do the work of one run of a classifier."""
        raise NotImplementedError
