"""Where the activations of a layer are in the image, and which layer tells most of the answer."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.errors import InputError
from cladec.models import cutting
from cladec.models.places import find_spatial


def found(model: keras.Model, layer: str | None = None, grid=None) -> tuple[str, tuple[int, int]]:
    spatial = find_spatial(cutting.flatten(model), layer, grid)
    return spatial.path, spatial.grid


def classifier(body, shape=zoo.IMAGE_SHAPE) -> keras.Model:
    """A classifier of what `body` makes of images; the layers in it are listed."""
    inputs = keras.Input(shape)
    return zoo.randomised(keras.Model(inputs, zoo.scored(body(inputs))))


# The layer that is taken by default

VARIANTS = {
    "a class token": ({}, None, "norm_1"),
    "three blocks": ({"blocks": 3}, None, "norm_2"),
    "the mean of the patches": ({"first": 0, "pooled": True}, None, "norm"),
    "the mean of all tokens": ({"pooled": True}, None, "norm"),
    "a class token and registers": ({"first": 5}, None, "norm_1"),
    "more registers than are known": ({"first": 7}, (4, 4), "norm_1"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_last_layer_whose_patches_the_answer_depends_on_is_the_default(variant):
    options, grid, expected = VARIANTS[variant]
    model = zoo.transformer(**options)
    assert found(model, grid=grid) == (expected, (4, 4))
    flat, image = cutting.flatten(model), zoo.images(1)
    paths = list(flat.tensors)
    later = [path for path in paths[paths.index(expected) + 1 :] if flat.tensors[path].ndim == 3]
    for path in (expected, *later):
        tensor = flat.tensors[path]
        tokens = keras.Function(flat.inputs, tensor)(image).numpy()
        head = keras.Function([flat.inputs, tensor], flat.logits)
        before = head([image, tokens]).numpy()
        tokens[:, -16:] += np.random.default_rng(0).normal(size=tokens[:, -16:].shape)
        changed = np.abs(head([image, tokens]).numpy() - before).max()
        assert changed > 1e-3 if path == expected else changed < 1e-6


def test_a_tiny_influence_counts():
    model = zoo.transformer()
    for weight in model.get_layer("attention_1").weights:
        weight.assign(1e-6 * weight)
    assert found(model)[0] == "norm_1"


def grid_again(images):
    tokens = zoo.tokens(images, first=0)
    return zoo.convolution(2, "conv")(layers.Reshape((4, 4, 8))(tokens))


def squeezed(images):
    hidden = zoo.convolution(4, "conv")(images)
    weights = layers.Dense(4)(layers.GlobalAveragePooling2D(keepdims=True)(hidden))
    return layers.Multiply(name="weighted")([hidden, weights])


def attention_by_hand(images):
    """One head after another, (heads, T, channels), as it is written without a layer for it."""
    hidden = zoo.tokens(images, blocks=1)

    def heads(name):
        apart = layers.Reshape((17, 2, 4))(layers.Dense(8, name=name)(hidden))
        return layers.Permute((2, 1, 3))(apart)

    query, key, value = map(heads, ("query", "key", "value"))
    alike = layers.Softmax(name="alike")(keras.ops.matmul(query, keras.ops.swapaxes(key, 2, 3)))
    together = layers.Permute((2, 1, 3), name="heads")(keras.ops.matmul(alike, value))
    together = layers.Dense(8, name="mixed")(layers.Reshape((17, 8))(together))
    return layers.Add()([hidden, together])[:, 0]


LAST = {
    "tokens, then a convolution": (grid_again, ("conv", (4, 4))),
    "channels that are weighed": (squeezed, ("weighted", (8, 8))),
    "attention by hand": (attention_by_hand, ("value", (4, 4))),
    "a vector that is cut into pieces": (
        lambda x: layers.Reshape((5, 2))(
            layers.Dense(10)(layers.Flatten()(zoo.convolution(2, "conv")(x)))
        ),
        ("conv", (8, 8)),
    ),
}


@pytest.mark.parametrize("name", LAST)
def test_the_default_in_other_networks(name):
    body, expected = LAST[name]
    assert found(classifier(body)) == expected


# The grid of tokens


@keras.saving.register_keras_serializable(package="tests")
class Patches(layers.Layer):
    """Tokens of patches of `side`, whose grid no layer shows."""

    def __init__(self, side, **options):
        super().__init__(**options)
        self.side = side

    def call(self, images):
        _, height, width, channels = images.shape
        rows, columns = height // self.side, width // self.side
        images = images[:, : rows * self.side, : columns * self.side]
        cells = keras.ops.reshape(images, (-1, rows, self.side, columns, self.side, channels))
        cells = keras.ops.transpose(cells, (0, 1, 3, 2, 4, 5))
        return keras.ops.reshape(cells, (-1, rows * columns, self.side**2 * channels))

    def get_config(self):
        return super().get_config() | {"side": self.side}


def dense(hidden):
    return layers.Dense(4, name="dense")(hidden)


def pooled(images):
    hidden = dense(layers.Reshape((16, 8))(layers.Conv2D(8, 2, 2)(images)))
    grid = layers.AveragePooling2D(2)(layers.Reshape((4, 4, 4))(hidden))
    return layers.Reshape((4, 4), name="merged")(grid)


GRIDS = {
    # body, the shape of the images, a layer and its grid
    "an oblong image": (zoo.tokens, (8, 12, 1), "norm_0", (4, 6)),
    "an oblong image whose patches make a square number": (
        lambda x: zoo.tokens(x, first=0),
        (4, 16, 1),
        "norm",
        (2, 8),
    ),
    "patches that no layer shows": (lambda x: dense(Patches(2)(x)), (8, 12, 1), "dense", (4, 6)),
    "the same, in front of a class token": (
        lambda x: dense(layers.ZeroPadding1D((1, 0))(Patches(4)(x))),
        (16, 16, 1),
        "dense",
        (4, 4),
    ),
    "what is left over is cut off": (lambda x: dense(Patches(3)(x)), (8, 14, 1), "dense", (2, 4)),
    "fewer tokens later": (pooled, (8, 8, 1), "merged", (2, 2)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_grid_of_tokens_is_that_of_the_patches(name):
    body, shape, layer, grid = GRIDS[name]
    assert found(classifier(body, shape), layer) == (layer, grid)


def test_tokens_are_laid_out_row_by_row_without_the_first_ones():
    spatial = find_spatial(cutting.flatten(zoo.transformer((8, 12, 1), first=2)), "norm_0")
    tokens = np.random.default_rng(0).normal(size=(3, 26, 8)).astype(np.float32)
    laid_out = keras.ops.convert_to_numpy(spatial.on_grid(keras.ops.convert_to_tensor(tokens)))
    for row in range(4):
        for column in range(6):
            expected = tokens[:, 2 + 6 * row + column]
            np.testing.assert_array_equal(laid_out[:, row, column], expected)


NO_GRID = {
    "the rows of an image": lambda x: dense(layers.Reshape((16, 16))(x)),
    "capsules": lambda x: dense(layers.Reshape((64, 8))(zoo.convolution(2)(x))),
    "a vector that is cut into pieces": lambda x: dense(
        layers.Reshape((10, 2))(layers.Dense(20)(layers.Flatten()(x)))
    ),
    "features as positions": lambda x: dense(layers.Permute((2, 1))(zoo.tokens(x, patch=4))),
}


@pytest.mark.parametrize("name", NO_GRID)
def test_what_is_no_grid_of_patches_is_not_taken_for_one(name):
    model = classifier(NO_GRID[name], (16, 16, 1))
    with pytest.raises(InputError, match=r"'dense' gives .* say grid=\(rows, columns\)"):
        find_spatial(cutting.flatten(model), "dense")


def test_rows_of_an_image_are_a_grid_if_that_is_said():
    model = classifier(NO_GRID["the rows of an image"], (16, 16, 1))
    with pytest.raises(InputError, match=r"learns from tokens, 'dense' of shape \(16, 4\)"):
        found(model)
    assert found(model, grid=(16, 1)) == ("dense", (16, 1))


# What is refused


def test_a_layer_that_has_no_places_is_refused():
    flat = cutting.flatten(zoo.transformer())
    with pytest.raises(InputError, match=r"'scores' gives .* no spatial extent: choose .*norm_1"):
        find_spatial(flat, "scores")
    with pytest.raises(InputError, match=r"no layer 'nrom_1' .*'norm_1'"):
        find_spatial(flat, "nrom_1")
    by_hand = cutting.flatten(classifier(attention_by_hand))
    with pytest.raises(InputError, match=r"'alike' gives .* no spatial extent"):
        find_spatial(by_hand, "alike")


@pytest.mark.parametrize("layer", ["norm_1", "patches"])
def test_a_grid_that_does_not_fit_is_refused(layer):
    with pytest.raises(InputError, match=rf"'{layer}' gives .* no grid \(5, 4\)"):
        find_spatial(cutting.flatten(zoo.transformer()), layer, (5, 4))
