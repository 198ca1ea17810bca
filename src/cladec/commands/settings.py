"""Define the settings of the commands about one classifier, and of the report.

Keras is not imported here, so that `--help` and input errors appear at once. The settings of
`train` and `evaluate` are `Sweep` and `Evaluation`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from cladec.data.dataset import check_name
from cladec.errors import InputError, check_at_least_one
from cladec.experiments import records
from cladec.experiments.model_forms import ModelForm
from cladec.explainers import find_explainer
from cladec.metrics.measures import MEASURES, find_measure
from cladec.parallel.processes import check_workers, default_workers
from cladec.storage import model_files

METHODS = ("saliency", "integrated_gradients", "grad_cam", "occlusion", "lime")
"""The methods that the commands use by default."""

REPORT_METHODS = (
    *("saliency", "integrated_gradients", "guided_backpropagation", "grad_cam", "hires_cam"),
    *("occlusion", "rise", "lime", "anchors", "shap_deep", "shap_gradient", "cladec"),
)
"""The methods that the report shows by default, one or two of a kind."""


@dataclass(frozen=True, kw_only=True)
class ModelFile(ModelForm):
    """The settings of all commands that load a classifier."""

    model: Path
    """The classifier, a .keras or .h5 file, or the folder of a SavedModel for methods that need no
    layers. Code in a file is never executed."""


@dataclass(frozen=True, kw_only=True)
class OneClassifier(ModelFile):
    """The settings of all commands that explain a classifier."""

    methods: tuple[str, ...] = METHODS
    """The names of the explainers; if one is wrong, the error message lists all names."""
    layer: str | None = None
    """The layer for methods that explain a layer; by default, each method chooses its own."""
    grid: tuple[int, int] | None = None
    """The rows and columns of a transformer's tokens in the image, for methods that explain a layer
    of tokens; by default, the number of tokens tells them."""
    models: Path = Path("saved-models")
    """The folder with the trained models; those that decode --model are used, if there are any."""
    alpha: float | None = None
    """The alpha of the ClaDec that the method cladec uses; the default is the smallest alpha."""
    seed: int = 0
    """The seed of the random numbers; the same seed gives the same results."""

    maps_only = False

    def check(self) -> None:
        """Check the settings without importing Keras.

        Raises:
            InputError: if there is no method, an unknown one, or one that cannot make maps, or no
                such range of pixels.
        """
        super().check()
        if not self.methods:
            raise InputError("--methods is empty: name at least one")
        check_methods(self.methods, maps_only=self.maps_only)

    @property
    def distinct_methods(self) -> tuple[str, ...]:
        """The methods without duplicates."""
        return tuple(dict.fromkeys(self.methods))


def check_methods(methods: tuple[str, ...], *, maps_only: bool) -> None:
    """Raise InputError for an unknown method, or one that makes images if `maps_only` is set."""
    for method in methods:
        if find_explainer(method).makes_images and maps_only:
            raise InputError(f"method {method!r} makes images, not attribution maps: leave it out")


@dataclass(frozen=True, kw_only=True)
class Explanation(OneClassifier):
    """Explain the answers of a classifier to images, in a figure for each image."""

    images: tuple[Path, ...]
    """The image files, in the size that the model takes."""
    target: int | None = None
    """The class to explain, a number from 0; the default is the class predicted for each image."""
    class_names: Path | None = None
    """A text file with the name of each output of the classifier, one a line, in their order. By
    default, the dataset names them, and 1,000 classes are those of ImageNet where Keras has its
    list on this machine."""
    resize: bool = False
    """Whether to resize images to the size of the model; their proportions are not kept."""
    dataset: str | None = None
    """The dataset that the model was trained on. It gives the class names, and the training images
    that SHAP and Anchors use for comparison."""
    out: Path = Path("explanations")
    """The folder for a .png and an .npz file of each image."""

    def check(self) -> None:
        """Check the images, the dataset and the output folder as well as the common settings."""
        super().check()
        if not self.images:
            raise InputError("--images is empty: name at least one file")
        if self.dataset is not None:
            check_name(self.dataset)
        model_files.check_writable(self.out)


@dataclass(frozen=True, kw_only=True)
class Comparison(OneClassifier):
    """Measure how far explanations of a classifier can be trusted, and rank methods."""

    dataset: str
    """The dataset: digits (built in), any TensorFlow Datasets name, or a folder with
    train/<class>/*.png and test/<class>/*.png (or val/ in place of test/)."""
    measures: tuple[str, ...] = tuple(MEASURES)
    """The measures that rank the methods. Stability explains every image five more times, and
    randomisation one more time."""
    images: int = 100
    """The number of test images to explain; they are drawn at random."""
    out: Path = Path("comparison")
    """The folder for the tables and figures."""

    maps_only = True

    def check(self) -> None:
        """Check the measures, the dataset and the output folder as well as the common settings."""
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
    """Measure a classifier on test images, and explain one of its confusions."""

    dataset: str
    """The dataset: digits (built in), any TensorFlow Datasets name, or a folder with
    train/<class>/*.png and test/<class>/*.png (or val/ in place of test/)."""
    confusion: tuple[str, str] | None = None
    """A true and a predicted class, by name or number. The images of the first class that are taken
    for the second are explained."""
    images: int = 8
    """The maximum number of images of --confusion to explain."""
    out: Path = Path("metrics")
    """The folder for the tables and figures."""

    def check(self) -> None:
        """Check the dataset and the output folder as well as the common settings."""
        super().check()
        check_at_least_one("images", self.images)
        check_name(self.dataset)
        model_files.check_writable(self.out)


@dataclass(frozen=True)
class ReportFile:
    """Show saved models and their measures in one HTML file, small enough to mail."""

    models: Path = Path("saved-models")
    """The folder with the trained models, as create_models.py and eval.py leave it."""
    data: Path | None = None
    """The present place of picture folders that were moved after the training: the picture folder
    itself, or the folder that contains it."""
    evaluation: Path | None = None
    """The folder that eval.py wrote to; it has the measures that could not be kept beside the
    models. The default is eval, beside the folder with the models."""
    ranking: tuple[Path, ...] = (Path("comparison/ranking.csv"),)
    """The tables of cladec compare that rank explainers of these classifiers; tables of other
    classifiers are left out."""
    images: int | None = None
    """The number of test images shown for each classifier: wrong ones, those that lost most, and
    some of each class. The default, 24 to 64, keeps the file below 5 MB."""
    methods: tuple[str, ...] = REPORT_METHODS
    """The names of the explainers whose maps are shown; they take fewer samples than in cladec
    explain."""
    seed: int = 0
    """The seed of the random numbers; the same seed gives the same results."""
    workers: int = field(default_factory=default_workers)
    """The number of classifiers to process at once, each in its own process with its share of the
    cores; a single classifier is processed by the command itself."""
    out: Path = Path("report.html")
    """The HTML file to write."""

    def check(self) -> None:
        """Check the settings without importing Keras.

        Raises:
            InputError: if a method is unknown, a number is out of range, or the folder cannot be
                written.
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


@dataclass(frozen=True, kw_only=True)
class Listing(ModelFile):
    """List the layers of a classifier, and say which can be decoded."""
