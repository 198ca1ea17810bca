"""This module makes a classifier of any function of images, for methods that need no layers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cladec.errors import InputError
from cladec.models.graphs import only

TRIED = 8
"""The number of images that reveal what a function returns."""


class FunctionModel:
    """A function of images (N, H, W, C) that returns scores (N, K), in place of a Keras model.

    Args:
        name: its name, for messages.
        function: the function. It may return tensors, and (N,) or (N, 1) for two classes.
        images: some of the images (N, H, W, C) that it takes; random ones are tried if N is 0.
        why: a sentence that says why it has no layers.

    Attributes:
        image_shape: (H, W, C).
        tried: its scores for some images, (n, K) float32.

    Raises:
        InputError: the size of the images is not known, or it does not return one row of numbers
            for each.
    """

    operations = ()
    """Those of its graph, as a Keras model has them: none."""

    def __init__(self, name: str, function: Callable, images: Any, *, why: str = ""):
        self.name, self.function = name, function
        self.why = why or f"{name} is a function, which shows none of its layers"
        own = getattr(function, "image_shape", (None,))
        shape = (0, *own) if None not in own or images is None else np.shape(images)
        if len(shape) != 4 or None in shape:
            raise InputError(
                f"{name} is a function, so the size of its images is not known: pass images of "
                "shape (N, H, W, C)"
            )
        self.image_shape: tuple[int, int, int] = shape[1:]
        few = np.asarray(images[:TRIED], np.float32) if shape[0] else _random_images(shape[1:])
        self.tried = self(few)

    @classmethod
    def of(cls, function: Any, images: Any) -> "FunctionModel":
        """Return a function as a classifier.

        Raises:
            InputError: it is no function.
        """
        if isinstance(function, cls):
            return function
        if not callable(function) or isinstance(function, type):
            raise InputError(
                f"the classifier is {function!r:.60}: expected a Keras model, the path of its file "
                "(.keras, .h5 or a SavedModel), or a function of images"
            )
        name = getattr(function, "name", getattr(function, "__name__", type(function).__name__))
        return cls(str(name), function, images, why=getattr(function, "why", ""))

    def on(self, converted: Callable[[np.ndarray], np.ndarray]) -> "FunctionModel":
        """Return the function of images that are converted first."""
        images = np.empty((0, *self.image_shape), np.float32)
        function = self.function
        return FunctionModel(
            self.name, lambda shown: function(converted(shown)), images, why=self.why
        )

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        """The images as a Keras model has them."""
        return [keras.KerasTensor((None, *self.image_shape), "float32")]

    @property
    def outputs(self) -> list[keras.KerasTensor]:
        """The scores as a Keras model has them."""
        return [keras.KerasTensor((None, self.tried.shape[1]), "float32")]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the scores (N, K) float32 of images (N, H, W, C)."""
        answers = only(self.function(images))
        try:
            answers = keras.ops.convert_to_numpy(answers).astype(np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name} returns no numbers but {answers!r:.60}") from error
        if answers.ndim == 1:
            answers = answers[:, None]
        if answers.ndim != 2 or len(answers) != len(images):
            raise InputError(
                f"{self.name} returns {answers.shape} for {len(images)} images: expected one row "
                "of scores for each"
            )
        return answers


def _random_images(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random((TRIED, *shape), np.float32)
