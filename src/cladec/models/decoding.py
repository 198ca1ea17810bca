"""What decoded images are compared with, and the sentence that says what of it is missing."""

from typing import Any

import keras

from cladec.errors import InputError

Shape = tuple[int, int, int]

EXPECTED = 'y={"images": images, "labels": labels}, or the labels alone where x are the images'


class Decoding(keras.Model):
    """What all models that decode a layer have in common.

    They say what `y` has to be, and are saved without their optimizer: it would make files three
    times as large, and Keras warns of one that has not trained yet. Loaded, they are uncompiled.
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
        """What of `y` the loss is computed from; raises InputError where it is not there."""
        raise NotImplementedError

    def check_arrays(self, x: Any, y: Any) -> None:
        """Raises InputError for arrays that do not belong together, before anything is traced.

        An error inside of `compute_loss` is late: on JAX it costs a model its weights. Only what
        comes in batches, a data set, is left to that.
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


def images_and_labels(x: Any, y: Any, image_shape: Shape) -> tuple[Any, Any]:
    """The images and the labels that a loss is computed from, arrays or symbolic tensors.

    Args:
        x: what is decoded: images, codes, or a dict of them.
        y: {"images": (N, H, W, C), "labels": (N,)}, or labels (N,) where `x` has the images.
        image_shape: (H, W, C).

    Raises:
        InputError: one is missing or has another shape.
    """
    if not isinstance(y, dict):
        y = {"images": x.get("images") if isinstance(x, dict) else x, "labels": y}
    images = check_images(y.get("images"), image_shape, EXPECTED)
    labels = y.get("labels")
    if len(_shape(labels)) != 1:
        raise InputError(
            f"the labels are {_told(labels)}: expected (N,), the number of the class of each "
            f"image, in {EXPECTED}"
        )
    return images, labels


def check_images(images: Any, image_shape: Shape, expected: str = "y=images") -> Any:
    """The images that a loss is computed from; raises InputError for those of another shape."""
    if len(_shape(images)) != 4 or _shape(images)[1:] != image_shape:
        raise InputError(
            f"the images to compare with are {_told(images)}: expected (N, "
            f"{', '.join(map(str, image_shape))}), in {expected}"
        )
    return images


def _shape(array: Any) -> tuple[int | None, ...]:
    """The shape of an array or tensor; () of what has none, or none that is known yet."""
    shape = getattr(array, "shape", ())
    return () if getattr(shape, "rank", 0) is None else tuple(shape)


def _told(array: Any) -> str:
    if array is None:
        return "missing"
    return f"of shape {_shape(array)}" if _shape(array) else f"a {type(array).__name__}"
