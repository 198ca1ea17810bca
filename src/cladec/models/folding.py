"""This module merges batch normalisations into the convolutions before them.

In inference a batch normalisation multiplies each channel by a number and adds another, which the
kernel and the bias of a convolution can do as well. Keras computes both apart, and going through
the activations again takes a fifth (ResNet50) to a third (MobileNetV2) of a forward pass.
"""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

from cladec import keras_internals


def folded(model: keras.Model) -> keras.Model:
    """Return a model of the same answers, up to rounding, with the batch normalisations merged.

    Args:
        model: a flat functional model with one input, as `cutting.flatten` makes it.

    Returns:
        A frozen model, which shares all layers that did not change with `model`.
    """
    inputs = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
    outputs = keras_internals.replay(model, [inputs], _Folding().call)
    result = keras.Model(inputs, outputs)
    result.trainable = False
    return result


@dataclass
class _Folding:
    """Calls the operations of a graph anew, and a merged convolution for two of them.

    A convolution whose product another layer takes as well stays in the graph for that layer.

    Attributes:
        products: each product of a convolution, the convolution and its input, by the product's id.
        merged: the number of convolutions that were merged.
    """

    products: dict[int, tuple[keras.KerasTensor, keras.Layer, Any]] = field(default_factory=dict)
    merged: int = 0

    def call(self, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        if _is_normalization(operation) and id(args[0]) in self.products:
            _, convolution, given = self.products[id(args[0])]
            self.merged += 1
            name = f"{convolution.name}_folded_{self.merged}"  # PyTorch takes no dot here
            return _merged(convolution, operation, name)(given)
        output = operation(*args, **kwargs)
        if _is_convolution(operation):
            self.products[id(output)] = output, operation, args[0]
        return output


def _is_convolution(operation: Any) -> bool:
    """Return whether an operation is a convolution of float32 alone, without an activation."""
    kinds = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
    return (
        type(operation) in kinds
        and operation.activation is keras.activations.linear
        and operation.data_format == "channels_last"
        and _is_plain(operation)
    )


def _is_normalization(operation: Any) -> bool:
    kind = layers.BatchNormalization
    return type(operation) is kind and operation.axis in (-1, 3) and _is_plain(operation)


def _is_plain(layer: Any) -> bool:
    """Return whether the weights of a layer are what it computes with, in float32."""
    return layer.dtype_policy.name == "float32" and not getattr(layer, "lora_enabled", False)


def _merged(convolution: Any, normalization: Any, name: str) -> keras.Layer:
    """Return a convolution that gives what `normalization` gives after `convolution`."""
    config = convolution.get_config() | {"use_bias": True, "name": name, "trainable": False}
    result = type(convolution).from_config(config)
    result.build(keras_internals.calls(convolution)[0][0].shape)
    weights = convolution.get_weights()
    bias = weights.pop() if convolution.use_bias else 0.0
    *first, kernel = weights
    factor, shift = _as_line(normalization)
    depthwise = type(convolution) is layers.DepthwiseConv2D
    kernel = kernel * (factor.reshape(kernel.shape[2:]) if depthwise else factor)
    result.set_weights([*first, kernel, bias * factor + shift])
    return result


def _as_line(normalization: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what a batch normalisation multiplies each channel by, and what it adds."""
    weights = {weight.name: keras.ops.convert_to_numpy(weight) for weight in normalization.weights}
    factor = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + normalization.epsilon)
    return factor, weights.get("beta", 0.0) - weights["moving_mean"] * factor
