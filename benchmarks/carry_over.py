"""A Keras network as one of PyTorch, with its weights, for libraries that know PyTorch alone."""

from collections.abc import Callable

import keras
import numpy as np
import torch
from torch import nn

from cladec import keras_internals

TOLERANCE = 1e-3
"""How far the scores of the two may differ, in parts of the largest."""


class Sum(nn.Module):
    """Add tensors; `zennit.layer.Sum` where there is zennit, which has a rule for that alone."""

    def __init__(self):
        super().__init__()
        try:
            from zennit.layer import Sum as Added
        except ImportError:
            Added = None
        self.added = Added and Added(dim=-1)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        stacked = torch.stack(tensors, dim=-1)
        return self.added(stacked) if self.added else stacked.sum(dim=-1)


class Flatten(nn.Module):
    """Flatten in the order of Keras, whose channels come last."""

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.permute(0, 2, 3, 1).flatten(1)


class CarriedOver(nn.Module):
    """The layers of a functional model in their order, images (N, C, H, W) -> scores (N, K).

    Attributes:
        layers: by their names in Keras.
        sources: the names of the layers that each is fed by.
    """

    def __init__(self, model: keras.Model):
        super().__init__()
        self.start, self.end = (
            keras_internals.origin(tensor)[0].name for tensor in (model.inputs[0], model.outputs[0])
        )
        self.layers, self.sources = nn.ModuleDict(), {}
        for layer in model.layers:
            if not isinstance(layer, keras.layers.InputLayer):
                self.layers[layer.name] = LAYERS[type(layer)](layer)
                tensors = keras.tree.flatten(layer.input)
                origins = [keras_internals.origin(tensor)[0] for tensor in tensors]
                self.sources[layer.name] = [origin.name for origin in origins]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = {self.start: images}
        for name, layer in self.layers.items():
            found[name] = layer(*(found[source] for source in self.sources[name]))
        return found[self.end]

    @property
    def normalised(self) -> list[tuple[list[str], str]]:
        """The batch normalisations right behind a convolution, each after its name."""
        convolutions = {
            name: path
            for name, layer in self.layers.items()
            for path, module in layer.named_modules(prefix=f"layers.{name}")
            if isinstance(module, nn.Conv2d) and module is _last(layer)
        }
        return [
            ([convolutions[source]], f"layers.{name}")
            for name, (source, *_) in self.sources.items()
            if isinstance(self.layers[name], nn.BatchNorm2d) and source in convolutions
        ]


def _last(layer: nn.Module) -> nn.Module:
    """What gives the output of a layer: padding may be in front of it."""
    return layer[-1] if isinstance(layer, nn.Sequential) else layer


def carry_over(model: keras.Model) -> CarriedOver:
    """The same network in PyTorch, compared with the one in Keras on random images.

    Args:
        model: functional, of the layers in `LAYERS`, each called once.

    Raises:
        KeyError: a layer is not in `LAYERS`.
        AssertionError: the two give other scores.
    """
    network = CarriedOver(model).eval()
    images = np.random.default_rng(0).random((4, *model.input_shape[1:]), dtype=np.float32)
    expected = model.predict_on_batch(images)
    with torch.no_grad():
        found = network(tensor_of(images)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
    return network


def tensor_of(images: np.ndarray) -> torch.Tensor:
    """Images (N, H, W, C) as a tensor (N, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _activated(layer: keras.Layer, module: nn.Module) -> nn.Module:
    if layer.activation is keras.activations.relu:
        return nn.Sequential(module, nn.ReLU())
    assert layer.activation is keras.activations.linear, layer.name
    return module


def _padding(layer: keras.Layer, kernel: tuple[int, ...]) -> list[int]:
    """Left, right, top and bottom of padding "same", as torch orders them; none of "valid"."""
    if layer.padding == "valid":
        return [0] * 4
    sides: list[int] = []
    for size, length, stride in zip(layer.input.shape[1:3], kernel, layer.strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + length - size, 0)
        sides = [missing // 2, missing - missing // 2, *sides]
    return sides


def _convolution(layer: keras.layers.Conv2D) -> nn.Module:
    kernel, *bias = layer.get_weights()
    left, right, top, bottom = _padding(layer, layer.kernel_size)
    even = left == right and top == bottom
    module = nn.Conv2d(
        kernel.shape[2],
        kernel.shape[3],
        kernel.shape[:2],
        layer.strides,
        padding=(top, left) if even else 0,
        bias=bool(bias),
    )
    _fill(module, kernel.transpose(3, 2, 0, 1), *bias)
    padded = module if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), module)
    return _activated(layer, padded)


def _dense(layer: keras.layers.Dense) -> nn.Module:
    kernel, *bias = layer.get_weights()
    module = nn.Linear(*kernel.shape, bias=bool(bias))
    _fill(module, kernel.T, *bias)
    return _activated(layer, module)


def _normalisation(layer: keras.layers.BatchNormalization) -> nn.Module:
    scale, offset, mean, variance = layer.get_weights()
    module = nn.BatchNorm2d(len(scale), eps=layer.epsilon)
    _fill(module, scale, offset)
    module.running_mean.copy_(torch.from_numpy(mean))
    module.running_var.copy_(torch.from_numpy(variance))
    return module


def _fill(module: nn.Module, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        if bias is not None:
            module.bias.copy_(torch.from_numpy(bias))


def _largest(layer: keras.layers.MaxPooling2D) -> nn.Module:
    pool = nn.MaxPool2d(layer.pool_size, layer.strides)
    sides = _padding(layer, layer.pool_size)
    return nn.Sequential(nn.ConstantPad2d(sides, -torch.inf), pool) if any(sides) else pool


LAYERS: dict[type[keras.Layer], Callable[[keras.Layer], nn.Module]] = {
    keras.layers.Conv2D: _convolution,
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _normalisation,
    keras.layers.MaxPooling2D: _largest,
    keras.layers.GlobalAveragePooling2D: lambda _: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ),
    keras.layers.ReLU: lambda _: nn.ReLU(),
    keras.layers.Activation: lambda layer: _activated(layer, nn.Identity()),
    keras.layers.Add: lambda _: Sum(),
    keras.layers.Flatten: lambda _: Flatten(),
    keras.layers.Dropout: lambda _: nn.Identity(),
}
"""What becomes of each kind of layer."""
