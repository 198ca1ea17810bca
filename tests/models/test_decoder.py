"""Decoders: any code shape to any image shape, in range, in single precision, able to learn."""

import re
from contextlib import contextmanager

import keras
import numpy as np
import pytest
from keras import layers

from cladec.errors import InputError
from cladec.models import memory
from cladec.models.cladec import fit_cladec
from cladec.models.conditional import build_conditional_decoder
from cladec.models.decoder import DARKEST, MAXIMUM_WIDTH, WIDTH, build_decoder
from cladec.models.recipes import Recipe
from cladec.models.training import seeded

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


# Tokens


TOKENS = {
    # positions of an image (H, W): the grid, after how many first tokens
    (16, (8, 8)): ((4, 4), 0),
    (17, (8, 8)): ((4, 4), 1),  # a class token
    (197, (224, 224)): ((14, 14), 1),
    (198, (224, 224)): ((14, 14), 2),  # DeiT: class and distillation
    (201, (224, 224)): ((14, 14), 5),  # DINOv2: class and four registers
    (98, (224, 112)): ((14, 7), 0),
    (99, (224, 112)): ((14, 7), 1),
    (140, (230, 160)): ((14, 10), 0),  # patches of 16, what is left over cut off
}


@pytest.mark.parametrize(("positions", "size"), TOKENS)
def test_tokens_are_laid_out_as_a_grid(positions, size):
    (rows, columns), first = TOKENS[positions, size]
    decoder = build_decoder((positions, 8), (*size, 3))
    grid = decoder.get_layer("token_grid")
    assert grid.output.shape[1:3] == (rows, columns)
    codes = np.random.default_rng(0).normal(size=(1, positions, 8)).astype(np.float32)
    laid_out = keras.Model(decoder.inputs[0], grid.output).predict_on_batch(codes)
    np.testing.assert_array_equal(laid_out[0, ..., :8], codes[0, first:].reshape(rows, columns, 8))
    if first:  # what the first say stands beside every cell
        np.testing.assert_array_equal(laid_out[0, 1:, ..., 8:], laid_out[0, :-1, ..., 8:])


def test_the_decoder_of_a_vision_transformer_stays_small():
    decoder = build_decoder((197, 768), (224, 224, 3))
    assert decoder.count_params() < 4_500_000


@pytest.mark.parametrize("code_shape", [(100, 768), (31, 409), (9000, 3), (20_000,), (90, 90, 1)])
def test_no_dense_layer_of_a_decoder_is_huge(code_shape, monkeypatch):
    monkeypatch.setattr("cladec.models.decoder.LARGEST_DENSE", 2**20)
    decoder = build_decoder(code_shape, (32, 32, 3))
    assert decoder.count_params() < 1.2 * 2**20
    assert decoder.output_shape == (None, 32, 32, 3)


@pytest.mark.parametrize("build", [build_decoder, build_conditional_decoder])
@pytest.mark.parametrize("code_shape", [(16, 32), (17, 32), (13, 3)])
def test_a_decoder_of_tokens_is_saved_and_loaded(code_shape, build, tmp_path):
    decoder = build(code_shape, (8, 8, 1))
    decoder.save(tmp_path / "decoder.keras")
    loaded = keras.models.load_model(tmp_path / "decoder.keras", safe_mode=True)
    codes = np.random.default_rng(0).normal(size=(3, *code_shape)).astype(np.float32)
    inputs = codes if build is build_decoder else {"codes": codes, "alpha": np.full(3, 0.5, "f4")}
    np.testing.assert_array_equal(loaded(inputs), decoder(inputs))


@pytest.mark.parametrize("code_shape", [(16, 32), (17, 32), (197, 64)])
@pytest.mark.parametrize("told_by", ["all", "first"])
def test_a_decoder_of_tokens_learns_from_all_of_them(code_shape, told_by):
    """What only a class token tells is seen in the images, as well as what each cell tells."""
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(16, *code_shape)).astype(np.float32)
    if told_by == "first":
        codes[:, 1:] = 0.0
    images = np.repeat(generator.uniform(0.1, 0.9, (16, 1, 1, 1)), 64).reshape(16, 8, 8, 1)
    with seeded(0):
        decoder = build_decoder(code_shape, (8, 8, 1))
    decoder.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse")
    errors = [float(decoder.train_on_batch(codes, images)) for _ in range(50)]
    known = told_by == "all" or code_shape[0] % 2 == 1
    assert (errors[-1] < 0.1 * np.var(images)) == known


def test_the_tokens_of_a_transformer_are_decoded(tiny):
    images = keras.Input((8, 8, 1))
    patches = layers.Conv2D(8, 2, 2, name="patches")(images)
    tokens = layers.Reshape((16, 8), name="tokens")(patches)
    attended = layers.MultiHeadAttention(2, 4, name="attention")(tokens, tokens)
    pooled = layers.GlobalAveragePooling1D()(layers.Add(name="block")([tokens, attended]))
    classifier = keras.Model(images, layers.Dense(10, activation="softmax")(pooled))
    recipe = Recipe(epochs=20, batch_size=16, learning_rate=1e-2, least_images=0, least_steps=0)
    cladec = fit_cladec(classifier, "block", tiny, alpha=0, recipe=recipe)
    losses = cladec.history.history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    assert cladec.decoder.get_layer("token_grid").output.shape[1:] == (4, 4, 8)


# Memory


def test_a_decoder_that_does_not_fit_is_refused_before_it_is_built():
    resource = pytest.importorskip("resource")
    build_decoder((8,), (8, 8, 1))  # what Keras and TensorFlow take for themselves
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    used = memory._fields(memory.PROCESS)["VmData"] * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + 2**28, limits[1]))
    try:
        assert memory.free() <= 2**28
        with pytest.raises(InputError) as caught:
            build_decoder((200_000,), (32, 32, 3))
        build_decoder((128,), (32, 32, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
    message = str(caught.value)
    assert "codes (200000,) to images (32, 32, 3) has 67," in message
    assert re.search(r"training takes 1\.\d\d GiB, and 0\.2\d GiB are free", message)
    assert "another layer, or fewer of its units (--fractions" in message


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"images \(1000000, 1000000, 3\) .* GiB are free"):
        build_decoder((128,), (10**6, 10**6, 3))


def test_the_memory_of_a_container_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.stat").write_text("anon 1000\nfile 1900\n")
    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    assert memory.free() == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free() > 2**20
    for name in ("MACHINE", "PROCESS", "CONTAINER"):
        monkeypatch.setattr(memory, name, tmp_path / "none")
    assert memory.free() is None
