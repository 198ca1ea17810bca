"""What each backend of Keras does in its own way: run a function as a graph, and differentiate."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

Function = Callable[..., Any]
"""A function of tensors to a tensor, written with Keras alone."""

EAGER_CALLS = 4
"""Tracing a model costs TensorFlow as much as this many calls, so no fewer calls are traced."""

CLASSES = keras.KerasTensor((None,), "int32")
"""A class for each of any number of images."""


def of_class(scores: Any, classes: Any) -> Any:
    """The score (N,) that each row of (N, K) has for its class, of (N,)."""
    return keras.ops.take_along_axis(scores, classes[:, None], axis=1)[:, 0]


def compiled(
    function: Function, model: keras.Model, *arguments: keras.KerasTensor, eager_calls: int = 0
) -> Callable[..., np.ndarray]:
    """A function of tensors as one of arrays, run as a graph where the backend has such.

    Args:
        function: a function of these arguments.
        model: whose weights it uses.
        arguments: shapes and types; arrays are converted.
        eager_calls: so many calls are run without a graph first, where it is made more slowly than
            they are. None for what takes gradients: TensorFlow would compute those of the weights
            too, a third of the work, and version 2.21 crashes in one (a 1x1 convolution of stride
            2).
    """
    run = _COMPILED[keras.backend.backend()](function, model, arguments, eager_calls)

    def call(*arrays: np.ndarray) -> np.ndarray:
        tensors = (
            keras.ops.convert_to_tensor(array, argument.dtype)
            for array, argument in zip(arrays, arguments, strict=True)
        )
        return keras.ops.convert_to_numpy(run(*tensors))

    return call


def _by_tensorflow(
    function: Function, _: keras.Model, arguments: Sequence[keras.KerasTensor], eager_calls: int
) -> Function:
    import tensorflow as tf

    signature = [tf.TensorSpec(argument.shape, argument.dtype) for argument in arguments]
    graph = tf.function(function, input_signature=signature)
    calls = itertools.count()
    return lambda *tensors: (function if next(calls) < eager_calls else graph)(*tensors)


def _by_jax(function: Function, model: keras.Model, *_: Any) -> Function:
    import jax

    def stateless(weights: list[Any], *tensors: Any) -> Any:
        # Else the weights are constants of the graph, which takes long and holds them twice.
        with keras.StatelessScope(zip(model.variables, weights, strict=True)):
            return function(*tensors)

    run = jax.jit(stateless)
    return lambda *tensors: run([variable.value for variable in model.variables], *tensors)


_COMPILED: dict[str, Callable[..., Function]] = {
    "tensorflow": _by_tensorflow,
    "jax": _by_jax,
    "torch": lambda function, *_: function,
}


def gradient_of(function: Function) -> Function:
    """The gradient of the sum of a function in its first argument, to be called when compiled."""
    return _GRADIENTS[keras.backend.backend()](function)


def _of_tensorflow(function: Function) -> Function:
    import tensorflow as tf

    def differentiate(first: Any, *others: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(first)
            values = function(first, *others)
        return tape.gradient(values, first, unconnected_gradients="zero")

    return differentiate


def _of_jax(function: Function) -> Function:
    import jax

    return jax.grad(lambda *tensors: keras.ops.sum(function(*tensors)))


def _of_torch(function: Function) -> Function:
    import torch

    def differentiate(first: Any, *others: Any) -> Any:
        first = first.detach().requires_grad_()
        with torch.enable_grad():
            total = function(first, *others).sum() + 0 * first.sum()  # depends on it in any case
        return torch.autograd.grad(total, first)[0]

    return differentiate


_GRADIENTS = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}
