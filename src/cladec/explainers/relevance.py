"""Layer-wise relevance propagation: a score handed back, layer by layer, to where it came from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from cladec import checks, keras_internals
from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.backends import CLASSES, gradient_of, of_class
from cladec.explainers.inputs import Targets, prepare
from cladec.explainers.scores import LogitsModel
from cladec.models import answers
from cladec.models.batches import batches
from cladec.models.given import checked
from cladec.models.still import Still
from cladec.progress import OnProgress

RULES = {"epsilon": False, "gamma_epsilon": True}
"""Whether convolutions follow the gamma rule, by the name of the rule."""

SMALLEST = 1e-9
"""What keeps the other rules from a division by zero."""

NUMBER = keras.KerasTensor((), "float32")


@checked
def lrp(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    rule: str = "gamma_epsilon",
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    batch_size: int | None = None,
    report: OnProgress | None = None,
) -> np.ndarray:
    """What each pixel adds to the score of a class, by layer-wise relevance propagation.

    The relevance of the score is handed back through every layer in proportion to what each input
    added to an output z_k = sum_j x_j w_jk + b_k:

        epsilon rule:  R_j = sum_k x_j w_jk / (z_k + epsilon sign(z_k)) R_k
        gamma rule:    R_j = sum_k (x_j w_jk + gamma (x_j w_jk)^s) / (the same summed over j, b) R_k

    where ^s keeps what has the sign of z_k (Bach et al., "On Pixel-Wise Explanations for Non-Linear
    Classifier Decisions by Layer-Wise Relevance Propagation", 2015, eq. 58; Montavon et al.,
    "Layer-Wise Relevance Propagation: An Overview", 2019, section 10.2, for inputs of both signs
    as in Andéol et al., "Learning Domain Invariant Representations by Joint Wasserstein Distance
    Minimization", 2021). A map sums to the score, less what biases took.

    Of the other layers: a batch normalisation is merged into the dense or convolutional layer in
    front of it, and elsewhere an affine layer with the epsilon rule, whose offset takes relevance
    like a bias. A layer normalisation is such a layer too, its deviation taken for a constant (Ali
    et al., "XAI for Transformers", 2022, section 3.2). Activations pass relevance on; sums,
    averages, paddings and the like share it in proportion; a maximum gives it to the largest. Of a
    product the larger factor takes all and the gate of a squeeze-and-excitation nothing; factors of
    the same size share it equally. Layers that only scale pixels at the start pass it on to them.

    Args:
        model: a built Keras classifier of layers that there is a rule for, those of most of
            `keras.applications`.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default.
        rule: "gamma_epsilon", the gamma rule for convolutions and the epsilon rule for dense
            layers, which gives calm maps; or "epsilon", that for all.
        epsilon: added to the size of z in the epsilon rule; a larger one drops the relevance of
            what is nearly outweighed by its opposite.
        gamma: how much what has the sign of z counts more; 0 is the epsilon rule.
        batch_size: images of one model call; by default what suits the network and the image.
        report: a function that is called with the share done.

    Returns:
        (N, H, W) float32, in logits, summed over channels; negative where a pixel speaks against
        the class.

    Raises:
        InputError: the images, targets or options are not as above, or a layer has no rule.
    """
    logits, images, targets = prepare(model, images, targets)
    with_gamma = checks.row("rule", rule, RULES)
    at_least(0, epsilon=epsilon, gamma=gamma)
    run = logits.keep(("lrp", rule), lambda: _compiled(logits, with_gamma))
    maps = np.empty(images.shape[:3], np.float32)
    for rows in batches(len(images), logits.images_per_call(batch_size, gradients=True), report):
        relevance = run(images[rows], targets[rows], np.float32(epsilon), np.float32(gamma))
        maps[rows] = relevance.sum(axis=-1)
    return maps


def _compiled(logits: LogitsModel, with_gamma: bool) -> Callable[..., np.ndarray]:
    """The relevance (N, H, W, C) of images for classes, as a function of arrays.

    A pass computes the scores from layers whose gradient, times their input, is the relevance. The
    images enter multiplied by ones, so that the gradient in these is the relevance itself.
    """
    network = _Network(logits.model, with_gamma)

    def relevance(images: Any, classes: Any, epsilon: Any, gamma: Any) -> Any:
        def score(ones: Any) -> Any:
            scores = _Pass(network, ones, epsilon, gamma).scores(images)
            return of_class(ops.cast(scores, "float32"), classes)

        return gradient_of(score)(ops.ones_like(images))

    return logits.compiled(relevance, CLASSES, NUMBER, NUMBER)


class _Network:
    """A flat classifier, the rule of each of its operations, and what is merged into which layer.

    Raises:
        InputError: an operation has no rule.
    """

    def __init__(self, model: keras.Model, with_gamma: bool):
        self.model = model
        self.with_gamma = with_gamma
        self.rules = {operation: _rule_of(operation) for operation in model.operations}
        self.normalizations = _merged(model)
        for normalization in self.normalizations.values():
            self.rules[normalization] = _already_merged


@dataclass
class _Pass:
    """One forward pass through the rules of a network.

    Attributes:
        network: the classifier.
        ones: what the pixels are multiplied with, of the shape of the images.
        epsilon: see `lrp`.
        gamma: see `lrp`.
        pixels: the tensors that hold images, as they are or scaled, before they enter.
    """

    network: _Network
    ones: Any
    epsilon: Any
    gamma: Any
    pixels: list[Any] = field(default_factory=list)

    def scores(self, images: Any) -> Any:
        """The scores of the classifier, (N, K)."""
        self.pixels.append(images)
        return keras_internals.replay(self.network.model, [images], self._call)

    def _call(self, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        tensors = _tensors((args, kwargs))
        if type(operation).__name__ in _SCALING and len(tensors) == 1 and self._holds(tensors[0]):
            scaled = operation(*args, **kwargs)
            self.pixels.append(scaled)
            return scaled
        args, kwargs = keras.tree.map_structure(self._entered, (args, kwargs))
        return self.network.rules[operation](self, operation, args, kwargs)

    def _holds(self, tensor: Any) -> bool:
        return any(tensor is each for each in self.pixels)

    def _entered(self, tensor: Any) -> Any:
        return ops.cast(tensor, "float32") * self.ones if self._holds(tensor) else tensor


Rule = Callable[[_Pass, Any, tuple[Any, ...], dict[str, Any]], Any]
"""What an operation gives for its arguments, with a gradient that hands relevance back."""


def _graded(values: Any, source: Any, slope: Any) -> Any:
    """The values, with a gradient of `slope` times that of `source`."""
    constant = ops.stop_gradient
    return constant(values) + (source - constant(source)) * constant(slope)


def _shared(values: Any, parts: Any, epsilon: Any = SMALLEST) -> Any:
    """The values, whose relevance goes to the summands of `parts`, in proportion."""
    size = ops.where(parts < 0, parts - epsilon, parts + epsilon)
    return _graded(values, parts, values / ops.where(size == 0, 1.0, size))


def _tensors(given: Any) -> list[Any]:
    return [each for each in keras.tree.flatten(given) if ops.is_tensor(each)]


def _rule_of(operation: keras.Operation) -> Rule:
    kind = type(operation)
    if kind is Still:
        return _plain
    if keras_internals.is_of_keras(kind):
        if kind in _STAGES and _is_elementwise(getattr(operation, "activation", None)):
            return _linear
        if kind.__name__ in _RULES:
            return _RULES[kind.__name__]
        if _is_elementwise(getattr(operation, "activation", operation)):
            return _pass_on
    raise InputError(
        f"lrp has no rule for layer {operation.name.replace(answers.INSIDE, '/')!r} "
        f"({kind.__name__}): use integrated_gradients, which takes every layer"
    )


def _is_elementwise(activation: Any) -> bool:
    """Whether this is an activation that works on each value alone; none at all is one, too."""
    name = getattr(activation, "__name__", type(activation).__name__)
    return activation is None or name.lower().replace("_", "") in _ELEMENTWISE


def _plain(_: _Pass, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Times the inputs, the gradient of what is linear or chooses is the relevance already."""
    return operation(*args, **kwargs)


def _already_merged(_: _Pass, __: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _tensors((args, kwargs))[0]


def _pass_on(_: _Pass, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _shared(operation(*args, **kwargs), _tensors((args, kwargs))[0])


def _multiply(_: _Pass, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A product, whose factors share the relevance equally; smaller ones are gates without any."""
    sizes = [prod(tensor.shape[1:]) for tensor in _tensors((args, kwargs))]
    largest = max(sizes)

    def without_gates(tensor: Any) -> Any:
        gate = ops.is_tensor(tensor) and prod(tensor.shape[1:]) < largest
        return ops.stop_gradient(tensor) if gate else tensor

    args, kwargs = keras.tree.map_structure(without_gates, (args, kwargs))
    product = operation(*args, **kwargs)
    return _graded(product, product, ops.ones_like(product) / sizes.count(largest))


def _normalize(_: _Pass, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A layer normalisation whose deviation is a constant."""
    values = _tensors((args, kwargs))[0]
    outputs = layer(values)
    # The layer is linear in these where the deviation does not change.
    centred = values if layer.rms_scaling else values - ops.mean(values, layer.axis, keepdims=True)
    scale = ops.rsqrt(ops.mean(ops.square(centred), layer.axis, keepdims=True) + layer.epsilon)
    if layer.gamma is not None:
        axes = [axis % len(values.shape) for axis in layer.axis]
        kept = [size if i in axes else 1 for i, size in enumerate(values.shape)]
        scale = scale * ops.reshape(ops.cast(layer.gamma, "float32"), kept)
    return _graded(outputs, centred, scale)


def _linear(propagation: _Pass, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values = ops.cast(_tensors((args, kwargs))[0], "float32")
    *first, (apply, kernel) = _STAGES[type(layer)](layer)
    gamma = propagation.network.with_gamma and not isinstance(layer, layers.Dense)
    for stage, weights in first:
        values = _stage(propagation, stage, values, weights, ops.zeros(()), gamma)
    bias = ops.cast(layer.bias, "float32") if layer.use_bias else ops.zeros(())
    kernel = ops.cast(kernel, "float32")
    if layer in propagation.network.normalizations:
        scale, shift = _affine(propagation.network.normalizations[layer])
        last = kernel.shape[-2:] if isinstance(layer, layers.DepthwiseConv2D) else (-1,)
        kernel, bias = kernel * ops.reshape(scale, last), bias * scale + shift
    outputs = _stage(propagation, apply, values, kernel, bias, gamma)
    activation = layer.activation
    if activation in (None, keras.activations.linear):
        return outputs
    return _shared(activation(outputs), outputs)


def _stage(
    propagation: _Pass, apply: Callable, values: Any, kernel: Any, bias: Any, with_gamma: bool
) -> Any:
    """apply(values, kernel) + bias with the epsilon rule, or the gamma rule."""
    kernel = ops.cast(kernel, "float32")
    linear = apply(values, kernel)
    outputs = linear + bias
    if not with_gamma:
        return _shared(outputs, outputs, propagation.epsilon)
    # Of x w, (|x w| + x w) / 2 is the positive part, and (x w - |x w|) / 2 the negative one.
    sizes = apply(ops.abs(values), ops.abs(kernel))
    positive = (linear + sizes) / 2 + ops.maximum(bias, 0.0)
    negative = (linear - sizes) / 2 + ops.minimum(bias, 0.0)
    same_sign = ops.where(outputs > 0, positive, negative)
    return _shared(outputs, outputs + propagation.gamma * same_sign)


def _affine(normalization: layers.BatchNormalization) -> tuple[Any, Any]:
    """The factor and the summand, (C,) each, of a batch normalisation outside of training."""
    scale = ops.rsqrt(normalization.moving_variance + normalization.epsilon)
    if normalization.scale:
        scale = scale * normalization.gamma
    shift = -normalization.moving_mean * scale
    return scale, shift + normalization.beta if normalization.center else shift


def _merged(model: keras.Model) -> dict[keras.Operation, layers.BatchNormalization]:
    """The batch normalisation of each linear layer whose outputs go there and nowhere else."""
    users: dict[keras.Operation, list[keras.Operation]] = {}
    for operation in model.operations:
        for tensors in keras_internals.calls(operation):
            for tensor in tensors:
                users.setdefault(keras_internals.origin(tensor)[0], []).append(operation)
    return {
        layer: found[0]
        for layer, found in users.items()
        if [type(user) for user in found] == [layers.BatchNormalization]
        and type(layer) in _STAGES
        and layer.activation in (None, keras.activations.linear)
        and len(keras_internals.calls(layer)) == len(keras_internals.calls(found[0])) == 1
    }


def _depthwise(layer: Any) -> Callable:
    return lambda values, kernel: ops.depthwise_conv(
        values, kernel, layer.strides, layer.padding, layer.data_format, layer.dilation_rate
    )


_STAGES: dict[type, Callable[[Any], list[tuple[Callable, Any]]]] = {
    layers.Dense: lambda layer: [(ops.matmul, layer.kernel)],
    layers.Conv2D: lambda layer: [(layer.convolution_op, layer.kernel)],
    layers.DepthwiseConv2D: lambda layer: [(_depthwise(layer), layer.kernel)],
    layers.SeparableConv2D: lambda layer: [
        (_depthwise(layer), layer.depthwise_kernel),
        (lambda values, kernel: ops.conv(values, kernel), layer.pointwise_kernel),
    ],
}
"""The linear functions of (values, kernel), with their kernels, that each layer is a chain of."""

_SCALING = frozenset(
    (
        *("Rescaling", "Normalization", "Identity", "Add", "Subtract", "Multiply", "Divide"),
        *("TrueDivide", "Negative", "Cast"),
    )
)
"""Layers and functions that, at the start of a network, only change the unit of a pixel."""

_ELEMENTWISE = frozenset(
    (
        *("linear", "relu", "relu6", "leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu"),
        *("swish", "hardsilu", "hardswish", "sigmoid", "hardsigmoid", "logsigmoid", "tanh"),
        *("hardtanh", "softplus", "softsign", "mish", "squareplus", "thresholdedrelu"),
    )
)

_PLAIN = answers.SAME_NUMBERS | answers.SAME_IN_A_GRAPH
_PLAIN |= {
    *("InputLayer", "BatchNormalization", "Rescaling", "Normalization", "LayerScale"),
    *("StochasticDepth", "CustomScaleLayer", "ZeroPadding2D", "Cropping2D", "UpSampling2D"),
    *("AveragePooling2D", "GlobalAveragePooling2D", "MaxPooling2D", "GlobalMaxPooling2D"),
    *("GlobalAveragePooling1D", "GlobalMaxPooling1D", "Resizing", "Pad", "Mean", "Sum", "Max"),
    *("Add", "Subtract", "Average", "Maximum", "Minimum", "Concatenate", "Negative", "GetItem"),
    *("Divide", "TrueDivide"),
}

_RULES: dict[str, Rule] = dict.fromkeys(_PLAIN, _plain) | {
    "Multiply": _multiply,
    "LayerNormalization": _normalize,
}
"""The rule of each layer or function of Keras that is neither linear nor an activation."""
