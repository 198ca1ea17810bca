"""The scores of a classifier and their gradients with respect to images."""

import copy
import zlib
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from cladec import checks
from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers import backends, passes
from cladec.explainers.backends import CLASSES, Function, gradient_of, of_class
from cladec.explainers.passes import Precision
from cladec.explainers.registry import EXPLAINERS
from cladec.models import answers, cutting, memory, pixels, predictions
from cladec.models.batches import batches
from cladec.models.functions import FunctionModel
from cladec.models.places import Spatial, find_spatial
from cladec.models.tokens import Grid
from cladec.progress import OnProgress


class LogitsModel:
    """The scores of a classifier before its softmax, as arrays or as a differentiable tensor.

    Attributes:
        flat: the layers of a copy of the classifier, by path.
        model: that copy, frozen, images (N, H, W, C) -> logits (N, K).
        image_shape: (H, W, C).
        classes: K; a single unit stands for two classes.
        multi_label: whether these are labels, of which an image may have several or none.

    Raises:
        InputError: the model is no image classifier that can be cut.
    """

    def __init__(self, classifier: keras.Model):
        self.flat = cutting.flatten(classifier)
        self.model = keras.Model(self.flat.inputs, self.flat.logits, name="logits")
        self.model.trainable = False
        self.image_shape: tuple[int, int, int] = self.flat.inputs.shape[1:]
        self.classes: int = self.model.outputs[0].shape[-1]
        self.multi_label = self.flat.multi_label
        self._kept: dict[tuple, Any] = {}
        self._run = self.compiled(self, eager_calls=backends.EAGER_CALLS)
        self._differentiate = self.compiled(gradient_of(self._score), CLASSES)

    def __call__(self, images: Any) -> Any:
        """The logits of a tensor of images, a tensor (N, K) float32."""
        return keras.ops.cast(self.model(images, training=False), "float32")

    def predict(self, images: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """The logits of any number of images, (N, K) float32."""
        result = np.empty((len(images), self.classes), np.float32)
        for rows in batches(len(images), self.images_per_call(batch_size)):
            result[rows] = self._run(images[rows])
        return result

    def gradients(self, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """d logit / d image of the classes (N,) of images (N, H, W, C), as these, in one batch."""
        return self._differentiate(images, targets)

    def _score(self, images: Any, targets: Any) -> Any:
        return of_class(self(images), targets)

    def for_many(self, precision: Precision, count: int) -> "LogitsModel":
        """These scores, computed faster where `count` images are much work: see `passes`."""
        how = passes.choose(precision, memory.image_bytes(self.model), count)
        if how == "plain":
            return self
        faster = copy.copy(self)
        faster._run = self.keep((how,), lambda: passes.compiled(self.model, how))
        return faster

    def images_per_call(self, batch_size: int | None, *, gradients: bool = False) -> int:
        """`batch_size`, or for None the number of images that suits the memory, see `memory`.

        Args:
            batch_size: the number that the user wants; None for the default.
            gradients: whether the call takes gradients.

        Raises:
            InputError: `batch_size` is below 1.
        """
        if batch_size is not None:
            at_least(1, batch_size=batch_size)
            return batch_size
        return memory.images_per_call(self.model, gradients=gradients)

    def compiled(
        self, function: Function, *others: keras.KerasTensor, eager_calls: int = 0
    ) -> Callable[..., np.ndarray]:
        """A function of a tensor of images and of others as one of arrays: `backends.compiled`."""
        # Any number of images, so that nothing is traced anew for the last batch.
        images = keras.KerasTensor((None, *self.image_shape), "float32")
        return backends.compiled(function, self.model, images, *others, eager_calls=eager_calls)

    def spatial(self, layer: str | None, grid: Sequence[int] | None = None) -> Spatial:
        """A layer with places in the image, see `find_spatial`.

        Raises:
            InputError: there is none like this, or `grid` is not (rows, columns).
        """
        cells: Grid | None = None
        if grid is not None:
            rows, columns = checks.shape("grid", grid, [2], "(rows, columns)")
            cells = rows, columns
        return self.keep(("spatial", layer, cells), lambda: find_spatial(self.flat, layer, cells))

    def keep(self, name: tuple, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for each name: what takes long to trace or to find."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def probabilities(self, images: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """The probabilities of the classes, or of each label, (N, K) float32."""
        scores = self.predict(images, batch_size)
        return predictions.probabilities(scores, multi_label=self.multi_label)

    def of_variants(
        self,
        make: Callable[[np.ndarray], np.ndarray],
        chosen: np.ndarray,
        batch_size: int,
        report: OnProgress | None = None,
    ) -> np.ndarray:
        """The probabilities of many variants of an image, of which one batch exists at a time.

        Args:
            make: a function of some rows of `chosen` that gives their variants (B, H, W, C).
            chosen: what tells the variants apart, (V, ...).
            batch_size: variants of one model call.
            report: a function that is called with the share done.

        Returns:
            (V, K) float32.
        """
        result = np.empty((len(chosen), self.classes), np.float32)
        for rows in batches(len(chosen), batch_size, report):
            result[rows] = self.probabilities(make(chosen[rows]), batch_size)
        return result


class LogitsFunction(LogitsModel):
    """The scores of a classifier that is a function; what needs its layers raises InputError."""

    def __init__(self, classifier: FunctionModel):
        self._function = classifier
        self.image_shape = classifier.image_shape
        self._to_logits = _LOGITS[answers.kind_of(classifier.tried)]
        self.classes = cutting.num_classes(classifier)
        self.multi_label = cutting.is_multi_label(classifier)

    def _run(self, images: np.ndarray) -> np.ndarray:
        logits = self._to_logits(self._function(images))
        return logits * np.array([-0.5, 0.5], np.float32) if logits.shape[1] == 1 else logits

    def for_many(self, precision: Precision, count: int) -> LogitsModel:
        if passes.choose(precision, 0, count) == "bfloat16":
            raise InputError(
                f"precision is bfloat16, and {self._function.why}: leave the precision out"
            )
        return self

    def images_per_call(self, batch_size: int | None, *, gradients: bool = False) -> int:
        return memory.MOST if batch_size is None else super().images_per_call(batch_size)

    def __getattr__(self, name: str) -> Any:
        methods = ", ".join(row.name for row in EXPLAINERS.values() if row.answers_alone)
        raise InputError(
            f"{self._function.why}: use a method that asks for answers alone, {methods}"
        )


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, answers.SMALLEST))


_LOGITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "logits": lambda scores: scores,
    "softmax": _log,
    "sigmoid": lambda scores: _log(scores) - _log(1 - scores),
}
"""How the logits are computed from each kind of scores, see `answers.kind_of`."""


_KEPT: WeakKeyDictionary[keras.Model, tuple[int, LogitsModel]] = WeakKeyDictionary()
"""The scores of each classifier that was explained and still exists, and of which weights."""


def logits_model(classifier: keras.Model) -> LogitsModel:
    """The scores of a classifier, made once and made anew when its weights have changed.

    Copying and tracing take longer than most explanations. What is given is shared: whoever
    changes it makes a `LogitsModel` instead. Warns of a classifier of other pixels than [0, 1].

    Raises:
        InputError: the model is no image classifier that can be cut.
    """
    if isinstance(classifier, FunctionModel):
        return LogitsFunction(classifier)
    checksum = 0
    for weight in classifier.get_weights():
        checksum = zlib.crc32(weight.tobytes(), checksum)
    kept = _KEPT.get(classifier)
    if kept is None or kept[0] != checksum:
        kept = _KEPT[classifier] = (checksum, LogitsModel(classifier))
        pixels.examine(classifier, kept[1].flat)
    return kept[1]
