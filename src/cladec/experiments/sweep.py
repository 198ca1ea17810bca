"""Define the settings of a sweep, without Keras: `--help` and input errors appear at once."""

import itertools
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

from cladec.data.dataset import check_name
from cladec.data.picture_lists import is_unlabelled
from cladec.errors import InputError, check_at_least_one
from cladec.experiments.model_forms import ModelForm
from cladec.experiments.plans import Given, Plan, names_in
from cladec.experiments.runs import ModelKind, Run
from cladec.models.architectures import find_architecture
from cladec.models.kinds import PLAIN, find_kind
from cladec.models.precision import Precision, fastest
from cladec.models.recipes import (
    ALPHAS,
    BETA,
    LATENT_DIM,
    Start,
    UnitChoice,
    check_alpha,
    check_beta,
    check_fraction,
)
from cladec.parallel.processes import check_workers, default_workers
from cladec.parallel.ray_cluster import Cluster
from cladec.storage import model_files
from cladec.storage.remote import Location, is_remote

Fit = Literal["crop", "pad", "stretch"]

ALL, AUTO = "all", "auto"
"""The layers that are chosen from what the classifier has."""

FITTED = (1, 1, 3)
"""Any shape: pictures of several sizes can be used, since they are fitted to a classifier."""

USUAL_LAYERS = ("dense", "conv")
"""The layers of the architectures that `auto` stands for."""


@dataclass(frozen=True)
class Sweep(ModelForm):
    """Train the classifier, RefAE and every ClaDec of each dataset and layer.

    Examples:
        >>> few = {"datasets": ("digits",), "layers": ("dense",), "alphas": (0.0,), "epochs": 1}
        >>> [run.title for run in cladec.Sweep(**few).runs()]
        ['digits classifier', 'digits dense refae', 'digits dense cladec alpha 0']
    """

    resumes: ClassVar[bool] = True

    datasets: tuple[str, ...] = ("mnist", "fashion_mnist")
    """The datasets to train on: digits (built in), any TensorFlow Datasets name, or a folder with
    train/<class>/*.png and test/<class>/*.png."""
    architecture: str = "vgg"
    """The architecture of the classifier: vgg (also called perfect_ae), diff_ae or vgg11."""
    layers: tuple[str, ...] = (AUTO,)
    """The layers of the classifier to decode, all of them, or auto: dense and conv of an
    architecture; an early, a middle and the last one before the scores of your own classifier.
    cladec layers lists them."""
    alphas: tuple[float, ...] = ALPHAS
    """The weights of the classification loss, from 0 (only the reconstruction counts) to 1 (only
    the class counts)."""
    classifier: Path | None = None
    """Your own trained classifier in place of an architecture, a .keras or .h5 file. It is copied
    to the folder of models and not trained; code in the file is never executed."""
    class_names: Path | None = None
    """A text file with the name of each output of your classifier, one a line, in their order. By
    default, the classes of a dataset are the first outputs, and folders have the order of their
    names."""
    fit: Fit = "crop"
    """The way to make images of your classifier's size of pictures of other proportions: crop the
    middle, pad with black, or stretch."""
    skip_unreadable: bool = False
    """Whether to leave pictures out that cannot be read, instead of naming them and stopping."""
    cache: Path | None = None
    """The folder that keeps the images of your classifier's size as bytes, so that pictures are
    read once; by default, it is beside --out, which it is named after."""
    no_cache: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Keep no images: every process reads the pictures again, and removes its images at its end."""
    reference: Start = "auto"
    """The weights that the encoder of RefAE begins with: fresh ones, as in the paper; those of the
    classifier, which are tuned, where a few hundred pictures cannot train a large encoder; or auto:
    tuned for your own classifier if it has a million weights up to the layer, else fresh."""
    fractions: tuple[float, ...] = (1.0,)
    """The shares of a layer's units or channels to decode; the rest of the layer is removed."""
    units: UnitChoice = "first"
    """The units that are kept: the first ones, a random choice, or those that matter most for the
    answer."""
    decoder: str = PLAIN
    """The kind of decoder: plain, one network for each alpha; conditional, one network for every
    alpha; or variational, with a latent space that new images can be sampled from."""
    conditional: bool = False
    """The same as --decoder conditional."""
    variational: bool = False
    """The same as --decoder variational."""
    latent_dim: int = LATENT_DIM
    """The number of dimensions in the latent space of variational decoders."""
    beta: float = BETA
    """The weight of the KL divergence in the loss of variational decoders."""
    epochs: int | None = None
    """The number of epochs for every model. By default, each kind of model has its own number, and
    small datasets are repeated more often."""
    batch_size: int | None = None
    """The number of images in a training step of every model. By default, each kind of model has
    its own number."""
    seed: int = 0
    """The seed of the random numbers; the same seed gives the same models on the same machine."""
    repeats: int = 1
    """The number of times that RefAE and ClaDec are trained, each time with another seed."""
    precision: Literal["auto", Precision] = "auto"
    """The number format of the computations in training; auto means mixed_bfloat16 if the processor
    has instructions for it."""
    workers: int = field(default_factory=default_workers)
    """The number of models to train at once, each in its own process with its share of the cores.
    0 trains in the process of the command, which starts sooner but ends if a training crashes."""
    out: Location = Path("saved-models")
    """The folder for the trained models, or a URL such as s3://bucket/models."""
    cluster: Annotated[Cluster, tyro.conf.arg(name="")] = field(default_factory=Cluster)

    def runs(self, plan: Plan | None = None) -> list[Run]:
        """Return all runs, each classifier before its decoders.

        Args:
            plan: the result of `plan`, if it is known; a user's own classifier is loaded otherwise.
        """
        plan = plan or (self.plan() if self.classifier else self._plan_of_architecture())
        runs = []
        for dataset in dict.fromkeys(self.datasets):
            runs.append(self._run(plan, dataset, "classifier"))
            for layer, fraction, repeat in itertools.product(
                dict.fromkeys(plan.layers), dict.fromkeys(self.fractions), range(self.repeats)
            ):
                runs += self._decoders(plan, dataset, layer=layer, fraction=fraction, repeat=repeat)
        return runs

    @property
    def kind(self) -> str:
        """The name of the kind of decoder."""
        short = [name for name in ("conditional", "variational") if getattr(self, name)]
        return short[0] if short else self.decoder

    def _decoders(self, plan: Plan, dataset: str, **settings: Any) -> list[Run]:
        """Return the runs of one layer: RefAE, then every ClaDec."""
        kind = find_kind(self.kind)
        if settings["fraction"] != 1.0:
            settings["units"] = self.units
        settings |= {name: getattr(self, name) for name in kind.settings}
        of_reference = self.kind if kind.fit_reference else PLAIN
        start = "tuned" if settings["layer"] in plan.tuned else "fresh"
        alphas = [None] if kind.every_alpha else dict.fromkeys(self.alphas)
        return [
            self._run(plan, dataset, "refae", decoder=of_reference, start=start, **settings),
            *(
                self._run(plan, dataset, "cladec", decoder=self.kind, alpha=alpha, **settings)
                for alpha in alphas
            ),
        ]

    def _run(
        self, plan: Plan, dataset: str, model: ModelKind, decoder: str = PLAIN, **settings: Any
    ) -> Run:
        kind = find_kind(decoder)
        recipes = {
            # A user's classifier is not trained, but the network that evaluates it is.
            "classifier": find_architecture(plan.recipe_of).recipe,
            "refae": kind.reference_recipe,
            "cladec": kind.recipe,
        }
        recipe = recipes[model].with_changes(self.epochs, self.batch_size)
        precision = fastest() if self.precision == "auto" else self.precision
        return Run(
            dataset=dataset,
            model=model,
            recipe=replace(recipe, precision=precision),
            decoder=decoder,
            targets="answers" if plan.given and is_unlabelled(Path(dataset)) else "labels",
            seed=self.seed,
            **plan.settings,
            **settings,
        )

    def check(self) -> None:
        """Check all settings except the layers, without importing TensorFlow.

        Raises:
            InputError: if a dataset is unknown, a number is out of range, or the folder cannot be
                written.
        """
        for alpha in self.alphas:
            check_alpha(alpha)
        for name in ("epochs", "batch_size", "repeats", "latent_dim"):
            check_at_least_one(name, getattr(self, name))
        super().check()
        check_workers(self.workers)
        for name in ("datasets", "layers", "fractions"):
            if not getattr(self, name):
                raise InputError(f"--{name} is empty: name at least one")
        for fraction in self.fractions:
            check_fraction(fraction)
        check_beta(self.beta)
        if self.conditional and self.variational:
            raise InputError(
                "--conditional and --variational are two kinds of decoders: choose one"
            )
        find_kind(self.kind)
        find_architecture(self.architecture)
        self._check_classifier()
        if self.no_cache and self.cache is not None:
            raise InputError("--cache and --no-cache contradict each other: choose one")
        for dataset in self.datasets:
            check_name(dataset, shape=FITTED if self.classifier else None)
        self.cluster.check(self.datasets)
        model_files.check_writable(self.out)

    def _check_classifier(self) -> None:
        """Check what is said of a user's own classifier, or that nothing is said without one."""
        said = [name for name in OF_CLASSIFIERS if getattr(self, name) != _usual(name)]
        if self.classifier is None:
            if said:
                raise InputError(
                    f"--{said[0].replace('_', '-')} is said of your own classifier, and there is "
                    "none: name its file with --classifier, or leave the option out"
                )
            return
        if self.architecture != _usual("architecture"):
            raise InputError(
                f"--architecture {self.architecture} and --classifier {self.classifier} are two "
                "classifiers: leave one out"
            )
        _ = self.given

    @property
    def given(self) -> Given | None:
        """The user's own classifier, if there is one, with what was said of it.

        Raises:
            InputError: if its file, or that of the class names, is missing or cannot be used.
        """
        if self.classifier is None:
            return None
        if self.classifier.is_dir():
            raise InputError(
                f"--classifier {self.classifier} is a folder, and a SavedModel has no layers to "
                "decode: name the Keras model that it was made from, saved as a .keras file"
            )
        return Given.of(
            self.classifier,
            self,
            class_names=list(names_in(self.class_names)),
            fit=self.fit,
            skip_unreadable=self.skip_unreadable,
            cache=self._cache,
        )

    @property
    def _cache(self) -> str | None:
        """The folder of the images; none where --out is a URL and no folder is named."""
        if self.no_cache or (self.cache is None and is_remote(self.out)):
            return None
        return os.path.abspath(self.cache or f"{self.out}-images")

    def plan(self) -> Plan:
        """Find the layers to decode and what else follows from the classifier.

        Raises:
            InputError: if the classifier cannot be loaded or lacks a layer; the message lists the
                existing layers.
        """
        from cladec.experiments import planning

        return planning.plan(self)

    def _plan_of_architecture(self) -> Plan:
        layers = USUAL_LAYERS if AUTO in self.layers else self.layers
        tuned = layers if self.reference == "tuned" else ()
        return Plan(architecture=self.architecture, layers=layers, tuned=frozenset(tuned))

    def with_layers(self) -> "Sweep":
        """Replace `all` and `auto` by the layers that they stand for, from input to output.

        Raises:
            InputError: in the same cases as `plan`.
        """
        return replace(self, layers=self.plan().layers)


OF_CLASSIFIERS = (
    *(each.name for each in fields(ModelForm)),
    *("class_names", "fit", "skip_unreadable", "cache", "no_cache"),
)
"""The settings that concern a user's own classifier alone."""


def _usual(name: str) -> Any:
    """Return the default of a setting."""
    return next(each.default for each in fields(Sweep) if each.name == name)
