"""SavedModels: folders that TensorFlow exports, of which only the answers can be asked."""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cladec.errors import InputError, InputWarning
from cladec.storage import saved_model

SIGNATURE = "serving_default"
"""The name under which TensorFlow and Keras export the function to serve."""


class SavedFunction:
    """A SavedModel as a function: images -> scores.

    Attributes:
        name: the name of its folder.
        image_shape: the height, width and channels of an image; None where any size will do.
        why: a sentence that says why its layers are not to be had.
    """

    def __init__(self, folder: Path):
        """Load a SavedModel.

        Raises:
            InputError: it is damaged or could do more than compute, it is no function of one batch
                of images, or Keras does not run on TensorFlow.
        """
        self.name = folder.name
        self.why = (
            f"{folder.name} is a SavedModel, which has no layers: load the model that it was "
            "exported from"
        )
        self._module, function = _load(folder)
        self._function = function
        _, inputs = function.structured_input_signature
        outputs = function.structured_outputs
        self._input, spec = _only(folder, "inputs", inputs)
        self._output, scores = _only(folder, "outputs", outputs)
        if spec.shape.rank != 4 or spec.shape[0] is not None or not spec.dtype.is_floating:
            raise InputError(
                f"the input of {folder} is {spec.dtype.name} {spec.shape}: expected images, "
                "floating numbers of shape (None, height, width, channels)"
            )
        if scores.shape.rank not in (None, 2):
            raise InputError(
                f"the output of {folder} has the shape {scores.shape}: expected scores, (None, "
                "classes)"
            )
        if _trains(function):
            warnings.warn(
                f"{folder} draws random numbers or changes its weights when it answers, as layers "
                "do in training: its answers differ from call to call; export the model without "
                "layers of augmentation",
                InputWarning,
                stacklevel=4,
            )
        self.image_shape: tuple[int | None, ...] = tuple(spec.shape[1:])
        self._dtype = spec.dtype

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the scores (N, K) of images (N, H, W, C)."""
        import tensorflow as tf

        given = {self._input: tf.constant(images, self._dtype)}
        return self._function(**given)[self._output].numpy()


def _load(folder: Path) -> tuple[Any, Any]:
    """Return a SavedModel, which must be kept, and its function."""
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"{folder} is a SavedModel, which runs on TensorFlow only: Keras runs on "
            f"{keras.backend.backend()} here; set KERAS_BACKEND=tensorflow"
        )
    import tensorflow as tf

    try:
        saved_model.check(folder)
        module = tf.saved_model.load(str(folder))
        functions = dict(module.signatures)
    except Exception as error:  # a damaged folder makes TensorFlow raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{folder} cannot be loaded: {reason:.300}") from error
    if SIGNATURE not in functions and len(functions) != 1:
        raise InputError(
            f"{folder} has the signatures {', '.join(functions) or '(none)'}: expected "
            f"{SIGNATURE}, or only one"
        )
    return module, functions.get(SIGNATURE) or next(iter(functions.values()))


def _trains(function: Any) -> bool:
    """Return whether a function draws or stores something.

    Keras exports a model with layers such as RandomFlip as if it were to be trained.
    """
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    return any(node.op.startswith("Assign") or "Random" in node.op for node in nodes)


def _only(folder: Path, kind: str, tensors: Any) -> tuple[str, Any]:
    """Return the name and the form of the only input or output of a signature."""
    if len(tensors) != 1:
        raise InputError(
            f"{folder} has {len(tensors)} {kind} ({', '.join(sorted(tensors))}): expected one, so "
            "export a model with one"
        )
    return next(iter(tensors.items()))
