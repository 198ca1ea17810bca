"""Maps over their images: the colours, as they are seen by everybody, and their scale."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from skimage.color import deltaE_cie76, rgb2lab

from cladec import plots
from cladec.plots.colours import SIGNED, UNSIGNED
from cladec.plots.heat_maps import draw_colour_bar, drawn_values

COLOUR_BLIND = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado, Oliveira & Fernandes, 2009, table 1, severity 1: a matrix for linear RGB."""


def seen(colours: np.ndarray, kind: str) -> np.ndarray:
    """Colours (..., 3) as somebody with this kind of colour blindness sees them."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(COLOUR_BLIND[kind]).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("colours", [UNSIGNED, SIGNED])
def test_equal_steps_of_a_value_look_equal(colours):
    lab = rgb2lab(np.array(colours.colors))
    half = len(lab) // 2 if colours is SIGNED else 0
    for part in (lab[half:], lab[half::-1] if half else lab):
        steps = deltaE_cie76(part[:-1], part[1:])
        np.testing.assert_allclose(steps, steps.mean(), rtol=0.05)
        assert (np.diff(part[:, 0]) < 0).all()  # darker and darker, also in print


@pytest.mark.parametrize("kind", COLOUR_BLIND)
def test_the_colour_blind_tell_for_from_against_and_strong_from_weak(kind):
    lab = rgb2lab(seen(np.array(SIGNED.colors), kind))
    middle = len(lab) // 2
    assert deltaE_cie76(lab[0], lab[-1]) > 40
    for share in (0.25, 0.5, 1.0):
        place = int(share * middle)
        assert deltaE_cie76(lab[middle - place], lab[middle + place]) > 40 * share
    distances = deltaE_cie76(lab[middle:], lab[middle])
    assert (np.diff(distances) > -0.1).all()  # what nobody can see is cut off by the simulation
    assert distances[-1] > 30


def test_no_colour_hides_the_image():
    image = np.linspace(0, 1, 5).reshape(1, 5, 1)
    for value in (-1.0, 0.0, 1.0):
        colours = plots.heat_map(image, np.full((1, 5), value), plots.Scale(1.0, signed=True))[0]
        lightness = rgb2lab(colours)[:, 0]
        assert (np.diff(lightness) > 2).all()
        assert lightness[-1] - lightness[0] > 15


def test_signed_maps_are_orange_for_and_blue_against_and_zero_is_the_grey_image():
    image = np.full((2, 2, 1), 0.5)
    colours = plots.heat_map(image, np.array([[1.0, -1.0], [0.0, 0.5]]))
    (first, against), (neutral, weaker) = colours
    assert first[0] > 2 * first[2]
    assert against[2] > 1.5 * against[0]
    np.testing.assert_allclose(neutral, plots.heat_map(image, None)[1, 0], atol=1e-3)
    assert np.ptp(neutral) < 1e-3
    assert weaker[0] > weaker[2]
    assert weaker[1] > first[1]
    assert 0 <= colours.min() <= colours.max() <= 1


def test_unsigned_maps_begin_at_zero_and_not_at_their_lowest_value():
    image = np.full((1, 3, 1), 0.5)
    grey = plots.heat_map(image, None)[0]
    near = plots.heat_map(image, np.array([[0.90, 0.95, 1.0]]))[0]
    assert (np.abs(near - grey).max(axis=1) > 0.2).all()
    assert np.abs(near[0] - near[2]).max() < 0.15
    zero = plots.heat_map(image, np.array([[0.0, 0.5, 1.0]]))[0]
    np.testing.assert_allclose(zero[0], grey[0], atol=1e-3)


def test_a_scale_is_that_of_all_maps_of_a_method():
    maps = np.stack([np.full((10, 10), 0.1), np.full((10, 10), 2.0)])
    scale = plots.Scale.of(maps)
    assert scale == plots.Scale(2.0, signed=False)
    assert plots.Scale.of(-maps) == plots.Scale(2.0, signed=True)
    assert plots.Scale.of(maps, signed=True).ends == [-2.0, 0.0, 2.0]
    assert scale.ends == [0.0, 2.0]
    assert plots.Scale.around_zero(-maps) == plots.Scale(2.0, signed=True)
    assert plots.Scale.around_zero(0 * maps) == plots.Scale(1.0, signed=True)
    image = np.full((10, 10, 1), 0.5)
    weak = plots.heat_map(image, maps[0], scale)
    strong = plots.heat_map(image, maps[0])
    assert np.ptp(weak, axis=-1).max() < 0.2 * np.ptp(strong, axis=-1).max()


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e-30, 1e30])
def test_constant_maps_can_be_drawn(value):
    colours = plots.heat_map(np.full((3, 3, 3), 0.5), np.full((3, 3), value))
    assert np.isfinite(colours).all()


def test_one_extreme_pixel_does_not_hide_the_others():
    attribution = np.zeros((28, 28))
    attribution[3:8, 3:8], attribution[20, 20] = 1, 1000
    colours = plots.heat_map(np.zeros((28, 28, 1)), attribution)
    np.testing.assert_allclose(colours[5, 5], colours[20, 20])


def test_the_colour_bar_names_its_ends():
    axis = Figure().subplots()
    draw_colour_bar(axis, plots.Scale(1.5e-8, signed=True))
    labels = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in axis.get_yticklabels()]
    assert labels == ["-1.5e-08", "0", "1.5e-08"]


def test_maps_around_a_mean_are_drawn_from_it_and_others_from_zero():
    maps = np.array([[[0.4, 0.5], [0.5, 0.6]], [[0.1, 0.1], [0.1, 0.5]]], "float32")
    naive = np.array([image - image.sum() / image.size for image in maps])
    np.testing.assert_allclose(drawn_values(maps, "rise"), naive, atol=1e-7)
    for method in ("lime", "one of somebody else"):
        assert drawn_values(maps, method) is maps
