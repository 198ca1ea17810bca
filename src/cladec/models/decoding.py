"""The base class of models that decode a layer, and the checks of what they are compared with."""

from typing import Any

import keras

from cladec.errors import InputError
from cladec.models.precision import keras_defaults

Shape = tuple[int, int, int]

EXPECTED = 'y={"images": images, "labels": labels}, or the labels alone where x are the images'


class Decoding(keras.Model):
    """The base class of all models that decode a layer.

    The models check `y` and are saved without their optimizer, which would triple the size of the
    file, and which Keras warns about before it has trained. A loaded model is not compiled.
    """

    def fit(self, x=None, y=None, *args, **kwargs):
        self.check_arrays(x, y)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        self.check_arrays(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def save(self, *args, **kwargs):
        optimizer, self.optimizer = getattr(self, "optimizer", None), None
        try:
            super().save(*args, **kwargs)
        finally:
            self.optimizer = optimizer

    def get_compile_config(self):
        return {}

    def compared(self, x: Any, y: Any) -> Any:
        """Return the part of `y` that the loss needs; raise InputError if it is missing."""
        raise NotImplementedError

    def check_arrays(self, x: Any, y: Any) -> None:
        """Raise InputError before tracing if the arrays do not belong together.

        An error inside `compute_loss` comes too late: on JAX the model loses its weights. Only data
        sets that come in batches are left to `compute_loss`.
        """
        if y is None and not (isinstance(x, dict) or _shape(x)):
            return
        self.compared(x, y)
        rows = {shape[0] for shape in map(_shape, keras.tree.flatten((x, y))) if shape}
        if len(rows) > 1:
            raise InputError(
                f"x and y hold {' and '.join(map(str, rows))} rows: expected one for each "
                "image in all of them"
            )


def images_and_labels(x: Any, y: Any, image_shape: Shape, *, axes: int = 1) -> tuple[Any, Any]:
    """Return the images and labels for a loss, as arrays or symbolic tensors.

    Args:
        x: the input of the model: images, codes, or a dict of them.
        y: {"images": (N, H, W, C), "labels": (N,)}, or labels (N,) if `x` contains the images.
        image_shape: the shape (H, W, C) of the images.
        axes: 2 for labels (N, K) in {0, 1}, of which an image may have several.

    Raises:
        InputError: the images or the labels are missing or have another shape.
    """
    if not isinstance(y, dict):
        y = {"images": x.get("images") if isinstance(x, dict) else x, "labels": y}
    images = check_images(y.get("images"), image_shape, EXPECTED)
    labels = y.get("labels")
    if len(_shape(labels)) != axes:
        wanted = "(N,), the number of the class of each image"
        wanted = wanted if axes == 1 else "(N, K), 1 for each label that an image has and else 0"
        raise InputError(f"the labels are {_told(labels)}: expected {wanted}, in {EXPECTED}")
    return images, labels


def check_images(images: Any, image_shape: Shape, expected: str = "y=images") -> Any:
    """Return the images for a loss; raise InputError if they have another shape."""
    if len(_shape(images)) != 4 or _shape(images)[1:] != image_shape:
        raise InputError(
            f"the images to compare with are {_told(images)}: expected (N, "
            f"{', '.join(map(str, image_shape))}), in {expected}"
        )
    return images


def _shape(array: Any) -> tuple[int | None, ...]:
    """Return the shape of an array or tensor; () if it has none or an unknown one."""
    shape = getattr(array, "shape", ())
    return () if getattr(shape, "rank", 0) is None else tuple(shape)


def _told(array: Any) -> str:
    if array is None:
        return "missing"
    return f"of shape {_shape(array)}" if _shape(array) else f"a {type(array).__name__}"


def check_parts(**parts: Any) -> None:
    """Raise InputError if a part is not a Keras model."""
    for name, value in parts.items():
        if not isinstance(value, keras.Model):
            raise InputError(f"{name} is {value!r:.60}: expected a Keras model")


@keras_defaults()
def deserialized(config: dict, *models: str) -> dict:
    """Return the config of a model with these of its parts made anew."""
    config = dict(config)
    for name in models:
        config[name] = keras.saving.deserialize_keras_object(config[name])
    return config
