"""Trains one run: its images, its classifier, the codes of its layer, and the record it leaves."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cladec.data.dataset import Dataset, load
from cladec.errors import InputError
from cladec.experiments import pictures
from cladec.experiments.runs import Run
from cladec.models import loading
from cladec.progress import OnProgress
from cladec.storage import model_files

if TYPE_CHECKING:
    import keras


IMAGES_THAT_TELL = 1000
"""Training images on which the important units of a layer are chosen."""


class Trainer:
    """Trains runs, keeping what those of one classifier share from one to the next."""

    def __init__(self, models: Path):
        self.models = models
        self._material: Material | None = None

    def __call__(self, run: Run, report: OnProgress) -> None:
        path = run.classifier_path(self.models)
        if self._material is None or self._material.classifier_path != path:
            self._material = None
            self._material = Material(run, self.models)
        self._material.train(run, report)


class Material:
    """What the runs of one classifier share: the images, the classifier, the codes of a layer."""

    def __init__(self, run: Run, models: Path):
        self.models = models
        self.classifier_path = run.classifier_path(models)
        self.data: Dataset = load(run.dataset)
        self.dataset = run.dataset
        self._codes: tuple[str, np.ndarray] | None = None
        self._units: dict[tuple, np.ndarray] = {}

    @cached_property
    def origin(self) -> pictures.Origin | None:
        """Where the pictures are, for the records."""
        return pictures.origin(self.dataset, self.models)

    @cached_property
    def classifier(self) -> "keras.Model":
        """The trained classifier, always as loaded from disk."""
        from cladec.models.cladec import check_data

        classifier = loading.load_saved(self.classifier_path)
        check_data(classifier, self.data)
        return classifier

    def codes(self, run: Run) -> np.ndarray:
        """The training images' activations in the run's units, kept for one layer at a time."""
        from cladec.models.cladec import compute_codes

        layer, units = cast(str, run.layer), self.units(run)
        if self._codes is None or self._codes[0] != layer:
            self._codes = None
            self._codes = (layer, compute_codes(self.classifier, layer, self.data.train.images))
        codes = self._codes[1]
        return codes if units is None else codes[..., units]

    def units(self, run: Run) -> np.ndarray | None:
        """Which units of its layer the run decodes, chosen once; None for all of them."""
        if run.fraction == 1.0:
            return None
        from cladec.explainers.units import choose_units

        choice = cast(str, run.layer), run.fraction, run.units
        key = (*choice, run.run_seed)
        if key not in self._units:
            images = self.data.train.images[:IMAGES_THAT_TELL]
            self._units[key] = choose_units(
                self.classifier, *choice, seed=run.run_seed, images=images
            )
        return self._units[key]

    def train(self, run: Run, report: OnProgress) -> None:
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
        if self.origin is not None:
            record["pictures"] = asdict(self.origin)
        if run.depends_on_classifier:
            record["classifier_sha256"] = model_files.checksum(self.classifier_path)
        model_files.save(model, run.path(self.models), record)

    def _fit(self, run: Run, report: OnProgress) -> tuple["keras.Model", dict[str, list[float]]]:
        from cladec.models import classifiers
        from cladec.models.training import ReportProgress

        options: dict[str, Any] = {
            "recipe": run.recipe,
            "seed": run.run_seed,
            "callbacks": [ReportProgress(report)],
        }
        if run.model == "classifier":
            built = classifiers.build_classifier(
                self.data.image_shape, self.data.num_classes, run.architecture, seed=run.run_seed
            )
            return built, classifiers.fit_classifier(built, self.data, **options)
        if run.model == "refae":
            model = self._fit_refae(run, options)
        else:
            model = self._fit_cladec(run, options)
        return model, model.history.history

    def _fit_refae(self, run: Run, options: dict[str, Any]) -> "keras.Model":
        from cladec import models
        from cladec.models import variational

        layer = cast(str, run.layer)
        options["units"] = self.units(run)
        if run.decoder == "variational":
            options |= {"latent_dim": run.latent_dim, "beta": run.beta}
            return variational.fit_variational_refae(self.classifier, layer, self.data, **options)
        return models.fit_refae(self.classifier, layer, self.data, **options)

    def _fit_cladec(self, run: Run, options: dict[str, Any]) -> "keras.Model":
        from cladec import models
        from cladec.models import conditional, variational

        layer = cast(str, run.layer)
        options |= {"units": self.units(run), "codes": self.codes(run)}
        if run.decoder == "conditional":
            return conditional.fit_conditional(self.classifier, layer, self.data, **options)
        options["alpha"] = run.alpha
        if run.decoder == "variational":
            options |= {"latent_dim": run.latent_dim, "beta": run.beta}
            return variational.fit_variational_cladec(self.classifier, layer, self.data, **options)
        return models.fit_cladec(self.classifier, layer, self.data, **options)
