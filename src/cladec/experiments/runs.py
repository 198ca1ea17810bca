"""One model to train: what its weights depend on, and where it lies."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cladec.data.dataset import dataset_name
from cladec.errors import InputError, check_types
from cladec.models.recipes import ALPHAS, BETA, LATENT_DIM, Recipe, UnitChoice, alpha_text

Architecture = Literal["vgg", "diff_ae", "perfect_ae", "vgg11"]
ModelKind = Literal["classifier", "refae", "cladec"]
DecoderKind = Literal["plain", "variational", "conditional"]


@dataclass(frozen=True)
class Run:
    """One model to train: everything that its weights depend on.

    Attributes:
        dataset: name or folder, as `load` takes it.
        model: classifier, refae or cladec.
        architecture: of the classifier.
        layer: the layer decoded; None for the classifier itself.
        alpha: weight of the classification loss, a fraction; None but for cladec, and None where
            one conditional decoder serves every alpha.
        repeat: 0, 1, ... for the same training with other seeds.
        seed: of the sweep; `run_seed` is what the run is trained with.
        recipe: how long and how fast it is trained.
        fraction: share of the layer's units or channels that is decoded.
        units: which of them, where the fraction is below 1.
        decoder: plain; variational; or conditional, one decoder for every alpha.
        latent_dim: size of a variational decoder's latent space; None for the others.
        beta: weight of a variational decoder's KL divergence; None for the others.
        name: of the dataset, and of the folder of what is trained on it, wherever its own is now.
    """

    dataset: str
    model: ModelKind
    recipe: Recipe
    architecture: Architecture = "vgg"
    layer: str | None = None
    alpha: float | None = None
    repeat: int = 0
    seed: int = 0
    fraction: float = 1.0
    units: UnitChoice = "first"
    decoder: DecoderKind = "plain"
    latent_dim: int | None = None
    beta: float | None = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or dataset_name(self.dataset))

    @property
    def run_seed(self) -> int:
        return self.seed + 1000 * self.repeat

    @property
    def title(self) -> str:
        return " ".join(filter(None, [self.name, self.layer, *self._parts]))

    @property
    def _parts(self) -> list[str]:
        """What sets the run apart from the others of its layer, in words."""
        parts: list[str] = [self.model]
        if self.decoder != "plain":
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
        """The same as the stem of a file."""
        return "-".join(self._parts).replace(" ", "-")

    @property
    def depends_on_classifier(self) -> bool:
        """Whether the weights of the classifier count, not only its architecture."""
        return self.model == "cladec" or self.units == "important"

    def path(self, models: Path) -> Path:
        """Where the trained model lies below the folder `models`."""
        folder = models / self.name / self.architecture
        if self.layer is not None:
            folder /= self.layer.replace("/", ".")
        saved = replace(self, alpha=None) if self.decoder == "conditional" else self
        return folder / f"{saved._stem}.keras"

    def evaluation_path(self, models: Path) -> Path:
        """Where what is measured of the model is kept."""
        return self.path(models).with_name(f"{self._stem}.evaluation.json")

    def measured(self) -> list["Run"]:
        """The run itself; one for each published alpha where one decoder serves them all."""
        if self.decoder != "conditional":
            return [self]
        return [replace(self, alpha=alpha) for alpha in ALPHAS]

    def classifier_path(self, models: Path) -> Path:
        """Where the classifier lies that this run decodes, or is."""
        classifier = Run(self.dataset, "classifier", self.recipe, self.architecture, name=self.name)
        return classifier.path(models)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Run":
        """The run that a saved record describes.

        Raises:
            InputError: it describes none.
        """
        try:
            settings = dict(record["run"])
            run = cls(**settings | {"recipe": Recipe(**settings["recipe"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the record of a run ({error})") from None
        for part in (run, run.recipe):
            check_types(part)
        return run
