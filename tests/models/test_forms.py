"""Forms of classifiers that were answered wrongly in silence: each gives the right value now."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers

import cladec
from cladec.data.dataset import Dataset, Split
from cladec.errors import InputError
from cladec.models import cutting
from cladec.models.cladec import compute_codes, fit_cladec
from cladec.models.layers import decodable_layers
from cladec.models.recipes import Recipe
from cladec.models.refae import RefAE, fit_refae
from cladec.models.training import seeded

TURNED = (16, 12, 3)


def turned_twins():
    """The same classifier with channels last and first: its weights have the same shapes."""
    zoo.need_channels_first()
    twins = []
    for last in (True, False):
        shape = TURNED if last else (TURNED[2], *TURNED[:2])
        options = {"data_format": "channels_last" if last else "channels_first"}
        inputs = hidden = keras.Input(shape)
        hidden = zoo.convolution(**options)(hidden)
        hidden = layers.BatchNormalization(axis=-1 if last else 1, name="normalised")(hidden)
        hidden = layers.Add(name="sum")([hidden, layers.ReLU()(hidden)])
        hidden = layers.MaxPooling2D(name="pooled", **options)(hidden)
        hidden = keras.ops.relu(hidden) + 0.5
        hidden = layers.GlobalAveragePooling2D(**options)(hidden)
        twins.append(zoo.randomised(keras.Model(inputs, zoo.scored(hidden))))
    return twins


@pytest.mark.parametrize("method", ["saliency", "hires_cam", "occlusion"])
def test_channels_first_is_explained_as_channels_last(method):
    last, first = turned_twins()
    images = zoo.images(2, TURNED)
    options = {"targets": [1, 4], "layer": "normalised"} if method == "hires_cam" else {}
    expected = cladec.explain(last, images, method=method, **options)
    assert np.ptp(expected) > 0
    for given in (images, np.moveaxis(images, -1, 1)):
        found = cladec.explain(first, given, method=method, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_layers_with_channels_first_are_read_with_channels_last():
    last, first = turned_twins()
    images = zoo.images(2, TURNED)
    for layer in ("conv", "normalised", "sum", "pooled"):
        np.testing.assert_allclose(
            compute_codes(first, layer, images), compute_codes(last, layer, images), atol=1e-2
        )
    assert [each.shape for each in decodable_layers(first)][:4] == [
        each.shape for each in decodable_layers(last)
    ][:4]


def test_channels_first_behind_a_permute():
    zoo.need_channels_first()
    inputs = keras.Input(TURNED)
    hidden = layers.Permute((3, 1, 2))(inputs)
    hidden = zoo.convolution(data_format="channels_first")(hidden)
    model = zoo.randomised(keras.Model(inputs, zoo.scored(hidden)))
    assert cutting.layer_shapes(model)["conv"] == (16, 12, 3)
    maps = cladec.explain(model, zoo.images(2, TURNED), method="grad_cam")
    assert maps.shape == (2, 16, 12)


def test_integer_inputs_have_gradients():
    models = []
    for dtype in ("uint8", "float32"):
        inputs = keras.Input(zoo.IMAGE_SHAPE, dtype=dtype)
        hidden = keras.ops.cast(inputs, "float32") if dtype == "uint8" else inputs
        models.append(zoo.randomised(keras.Model(inputs, zoo.scored(zoo.convolution()(hidden)))))
    maps = cladec.explain(models[0], zoo.images(), method="saliency", targets=1)
    assert maps.max() > 0
    of_bytes = cladec.with_pixels(models[1], "0-255")
    expected = cladec.explain(of_bytes, zoo.images(), method="saliency", targets=1)
    np.testing.assert_allclose(maps, expected, rtol=1e-5)


def test_each_call_of_a_layer_has_a_name_of_its_own():
    model, images = zoo.build("shared_layer"), zoo.images(2)
    shared = model.get_layer("shared")
    once = shared(images)
    np.testing.assert_allclose(compute_codes(model, "shared@1", images), once, atol=1e-2)
    np.testing.assert_allclose(compute_codes(model, "shared@2", images), shared(once), atol=1e-2)
    with pytest.raises(InputError, match="ambiguous: write one of shared@1, shared@2"):
        cutting.cut(model, "shared")
    maps = [
        cladec.explain(model, images, method="grad_cam", layer=f"shared@{call}") for call in (1, 2)
    ]
    assert not np.allclose(*maps)


def test_each_call_of_a_backbone_has_a_name_of_its_own():
    listed = [each.path for each in decodable_layers(zoo.build("nested_called_twice"))]
    assert [path for path in listed if "inner" in path and path.endswith("conv")] == [
        "inner@1/conv",
        "inner@2/conv",
    ]
    with pytest.raises(InputError, match="inner@1/conv, inner@2/conv"):
        cutting.cut(zoo.build("nested_called_twice"), "inner/conv")


@pytest.mark.parametrize("name", ["nested_called_twice", "shared_layer", "nested_twice"])
def test_a_flat_copy_has_the_same_layer_under_another_path(name):
    model, path, images = zoo.build(name), zoo.CASES[name].layer, zoo.images(2)
    flat = cutting.flatten(model)
    copy = keras.Model(flat.inputs, flat.outputs)
    np.testing.assert_array_equal(
        compute_codes(copy, cutting.path_in_copy(model, path), images),
        compute_codes(model, path, images),
    )


class Shift(layers.Layer):
    """Somebody's own augmentation."""

    def call(self, inputs, training=False):
        return 1.0 - inputs if training else inputs


NOISE = {
    "flip": lambda: [layers.RandomFlip("horizontal_and_vertical")],
    "pipeline": lambda: [keras.Sequential([layers.RandomRotation(0.5), layers.RandomZoom(0.5)])],
    "own_class": lambda: [Shift()],
    "dropout_of_pixels": lambda: [layers.Dropout(0.5)],
    "behind_a_layer": lambda: [layers.Conv2D(2, 1), layers.GaussianNoise(0.9)],
    "augmented_behind_a_layer": lambda: [layers.Conv2D(2, 1), layers.RandomTranslation(0.5, 0.5)],
}


@pytest.mark.parametrize("name", NOISE)
def test_augmentation_and_noise_are_off_while_an_autoencoder_is_trained(name):
    with seeded(0):
        model = keras.Sequential(
            [keras.Input(zoo.IMAGE_SHAPE), *NOISE[name](), layers.Flatten(name="flat")]
        )
        model.add(layers.Dense(zoo.CLASSES, activation="softmax"))
    images = zoo.images(4)
    encoder = cutting.fresh_encoder(model, "flat")
    np.testing.assert_array_equal(encoder(images, training=True), encoder(images, training=False))
    network = cutting.cut(model, "flat")
    expected = keras.ops.convert_to_numpy(network(images, training=False)["codes"])
    np.testing.assert_array_equal(network(images)["codes"], expected)


def test_dropout_behind_a_layer_that_learns_stays():
    model = zoo.build("sequential")
    encoder = cutting.fresh_encoder(model, model.layers[4].name)
    images = zoo.images(4)
    assert not np.allclose(encoder(images, training=True), encoder(images, training=False))


def test_refae_of_an_augmented_classifier_is_as_good_as_without(tmp_path):
    """At 8x8 without pooling a RefAE can nearly copy; flipped inputs would keep it from that."""
    labels = np.arange(64) % 2
    data = Dataset(
        "noise", Split(zoo.images(64), labels), Split(zoo.images(8), labels[:8]), ("0", "1")
    )
    errors = []
    for first in ([], [layers.RandomFlip("horizontal_and_vertical")]):
        with seeded(0):
            model = keras.Sequential([keras.Input(zoo.IMAGE_SHAPE), *first])
            model.add(zoo.convolution())
            model.add(layers.Flatten())
            model.add(layers.Dense(2, activation="softmax"))
        refae = fit_refae(model, "conv", data, recipe=Recipe(30, 16, 2e-2, 0, 0))
        refae.save(tmp_path / "refae.keras")
        loaded = keras.saving.load_model(tmp_path / "refae.keras")
        assert isinstance(loaded, RefAE)
        decoded = keras.ops.convert_to_numpy(loaded(zoo.images(64), training=True))
        errors.append(np.square(decoded - zoo.images(64)).sum(axis=(1, 2, 3)).mean())
    assert errors[1] < 2 * errors[0] < 2.0
    cladec_model = fit_cladec(model, "conv", data, alpha=0.5, recipe=Recipe(1, 16, 1e-2, 0, 0))
    assert np.isfinite(cladec_model.history.history["loss"]).all()


def transformer():
    images = keras.Input((8, 8, 3))
    hidden = layers.Conv2D(6, 2, 2, name="patches")(images)
    tokens = layers.Dense(6, name="mixed")(layers.Reshape((16, 6))(hidden))
    tokens = layers.Add()([tokens, layers.MultiHeadAttention(2, 3)(tokens, tokens)])
    tokens = layers.LayerNormalization(name="last")(tokens)
    scores = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(tokens))
    return keras.Model(images, scores)


def test_the_last_tokens_of_a_transformer_are_taken_or_what_is_named():
    with seeded(1):
        model = transformer()
    images = zoo.images(2, (8, 8, 3))
    last, patches, default = (
        cladec.explain(model, images, method="hires_cam", targets=1, layer=layer)
        for layer in ("last", "patches", None)
    )
    np.testing.assert_array_equal(default, last)
    assert default.shape == patches.shape == (2, 8, 8)
    assert not np.allclose(default, patches)


def test_a_stride_of_a_small_convolution_does_not_end_python():
    """TensorFlow 2.21 dies of the gradient of these weights, which nobody asks for."""
    inputs = keras.Input((60, 60, 8))
    hidden = layers.Conv2D(16, 1, strides=2, name="conv")(inputs)
    hidden = layers.GlobalAveragePooling2D()(layers.ReLU()(hidden))
    model = zoo.randomised(keras.Model(inputs, layers.Dense(3)(hidden)))
    images = zoo.images(1, (60, 60, 8))
    for method in ("saliency", "grad_cam", "guided_backpropagation", "shap_gradient"):
        maps = cladec.explain(model, images, method=method)
        assert np.isfinite(maps).all()
