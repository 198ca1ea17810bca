"""The classifier that a command is about: loaded, tried on test images, and explained."""

import warnings
from collections.abc import Sequence

import numpy as np

from cladec.commands.console import Complain
from cladec.commands.settings import OneClassifier
from cladec.data.arrays import drawn_rows
from cladec.data.dataset import Dataset
from cladec.errors import InputError, InputWarning
from cladec.experiments.saved_models import SavedClassifier
from cladec.explainers.scores import logits_model
from cladec.models import pixels
from cladec.progress import Progress

TEST_IMAGES = 500
"""At most how many a classifier is tried on before it is explained."""


def load_classifier(
    settings: OneClassifier, data: Dataset | None, progress: Progress, *, decoded: bool
) -> SavedClassifier:
    """The classifier of a command, and what decodes it where that is needed.

    Warns where the classifier seems to want pixels of another range than [0, 1].

    Args:
        settings: of the command.
        data: where background images come from; None if there is none.
        progress: is told how often the classifier is right on test images.
        decoded: whether its ClaDecs are needed.

    Raises:
        InputError: a file is missing, damaged or holds code, the model is no image classifier, or
            the data do not fit it.
    """
    models = settings.models if decoded else None
    saved = SavedClassifier.at(settings.model, models, data)
    logits_model(saved.classifier)
    if data is not None:
        _tell_accuracy(saved, settings.seed, progress)
    return saved


def _tell_accuracy(saved: SavedClassifier, seed: int, progress: Progress) -> None:
    """Say how often the classifier is right on test images; warn where that looks wrong."""
    data = saved.data
    rows = drawn_rows(len(data.test.labels), TEST_IMAGES, seed)
    images, labels = data.test.images[rows], data.test.labels[rows]

    def answers(images: np.ndarray) -> np.ndarray:
        return saved.logits(images).argmax(axis=1)

    predicted = answers(images)
    share = (predicted == labels).mean()
    progress.say(f"accuracy on {len(rows)} test images of {data.name}: {share:.2f}")
    told = pixels.doubt(answers, images, labels, predicted, data.num_classes)
    if told is not None:
        warnings.warn(told, InputWarning, stacklevel=3)


def explain_all(
    saved: SavedClassifier,
    settings: OneClassifier,
    images: np.ndarray,
    targets: np.ndarray,
    progress: Progress,
    complain: Complain,
) -> dict[str, np.ndarray]:
    """What every method that can be used makes of the images, by name."""
    explanations = {}
    methods: Sequence[str] = settings.distinct_methods
    progress.begin(len(methods))
    for method in methods:
        with progress.step(method) as report:
            try:
                explanations[method] = saved.explain(
                    images,
                    method=method,
                    targets=targets,
                    layer=settings.layer,
                    alpha=settings.alpha,
                    seed=settings.seed,
                    report=report,
                )
            except InputError as error:
                complain(error)
    return explanations
