"""Train every dataset x layer x alpha: the settings, and what is missing of them.

TensorFlow is imported when training starts, so that `--help` and bad input answer at once.
"""

import itertools
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from cladec.data.dataset import check_name, prepare
from cladec.errors import InputError, check_at_least_one
from cladec.experiments import pictures
from cladec.experiments.runs import (
    Architecture,
    DecoderKind,
    ModelKind,
    Run,
)
from cladec.experiments.trainer import Trainer
from cladec.models.precision import Precision, fastest
from cladec.models.recipes import (
    ALPHAS,
    BETA,
    LATENT_DIM,
    UnitChoice,
    check_alpha,
    check_beta,
    check_fraction,
    recipe_of,
)
from cladec.parallel.processes import check_workers, default_workers
from cladec.parallel.ray_cluster import Cluster
from cladec.progress import Progress
from cladec.storage import model_files
from cladec.storage.remote import Location


@dataclass(frozen=True)
class Sweep:
    """Train the classifier, RefAE and every ClaDec of each dataset and layer."""

    datasets: tuple[str, ...] = ("mnist", "fashion_mnist")
    """What to train on: digits (built in), any TensorFlow Datasets name, or a folder with
    train/<class>/*.png and test/<class>/*.png."""
    architecture: Architecture = "vgg"
    """Of the classifier; perfect_ae is another name of vgg."""
    layers: tuple[str, ...] = ("dense", "conv")
    """Layers of the classifier to decode, or all; `cladec layers` lists them."""
    alphas: tuple[float, ...] = ALPHAS
    """Weights of the classification loss, fractions from 0 (likeness only) to 1 (class only)."""
    fractions: tuple[float, ...] = (1.0,)
    """Shares of a layer's units or channels to decode; the rest is removed."""
    units: UnitChoice = "first"
    """Which of them: the first, a seeded choice, or those that count most for the answer."""
    conditional: bool = False
    """Train one decoder for every alpha, instead of one for each."""
    variational: bool = False
    """Train variational decoders: the layer squeezed through a latent space one can draw from."""
    latent_dim: int = LATENT_DIM
    """Dimensions of the latent space of variational decoders."""
    beta: float = BETA
    """Weight of the KL divergence in the loss of variational decoders."""
    epochs: int | None = None
    """Passes over the training images, for every model. Without it each kind of model has its own
    number, and small datasets are passed over more often."""
    batch_size: int | None = None
    """Images of a training step, for every model. Without it each kind of model has its own."""
    seed: int = 0
    """Of all random numbers; the same seed gives the same models on the same machine."""
    repeats: int = 1
    """How often RefAE and ClaDec are trained, each time with another seed."""
    precision: Literal["auto", Precision] = "auto"
    """What the layers compute in while they are trained; auto is mixed_bfloat16 where the
    processor has instructions for it."""
    workers: int = field(default_factory=default_workers)
    """How many models are trained at once, each in its own process with its share of the cores; 0
    trains in the process of the command itself, which starts sooner and dies with its work."""
    out: Location = Path("saved-models")
    """Folder for the trained models, or a URL such as s3://bucket/models."""
    cluster: Annotated[Cluster, tyro.conf.arg(name="")] = field(default_factory=Cluster)

    def runs(self) -> list[Run]:
        """Every run, a classifier before what decodes it."""
        runs = []
        for dataset in dict.fromkeys(self.datasets):
            runs.append(self._run(dataset, "classifier"))
            for layer, fraction, repeat in itertools.product(
                dict.fromkeys(self.layers), dict.fromkeys(self.fractions), range(self.repeats)
            ):
                runs += self._decoders(dataset, layer=layer, fraction=fraction, repeat=repeat)
        return runs

    def _decoders(self, dataset: str, **settings) -> list[Run]:
        """RefAE, then every ClaDec, of one layer."""
        if settings["fraction"] != 1.0:
            settings["units"] = self.units
        if self.variational:
            settings |= {"latent_dim": self.latent_dim, "beta": self.beta}
        kind: DecoderKind = "variational" if self.variational else "plain"
        runs = [self._run(dataset, "refae", decoder=kind, **settings)]
        if self.conditional:
            return [*runs, self._run(dataset, "cladec", decoder="conditional", **settings)]
        alphas = dict.fromkeys(self.alphas)
        cladec = (
            self._run(dataset, "cladec", decoder=kind, alpha=alpha, **settings) for alpha in alphas
        )
        return [*runs, *cladec]

    def _run(self, dataset: str, model: ModelKind, **settings) -> Run:
        decoder: DecoderKind = settings.get("decoder", "plain")
        recipe = recipe_of(model if decoder == "plain" else decoder, self.architecture)
        recipe = recipe.with_changes(self.epochs, self.batch_size)
        precision = fastest() if self.precision == "auto" else self.precision
        recipe = replace(recipe, precision=precision)
        return Run(dataset, model, recipe, self.architecture, seed=self.seed, **settings)

    def check(self) -> None:
        """Find what is wrong with the settings, all but the layers, without TensorFlow.

        Raises:
            InputError: an unknown dataset, a number out of range, a folder that cannot be written.
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
            raise InputError("--conditional and --variational are two kinds of decoders: take one")
        for dataset in self.datasets:
            check_name(dataset)
        self.cluster.check(self.datasets)
        model_files.check_writable(self.out)

    def with_layers(self) -> "Sweep":
        """This sweep with `all` replaced by the layers that can be decoded, from input to output.

        Raises:
            InputError: the architecture does not have one of the layers; the message names those
                it has.
        """
        from cladec.models import classifiers, cutting

        # The names of an architecture's layers do not depend on the images.
        built = classifiers.build_classifier((32, 32, 1), 10, self.architecture)
        if "all" in self.layers:
            from cladec.models import layers

            listed = layers.decodable_layers(built)
            return replace(
                self, layers=tuple(layer.path for layer in listed if layer.reason is None)
            )
        flat = cutting.flatten(built)
        for layer in self.layers:
            flat.find(layer)
        return self


def train(sweep: Sweep, progress: Progress) -> None:
    """Train what is missing of `sweep`: the classifiers, then what decodes them.

    A model that is there with the same settings is kept; one that is damaged, or was trained with
    other settings or on another classifier, is trained anew and replaced.

    Raises:
        InputError: see `Sweep.check` and `Sweep.with_layers`; a dataset that cannot be loaded; a
            file in the way that is not ours; a loss that became NaN (the run is named, not saved).
    """
    sweep.check()
    runs = sweep.with_layers().runs()
    todo = pending(runs, sweep.out)
    if len(todo) < len(runs):
        progress.say(f"{len(runs) - len(todo)} of {len(runs)} models are trained already: skipped")
    for run, reason in todo.items():
        if reason:
            progress.say(f"{run.title} is trained anew: {reason}")
    _train(list(todo), sweep, progress)


def train_missing(sweep: Sweep, progress: Progress) -> list[Run]:
    """Train the runs of `sweep` that have no model yet; one that is there is kept as it is.

    For looking at models: `train` would replace those that were trained with other settings.

    Returns:
        Every run of the sweep, a classifier before what decodes it.

    Raises:
        InputError: as `train`.
    """
    sweep.check()
    runs = sweep.with_layers().runs()
    _train([run for run in runs if not model_files.is_there(run.path(sweep.out))], sweep, progress)
    return runs


def _train(todo: list[Run], sweep: Sweep, progress: Progress) -> None:
    for dataset in dict.fromkeys(run.dataset for run in todo):
        prepare(dataset)
    progress.begin(len(todo))
    out = sweep.out.absolute()
    with sweep.cluster.workers(Trainer(out), sweep.workers, out, progress) as workers:
        for _ in workers.run(list(todo), needs(list(todo), out)):
            pass


def needs(runs: list[Run], models: Path) -> dict[Run, Run]:
    """For each of the runs that decodes a classifier which is trained as well, the latter's run."""
    classifiers = {run.path(models): run for run in runs if run.model == "classifier"}
    decoders = [run for run in runs if run.model != "classifier"]
    paths = {run: run.classifier_path(models) for run in decoders}
    return {run: classifiers[path] for run, path in paths.items() if path in classifiers}


def pending(runs: list[Run], models: Path) -> dict[Run, str]:
    """The runs that are to be trained, each with the reason why a present file does not serve.

    Raises:
        InputError: a file is in the way that has no record of ours, or that cannot be read.
    """
    todo: dict[Run, str] = {}
    classifiers: dict[str, str | None] = {}
    for run in runs:
        try:
            reason = _reason_to_train(run, models, classifiers.get(run.dataset))
        except model_files.Unreadable as error:
            raise InputError(
                f"{error}; a model is not replaced for that: see that it can be read, or choose "
                "another --out"
            ) from None
        if run.model == "classifier":
            path = run.path(models)
            classifiers[run.dataset] = model_files.checksum(path) if reason is None else None
        if reason is not None:
            todo[run] = reason
    return todo


def _reason_to_train(run: Run, models: Path, classifier: str | None) -> str | None:
    """None where the saved model serves, "" where there is none, else what is wrong with it."""
    path = run.path(models)
    if not model_files.is_there(path):
        return ""
    if not model_files.is_there(model_files.record_path(path)):
        raise InputError(
            f"{path} has no record {model_files.record_path(path).name} beside it, so it is not "
            "ours to replace: move it away, or choose another --out"
        )
    try:
        record = model_files.verify(path)
        saved = pictures.recognised(Run.from_record(record), record, run.dataset)
    except model_files.Unreadable:
        raise
    except InputError as error:
        return str(error)
    if saved != run:
        return f"settings changed ({_difference(saved, run)})"
    if run.depends_on_classifier and record.get("classifier_sha256") != classifier:
        return "its classifier changed"
    return None


def _difference(saved: Run, run: Run) -> str:
    before, now = asdict(replace(saved, name=run.name)), asdict(run)
    before |= before.pop("recipe")
    now |= now.pop("recipe")
    changes = (f"{key} {before[key]} -> {now[key]}" for key in now if before[key] != now[key])
    return ", ".join(changes)
