"""Small classifiers of every form that Keras users have, all of 8x8 grey images and ten classes.

Each ends in a Dense layer `scores`, whose product is the logits whatever comes behind it, and has a
layer to decode. They are untrained, with weights drawn so that no two layers look alike.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

from cladec.models.training import seeded

IMAGE_SHAPE = (8, 8, 1)
CLASSES = 10


def need_channels_first() -> None:
    """Skip a test where TensorFlow has no convolution with channels first, as on old processors."""
    layer = layers.Conv2D(1, 1, data_format="channels_first")
    try:
        layer(np.zeros((1, 1, 2, 2), np.float32))
    except Exception:  # each backend has its own
        pytest.skip("there are no convolutions with channels first on this processor")


class Case(NamedTuple):
    """How to build a classifier, the path of the layer to decode, and that of `scores`."""

    build: Callable[[], keras.Model]
    layer: str
    scores: str = "scores"


CASES: dict[str, Case] = {}


def case(layer: str, scores: str = "scores"):
    """Enter a builder in the zoo."""

    def enter(build):
        CASES[build.__name__] = Case(build, layer, scores)
        return build

    return enter


def build(name: str) -> keras.Model:
    """A classifier of the zoo with weights that are the same at every call."""
    with seeded(0):
        model = CASES[name].build()
    return randomised(model)


def randomised(model: keras.Model, *names: str) -> keras.Model:
    """The same model; all of it, or the layers of these names, with weights drawn anew."""
    generator = np.random.default_rng(0)
    parts = [model.get_layer(name) for name in names] or [model]
    for weight in (weight for part in parts for weight in part.weights):
        if weight.name in ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"):
            low = 0.5 if weight.name in ("gamma", "moving_variance") else -0.4
            weight.assign(generator.uniform(low, low + 0.8, weight.shape))
    return model


def operations(model: keras.Model) -> Iterator[tuple[str, keras.Operation]]:
    """Every layer and `keras.ops` function of a model and of those nested in it, by path."""
    inner = model.layers if isinstance(model, keras.Sequential) else model.operations
    for operation in inner:
        yield operation.name, operation
        if isinstance(operation, keras.Sequential | keras.Function):
            for path, nested in operations(operation):
                yield f"{operation.name}/{path}", nested


def images(count: int = 6, shape: tuple[int, ...] = IMAGE_SHAPE) -> np.ndarray:
    """Random pixels in [0, 1]."""
    return np.random.default_rng(1).random((count, *shape), dtype=np.float32)


def answer(model: keras.Model, images):
    """What a model answers to images, whatever its input and output are packed in."""
    packed = getattr(model, "_inputs_struct", None)
    if isinstance(packed, list | dict):
        images = keras.tree.pack_sequence_as(packed, [images])
    return keras.tree.flatten(model(images, training=False))[0]


def convolution(filters: int = 3, name: str = "conv", **options) -> keras.Layer:
    return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name, **options)


def scored(hidden, activation="softmax", units=CLASSES):
    return layers.Dense(units, activation=activation, name="scores")(layers.Flatten()(hidden))


def features(name: str, *, channels: int = 1, filters: int = 3) -> keras.Model:
    """A functional model of a convolution `conv` and a normalisation `normalised`."""
    inputs = keras.Input((8, 8, channels))
    hidden = layers.BatchNormalization(name="normalised")(convolution(filters)(inputs))
    return keras.Model(inputs, hidden, name=name)


@case("dense")
def sequential():
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            convolution(),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(6, activation="relu", name="dense"),
            layers.Dense(CLASSES, activation="softmax", name="scores"),
        ]
    )


@case("conv")
def sequential_built_by_a_call():
    scores = layers.Dense(CLASSES, activation="softmax", name="scores")
    model = keras.Sequential([convolution(), layers.Flatten(), scores])
    model(np.zeros((1, *IMAGE_SHAPE), np.float32))
    return model


@case("inner/conv")
def functional_in_sequential():
    scores = layers.Dense(CLASSES, activation="softmax", name="scores")
    return keras.Sequential([keras.Input(IMAGE_SHAPE), features("inner"), layers.Flatten(), scores])


@case("conv")
def compiled_with_a_loss_of_its_own():
    def my_loss(labels, answers):
        return keras.ops.mean(answers)

    model = CASES["softmax_in_dense"].build()
    model.compile("adam", loss=my_loss, metrics=["accuracy"])
    return model


@case("whitened")
def adapted_normalization():
    whitened = layers.Normalization(name="whitened")
    whitened.adapt(images(20) * 3 + 1)
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, scored(convolution()(whitened(inputs))))


def around(inner: keras.Model) -> keras.Model:
    """A model `outer` that holds another one."""
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, layers.ReLU(name="outer_relu")(inner(inputs)), name="outer")


def head(inputs):
    """The rest of a classifier in a model of its own, `head`."""
    start = keras.Input(inputs.shape[1:])
    hidden = layers.Dense(5, activation="relu", name="dense")(layers.Flatten()(start))
    return keras.Model(start, scored(hidden), name="head")(inputs)


def twins_of_functions(inputs):
    """Two nested models whose `keras.ops` functions have the same names."""
    start = keras.Input(IMAGE_SHAPE)
    end = keras.ops.relu(convolution(1)(start)) * 2.0
    first = keras.Model(start, end, name="first")
    second = keras.Model.from_config(first.get_config() | {"name": "second"})
    return scored(second(first(inputs)))


def called_twice(layer):
    return lambda inputs: scored(layer(layer(inputs)))


def side_by_side(inputs):
    both = [convolution()(inputs), convolution(2, "side")(inputs)]
    return scored(layers.Concatenate(name="joined")(both))


def branches() -> keras.Model:
    """A model of two outputs."""
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, [convolution()(inputs), convolution(3, "side")(inputs)], name="two")


def small_sequential(name: str) -> keras.Model:
    return keras.Sequential([convolution(), layers.ReLU()], name=name)


def tokens(inputs, *, first: int = 1, blocks: int = 2, patch: int = 2):
    """What a vision transformer makes of images, (N, first + T, 8)."""
    patches = layers.Conv2D(8, patch, patch, name="patches")(inputs)
    hidden = layers.Reshape((-1, 8), name="tokens")(patches)
    hidden = layers.ZeroPadding1D((first, 0), name="first")(hidden) if first else hidden
    for number in range(blocks):
        normalised = layers.LayerNormalization(name=f"norm_{number}")(hidden)
        attention = layers.MultiHeadAttention(2, 4, name=f"attention_{number}")
        hidden = layers.Add(name=f"sum_{number}")([hidden, attention(normalised, normalised)])
        wide = layers.Dense(12, activation="gelu", name=f"wide_{number}")(hidden)
        wide = layers.Dense(8, name=f"narrow_{number}")(wide)
        hidden = layers.Add(name=f"block_{number}")([hidden, wide])
    return layers.LayerNormalization(name="norm")(hidden)


def transformer(shape=IMAGE_SHAPE, *, pooled: bool = False, **options) -> keras.Model:
    """A vision transformer that answers by its class token, or by the mean of its tokens."""
    inputs = keras.Input(shape)
    found = tokens(inputs, **options)
    hidden = layers.GlobalAveragePooling1D()(found) if pooled else found[:, 0]
    return randomised(keras.Model(inputs, scored(hidden)))


FUNCTIONAL: dict[str, tuple[str, Callable]] = {
    "softmax_in_dense": ("conv", lambda x: scored(convolution()(x))),
    "softmax_layer": ("conv", lambda x: layers.Softmax()(scored(convolution()(x), None))),
    "softmax_activation": (
        "scores",
        lambda x: layers.Activation("softmax")(scored(convolution()(x), None)),
    ),
    "softmax_function": ("conv", lambda x: keras.ops.softmax(scored(convolution()(x), None))),
    "softmax_function_in_dense": ("conv", lambda x: scored(convolution()(x), keras.ops.softmax)),
    "softmax_layer_in_dense": ("conv", lambda x: scored(convolution()(x), layers.Softmax())),
    "logits_end": ("conv", lambda x: scored(convolution()(x), None)),
    "functional_in_functional": ("inner/conv", lambda x: scored(features("inner")(x))),
    "sequential_in_functional": ("inner/conv", lambda x: scored(small_sequential("inner")(x))),
    "nested_with_training_false": (
        "inner/normalised",
        lambda x: scored(features("inner")(x, training=False)),
    ),
    "called_by_keyword": (
        "inner/conv",
        lambda x: layers.Softmax()(inputs=scored(features("inner")(inputs=x), None)),
    ),
    "nested_twice": ("outer/inner/conv", lambda x: scored(around(features("inner"))(x))),
    "nested_end": ("head/dense", lambda x: head(convolution()(x))),
    "nested_called_twice": (
        "inner@2/conv",
        lambda x: called_twice(features("inner", filters=1))(x),
    ),
    "same_names_in_two_nested": (
        "second/conv",
        lambda x: scored(features("second", channels=3)(features("first")(x))),
    ),
    "inner_name_used_outside": (
        "normalised",
        lambda x: scored(layers.BatchNormalization(name="normalised")(features("inner")(x))),
    ),
    "same_functions_in_two_nested": ("second/conv", twins_of_functions),
    "shared_layer": ("shared@2", lambda x: called_twice(convolution(1, "shared"))(x)),
    "residual_add": (
        "sum",
        lambda x: scored(layers.Add(name="sum")([x, convolution()(x)])),
    ),
    "concatenate": ("joined", side_by_side),
    "softmax_then_linear": (
        "conv",
        lambda x: layers.Activation("linear", dtype="float32")(scored(convolution()(x))),
    ),
    "softmax_then_dropout": (
        "conv",
        lambda x: layers.Dropout(0.5)(layers.Identity()(scored(convolution()(x)))),
    ),
    "softmax_then_reshape": (
        "conv",
        lambda x: layers.Reshape((CLASSES,))(
            layers.Softmax()(layers.Reshape((1, 1, CLASSES))(scored(convolution()(x), None)))
        ),
    ),
    "several_outputs_inside": (
        "sum",
        lambda x: scored(layers.Add(name="sum")(branches()(x))),
    ),
    "augmented": (
        "conv",
        lambda x: scored(
            layers.GaussianNoise(0.3)(convolution()(layers.RandomFlip(name="flip")(x)))
        ),
    ),
    "functions_in_the_graph": (
        "conv",
        lambda x: scored(keras.ops.relu(layers.Conv2D(3, 3, name="conv")(x)) * 2.0),
    ),
    "rescaling": ("conv", lambda x: scored(convolution()(layers.Rescaling(2.0, offset=-1.0)(x)))),
    "class_token": ("block_0", lambda x: scored(tokens(x)[:, 0])),
    "layer_called_images": (
        "images",
        lambda x: scored(layers.Dropout(0.5)(convolution(name="images")(x))),
    ),
}
"""Functional classifiers: the layer to decode, and what leads from the images to the answer."""


def _functional(body: Callable) -> keras.Model:
    inputs = keras.Input(IMAGE_SHAPE)
    return keras.Model(inputs, body(inputs))


def _packed(pack: Callable) -> keras.Model:
    """A model whose input and output are packed in a list or a dict of one."""
    inputs = keras.Input(IMAGE_SHAPE, name="image")
    return keras.Model(*pack(inputs, scored(features("inner")(inputs))))


PACKED: dict[str, Callable] = {
    "output_in_a_list": lambda image, scores: (image, [scores]),
    "output_in_a_dict": lambda image, scores: (image, {"class": scores}),
    "all_in_lists": lambda image, scores: ([image], [scores]),
    "all_in_dicts": lambda image, scores: ({"image": image}, {"class": scores}),
}
for _name, _pack in PACKED.items():
    CASES[_name] = Case(partial(_packed, _pack), "inner/conv")


for _name, (_layer, _body) in FUNCTIONAL.items():
    _scores = "head/scores" if _name == "nested_end" else "scores"
    CASES[_name] = Case(partial(_functional, _body), _layer, _scores)
