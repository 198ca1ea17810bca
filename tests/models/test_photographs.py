"""The decoder of photographs: standardised codes, a linear thumbnail, and no checkerboard."""

import keras
import numpy as np
import pytest

from cladec.models import photographs
from cladec.models.conditional import build_conditional_decoder
from cladec.models.decoder import build_decoder


def kinds(decoder: keras.Model) -> set[str]:
    return {type(layer).__name__ for layer in decoder.layers}


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (31, 17, 3)])
def test_small_images_keep_their_decoder(shape):
    others = {"Resizing", "Cropping2D"}
    expected = {"InputLayer", "Conv2D", "Conv2DTranspose", "Activation"}
    expected |= {"AveragePooling2D"} if shape[2] > 1 else set()
    assert kinds(build_decoder((7, 7, 8), shape)) - others == expected


@pytest.mark.parametrize("code_shape", [(6, 6, 16), (5, 7, 3), (12,), (37, 16), (48, 40, 2)])
@pytest.mark.parametrize("image_shape", [(48, 40, 3), (33, 50, 1)])
def test_photographs_of_any_size_are_decoded(code_shape, image_shape):
    decoder = build_decoder(code_shape, image_shape, mean_pixel=0.3)
    assert decoder.output_shape == (None, *image_shape)
    assert "Conv2DTranspose" not in kinds(decoder)
    decoded = decoder.predict_on_batch(np.zeros((1, *code_shape), np.float32))
    np.testing.assert_allclose(decoded, 0.3, rtol=1e-5)


@pytest.mark.parametrize("shape", [(50, 4), (50, 3, 2, 4)])
def test_codes_are_standardised_by_channel(shape):
    codes = np.random.default_rng(0).normal(3.0, 7.0, shape).astype(np.float16)
    codes[..., 1] *= 5
    codes[..., 2] = 9.0  # never changes
    layer = photographs.Standardised()
    layer(codes)
    assert not layer.trainable_weights
    layer.adapt(codes)
    made = keras.ops.convert_to_numpy(layer(codes.astype(np.float32))).reshape(-1, 4)
    np.testing.assert_allclose(made.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(made.std(0), [1.0, 1.0, 0.0, 1.0], atol=1e-4)


@pytest.mark.parametrize("build", [build_decoder, build_conditional_decoder])
def test_what_is_standardised_is_saved(build, tmp_path):
    decoder = build((6, 6, 4), (40, 40, 3))
    codes = np.random.default_rng(0).normal(5.0, 3.0, (8, 6, 6, 4)).astype(np.float32)
    inputs = codes if build is build_decoder else {"codes": codes, "alpha": np.full(8, 0.5)}
    before = decoder.predict_on_batch(inputs)
    photographs.standardise(decoder, codes)
    decoded = decoder.predict_on_batch(inputs)
    assert not np.allclose(decoded, before, atol=0.01)
    decoder.save(tmp_path / "decoder.keras")
    loaded = keras.saving.load_model(tmp_path / "decoder.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(inputs), decoded, atol=1e-6)


def test_the_thumbnail_is_linear_in_the_codes():
    codes = keras.Input((6, 6, 4))
    model = keras.Model(codes, photographs.thumbnail(codes, 3, 48, 48))
    first, second = np.random.default_rng(0).normal(size=(2, 1, 6, 6, 4)).astype(np.float32)
    both = model.predict_on_batch(first + 2.0 * second)
    apart = model.predict_on_batch(first) + 2.0 * model.predict_on_batch(second)
    np.testing.assert_allclose(both, apart, atol=1e-5)


def test_pixels_are_shuffled_as_one_by_one():
    cells = np.random.default_rng(0).random((2, 3, 5, 12)).astype(np.float32)
    expected = np.zeros((2, 6, 10, 3), np.float32)
    for row in range(6):
        for column in range(10):
            first = 3 * (2 * (row % 2) + column % 2)
            expected[:, row, column] = cells[:, row // 2, column // 2, first : first + 3]
    layer = photographs.PixelShuffle()
    np.testing.assert_array_equal(layer(cells), expected)
    assert layer.compute_output_shape((None, 3, 5, 12)) == (None, 6, 10, 3)


def test_the_four_pixels_of_a_cell_are_alike_before_training():
    """So that no checkerboard is there before the training, and none has to be unlearned."""
    decoder = build_decoder((6, 6, 4), (48, 48, 3))
    drawn = keras.Model(decoder.input, decoder.get_layer("shuffled").output)
    codes = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    image = drawn.predict(codes, verbose=0)
    assert np.ptp(image) > 0.01
    np.testing.assert_allclose(image[:, ::2, ::2], image[:, 1::2, 1::2], atol=1e-6)
