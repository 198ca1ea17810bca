"""Define what a user says of a classifier on the command line, without Keras."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cladec.data.pixel_ranges import OWN, find_range
from cladec.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ModelForm:
    """What must be said of a classifier that its file does not tell."""

    pixels: str = OWN
    """The range of pixels that the classifier was trained on: 0-1, 0-255, -1-1, imagenet-torch
    (mean subtracted, divided by the standard deviation) or imagenet-caffe (0-255, blue first, mean
    subtracted). A warning follows if it seems to be another."""
    output: str | None = None
    """The output with the scores of the classes, by its name, if the model has several outputs."""
    image_input: str | None = None
    """The input of the images, by its name, if several inputs have the shape of an image."""
    inputs: tuple[str, ...] = ()
    """The values of all other inputs, the same for every image: name=1,2,3 or name=file.npy."""
    image_size: tuple[int, int] | None = None
    """The height and width of the images, if the model takes images of any size."""

    @property
    def form(self) -> dict[str, Any]:
        """The options of `image_classifier`.

        Raises:
            InputError: if a value is neither numbers nor a file of them.
        """
        form: dict[str, Any] = {"output": self.output, "image_input": self.image_input}
        return form | {"image_size": self.image_size, "inputs": dict(map(_value, self.inputs))}

    def check(self) -> None:
        """Check the settings without importing Keras.

        Raises:
            InputError: if there is no such range of pixels, or a value of --inputs is no number.
        """
        find_range(self.pixels)
        _ = self.form


def _value(given: str) -> tuple[str, np.ndarray]:
    """Return the name and the value of an input that was given as name=value."""
    name, equals, text = given.partition("=")
    try:
        if not (name and equals):
            raise ValueError("there is no name")
        if text.endswith(".npy"):
            return name, np.load(text)
        numbers = [float(number) for number in text.split(",")]
    except (OSError, ValueError) as error:
        raise InputError(
            f"--inputs {given!r:.80} ({error}): expected name=1,2,3 or name=file.npy"
        ) from None
    return name, np.array(numbers[0] if len(numbers) == 1 else numbers)
