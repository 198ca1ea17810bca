"""The checkerboard of decoders: in stripes drawn by hand, and in our decoders of colours."""

import keras
import numpy as np
import pytest

from cladec.errors import InputError
from cladec.metrics.checkerboard import checkerboard
from cladec.models import photographs
from cladec.models.decoder import build_decoder
from cladec.models.training import seeded

RANDOM = np.random.default_rng(0)


def smooth(side: int, count: int = 8) -> np.ndarray:
    """Images of a few slow waves and a little noise."""
    places = np.linspace(0, 2 * np.pi, side, endpoint=False)
    rows, columns = np.sin(places + RANDOM.random((2, count, 1)) * 6)
    waves = rows[:, :, None] + columns[:, None, :]
    images = 0.5 + 0.2 * waves[..., None] + RANDOM.normal(0, 0.01, (count, side, side, 3))
    return images.astype(np.float32)


@pytest.mark.parametrize("period", [2, 4])
def test_a_grid_is_seen_at_its_own_period_only(period):
    images = smooth(48)
    grid = 0.05 * np.cos(2 * np.pi * np.arange(48) / period)
    drawn = images + grid[None, :, None, None] + grid[None, None, :, None]
    assert checkerboard(images, images) == pytest.approx(1.0)
    assert checkerboard(drawn, images, period=period) > 50
    assert checkerboard(drawn, images, period=6 - period) < 1.1


def test_transposed_convolutions_draw_it_and_the_decoder_of_photographs_does_not():
    codes = RANDOM.normal(0, 3, (8, 8, 8, 16)).astype(np.float32)
    found = {}
    for side, channels in ((32, 1), (64, 3)):  # the first has transposed convolutions alone
        with seeded(0):
            decoder = build_decoder((8, 8, 16), (side, side, channels))
        decoded = decoder.predict_on_batch(codes)
        found[side] = checkerboard(decoded, smooth(side)[..., :channels])
    assert found[32] > 1_000
    assert found[64] < 10  # that of the borders of cells, as at other high frequencies


def striped(decoder: keras.Model) -> float:
    """The checkerboard of a decoder whose last layer has learned as different pixels as can be."""
    image = decoder.get_layer("image")
    image.set_weights([RANDOM.normal(0, 0.1, each.shape) for each in image.get_weights()])
    codes = RANDOM.normal(0, 3, (8, *decoder.input_shape[1:])).astype(np.float32)
    decoded = decoder.predict_on_batch(codes)
    return checkerboard(decoded, smooth(decoded.shape[1])[..., : decoded.shape[-1]])


@pytest.mark.parametrize("side", [28, 64])
def test_whatever_it_learned_a_decoder_of_colours_draws_no_checkerboard(side, monkeypatch):
    """So that ClaDec at 0.99 does not, where the classification counts most."""
    shapes = (8, 8, 16), (side, side, 3)
    even = striped(build_decoder(*shapes))
    monkeypatch.setattr(photographs, "evened", lambda hidden, name: hidden)
    assert striped(build_decoder(*shapes)) > 30 * even


@pytest.mark.parametrize(
    ("decoded", "images", "period", "words"),
    [
        (np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 9, 1)), 2, "of one shape"),
        (np.zeros((2, 4, 8, 1)), np.zeros((2, 4, 8, 1)), 2, "at least 8"),
        (np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 8, 1)), 5, "at most half"),
        (np.zeros((2, 8, 8, 1)), np.zeros((2, 8, 8, 1)), 1, "period"),
    ],
)
def test_what_cannot_be_measured_is_refused(decoded, images, period, words):
    with pytest.raises(InputError, match=words):
        checkerboard(decoded, images, period=period)
