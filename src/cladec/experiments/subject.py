"""A saved classifier and what its explainers need: what the commands that explain have in common.

TensorFlow is imported when a model is loaded, so that `--help` and bad input answer at once.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cladec.data.dataset import Dataset
from cladec.errors import InputError, InputWarning
from cladec.experiments.runs import Run
from cladec.explainers import explain, find_explainer
from cladec.models import loading, pixels
from cladec.models.recipes import alpha_text
from cladec.progress import OnProgress, Progress
from cladec.storage import model_files

if TYPE_CHECKING:
    import keras

METHODS = ("saliency", "integrated_gradients", "grad_cam", "occlusion", "lime")
"""What the commands explain with where no other methods are named."""

TEST_IMAGES = 500
"""At most how many a classifier is tried on before it is explained."""

BACKGROUNDS = 50
"""Training images that SHAP and Anchors compare with."""

Complain = Callable[[InputError], None]
"""Called with what goes wrong for one image or method while the others are still done."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A classifier under study, and what may be passed on to its explainers.

    Attributes:
        model: the classifier.
        layer: for methods that look at a layer; None for their own choice.
        seed: of whatever they draw.
        backgrounds: images to compare with, (M, H, W, C); None for the methods' own choice.
        decoder: a ClaDec of the classifier, if there is one.
        reference: the RefAE of the same layer.
    """

    model: "keras.Model"
    layer: str | None = None
    seed: int = 0
    backgrounds: np.ndarray | None = None
    decoder: "keras.Model | None" = None
    reference: "keras.Model | None" = None

    def explain(
        self,
        method: str,
        images: np.ndarray,
        targets: np.ndarray,
        report: OnProgress | None = None,
        **chosen: Any,
    ) -> np.ndarray:
        """What `method` makes of the images, given the options that it takes.

        Args:
            method: a name in `EXPLAINERS`.
            images: (N, H, W, C) float32 in [0, 1].
            targets: the class to explain of each, (N,).
            report: told of the share done, by methods that tell it.
            **chosen: further options of the method.

        Raises:
            InputError: the method cannot be used on this model; the message begins with its name.
        """
        offered = {
            # Its layer is what it maximizes a unit of; here it is always the class.
            "layer": None if method == "activation_maximization" else self.layer,
            "backgrounds": self.backgrounds,
            "decoder": self.decoder,
            "reference": self.reference,
            "report": report,
        }
        takes = find_explainer(method).options
        options: dict[str, Any] = {
            name: value for name, value in offered.items() if value is not None and name in takes
        }
        options |= chosen
        try:
            return explain(
                self.model, images, method=method, targets=targets, seed=self.seed, **options
            )
        except InputError as error:
            raise InputError(f"{method}: {error}") from error

    def explain_all(
        self,
        methods: Sequence[str],
        images: np.ndarray,
        targets: np.ndarray,
        progress: Progress,
        complain: Complain,
    ) -> dict[str, np.ndarray]:
        """What every method that can be used makes of the images, by name."""
        explanations = {}
        progress.begin(len(methods))
        for method in methods:
            with progress.step(method) as report:
                try:
                    explanations[method] = self.explain(method, images, targets, report)
                except InputError as error:
                    complain(error)
        return explanations

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the images that the classifier is given."""
        from cladec.models import cutting

        return cutting.image_shape(self.model)

    @property
    def layer_in_copy(self) -> str | None:
        """What `layer` is called in a flat copy of the classifier."""
        from cladec.models import cutting

        return self.layer and cutting.path_in_copy(self.model, self.layer)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Of every class, (N, K) float32."""
        from cladec.explainers.scores import logits_model
        from cladec.models.batches import PREDICTION_BATCH

        return logits_model(self.model).probabilities(images, PREDICTION_BATCH)


def check_methods(methods: Sequence[str], *, maps_only: bool = False) -> tuple[str, ...]:
    """The methods, each once.

    Raises:
        InputError: there is none, or none of such a name, or one that makes images where
            `maps_only`.
    """
    if not methods:
        raise InputError("--methods is empty: name at least one")
    for method in methods:
        if find_explainer(method).makes_images and maps_only:
            raise InputError(f"method {method!r} makes images, not maps of what matters: leave out")
    return tuple(dict.fromkeys(methods))


def load_subject(
    path: Path,
    methods: Sequence[str],
    *,
    layer: str | None,
    seed: int,
    data: Dataset | None,
    models: Path,
    alpha: float | None,
    progress: Progress,
) -> Subject:
    """Load a classifier, and of the rest what `methods` need.

    Warns where the classifier seems to want pixels of another range than [0, 1].

    Args:
        path: of the `.keras` file.
        methods: which explainers will be used.
        layer: for methods that look at one; the layer decoded for `cladec`.
        seed: of whatever is drawn.
        data: where background images come from; None if there is none.
        models: folder with the ClaDec and RefAE of this classifier, for `cladec`.
        alpha: of the ClaDec; None for the smallest there is.
        progress: told how often the classifier is right on test images.

    Raises:
        InputError: a file is missing, damaged or holds code, the model is no image classifier, or
            the data do not fit it.
    """
    from cladec import models as cladec_models
    from cladec.explainers.scores import logits_model

    model = loading.load_model(path)
    logits_model(model)
    subject = Subject(model, layer, seed)
    if data is not None:
        cladec_models.check_data(model, data)
        _tell_accuracy(subject, data, progress)
        subject = replace(subject, backgrounds=choose(data.train.images, BACKGROUNDS, seed))
    if "cladec" in methods:
        run = _choose_decoder(decoders(path, models), path, models, layer, alpha)
        reference = replace(run, model="refae", alpha=None, recipe=run.recipe)
        subject = replace(
            subject,
            decoder=loading.load_saved(run.path(models)),
            reference=loading.load_saved(reference.path(models)),
        )
    return subject


def _tell_accuracy(subject: Subject, data: Dataset, progress: Progress) -> None:
    """Say how often the classifier is right on test images; warn where that looks wrong."""
    from cladec.explainers.scores import logits_model

    logits = logits_model(subject.model)
    rows = choose_rows(len(data.test.labels), TEST_IMAGES, subject.seed)
    images, labels = data.test.images[rows], data.test.labels[rows]
    predicted = logits.predict(images).argmax(axis=1)
    share = (predicted == labels).mean()
    progress.say(f"accuracy on {len(rows)} test images of {data.name}: {share:.2f}")
    told = pixels.doubt(
        lambda images: logits.predict(images).argmax(axis=1),
        images,
        labels,
        predicted,
        data.num_classes,
    )
    if told is not None:
        warnings.warn(told, InputWarning, stacklevel=3)


def decoders(classifier: Path, models: Path) -> list[Run]:
    """The runs below a folder whose ClaDec decodes this very classifier, by layer and alpha."""
    from cladec.experiments import evaluation

    if not models.is_dir():
        return []
    checksum = model_files.checksum(classifier)
    return [
        run
        for run in evaluation.saved_runs(models)
        if run.model == "cladec"
        and run.repeat == 0
        and run.fraction == 1.0
        and run.decoder == "plain"
        and model_files.verify(run.path(models)).get("classifier_sha256") == checksum
    ]


def _choose_decoder(
    runs: list[Run], classifier: Path, models: Path, layer: str | None, alpha: float | None
) -> Run:
    for run in runs:
        if layer in (None, run.layer) and alpha in (None, run.alpha):
            return run
    if not runs:
        raise InputError(
            f"cladec: no ClaDec of {classifier} in {models}: train one with cladec train, and take "
            "the classifier that lies there"
        )
    names = ", ".join(f"{run.layer} alpha {alpha_text(run.alpha or 0.0)}" for run in runs)
    raise InputError(f"cladec: none of this layer and alpha in {models}; there are: {names}")


def choose(images: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Some of the images, drawn without replacement and kept in order; all if there are fewer."""
    return images[choose_rows(len(images), count, seed)]


def choose_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Indices of `count` of `total` things, in order; all if there are fewer."""
    drawn = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
    return np.sort(drawn)


def class_names(model: "keras.Model", data: Dataset | None) -> list[str]:
    """A name for every class of the model; a number where the data have none."""
    known = data.class_names if data is not None else ()
    return [*known, *map(str, range(len(known), model.outputs[0].shape[-1]))]
