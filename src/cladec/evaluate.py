"""Saved models -> measures on the test images -> a tidy and a wide table.

What is measured of a model is kept beside it (`.evaluation.json`), so that a second evaluation only
measures what is new.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cladec import artifacts
from cladec.data import Dataset, Split, dataset_name
from cladec.errors import InputError
from cladec.progress import Progress, Report
from cladec.recipes import alpha_text
from cladec.sweep import Material, Run, check_at_least_one
from cladec.workers import Workers, default_workers

if TYPE_CHECKING:
    import keras
    import pandas as pd

METRICS = (
    "total_loss",
    "reconstruction_loss",
    "classification_loss",
    "evaluation_accuracy",
    "fidelity",
)
RUNS_TABLE = "evaluation_runs.csv"
RESULT_TABLE = "evaluation_result.csv"


@dataclass(frozen=True)
class Evaluation:
    """Measure saved models on their test images and write tables and pictures."""

    models: Path = Path("saved-models")
    """Folder of trained models, as create_models.py leaves it."""
    out: Path = Path("eval")
    """Folder for evaluation_result.csv, evaluation_runs.csv and img/."""
    workers: int = field(default_factory=default_workers)
    """How many models are measured at once, each in its own process with its share of the cores."""


def evaluate(evaluation: Evaluation, progress: Progress) -> "pd.DataFrame":
    """Measure every saved model and write both tables.

    Returns:
        The tidy table: one row per run and metric, columns dataset, architecture, layer, model,
        alpha, repeat, eval, value.

    Raises:
        InputError: no models, a damaged one, or a folder that cannot be written.
    """
    import pandas as pd  # here, as it would double the time of --help

    check_at_least_one("workers", evaluation.workers)
    artifacts.check_writable(evaluation.out)
    runs = saved_runs(evaluation.models)
    progress.begin(len(runs))
    with Workers(Measurer(evaluation.models), evaluation.workers, progress) as workers:
        measures = dict(workers.run(runs))
    runs_table = pd.DataFrame([row for run in runs for row in tidy_rows(run, measures[run])])
    result = wide_table(runs_table)
    write_table(runs_table, evaluation.out / RUNS_TABLE)
    write_table(result, evaluation.out / RESULT_TABLE)
    return runs_table


def write_table(table: "pd.DataFrame", path: Path) -> None:
    """Write a table as CSV with six decimals, whole or not at all."""
    artifacts.write(path, lambda file: table.to_csv(file, index=False, float_format="%.6f"))


def saved_runs(models: Path) -> list[Run]:
    """The runs whose models lie below a folder, each classifier before what decodes it.

    Raises:
        InputError: there are none, or one is damaged; the file is named.
    """
    runs = []
    for record in sorted(models.rglob("*.json")):
        if not record.name.startswith(".") and not record.name.endswith(".evaluation.json"):
            path = record.with_suffix(".keras")
            try:
                runs.append(Run.from_record(artifacts.verify(path)))
            except InputError as error:
                raise InputError(
                    f"{error}: run create_models.py again to train it anew, or delete {record}"
                ) from None
    if not runs:
        raise InputError(f"no trained models in {models}: run create_models.py first")
    return sorted(runs, key=_order)


def _order(run: Run) -> tuple:
    kinds = ("classifier", "refae", "cladec")
    return (
        run.dataset,
        run.architecture,
        run.layer or "",
        kinds.index(run.model),
        -1.0 if run.alpha is None else run.alpha,
        run.repeat,
    )


class Measurer:
    """Measures runs, keeping what those of one classifier share from one to the next."""

    def __init__(self, models: Path):
        self.models = models
        self._bench: Bench | None = None

    def __call__(self, run: Run, report: Report) -> dict[str, float]:
        path = replace(run, model="classifier", layer=None, alpha=None, repeat=0).path(self.models)
        if self._bench is None or self._bench.material.classifier_path != path:
            self._bench = None
            self._bench = Bench(run, self.models)
        measures = self._bench.measure(run, report)
        report(1.0, measures)
        return measures


class Bench:
    """What is needed to measure the models of one dataset: the images and the frozen classifier."""

    def __init__(self, run: Run, models: Path):
        from cladec import batches, submodel

        self.models = models
        self.material = Material(run, models)
        record = artifacts.verify(self.material.classifier_path)
        self.classifier_checksum: str = record["sha256"]
        self.recipe = Run.from_record(record).recipe
        self.logits_model = submodel.logits(self.material.classifier)
        self.test_logits = batches.predict(self.logits_model, self.data.test.images)

    @property
    def data(self) -> Dataset:
        return self.material.data

    def measure(self, run: Run, report: Report) -> dict[str, float]:
        """The measures of one run, from the file beside its model where they still hold."""
        path = run.path(self.models)
        record = artifacts.verify(path)
        if run.model == "cladec" and record.get("classifier_sha256") != self.classifier_checksum:
            raise InputError(
                f"{path} decodes another classifier than the one there: run create_models.py again "
                "to train it anew"
            )
        basis = {
            "sha256": record["sha256"],
            "classifier_sha256": self.classifier_checksum,
            "recipe": asdict(self.recipe),
        }
        kept = path.with_suffix(".evaluation.json")
        measures = _kept_measures(kept, basis)
        if measures is None:
            if run.model == "classifier":
                measures = self._measure_classifier()
            else:
                measures = self._measure_decoder(run, artifacts.load(path), report)
            artifacts.write_json(kept, basis | {"measures": measures})
        return measures

    def _measure_classifier(self) -> dict[str, float]:
        loss = self._classification_loss(self.test_logits)
        accuracy = np.mean(self.test_logits.argmax(1) == self.data.test.labels)
        return {
            "total_loss": loss,
            "classification_loss": loss,
            "evaluation_accuracy": float(accuracy),
        }

    def _measure_decoder(self, run: Run, model: "keras.Model", report: Report) -> dict[str, float]:
        from cladec import batches, losses

        images = self.data.test.images
        decoded = batches.predict(model, images)
        logits = batches.predict(self.logits_model, decoded)
        reconstruction = _mean_over_batches(losses.reconstruction, images, decoded)
        classification = self._classification_loss(logits)
        alpha = 0.0 if run.alpha is None else run.alpha
        return {
            "total_loss": losses.mix(alpha, reconstruction, classification),
            "reconstruction_loss": reconstruction,
            "classification_loss": classification,
            "evaluation_accuracy": self._evaluation_accuracy(run, model, decoded, report),
            "fidelity": float(np.mean(logits.argmax(1) == self.test_logits.argmax(1))),
        }

    def _classification_loss(self, logits: np.ndarray) -> float:
        from cladec import losses

        return _mean_over_batches(losses.classification, self.data.test.labels, logits)

    def _evaluation_accuracy(
        self, run: Run, model: "keras.Model", decoded_test: np.ndarray, report: Report
    ) -> float:
        """Test accuracy of a fresh classifier that has only ever seen decoded images."""
        from cladec import classifier
        from cladec.training import ReportProgress

        decoded = replace(
            self.data,
            train=Split(self._decoded_training_images(run, model), self.data.train.labels),
            test=Split(decoded_test, self.data.test.labels),
        )
        fresh = classifier.build_classifier(
            decoded.image_shape, decoded.num_classes, run.architecture, seed=run.run_seed
        )
        classifier.fit_classifier(
            fresh,
            decoded,
            recipe=self.recipe,
            seed=run.run_seed,
            callbacks=[ReportProgress(report)],
        )
        return classifier.accuracy(fresh, decoded.test)

    def _decoded_training_images(self, run: Run, model: "keras.Model") -> np.ndarray:
        from cladec import batches

        if run.model == "cladec":
            # The codes are the same for every alpha.
            return batches.predict(model.decoder, self.material.codes(cast(str, run.layer)))
        return batches.predict(model, self.data.train.images)


def _kept_measures(path: Path, basis: dict[str, Any]) -> dict[str, float] | None:
    """What was measured on this very model and classifier before, if anything."""
    try:
        content = artifacts.read_json(path)
    except InputError:
        return None
    measures = content.pop("measures", None)
    return measures if content == basis else None


def _mean_over_batches(loss: Callable, expected: np.ndarray, answers: np.ndarray) -> float:
    """A mean over images, computed from the means of batches."""
    from cladec.batches import PREDICTION_BATCH

    total = 0.0
    for start in range(0, len(expected), PREDICTION_BATCH):
        rows = slice(start, start + PREDICTION_BATCH)
        total += float(loss(expected[rows], answers[rows])) * len(expected[rows])
    return total / len(expected)


def tidy_rows(run: Run, measures: dict[str, float]) -> list[dict[str, Any]]:
    """One row per metric that has a meaning for this kind of model."""
    return [
        {
            "dataset": dataset_name(run.dataset),
            "architecture": run.architecture,
            "layer": run.layer,
            "model": run.model,
            "alpha": run.alpha,
            "repeat": run.repeat,
            "eval": metric,
            "value": measures[metric],
        }
        for metric in METRICS
        if metric in measures
    ]


def wide_table(runs: "pd.DataFrame") -> "pd.DataFrame":
    """The table people read: dataset x layer x eval; classifier, refAE and a column per alpha.

    Values are means over repeats; a classifier's stand in the rows of each of its layers.
    """
    decoders = runs[runs["model"] != "classifier"]
    alphas = decoders["alpha"].dropna().sort_values().map(alpha_text).unique()
    columns = decoders["alpha"].map(alpha_text, na_action="ignore").fillna("refAE")
    wide = decoders.assign(column=columns).pivot_table(
        index=["dataset", "layer", "eval"], columns="column", values="value", sort=False
    )
    wide = wide.reindex(columns=["refAE", *alphas])
    classifier = runs[runs["model"] == "classifier"].set_index(["dataset", "eval"])["value"]
    values = [classifier.get((dataset, metric)) for dataset, _, metric in wide.index]
    wide.insert(0, "classifier", values)
    return wide.rename_axis(columns=None).reset_index()
