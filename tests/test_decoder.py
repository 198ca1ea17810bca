"""Decoders: any code shape to any image shape, in range, in single precision, able to learn."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest

from cladec.decoder import DARKEST, MAXIMUM_WIDTH, WIDTH, build_decoder
from cladec.errors import InputError
from cladec.training import seeded

CODES = [
    (10,),
    (128,),
    (1, 1, 32),
    (49, 16),
    (2, 2, 8),
    (5, 5, 16),
    (7, 7, 64),
    (13, 13, 8),
    (26, 26, 4),
    (3, 9, 2),
    (40, 36, 2),
]
IMAGES = [(8, 8, 1), (9, 9, 3), (28, 28, 1), (31, 17, 3), (32, 32, 3), (224, 224, 3)]
GRID = [(code, image) for image in IMAGES for code in CODES] + [((7, 7, 64), (299, 299, 3))]


@contextmanager
def policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def check_answers(decoder, code_shape, image_shape):
    codes = np.random.default_rng(0).normal(0, 5, (2, *code_shape)).astype(np.float32)
    decoded = decoder.predict_on_batch(codes)
    assert decoded.shape == (2, *image_shape)
    assert decoded.dtype == np.float32
    assert 0.0 <= decoded.min() <= decoded.max() <= 1.0
    assert not np.array_equal(decoded[0], decoded[1])


@pytest.mark.parametrize(("code_shape", "image_shape"), GRID)
def test_shape_of_what_is_decoded(code_shape, image_shape):
    decoder = build_decoder(code_shape, image_shape)
    assert decoder.input_shape == (None, *code_shape)
    assert decoder.output_shape == (None, *image_shape)
    widths = [layer.output.shape[-1] for layer in decoder.layers if layer.name.startswith("up_")]
    assert widths == sorted(widths, reverse=True)
    assert all(WIDTH <= width <= MAXIMUM_WIDTH for width in widths)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("code_shape", [(10,), (49, 16), (5, 5, 16), (26, 26, 4)])
def test_pixels_are_in_range_and_single_precision(precision, code_shape):
    with policy(precision):
        decoder = build_decoder(code_shape, (31, 17, 3))
    check_answers(decoder, code_shape, (31, 17, 3))


def test_large_images():
    check_answers(build_decoder((7, 7, 8), (299, 299, 3)), (7, 7, 8), (299, 299, 3))


@pytest.mark.parametrize("image_shape", [(2, 2, 1), (3, 2, 1), (1, 1, 1)])
def test_images_of_a_few_pixels(image_shape):
    check_answers(build_decoder((10,), image_shape), (10,), image_shape)


@pytest.mark.parametrize(
    ("code_shape", "image_shape", "words"),
    [
        ((), (8, 8, 1), "codes of shape ()"),
        ((None,), (8, 8, 1), "codes of shape (None,)"),
        ((0,), (8, 8, 1), "codes of shape (0,)"),
        ((4, -1, 2), (8, 8, 1), "codes of shape (4, -1, 2)"),
        ((None, None, 8), (8, 8, 1), "(height, width, channels)"),
        ((2, 2, 2, 2), (8, 8, 1), "codes of shape (2, 2, 2, 2)"),
        ((10,), (8, 8), "images of shape (8, 8)"),
        ((10,), (None, 8, 1), "images of shape (None, 8, 1)"),
        ((10,), (8, 0, 1), "images of shape (8, 0, 1)"),
    ],
)
def test_a_shape_that_cannot_be_is_told_in_one_line(code_shape, image_shape, words):
    with pytest.raises(InputError) as caught:
        build_decoder(code_shape, image_shape)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code_shape", [(16,), (4, 4, 4), (8, 8, 4)])
@pytest.mark.parametrize(
    ("mean_pixel", "expected"), [(0.13, 0.13), (0.5, 0.5), (0.0, DARKEST), (1.0, 1.0 - DARKEST)]
)
def test_codes_of_zeros_are_the_mean_pixel_at_first(code_shape, mean_pixel, expected):
    decoder = build_decoder(code_shape, (8, 9, 3), mean_pixel=mean_pixel)
    decoded = decoder.predict_on_batch(np.zeros((2, *code_shape), np.float32))
    np.testing.assert_allclose(decoded, expected, rtol=1e-5)


@pytest.mark.parametrize("code_shape", [(16,), (4, 4, 4), (8, 8, 4)])
def test_a_decoder_can_learn(code_shape):
    generator = np.random.default_rng(0)
    codes = generator.normal(0, 1, (8, *code_shape)).astype(np.float32)
    corners = generator.uniform(0.1, 0.9, (8, 2, 2, 1))
    images = np.array(keras.ops.image.resize(corners, (8, 8), interpolation="bilinear"))
    with seeded(0):
        decoder = build_decoder(code_shape, (8, 8, 1))
    decoder.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
    errors = [float(decoder.train_on_batch(codes, images)) for _ in range(150)]
    assert errors[-1] < 0.1 * np.var(images)
    assert errors[-1] < 0.2 * errors[0]
