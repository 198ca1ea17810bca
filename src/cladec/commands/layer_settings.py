"""Define the settings of the commands that decode several layers of a classifier, without Keras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from cladec.data.dataset import check_name
from cladec.errors import InputError, check_at_least_one
from cladec.experiments.features import Patch
from cladec.experiments.model_forms import ModelForm
from cladec.experiments.plans import names_in
from cladec.models.recipes import Start
from cladec.storage import model_files

ANY = (1, 1, 3)
"""Any shape: pictures of several sizes can be used, since they are fitted to the classifier."""


@dataclass(frozen=True, kw_only=True)
class SeveralLayers(ModelForm):
    """The settings of all commands that decode several layers."""

    dataset: Annotated[str, tyro.conf.arg(aliases=["--datasets"], metavar="NAME")]
    """The pictures: a folder, with classes or without; digits (built in); or any TensorFlow
    Datasets name."""
    class_names: Path | None = None
    """A text file with the name of each output of the classifier, one a line, in their order."""
    epochs: int | None = None
    """The number of epochs of each decoder, instead of that of its recipe."""
    seed: int = 0
    """The seed of the random numbers; the same seed gives the same results."""

    def check(self) -> None:
        """Check the settings without importing Keras.

        Raises:
            InputError: if a number is out of range, or the dataset or a file is missing.
        """
        super().check()
        check_at_least_one("epochs", self.epochs)
        check_name(self.dataset, shape=ANY)
        _ = self.names

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the classifier's classes, if there is a file of them."""
        return None if self.class_names is None else names_in(self.class_names)

    @property
    def options(self) -> dict[str, Any]:
        """The options that all functions of several layers have in common."""
        return self.form | {
            "pixels": self.pixels,
            "class_names": self.names,
            "epochs": self.epochs,
            "seed": self.seed,
        }


@dataclass(frozen=True, kw_only=True)
class OneOfSeveral(SeveralLayers):
    """The settings of the commands that decode several layers of one classifier."""

    classifier: Annotated[Path, tyro.conf.arg(aliases=["--model"])]
    """The classifier, a .keras or .h5 file. Code in a file is never executed."""
    layers: tuple[str, ...] = ("all",)
    """The layers: all that can be decoded, auto (an early, a middle and the last one before the
    scores), or their names. cladec layers lists them."""

    def check(self) -> None:
        """Check that the layers and the classifier are there, as well as the common settings."""
        super().check()
        check_layers(self.layers)
        check_file(self.classifier)


@dataclass(frozen=True, kw_only=True)
class ByDepth(OneOfSeveral):
    """Show how much each layer of a classifier keeps, in pictures and numbers."""

    images: int = 10_000
    """The most images to train each decoder on; they are drawn at random."""
    out: Path = Path("depth")
    """The folder for the table and the figure."""

    def check(self) -> None:
        """Check the number of images and the folder, as well as the common settings."""
        super().check()
        check_at_least_one("images", self.images)
        model_files.check_writable(self.out)


@dataclass(frozen=True, kw_only=True)
class Difference(SeveralLayers):
    """Compare what each layer of two classifiers keeps, on one HTML page."""

    before: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="BEFORE")]
    """The first classifier, a .keras or .h5 file. Code in a file is never executed."""
    after: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="AFTER")]
    """The second classifier, of the same images and classes."""
    layers: tuple[str, ...] = ("auto",)
    """The layers: auto (an early, a middle and the last one before the scores), all that both
    classifiers have, or their names. cladec layers lists them."""
    images: int = 10_000
    """The most images to train each decoder on; they are drawn at random."""
    reference: Start = "auto"
    """The weights that the encoder of RefAE begins with: fresh, tuned or auto, see cladec train."""
    out: Path = Path("diff")
    """The folder for the page, the figure and the tables."""

    def check(self) -> None:
        """Check the layers, the classifiers and the folder, as well as the common settings."""
        super().check()
        check_at_least_one("images", self.images)
        check_layers(self.layers)
        for classifier in (self.before, self.after):
            check_file(classifier)
        model_files.check_writable(self.out)


@dataclass(frozen=True, kw_only=True)
class Leaking(OneOfSeveral):
    """Measure what somebody who sees a layer's activations can draw of pictures."""

    known: tuple[int, ...] = (100, 1_000, 10_000)
    """The numbers of pictures that the attacker has."""
    noise: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    """The noise on the activations as a defence, in standard deviations of each channel."""
    gallery: int = 1_000
    """The most held-out pictures to draw, and to look for the right one among."""
    limit: float = 0.1
    """The share of pictures that may be found again where a layer is handed out."""
    out: Path = Path("leak")
    """The folder for the tables and the figure."""

    def check(self) -> None:
        """Check the numbers and the folder, as well as the common settings."""
        super().check()
        for count in self.known:
            check_at_least_one("known", count)
        if not self.known:
            raise InputError("--known is empty: name at least one number of pictures")
        if min(self.noise, default=0.0) < 0:
            raise InputError(f"--noise is {min(self.noise)}: expected at least 0")
        if not 0 <= self.limit <= 1:
            raise InputError(f"--limit is {self.limit}: expected a share from 0 to 1")
        if self.gallery < 2:
            raise InputError(f"--gallery is {self.gallery}: expected at least 2")
        model_files.check_writable(self.out)


@dataclass(frozen=True, kw_only=True)
class Auditing(SeveralLayers):
    """Ask whether a classifier uses a feature as a shortcut."""

    classifier: Annotated[Path, tyro.conf.arg(aliases=["--model"])]
    """The classifier, a .keras or .h5 file. Code in a file is never executed."""
    patch: str | None = None
    """The feature that is pasted in: corner (a white square), frame, tint or blur. The pictures
    have to hold it, too."""
    mask: Path | None = None
    """The feature is what is white in these pictures: one for all images, or a folder with a mask
    of the name of each picture that has it. With neither --patch nor --mask, regions are sought
    that recur at one place in the images of a class, and the strongest is the feature."""
    layer: str | None = None
    """The layer to decode; the default is the last one before the scores."""
    images: int = 200
    """The most test images into which the feature is pasted."""
    out: Path = Path("audit")
    """The folder for the table and the figure."""

    def check(self) -> None:
        """Check the feature, the number of images and the files, as well as the common settings.

        Raises:
            InputError: two features are named, one is unknown, a number is out of range, or a file
                is missing.
        """
        super().check()
        check_file(self.classifier)
        if self.patch is not None and self.mask is not None:
            raise InputError("--patch and --mask are both given: name one feature")
        if self.patch is not None:
            Patch(self.patch)
        if self.mask is not None and not self.mask.exists():
            raise InputError(f"--mask {self.mask} does not exist: name a picture or a folder")
        check_at_least_one("images", self.images)
        model_files.check_writable(self.out)


def check_layers(layers: tuple[str, ...]) -> None:
    """Raise InputError where no layer is named."""
    if not layers:
        raise InputError("--layers is empty: name at least one, or leave it out")


def check_file(classifier: Path) -> None:
    """Raise InputError where there is no file of a classifier."""
    if not classifier.exists():
        raise InputError(f"{classifier} does not exist: name the file of a trained classifier")
