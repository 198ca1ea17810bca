"""Load the classifier of a command, check it on test images and explain its answers."""

import warnings

import numpy as np

from cladec.commands.console import Complain
from cladec.commands.settings import OneClassifier
from cladec.data.arrays import drawn_rows
from cladec.data.dataset import Dataset
from cladec.errors import InputError, InputWarning
from cladec.experiments.saved_models import SavedClassifier
from cladec.models import pixels
from cladec.models.pixel_layers import declared, has_integer_pixels
from cladec.progress import Progress

TEST_IMAGES = 500
"""The maximum number of test images that check a classifier before it is explained."""


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
        _tell_accuracy(saved, settings.seed, progress)
    return saved


def _tell_accuracy(saved: SavedClassifier, seed: int, progress: Progress) -> None:
    """Print the accuracy on test images, and warn if the pixel range seems to be wrong."""
    data = saved.data
    rows = drawn_rows(len(data.test.labels), TEST_IMAGES, seed)
    images, labels = data.test.images[rows], data.test.labels[rows]

    def answers(images: np.ndarray) -> np.ndarray:
        return saved.logits(images).argmax(axis=1)

    predicted = answers(images)
    share = (predicted == labels).mean()
    progress.say(f"accuracy on {len(rows)} test images of {data.name}: {share:.2f}")
    told = pixels.doubt(
        answers,
        images,
        labels,
        predicted,
        data.num_classes,
        said=declared(saved.classifier),
        others=not has_integer_pixels(saved.classifier),
    )
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
