"""Define a run, which is one model to train: its settings, its files and the runs related to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from cladec.data.dataset import dataset_name
from cladec.errors import InputError, check_types
from cladec.models.kinds import KINDS, PLAIN, Kind, find_kind
from cladec.models.recipes import ALPHAS, BETA, LATENT_DIM, Recipe, UnitChoice, alpha_text
from cladec.models.titles import cladec_title, refae_title

ModelKind = Literal["classifier", "refae", "cladec"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One model to train, with everything that its weights depend on.

    Attributes:
        dataset: the name or folder of the dataset, as `load` takes it.
        architecture: the architecture of the classifier, or the name of a user's own.
        given: the fingerprint of a user's own classifier, see `Given`; None for an architecture.
        targets: what the classes of the images are: labels, or answers of the classifier itself.
        layer: the layer to decode; None for the classifier itself.
        fraction: the share of the layer's units or channels to decode.
        units: the choice of these units if the fraction is below 1.
        decoder: the kind of the decoder, a name in `KINDS`.
        latent_dim: the size of a variational decoder's latent space; None for other kinds.
        beta: the weight of a variational decoder's KL divergence; None for other kinds.
        model: classifier, refae or cladec.
        alpha: the weight of the classification loss, a fraction; None for models other than cladec,
            and for one decoder for every alpha.
        repeat: 0, 1, ... for the same training with different seeds.
        seed: the seed of the sweep; `run_seed` is the seed of the training.
        recipe: the settings of the training, such as its epochs.
        start: fresh if the encoder of a RefAE is trained from scratch, as in the paper; tuned if it
            begins with the weights of the classifier. Fresh for other models.
        evaluation_network: the architecture that is trained on decoded images to measure the
            evaluation accuracy; None for that of the classifier.
        name: the name of the dataset and of its folder of models, even if the dataset was moved.
    """

    dataset: str
    architecture: str = field(default="vgg", metadata={"usual": "vgg"})
    given: str | None = None
    targets: Literal["labels", "answers"] = field(default="labels", metadata={"usual": "labels"})
    layer: str | None = None
    fraction: float = field(default=1.0, metadata={"usual": 1.0})
    units: UnitChoice = field(default="first", metadata={"usual": "first"})
    decoder: str = field(default=PLAIN, metadata={"usual": PLAIN})
    latent_dim: int | None = field(default=None, metadata={"usual": LATENT_DIM})
    beta: float | None = field(default=None, metadata={"usual": BETA})
    model: ModelKind
    alpha: float | None = None
    repeat: int = 0
    seed: int = 0
    recipe: Recipe
    start: Literal["fresh", "tuned"] = "fresh"
    evaluation_network: str | None = field(default=None, compare=False)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or dataset_name(self.dataset))

    @property
    def run_seed(self) -> int:
        return self.seed + 1000 * self.repeat

    @property
    def kind(self) -> Kind:
        """The kind of its decoder."""
        return find_kind(self.decoder)

    @property
    def settings(self) -> dict[str, Any]:
        """The training settings that only its kind of decoder has."""
        return {name: getattr(self, name) for name in self.kind.settings}

    @property
    def title(self) -> str:
        own = self.architecture if self.given is not None else None
        start = None if self.start == "fresh" else f"({self.start})"
        return " ".join(filter(None, [self.name, own, self.layer, *self._parts, start]))

    @property
    def short_title(self) -> str:
        """The label of its images: RefAE, or ClaDec and its alpha."""
        if self.model == "refae":
            return refae_title([self.start])
        return cladec_title(self.alpha or 0.0)

    @property
    def _parts(self) -> list[str]:
        """The settings that distinguish the run from others of its layer, in words."""
        parts: list[str] = [self.model]
        if self.decoder != PLAIN:
            parts.append(self.decoder)
        if self.alpha is not None:
            parts.append(f"alpha {alpha_text(self.alpha)}")
        if self.fraction != 1.0:
            parts.append(f"fraction {alpha_text(self.fraction)}")
        if self.units != "first":
            parts.append(self.units)
        if self.latent_dim not in (None, LATENT_DIM):
            parts.append(f"latent {self.latent_dim}")
        if self.beta not in (None, BETA):
            parts.append(f"beta {self.beta:.12g}")
        if self.repeat:
            parts.append(f"repeat {self.repeat}")
        return parts

    @property
    def _stem(self) -> str:
        """The same settings as the stem of a file name."""
        return "-".join(self._parts).replace(" ", "-")

    @property
    def is_whole(self) -> bool:
        """Whether a plain decoder decodes the whole layer."""
        return self.layer is not None and self.decoder == PLAIN and self.fraction == 1.0

    @property
    def depends_on_classifier(self) -> bool:
        """Whether the run depends on the weights of the classifier, not only its architecture.

        The name of a user's own classifier does not tell its architecture.
        """
        if self.model == "classifier":
            return False
        uses_weights = self.model == "cladec" or self.units == "important" or self.start == "tuned"
        return uses_weights or self.given is not None

    def path(self, models: Path) -> Path:
        """Return the path of the trained model in the folder `models`."""
        folder = models / self.name / self.architecture
        if self.layer is not None:
            folder /= self.layer.replace("/", ".")
        saved = replace(self, alpha=None) if self.kind.every_alpha else self
        return folder / f"{saved._stem}.keras"

    def evaluation_path(self, models: Path) -> Path:
        """Return the path of the file with the measures of the model."""
        return self.path(models).with_name(f"{self._stem}.evaluation.json")

    def measured(self) -> list["Run"]:
        """Return the run itself, or one run per published alpha if a decoder serves every alpha."""
        if not self.kind.every_alpha:
            return [self]
        return [replace(self, alpha=alpha) for alpha in ALPHAS]

    def classifier_path(self, models: Path) -> Path:
        """Return the path of the classifier that this run decodes or trains."""
        return models / self.name / self.architecture / "classifier.keras"

    def reference(self) -> "Run":
        """Return the RefAE that a ClaDec is compared with."""
        decoder = self.decoder if self.kind.fit_reference else PLAIN
        return replace(self, model="refae", alpha=None, decoder=decoder)

    @property
    def evaluated_by(self) -> str:
        """The name of the network that gives the evaluation accuracy."""
        if self.model == "classifier" or self.evaluation_network is None:
            return self.architecture
        return self.evaluation_network

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Run":
        """Return the run that a saved record describes.

        Raises:
            InputError: if the record does not describe a run.
        """
        try:
            settings = dict(record["run"])
            run = cls(**settings | {"recipe": Recipe(**settings["recipe"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the record of a run ({error})") from None
        for part in (run, run.recipe):
            check_types(part)
        find_kind(run.decoder)
        return run


COLUMNS = tuple(
    each.name
    for each in fields(Run)
    if each.name not in ("given", "seed", "recipe", "start", "evaluation_network", "name")
)
"""The columns of the tidy table that describe a run."""

VARIANTS: dict[str, Any] = {
    each.name: each.metadata["usual"] for each in fields(Run) if "usual" in each.metadata
}
"""The settings besides alpha that distinguish the runs of a layer, and their usual values."""


@dataclass(frozen=True)
class Variant:
    """One way to decode a layer, with a RefAE and the ClaDecs of all alphas.

    Attributes:
        layer: the layer to decode.
        settings: the columns and values that identify the variant in the table of measures.
        reference: its RefAE; None if there is none.
        decoders: its ClaDecs by ascending alpha, or the single one for every alpha.
    """

    layer: str
    settings: dict[str, Any]
    reference: Run | None
    decoders: tuple[Run, ...]

    @property
    def kind(self) -> Kind:
        """The kind of its decoders."""
        return KINDS[self.settings["decoder"]]

    @property
    def label(self) -> str:
        """The layer, and the settings without their usual value."""
        parts = [self.layer]
        if self.kind.every_alpha:
            parts.append(self.kind.title)
        elif self.settings["decoder"] != PLAIN:
            names = self.kind.settings
            own = ", ".join(f"{name.replace('_', ' ')} {self.settings[name]:g}" for name in names)
            parts.append(self.settings["decoder"] + (f" ({own})" if own else ""))
        if self.settings["fraction"] != 1:
            parts.append(
                f"{self.settings['units']} {alpha_text(100 * self.settings['fraction'])} %"
            )
        return ", ".join(parts)

    @property
    def is_whole(self) -> bool:
        """Whether plain decoders decode the whole layer."""
        return self.settings["decoder"] == PLAIN and self.settings["fraction"] == 1

    @property
    def pair(self) -> tuple[Run, Run] | None:
        """RefAE and ClaDec at alpha 0 of the whole layer, whose difference is what was lost."""
        if not self.is_whole or self.reference is None:
            return None
        return next(((self.reference, run) for run in self.decoders if run.alpha == 0), None)


def by_classifier(runs: Iterable[Run]) -> list[tuple[Run, ...]]:
    """Group runs by classifier; the runs of one classifier must follow each other."""
    grouped = groupby(runs, key=lambda run: (run.name, run.architecture))
    return [tuple(of_classifier) for _, of_classifier in grouped]


def variants(runs: Sequence[Run]) -> list[Variant]:
    """Return every way in which layers of one classifier are decoded, with the first repeat only.

    The layers have the order of the runs, and the usual way comes first for each layer.
    """
    first = [run for run in runs if run.layer is not None and run.repeat == 0]
    found: dict[tuple, list[Run]] = {}
    for run in first:
        found.setdefault((run.layer, *_settings(run).values()), []).append(run)
    listed = []
    for of_way in found.values():
        layer, settings = str(of_way[0].layer), _settings(of_way[0])
        wanted = layer, _settings(of_way[0].reference())
        references = (run for run in first if run.model == "refae")
        reference = next((run for run in references if (run.layer, _settings(run)) == wanted), None)
        decoders = tuple(run for run in of_way if run.model == "cladec")
        listed.append(Variant(layer, settings, reference, decoders))
    layers = [variant.layer for variant in listed]
    return sorted(listed, key=lambda each: (layers.index(each.layer), not each.is_whole))


def _settings(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in VARIANTS if name != "architecture"}
