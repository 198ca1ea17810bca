"""Load the classifier of a command, check it on test images and explain its answers."""

import numpy as np

from cladec.commands.console import Complain
from cladec.commands.settings import OneClassifier
from cladec.data.dataset import Dataset
from cladec.errors import InputError
from cladec.experiments.first_look import tell_accuracy
from cladec.experiments.saved_models import SavedClassifier
from cladec.progress import Progress


def load_classifier(
    settings: OneClassifier,
    data: Dataset | None,
    progress: Progress,
    *,
    decoded: bool,
    shape: tuple[int, ...] | None = None,
) -> SavedClassifier:
    """Load the classifier of a command and, if needed, the models that decode it.

    A warning follows if the classifier seems to expect pixels in another range than [0, 1].

    Args:
        settings: the settings of the command.
        data: the dataset with the background images; None if there is none.
        progress: the display that shows the accuracy on test images.
        decoded: whether the ClaDecs of the classifier are needed.
        shape: the shape (H, W, C) of images, for a classifier of any size without a dataset.

    Raises:
        InputError: if a file is missing, damaged or contains code, the model is not an image
            classifier, or the data do not fit it.
    """
    models = settings.models if decoded else None
    form = settings.form | ({} if shape is None else {"images": np.empty((0, *shape))})
    saved = SavedClassifier.at(settings.model, models, data, form, pixels=settings.pixels)
    saved.scores  # noqa: B018  (an error of the model comes before any work)
    if data is not None:
        tell_accuracy(saved, settings.seed, progress)
    return saved


def explain_all(
    saved: SavedClassifier,
    settings: OneClassifier,
    images: np.ndarray,
    targets: np.ndarray,
    progress: Progress,
    complain: Complain,
) -> dict[str, np.ndarray]:
    """Return the explanations of the images by each method that can be used."""
    explanations = {}
    progress.begin(len(settings.distinct_methods))
    for method in settings.distinct_methods:
        with progress.step(method) as report:
            try:
                explanations[method] = saved.explain(
                    images,
                    method=method,
                    targets=targets,
                    layer=settings.layer,
                    grid=settings.grid,
                    alpha=settings.alpha,
                    seed=settings.seed,
                    report=report,
                )
            except InputError as error:
                complain(error)
    return explanations
