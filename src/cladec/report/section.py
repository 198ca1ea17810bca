"""Define the section of the report about one classifier."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cladec.experiments.runs import Run, Variant
from cladec.report.charts import Chart


@dataclass(frozen=True)
class ClassifierRuns:
    """The runs of one classifier and its decoders, which are one piece of work for `Workers`."""

    runs: tuple[Run, ...]

    @property
    def dataset(self) -> str:
        return self.runs[0].name

    @property
    def architecture(self) -> str:
        return self.runs[0].architecture

    @property
    def title(self) -> str:
        return f"{self.dataset} {self.architecture}"

    @property
    def measured(self) -> list[Run]:
        """The runs to measure; a decoder of every alpha has one per published alpha."""
        return [each for run in self.runs for each in run.measured()]


@dataclass(frozen=True, eq=False)
class Decoded:
    """The N images of a section, decoded by one variant.

    Attributes:
        variant: the way to decode a layer.
        alphas: the A alphas in ascending order.
        pictures: one sprite of ClaDec's images per alpha.
        probabilities: the class probabilities for these images, (A, N, K).
        reference: the sprite of RefAE's images; None if there is no RefAE.
        reference_probabilities: the class probabilities for RefAE's images, (N, K).
        lost: how much the layer lost from each image, (N,); None if it is not known.
        mean_lost: the mean of this loss over all test images.
    """

    variant: Variant
    alphas: tuple[float, ...]
    pictures: tuple[str, ...]
    probabilities: np.ndarray
    reference: str | None
    reference_probabilities: np.ndarray | None
    lost: np.ndarray | None
    mean_lost: float | None


@dataclass(frozen=True, eq=False)
class Maps:
    """The attribution maps of one method, each drawn over its image.

    Attributes:
        name: the name of the method, and of the layer if it explains one.
        count: the number of images with a map; these are the first images of the section.
        picture: the sprite of the maps.
    """

    name: str
    count: int
    picture: str


@dataclass(frozen=True, eq=False)
class Section:
    """The section of one classifier in the report, with N chosen test images and K classes.

    Attributes:
        of: the runs of the classifier and its decoders.
        class_names: the K names of the classes.
        image_shape: (H, W, C).
        rows: the indices of the images in the test split, (N,).
        labels: the true classes, (N,).
        probabilities: the class probabilities, (N, K).
        originals: the sprite of the images.
        decoded: the images as decoded by each variant.
        maps: the maps of each method that can be used.
        refusals: the error messages of methods that cannot be used.
        confusion: the confusion matrix of all test images, (K, K) counts.
        classes: the report per class, see `metrics.class_report`.
        curves: the charts of precision-recall and ROC curves.
    """

    of: ClassifierRuns
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    originals: str
    decoded: tuple[Decoded, ...]
    maps: tuple[Maps, ...]
    refusals: tuple[str, ...]
    confusion: np.ndarray
    classes: pd.DataFrame
    curves: tuple[Chart, ...]

    @property
    def predicted(self) -> np.ndarray:
        """The predicted classes, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of all test images that are classified correctly."""
        return float(np.trace(self.confusion) / self.confusion.sum())
