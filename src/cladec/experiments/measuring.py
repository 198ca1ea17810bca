"""Measures one saved model on the test images.

What is measured of a model is kept beside it (`.evaluation.json`), so that a second evaluation only
measures what is new.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec.data.dataset import Dataset, Split
from cladec.errors import InputError
from cladec.experiments.runs import Run
from cladec.experiments.trainer import Material
from cladec.models import loading
from cladec.progress import OnProgress
from cladec.storage import model_files

if TYPE_CHECKING:
    import keras


class Measurer:
    """Measures runs, keeping what those of one classifier share from one to the next."""

    def __init__(self, models: Path):
        self.models = models
        self._bench: Bench | None = None

    def __call__(self, run: Run, report: OnProgress) -> dict[str, float]:
        path = run.classifier_path(self.models)
        if self._bench is None or self._bench.material.classifier_path != path:
            self._bench = None
            self._bench = Bench(run, self.models)
        measures = self._bench.measure(run, report)
        report(1.0, measures)
        return measures


class Bench:
    """What is needed to measure the models of one dataset: the images and the frozen classifier."""

    def __init__(self, run: Run, models: Path):
        from cladec.models import batches, cutting

        self.models = models
        self.material = Material(run, models)
        self.record = model_files.verify(self.material.classifier_path)
        self.recipe = Run.from_record(self.record).recipe
        self.logits_model = cutting.logits(self.material.classifier)
        self.test_logits = batches.predict(self.logits_model, self.data.test.images)

    @property
    def data(self) -> Dataset:
        return self.material.data

    def measure(self, run: Run, report: OnProgress) -> dict[str, float]:
        """The measures of one run, from the file beside its model where they still hold."""
        measures = kept_measures(run, self.models, self.record)
        if measures is None:
            if run.model == "classifier":
                measures = self._measure_classifier()
            else:
                model = loading.load_saved(run.path(self.models))
                measures = self._measure_decoder(run, model, report)
            with suppress(InputError):  # a folder that cannot be written can be measured
                keep_measures(run, self.models, self.record, measures, self.models)
        return measures

    def _measure_classifier(self) -> dict[str, float]:
        loss = self._classification_loss(self.test_logits)
        accuracy = np.mean(self.test_logits.argmax(1) == self.data.test.labels)
        return {
            "total_loss": loss,
            "classification_loss": loss,
            "evaluation_accuracy": float(accuracy),
        }

    def _measure_decoder(
        self, run: Run, model: "keras.Model", report: OnProgress
    ) -> dict[str, float]:
        from cladec.models import batches, losses

        images = self.data.test.images
        decoded = decode(run, model, images)
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
        from cladec.models import losses

        return _mean_over_batches(losses.classification, self.data.test.labels, logits)

    def _evaluation_accuracy(
        self, run: Run, model: "keras.Model", decoded_test: np.ndarray, report: OnProgress
    ) -> float:
        """Test accuracy of a fresh classifier that has only ever seen decoded images."""
        from cladec.models import classifiers
        from cladec.models.training import ReportProgress

        decoded = replace(
            self.data,
            train=Split(self._decoded_training_images(run, model), self.data.train.labels),
            test=Split(decoded_test, self.data.test.labels),
        )
        fresh = classifiers.build_classifier(
            decoded.image_shape, decoded.num_classes, run.architecture, seed=run.run_seed
        )
        classifiers.fit_classifier(
            fresh,
            decoded,
            recipe=self.recipe,
            seed=run.run_seed,
            callbacks=[ReportProgress(report)],
        )
        return classifiers.accuracy(fresh, decoded.test)

    def _decoded_training_images(self, run: Run, model: "keras.Model") -> np.ndarray:
        if run.model == "cladec":
            # The codes are the same for every alpha.
            return decode(run, model, {"codes": self.material.codes(run)})
        return decode(run, model, self.data.train.images)


def decode(run: Run, model: "keras.Model", inputs: Any) -> np.ndarray:
    """What the saved model of a run makes of images, or of `{"codes": codes}`: (N, H, W, C)."""
    from cladec.models import batches

    if run.decoder == "conditional":
        return model.predict(inputs, alpha=run.alpha)
    return batches.predict(model, inputs)


def keep_measures(
    run: Run, models: Path, classifier: dict[str, Any], measures: dict[str, float], folder: Path
) -> None:
    """Write what was measured of a run below `folder`; the rest as in `kept_measures`."""
    content = _basis(run, models, classifier) | {"measures": measures}
    model_files.write_json(run.evaluation_path(folder), content)


def kept_measures(
    run: Run, models: Path, classifier: dict[str, Any], *others: Path
) -> dict[str, float] | None:
    """What was measured on this very model and classifier before, if anything.

    Args:
        run: whose model was measured.
        models: folder of the trained models.
        classifier: the record of the classifier there.
        *others: folders where it may have been kept if not beside the model.

    Raises:
        InputError: the model is missing or damaged, or decodes another classifier.
    """
    basis = _basis(run, models, classifier)
    for folder in (models, *others):
        with suppress(InputError):
            content = model_files.read_json(run.evaluation_path(folder))
            measures = content.pop("measures", None)
            if content == basis:
                return measures
    return None


def _basis(run: Run, models: Path, classifier: dict[str, Any]) -> dict[str, Any]:
    """What the measures of a run depend on."""
    path = run.path(models)
    record, checksum = model_files.verify(path), classifier["sha256"]
    if run.depends_on_classifier and record.get("classifier_sha256") != checksum:
        raise InputError(
            f"{path} decodes another classifier than the one there: run create_models.py again "
            "to train it anew"
        )
    recipe = asdict(Run.from_record(classifier).recipe)
    return {"sha256": record["sha256"], "classifier_sha256": checksum, "recipe": recipe}


def _mean_over_batches(loss: Callable, expected: np.ndarray, answers: np.ndarray) -> float:
    """A mean over images, computed from the means of batches."""
    from cladec.models.batches import PREDICTION_BATCH

    total = 0.0
    for start in range(0, len(expected), PREDICTION_BATCH):
        rows = slice(start, start + PREDICTION_BATCH)
        total += float(loss(expected[rows], answers[rows])) * len(expected[rows])
    return total / len(expected)
