"""Occlusion and RISE against naive versions, closed forms and exhaustive masks."""

from itertools import product

import naive
import numpy as np
import pytest

from cladec.errors import InputError
from cladec.explainers import perturbation
from cladec.explainers.perturbation import occlusion, occlusion_classes, random_masks, rise
from cladec.explainers.scores import LogitsModel
from cladec.models.predictions import softmax

SHAPE = (6, 5, 2)
IMAGES = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
TARGETS = np.array([2, 0, 1])


@pytest.fixture(scope="module")
def linear():
    return naive.linear(SHAPE)


def probabilities(model, image):
    """Of one image for a `naive.linear` model, (K,)."""
    kernel, bias = model.get_weights()
    return softmax(image.ravel() @ kernel + bias)


def places(size, patch, stride):
    """Where a patch is put on an axis, by walking along it."""
    found = [0]
    while found[-1] + patch < size:
        found.append(min(found[-1] + stride, size - patch))
    return found


@pytest.mark.parametrize(
    ("patch", "stride", "fill"),
    [
        ((2, 3), (1, 2), 0.25),
        (3, 2, (0.1, 0.9)),
        ((4, 5), (4, 5), 0.0),
        ((6, 5), 1, 1.0),
        (1, 1, 0.5),
    ],
)
def test_occlusion_is_the_mean_fall_of_the_probability(linear, patch, stride, fill):
    (height, width), (down, right) = np.broadcast_to(patch, 2), np.broadcast_to(stride, 2)
    found = occlusion(linear, IMAGES, TARGETS, patch=patch, stride=stride, fill=fill, batch_size=4)
    for image, target, map_ in zip(IMAGES, TARGETS, found, strict=True):
        falls = {pixel: [] for pixel in np.ndindex(6, 5)}
        for top, left in product(places(6, height, down), places(5, width, right)):
            hidden = image.copy()
            hidden[top : top + height, left : left + width] = fill
            fall = probabilities(linear, image)[target] - probabilities(linear, hidden)[target]
            for pixel in product(range(top, top + height), range(left, left + width)):
                falls[pixel].append(fall)
        expected = [np.mean(values) for values in falls.values()]
        np.testing.assert_allclose(map_.ravel(), expected, atol=1e-6)


def test_the_usual_patch_is_an_eighth_of_the_shorter_side_and_moves_by_half(linear):
    wide = naive.linear((17, 40, 1))
    images = np.random.default_rng(1).random((1, 17, 40, 1), dtype=np.float32)
    expected = occlusion(wide, images, patch=2, stride=1, fill=0.5)
    np.testing.assert_array_equal(occlusion(wide, images), expected)
    assert occlusion(linear, IMAGES).shape == (3, 6, 5)


def test_occlusion_classes_are_those_under_the_nearest_patch():
    linear = naive.linear(SHAPE)
    kernel, _ = linear.get_weights()
    linear.set_weights([kernel, -IMAGES.reshape(3, -1).mean(axis=0) @ kernel])  # no class is far
    found = occlusion_classes(linear, IMAGES, patch=(2, 3), stride=(2, 1), fill=1.0)
    assert found.dtype == np.int64
    for image, classes in zip(IMAGES, found, strict=True):
        for row, column in np.ndindex(6, 5):
            top = min(places(6, 2, 2), key=lambda top: abs(top + 0.5 - row))
            left = min(places(5, 3, 1), key=lambda left: abs(left + 1 - column))
            hidden = image.copy()
            hidden[top : top + 2, left : left + 3] = 1.0
            assert classes[row, column] == probabilities(linear, hidden).argmax()
    assert len(np.unique(found)) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": (7, 2)}, "a patch of 7 x 2 pixels: expected one within the image, of 6 x 5"),
        ({"patch": 0}, "patch is 0: expected 1 or more"),
        ({"patch": 2, "stride": 3}, "a stride of 3 x 3 leaves pixels out: expected at most"),
        ({"stride": 0}, "stride is 0"),
        ({"fill": 2.0}, "fill has values outside"),
        ({"fill": (0.1, 0.2, 0.3)}, r"fill of shape \(3,\): expected a number, a colour \(2,\)"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
@pytest.mark.parametrize("explainer", [occlusion, occlusion_classes])
def test_occlusion_options_out_of_range_are_named(linear, explainer, options, message):
    with pytest.raises(InputError, match=message):
        explainer(linear, IMAGES, **options)


def test_masks_are_enlarged_and_shifted_grids():
    count, grid, size = 5, 3, (7, 10)
    found = random_masks(np.random.default_rng(4), count, size, grid, 0.4)
    draws = np.random.default_rng(4).random((count, grid * grid + 2), dtype=np.float32)
    for mask, (down, right, *cells) in zip(found, draws, strict=True):
        height, width = 3, 4  # 7 / 3 and 10 / 3, rounded up
        shown = (np.array(cells) < 0.4).astype(float).reshape(grid, grid)
        large = naive.enlarged(shown, 4 * height, 4 * width)
        top, left = int(down * height), int(right * width)
        expected = large[top : top + size[0], left : left + size[1]]
        np.testing.assert_allclose(mask, expected, atol=1e-5)


def test_every_pixel_is_shown_as_often_as_asked():
    masks = random_masks(np.random.default_rng(0), 4000, (9, 6), 4, 0.3)
    assert masks.min() >= 0
    assert masks.max() <= 1
    np.testing.assert_allclose(masks.mean(axis=0), 0.3, atol=0.04)


def test_rise_is_the_mean_of_masks_weighted_by_the_probability(linear):
    found = rise(linear, IMAGES, TARGETS, masks=23, grid=3, probability=0.4, seed=6, batch_size=8)
    masks = random_masks(np.random.default_rng(6), 23, SHAPE[:2], 3, 0.4)
    for image, target, map_ in zip(IMAGES, TARGETS, found, strict=True):
        expected = sum(
            probabilities(linear, image * mask[..., None])[target] * mask for mask in masks
        ) / (23 * 0.4)
        np.testing.assert_allclose(map_, expected, rtol=1e-5)


def test_rise_with_all_masks_is_the_mean_over_those_that_show_a_pixel(monkeypatch):
    model = naive.linear((2, 2, 1))
    image = np.array([[0.9, 0.2], [0.4, 0.7]], np.float32)[None, ..., None]
    every = np.array(list(product([0, 1], repeat=4)), np.float32).reshape(16, 2, 2)
    monkeypatch.setattr(perturbation, "random_masks", lambda *arguments: every)
    found = rise(model, image, 1, masks=16)[0]
    answers = np.array([probabilities(model, image[0] * mask[..., None])[1] for mask in every])
    for pixel in np.ndindex(2, 2):
        showing = every[(slice(None), *pixel)] == 1
        assert showing.sum() == 8
        assert found[pixel] == pytest.approx(answers[showing].mean(), rel=1e-5)


def test_rise_holds_no_more_masks_than_a_batch_and_gives_the_same(linear, monkeypatch):
    calls = []
    answer = LogitsModel.probabilities
    expected = rise(linear, IMAGES, TARGETS, masks=25, batch_size=25)

    def counted(self, images, batch_size):
        calls.append(len(images))
        return answer(self, images, batch_size)

    monkeypatch.setattr(LogitsModel, "probabilities", counted)
    found = rise(linear, IMAGES, TARGETS, masks=25, batch_size=10)
    assert calls == [10] * 6 + [5] * 3
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": 0}, "masks is 0"),
        ({"grid": 0}, "grid is 0"),
        ({"probability": 1.0}, "probability is 1.0: expected a value between 0 and 1"),
    ],
)
def test_rise_options_out_of_range_are_named(linear, options, message):
    with pytest.raises(InputError, match=message):
        rise(linear, IMAGES, **options)


def test_progress_is_reported_to_the_end(linear):
    for run in (rise, occlusion, occlusion_classes):
        shares = []
        options = {"masks": 130, "batch_size": 50} if run is rise else {"batch_size": 16}
        run(linear, IMAGES, report=lambda share, _: shares.append(share), **options)  # noqa: B023
        assert len(shares) > 2
        assert shares == sorted(set(shares))
        assert shares[-1] == 1.0
