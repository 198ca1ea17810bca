"""What the commands about one classifier, and the report, are told: a class of settings for each.

No Keras here, so that `--help` and bad input answer at once. Those of `train` and `evaluate` are
`Sweep` and `Evaluation`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from cladec.data.dataset import check_name
from cladec.errors import InputError, check_at_least_one
from cladec.experiments import records
from cladec.explainers import EXPLAINERS, find_explainer
from cladec.metrics.measures import MEASURES, find_measure
from cladec.parallel.processes import check_workers, default_workers
from cladec.storage import model_files

METHODS = ("saliency", "integrated_gradients", "grad_cam", "occlusion", "lime")
"""What the commands explain with where no other methods are named."""

MAP_METHODS = tuple(name for name, row in EXPLAINERS.items() if not row.makes_images)


@dataclass(frozen=True, kw_only=True)
class OneClassifier:
    """What all commands that explain a classifier are told."""

    model: Path
    """The classifier, a .keras file. Code in it is never executed."""
    methods: tuple[str, ...] = METHODS
    """The names of the explainers; a wrong one is answered with a list of all."""
    layer: str | None = None
    """The layer that methods look at which look at one; without it each chooses its own."""
    models: Path = Path("saved-models")
    """The folder of trained models: those that decode --model are used, where there are any."""
    alpha: float | None = None
    """The alpha of the ClaDec that the method cladec takes; without it the smallest there is."""
    seed: int = 0
    """Where the random numbers start: the same seed draws the same."""

    maps_only = False

    def check(self) -> None:
        """Find what is wrong with the settings, without Keras.

        Raises:
            InputError: there is no method, an unknown one, or one that makes no maps.
        """
        if not self.methods:
            raise InputError("--methods is empty: name at least one")
        check_methods(self.methods, maps_only=self.maps_only)

    @property
    def distinct_methods(self) -> tuple[str, ...]:
        """The methods, each once."""
        return tuple(dict.fromkeys(self.methods))


def check_methods(methods: tuple[str, ...], *, maps_only: bool) -> None:
    """Raises InputError for no name of a method, or of one that makes images where `maps_only`."""
    for method in methods:
        if find_explainer(method).makes_images and maps_only:
            raise InputError(f"method {method!r} makes images, not maps of what matters: leave out")


@dataclass(frozen=True, kw_only=True)
class Explanation(OneClassifier):
    """Explain what a classifier answers to images: a figure of all methods for each of them."""

    images: tuple[Path, ...]
    """The image files, of the size that the model takes."""
    target: int | None = None
    """The class to explain, a number from 0; without it the class predicted for each image."""
    resize: bool = False
    """Resize images that are not of the model's size; their proportions are not kept."""
    dataset: str | None = None
    """What the model was trained on: it gives class names, and training images that SHAP and
    Anchors compare with."""
    out: Path = Path("explanations")
    """The folder that gets a .png and an .npz of each image."""

    def check(self) -> None:
        """As `OneClassifier.check`; and no image, an unknown dataset, a folder without access."""
        super().check()
        if not self.images:
            raise InputError("--images is empty: name at least one file")
        if self.dataset is not None:
            check_name(self.dataset)
        model_files.check_writable(self.out)


@dataclass(frozen=True, kw_only=True)
class Comparison(OneClassifier):
    """Measure how far the explanations of a classifier can be trusted, and rank the methods."""

    dataset: str
    """The images: digits (built in), any TensorFlow Datasets name, or a folder with
    train/<class>/*.png and test/<class>/*.png."""
    measures: tuple[str, ...] = tuple(MEASURES)
    """What the methods are ranked by. Stability explains every image five times more,
    randomisation once more."""
    images: int = 100
    """How many test images are explained; they are drawn at random."""
    out: Path = Path("comparison")
    """The folder that gets the tables and figures."""

    maps_only = True

    def check(self) -> None:
        """As `OneClassifier.check`; and no measure, an unknown dataset, a folder without access."""
        super().check()
        check_at_least_one("images", self.images)
        if not self.measures:
            raise InputError("--measures is empty: name at least one")
        for name in self.measures:
            find_measure(name)
        check_name(self.dataset)
        model_files.check_writable(self.out)


@dataclass(frozen=True, kw_only=True)
class Metrics(OneClassifier):
    """Measure a classifier on test images; explain one of its confusions."""

    dataset: str
    """The images: digits (built in), any TensorFlow Datasets name, or a folder with
    train/<class>/*.png and test/<class>/*.png."""
    confusion: tuple[str, str] | None = None
    """A true and a predicted class, by name or number: the images of the one that are taken for
    the other are explained."""
    images: int = 8
    """How many images of --confusion are explained, at most."""
    out: Path = Path("metrics")
    """The folder that gets the tables and figures."""

    def check(self) -> None:
        """As `OneClassifier.check`; and an unknown dataset, a folder without access."""
        super().check()
        check_at_least_one("images", self.images)
        check_name(self.dataset)
        model_files.check_writable(self.out)


@dataclass(frozen=True)
class ReportFile:
    """Show saved models and their measures in one HTML file, to look at and to mail around."""

    models: Path = Path("saved-models")
    """The folder of trained models, as create_models.py and eval.py leave it."""
    data: Path | None = None
    """Where folders of pictures are now that were moved since: such a folder itself, or the one
    that they lie in."""
    evaluation: Path | None = None
    """The folder that eval.py wrote into, where measures lie that could not be kept beside the
    models; without it eval, beside the folder of models."""
    ranking: tuple[Path, ...] = (Path("comparison/ranking.csv"),)
    """The tables of cladec compare that rank explainers of these classifiers; others are left
    out."""
    images: int | None = None
    """How many test images of each classifier are shown: wrong ones, the most lost, and some of
    each class. Without it as many as keep the file below 5 MB, 24 to 64."""
    methods: tuple[str, ...] = MAP_METHODS
    """The names of explainers whose maps are shown; they are made with fewer samples than explain
    takes."""
    seed: int = 0
    """Where the random numbers start: the same seed draws the same."""
    workers: int = field(default_factory=default_workers)
    """How many classifiers are shown at once, each in its own process with its share of the cores;
    one alone is shown by the process of the command itself."""
    out: Path = Path("report.html")
    """The file to write."""

    def check(self) -> None:
        """Find what is wrong with the settings, without Keras.

        Raises:
            InputError: an unknown method, a number out of range, a folder that cannot be written.
        """
        check_methods(self.methods, maps_only=True)
        records.check_within(self.data)
        check_at_least_one("images", self.images)
        check_workers(self.workers)
        if self.out.is_dir():
            raise InputError(
                f"--out {self.out} is a folder: name a file in it, such as report.html"
            )
        model_files.check_writable(self.out.parent)


@dataclass(frozen=True)
class Listing:
    """List the layers of a classifier with their shapes, and say which can be decoded."""

    model: Path
    """The classifier, a .keras file. Code in it is never executed."""

    def check(self) -> None:
        """Nothing can be said of the file before Keras reads it."""
