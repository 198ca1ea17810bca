"""Train every dataset x layer x alpha: what a model depends on, where it lies, what is missing.

TensorFlow is imported when training starts, so that `--help` and bad input answer at once.
"""

import itertools
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from cladec import artifacts
from cladec.data import Dataset, check_name, dataset_name, load, prepare
from cladec.errors import InputError
from cladec.precision import Precision, fastest
from cladec.progress import Progress, Report
from cladec.recipes import ALPHAS, RECIPES, Recipe, alpha_text, check_alpha
from cladec.workers import Workers, default_workers

if TYPE_CHECKING:
    import keras

ARCHITECTURE = "vgg"

ModelKind = Literal["classifier", "refae", "cladec"]


@dataclass(frozen=True)
class Run:
    """One model to train: everything that its weights depend on.

    Attributes:
        dataset: name or folder, as `load` takes it.
        model: classifier, refae or cladec.
        architecture: of the classifier.
        layer: the layer decoded; None for the classifier itself.
        alpha: weight of the classification loss, a fraction; None but for cladec.
        repeat: 0, 1, ... for the same training with other seeds.
        seed: of the sweep; `run_seed` is what the run is trained with.
        recipe: how long and how fast it is trained.
    """

    dataset: str
    model: ModelKind
    recipe: Recipe
    architecture: str = ARCHITECTURE
    layer: str | None = None
    alpha: float | None = None
    repeat: int = 0
    seed: int = 0

    @property
    def run_seed(self) -> int:
        return self.seed + 1000 * self.repeat

    @property
    def title(self) -> str:
        parts = [dataset_name(self.dataset), self.layer, self.model]
        if self.alpha is not None:
            parts.append(f"alpha {alpha_text(self.alpha)}")
        if self.repeat:
            parts.append(f"repeat {self.repeat}")
        return " ".join(part for part in parts if part)

    def path(self, models: Path) -> Path:
        """Where the trained model lies below the folder `models`."""
        folder = models / dataset_name(self.dataset) / self.architecture
        name: str = self.model
        if self.layer is not None:
            folder /= self.layer.replace("/", ".")
        if self.alpha is not None:
            name += f"-alpha-{alpha_text(self.alpha)}"
        if self.repeat:
            name += f"-repeat-{self.repeat}"
        return folder / f"{name}.keras"

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Run":
        """The run that a saved record describes.

        Raises:
            InputError: it describes none.
        """
        try:
            settings = dict(record["run"])
            return cls(**settings | {"recipe": Recipe(**settings["recipe"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the record of a run ({error})") from None


@dataclass(frozen=True)
class Sweep:
    """Train the classifier, RefAE and every ClaDec of each dataset and layer."""

    datasets: tuple[str, ...] = ("mnist", "fashion_mnist")
    """What to train on: digits (built in), any TensorFlow Datasets name, or a folder with
    train/<class>/*.png and test/<class>/*.png."""
    layers: tuple[str, ...] = ("dense", "conv")
    """Layers of the classifier to decode."""
    alphas: tuple[float, ...] = ALPHAS
    """Weights of the classification loss, fractions from 0 (likeness only) to 1 (class only)."""
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
    """How many models are trained at once, each in its own process with its share of the cores."""
    out: Path = Path("saved-models")
    """Folder for the trained models."""

    def runs(self) -> list[Run]:
        """Every run, a classifier before what decodes it."""
        runs = []
        for dataset in dict.fromkeys(self.datasets):
            runs.append(self._run(dataset, "classifier"))
            for layer, repeat in itertools.product(dict.fromkeys(self.layers), range(self.repeats)):
                runs.append(self._run(dataset, "refae", layer=layer, repeat=repeat))
                for alpha in dict.fromkeys(self.alphas):
                    runs.append(
                        self._run(dataset, "cladec", layer=layer, repeat=repeat, alpha=alpha)
                    )
        return runs

    def _run(self, dataset: str, model: ModelKind, **settings) -> Run:
        recipe = RECIPES[model].with_changes(self.epochs, self.batch_size)
        precision = fastest() if self.precision == "auto" else self.precision
        recipe = replace(recipe, precision=precision)
        return Run(dataset, model, recipe, seed=self.seed, **settings)

    def check(self) -> None:
        """Find what is wrong with the settings, all but the layers, without TensorFlow.

        Raises:
            InputError: an unknown dataset, a number out of range, a folder that cannot be written.
        """
        for alpha in self.alphas:
            check_alpha(alpha)
        for name in ("epochs", "batch_size", "repeats", "workers"):
            check_at_least_one(name, getattr(self, name))
        for name in ("datasets", "layers"):
            if not getattr(self, name):
                raise InputError(f"--{name} is empty: name at least one")
        for dataset in self.datasets:
            check_name(dataset)
        artifacts.check_writable(self.out)

    def check_layers(self) -> None:
        """Find a layer that the architecture does not have.

        Raises:
            InputError: there is one; the message names those it has.
        """
        from cladec import classifier, submodel

        # The names of an architecture's layers do not depend on the images.
        flat = submodel.flatten(classifier.build_classifier((28, 28, 1), 10, ARCHITECTURE))
        for layer in self.layers:
            flat.find(layer)


def check_at_least_one(name: str, value: int | None) -> None:
    """Find a setting that makes no sense below 1.

    Raises:
        InputError: it is below 1.
    """
    if value is not None and value < 1:
        raise InputError(f"--{name.replace('_', '-')} is {value}: expected at least 1")


def train(sweep: Sweep, progress: Progress) -> None:
    """Train what is missing of `sweep`: the classifiers, then what decodes them.

    A model that is there with the same settings is kept; one that is damaged, or was trained with
    other settings or on another classifier, is trained anew and replaced.

    Raises:
        InputError: see `Sweep.check` and `Sweep.check_layers`; a dataset that cannot be loaded; a
            file in the way that is not ours; a loss that became NaN (the run is named, not saved).
    """
    sweep.check()
    sweep.check_layers()
    runs = sweep.runs()
    todo = pending(runs, sweep.out)
    if len(todo) < len(runs):
        progress.say(f"{len(runs) - len(todo)} of {len(runs)} models are trained already: skipped")
    for run, reason in todo.items():
        if reason:
            progress.say(f"{run.title} is trained anew: {reason}")
    for dataset in dict.fromkeys(run.dataset for run in todo):
        prepare(dataset)
    progress.begin(len(todo))
    with Workers(Trainer(sweep.out), sweep.workers, progress) as workers:
        for needed_first in (True, False):
            group = [run for run in todo if (run.model == "classifier") == needed_first]
            for _ in workers.run(group):
                pass


def pending(runs: list[Run], models: Path) -> dict[Run, str]:
    """The runs that are to be trained, each with the reason why a present file does not serve.

    Raises:
        InputError: a file is in the way that has no record of ours.
    """
    todo: dict[Run, str] = {}
    classifiers: dict[str, str | None] = {}
    for run in runs:
        reason = _reason_to_train(run, models, classifiers.get(run.dataset))
        if run.model == "classifier":
            path = run.path(models)
            classifiers[run.dataset] = artifacts.checksum(path) if reason is None else None
        if reason is not None:
            todo[run] = reason
    return todo


def _reason_to_train(run: Run, models: Path, classifier: str | None) -> str | None:
    """None where the saved model serves, "" where there is none, else what is wrong with it."""
    path = run.path(models)
    if not path.exists():
        return ""
    if not artifacts.record_path(path).exists():
        raise InputError(
            f"{path} has no record {artifacts.record_path(path).name} beside it, so it is not ours "
            "to replace: move it away, or choose another --out"
        )
    try:
        record = artifacts.verify(path)
        saved = Run.from_record(record)
    except InputError as error:
        return str(error)
    if saved != run:
        return f"settings changed ({_difference(saved, run)})"
    if run.model == "cladec" and record.get("classifier_sha256") != classifier:
        return "its classifier changed"
    return None


def _difference(saved: Run, run: Run) -> str:
    before, now = asdict(saved), asdict(run)
    before |= before.pop("recipe")
    now |= now.pop("recipe")
    changes = (f"{key} {before[key]} -> {now[key]}" for key in now if before[key] != now[key])
    return ", ".join(changes)


class Trainer:
    """Trains runs, keeping what those of one dataset share from one to the next."""

    def __init__(self, models: Path):
        self.models = models
        self._material: Material | None = None

    def __call__(self, run: Run, report: Report) -> None:
        if self._material is None or self._material.dataset != run.dataset:
            self._material = None
            self._material = Material(run, self.models)
        self._material.train(run, report)


class Material:
    """What the runs of one dataset share: the images, the classifier, the codes of a layer."""

    def __init__(self, run: Run, models: Path):
        self.models = models
        self.dataset = run.dataset
        classifier = Run(run.dataset, "classifier", run.recipe, run.architecture)
        self.classifier_path = classifier.path(models)
        self.data: Dataset = load(run.dataset)
        self._codes: tuple[str, np.ndarray] | None = None

    @cached_property
    def classifier(self) -> "keras.Model":
        """The trained classifier, always as loaded from disk."""
        return artifacts.load(self.classifier_path)

    def codes(self, layer: str) -> np.ndarray:
        """The training images' activations, kept for one layer at a time."""
        from cladec.models import compute_codes

        if self._codes is None or self._codes[0] != layer:
            self._codes = None
            self._codes = (layer, compute_codes(self.classifier, layer, self.data.train.images))
        return self._codes[1]

    def train(self, run: Run, report: Report) -> None:
        """Train one run and save it with its record."""
        start = time.perf_counter()
        try:
            model, history = self._fit(run, report)
        except InputError as error:
            raise InputError(f"{run.title}: {error}") from error
        record = {
            "run": asdict(run),
            "history": history,
            "seconds": round(time.perf_counter() - start, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if run.model == "cladec":
            record["classifier_sha256"] = artifacts.checksum(self.classifier_path)
        artifacts.save(model, run.path(self.models), record)

    def _fit(self, run: Run, report: Report) -> tuple["keras.Model", dict[str, list[float]]]:
        from cladec import classifier, models
        from cladec.training import ReportProgress

        options: dict[str, Any] = {
            "recipe": run.recipe,
            "seed": run.run_seed,
            "callbacks": [ReportProgress(report)],
        }
        if run.model == "classifier":
            built = classifier.build_classifier(
                self.data.image_shape, self.data.num_classes, run.architecture, seed=run.run_seed
            )
            return built, classifier.fit_classifier(built, self.data, **options)
        layer = cast(str, run.layer)
        if run.model == "refae":
            refae = models.fit_refae(self.classifier, layer, self.data, **options)
            return refae, refae.history.history
        cladec = models.fit_cladec(
            self.classifier,
            layer,
            self.data,
            alpha=cast(float, run.alpha),
            codes=self.codes(layer),
            **options,
        )
        return cladec, cladec.history.history
