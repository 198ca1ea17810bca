"""What the report shows of one classifier: a section of it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cladec.experiments.runs import Run, Variant
from cladec.report.charts import Chart


@dataclass(frozen=True)
class ClassifierRuns:
    """The runs of one classifier: itself, and what decodes its layers. A piece for `Workers`."""

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
        """What an evaluation measures: a decoder of every alpha at each of the published ones."""
        return [each for run in self.runs for each in run.measured()]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What one way to decode a layer makes of the N images of a section.

    Attributes:
        variant: the way.
        alphas: of the A pictures, ascending.
        pictures: the sprite of what ClaDec makes at each alpha.
        probabilities: of each class for it, (A, N, K).
        reference: the sprite of RefAE; None where there is none.
        reference_probabilities: of each class for it, (N, K).
        lost: what the layer lost of each image, see `cladec.lost_maps`, (N,); None where it is not
            known.
        mean_lost: its mean over all test images.
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
    """Maps of one kind, each laid over its image.

    Attributes:
        name: of the method, and of the layer where it looks at one.
        count: how many images have one: the first of the section.
        picture: their sprite.
    """

    name: str
    count: int
    picture: str


@dataclass(frozen=True, eq=False)
class Section:
    """What the report shows of one classifier: N chosen test images, K classes.

    Attributes:
        of: its runs.
        class_names: K.
        image_shape: (H, W, C).
        rows: where the images lie in the test split, (N,).
        labels: true classes, (N,).
        probabilities: what the classifier answers, (N, K).
        originals: the sprite of the images.
        decoded: every way in which a layer is decoded.
        maps: of each method that can be used.
        refusals: why a method cannot be used.
        confusion: of all test images, (K, K) counts.
        classes: the report per class, see `metrics.class_report`.
        curves: precision-recall and ROC.
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
        """The classifier's answers, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of all test images that the classifier gets right."""
        return float(np.trace(self.confusion) / self.confusion.sum())
