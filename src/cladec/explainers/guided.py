"""Guided backpropagation: a gradient that follows only what speaks for the class."""

from collections.abc import Callable

import keras
import numpy as np

from cladec.errors import InputError
from cladec.explainers.gradients import strongest_channel
from cladec.explainers.inputs import Targets, prepare
from cladec.explainers.scores import LogitsModel
from cladec.keras_internals import all_layers
from cladec.models.batches import batches
from cladec.models.given import checked


@checked
def guided_backpropagation(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    batch_size: int | None = None,
) -> np.ndarray:
    """The gradient of a class score, negative gradients being dropped at every ReLU on the way.

        at a ReLU with input z: gradient of z = [z > 0] * max(0, gradient of ReLU(z))

    (Springenberg et al., arXiv 1412.6806). A ReLU may be the activation of a layer, a layer, a
    `keras.ops` function, have a maximum or a threshold, or sit in a nested model.

    Args:
        model: an image classifier with a ReLU.
        images: (N, H, W, C) float32 in [0, 1].
        targets: the class or classes to explain; None for the predicted ones.
        batch_size: images of one model call; as many as suit the memory by default.

    Returns:
        (N, H, W) float32, not negative: the largest absolute value over the channels.

    Raises:
        InputError: the model has no ReLU, or an argument is not what is expected.
    """
    return _with_other_relus(_guided, model, images, targets, batch_size)


@checked
def deconvnet(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    batch_size: int | None = None,
) -> np.ndarray:
    """The gradient of a class score, with the ReLU of the gradient in place of that of every ReLU.

        at a ReLU with input z: gradient of z = max(0, gradient of ReLU(z)), whatever z is

    (Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", arXiv 1311.2901,
    section 2.1, in the form of Simonyan et al., arXiv 1312.6034, section 4.) Arguments, result and
    errors as for `guided_backpropagation`.
    """
    return _with_other_relus(_unmasked, model, images, targets, batch_size)


def _with_other_relus(
    change: Callable[[Callable], Callable],
    model: keras.Model,
    images: np.ndarray,
    targets: Targets,
    batch_size: int | None,
) -> np.ndarray:
    """The gradients of a copy of the model whose ReLUs were changed, (N, H, W)."""
    _, images, targets = prepare(model, images, targets)
    logits = LogitsModel(model)  # It is changed here.
    if not sum(_replaced(operation, change) for operation in _operations(logits.model)):
        raise InputError(
            f"model {model.name!r} has no ReLU, without which guided backpropagation and deconvnet "
            "are the plain gradient: use saliency"
        )
    batch_size = logits.images_per_call(batch_size, gradients=True)
    result = np.empty(images.shape[:3], np.float32)
    for rows in batches(len(images), batch_size):
        result[rows] = strongest_channel(logits.gradients(images[rows], targets[rows]))
    return result


@keras.ops.custom_gradient
def _positive_gradients(values):
    """The values themselves, through which only positive gradients pass back."""

    def positive(*arguments, upstream=None):
        # PyTorch gives the values as well, and the gradient by its name.
        return keras.ops.relu(arguments[0] if upstream is None else upstream)

    return keras.ops.copy(values), positive


def _operations(model: keras.Model) -> list[keras.Operation]:
    """The layers and functions of a flat model, and the layers inside those layers."""
    found: list[keras.Operation] = []
    for operation in model.operations:
        inner = all_layers(operation) if isinstance(operation, keras.Layer) else [operation]
        found.extend(inner)
    return found


def _replaced(operation: keras.Operation, change: Callable[[Callable], Callable]) -> bool:
    """Change the ReLU of an operation, and say whether it has one."""
    if _is_relu(operation):
        operation.call = change(operation.call)
    elif _is_relu(getattr(operation, "activation", None)):
        operation.activation = change(operation.activation)
    else:
        return False
    return True


def _unmasked(relu: Callable) -> Callable:
    """A ReLU through which positive gradients pass back wherever its input is."""

    @keras.ops.custom_gradient
    def unmasked(values):
        def positive(*arguments, upstream=None):
            return keras.ops.relu(arguments[0] if upstream is None else upstream)

        return relu(values), positive

    return unmasked


def _guided(relu: Callable) -> Callable:
    """A ReLU through which only positive gradients pass back."""
    return lambda *args, **kwargs: _positive_gradients(relu(*args, **kwargs))


def _is_relu(thing) -> bool:
    """Whether a function, a function of a graph or a layer is a ReLU without a negative slope."""
    name = getattr(thing, "__name__", type(thing).__name__).lower()
    return name in ("relu", "relu6") and not getattr(thing, "negative_slope", 0.0)
