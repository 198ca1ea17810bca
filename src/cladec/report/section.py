"""Define the section of the report about one classifier."""

from collections.abc import Mapping
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


@dataclass(frozen=True)
class LeftOut:
    """A classifier that gets no section, and why."""

    reason: str


@dataclass(frozen=True)
class Layer:
    """A layer of the classifier.

    Attributes:
        path: its name ("outer/inner" inside a nested model).
        shape: the shape of its output without the batch; None for each size that is not fixed.
        is_decodable: whether it can be decoded, and does not repeat the numbers of another one.
    """

    path: str
    shape: tuple[int | None, ...]
    is_decodable: bool


@dataclass(frozen=True)
class ColourScale:
    """The colours of a map's values.

    Attributes:
        ends: the values that have the first and the last colour.
        colours: CSS colours at even distances between them.
    """

    ends: tuple[float, float]
    colours: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Decoded:
    """The N images of a section, decoded by one variant.

    Attributes:
        variant: the way to decode a layer.
        place: the place of the layer among those of the classifier.
        alphas: the A alphas in ascending order.
        pictures: one sprite of ClaDec's images per alpha.
        probabilities: the class probabilities for these images, (A, N, K).
        reference: the sprite of RefAE's images; None if there is no RefAE.
        reference_probabilities: the class probabilities for RefAE's images, (N, K).
        lost: how much was lost from each image at alpha 0, (N,); None if it is not known.
        lost_picture: the sprite of what was lost from each pixel.
    """

    variant: Variant
    place: int
    alphas: tuple[float, ...]
    pictures: tuple[str, ...]
    probabilities: np.ndarray
    reference: str | None
    reference_probabilities: np.ndarray | None
    lost: np.ndarray | None
    lost_picture: str | None


@dataclass(frozen=True, eq=False)
class Maps:
    """The attribution maps of one method, each drawn over its image.

    Attributes:
        name: the name of the method.
        about: the layer that it explains and its alpha, or what is zero; empty if there is none.
        count: the number of images with a map; these are the first images of the section.
        picture: the sprite of the maps.
        scale: the colours, which are the same for all images.
        effects: what is known of each map: what hiding its strongest pixels changes.
    """

    name: str
    about: str
    count: int
    picture: str
    scale: ColourScale
    effects: tuple[str, ...]


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
        network: the layers of the classifier, from input to output.
        decoded: the images as decoded by each variant, in the order of the network.
        lost_scale: the colours of what was lost, which are the same for all variants.
        mean_lost: how much each layer lost from a test image on average.
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
    network: tuple[Layer, ...]
    decoded: tuple[Decoded, ...]
    lost_scale: ColourScale | None
    mean_lost: Mapping[str, float]
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
