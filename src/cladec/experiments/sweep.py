"""Define the settings of a sweep, without Keras: `--help` and input errors appear at once."""

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from cladec.data.dataset import check_name
from cladec.errors import InputError, check_at_least_one
from cladec.experiments.runs import ModelKind, Run
from cladec.models.architectures import find_architecture
from cladec.models.kinds import PLAIN, find_kind
from cladec.models.precision import Precision, fastest
from cladec.models.recipes import (
    ALPHAS,
    BETA,
    LATENT_DIM,
    UnitChoice,
    check_alpha,
    check_beta,
    check_fraction,
)
from cladec.parallel.processes import check_workers, default_workers
from cladec.parallel.ray_cluster import Cluster
from cladec.storage import model_files
from cladec.storage.remote import Location


@dataclass(frozen=True)
class Sweep:
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
    layers: tuple[str, ...] = ("dense", "conv")
    """The layers of the classifier to decode, or all; cladec layers lists them."""
    alphas: tuple[float, ...] = ALPHAS
    """The weights of the classification loss, from 0 (only the reconstruction counts) to 1 (only
    the class counts)."""
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

    def runs(self) -> list[Run]:
        """Return all runs, each classifier before its decoders."""
        runs = []
        for dataset in dict.fromkeys(self.datasets):
            runs.append(self._run(dataset, "classifier"))
            for layer, fraction, repeat in itertools.product(
                dict.fromkeys(self.layers), dict.fromkeys(self.fractions), range(self.repeats)
            ):
                runs += self._decoders(dataset, layer=layer, fraction=fraction, repeat=repeat)
        return runs

    @property
    def kind(self) -> str:
        """The name of the kind of decoder."""
        short = [name for name in ("conditional", "variational") if getattr(self, name)]
        return short[0] if short else self.decoder

    def _decoders(self, dataset: str, **settings) -> list[Run]:
        """Return the runs of one layer: RefAE, then every ClaDec."""
        kind = find_kind(self.kind)
        if settings["fraction"] != 1.0:
            settings["units"] = self.units
        settings |= {name: getattr(self, name) for name in kind.settings}
        of_reference = self.kind if kind.fit_reference else PLAIN
        alphas = [None] if kind.every_alpha else dict.fromkeys(self.alphas)
        return [
            self._run(dataset, "refae", decoder=of_reference, **settings),
            *(
                self._run(dataset, "cladec", decoder=self.kind, alpha=alpha, **settings)
                for alpha in alphas
            ),
        ]

    def _run(self, dataset: str, model: ModelKind, decoder: str = PLAIN, **settings) -> Run:
        kind = find_kind(decoder)
        recipes = {
            "classifier": find_architecture(self.architecture).recipe,
            "refae": kind.reference_recipe,
            "cladec": kind.recipe,
        }
        recipe = recipes[model].with_changes(self.epochs, self.batch_size)
        precision = fastest() if self.precision == "auto" else self.precision
        return Run(
            dataset=dataset,
            model=model,
            recipe=replace(recipe, precision=precision),
            architecture=self.architecture,
            decoder=decoder,
            seed=self.seed,
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
        for dataset in self.datasets:
            check_name(dataset)
        self.cluster.check(self.datasets)
        model_files.check_writable(self.out)

    def with_layers(self) -> "Sweep":
        """Replace `all` by the layers that can be decoded, from input to output.

        Raises:
            InputError: if the architecture lacks a layer; the message lists the existing layers.
        """
        from cladec.models import classifiers, cutting, layers

        # The names of an architecture's layers do not depend on the images.
        built = classifiers.build_classifier((32, 32, 1), 10, self.architecture)
        if "all" in self.layers:
            listed = layers.decodable_layers(built)
            decodable = tuple(layer.path for layer in listed if layer.reason is None)
            return replace(self, layers=decodable)
        flat = cutting.flatten(built)
        for layer in self.layers:
            flat.find(layer)
        return self
