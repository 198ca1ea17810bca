"""What a layer lost: the maps against loops, the identity of the means, known correlations."""

import numpy as np
import pytest

from cladec.errors import InputError
from cladec.metrics import lost_information
from cladec.models import losses

SHAPE = (30, 5, 4, 3)


@pytest.fixture(scope="module")
def decoded():
    """Original images and two decodings of them, (N, H, W, C)."""
    random = np.random.default_rng(0)
    images = random.random(SHAPE, dtype=np.float32)
    noise = random.normal(size=(2, *SHAPE))
    return images, *(np.clip(images + noise * [[[[[0.3]]]], [[[[0.1]]]]], 0, 1).astype("float32"))


def test_maps_are_those_of_a_naive_loop(decoded):
    images, cladec, refae = decoded
    expected = np.zeros(SHAPE[:3])
    for i, y, x, c in np.ndindex(SHAPE):
        own = (float(images[i, y, x, c]) - float(cladec[i, y, x, c])) ** 2
        reference = (float(images[i, y, x, c]) - float(refae[i, y, x, c])) ** 2
        expected[i, y, x] += own - reference
    maps = lost_information.lost_maps(images, cladec, refae)
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(
        lost_information.lost_per_image(maps), expected.sum((1, 2)), atol=1e-5
    )


def test_the_mean_is_the_difference_of_the_reconstruction_losses(decoded):
    images, cladec, refae = decoded
    mean = lost_information.lost_per_image(lost_information.lost_maps(images, cladec, refae)).mean()
    difference = losses.reconstruction(images, cladec) - losses.reconstruction(images, refae)
    assert mean == pytest.approx(float(difference), rel=1e-5)


def test_sign():
    image, decoded = np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1))
    decoded[0, 0, 1, 0] = 0.5
    only_cladec_errs = lost_information.lost_maps(image, decoded, image)
    np.testing.assert_array_equal(only_cladec_errs, [[[0, 0.25], [0, 0]]])
    np.testing.assert_array_equal(
        lost_information.lost_maps(image, image, decoded), -only_cladec_errs
    )


@pytest.mark.parametrize("shape", [(3, 4, 4, 1), (2, 4, 4, 3), (4, 4, 1)])
def test_other_images_are_refused(shape):
    images = np.zeros((2, 4, 4, 1))
    for given in ((images, images, np.zeros(shape)), (np.zeros(shape), images, images)):
        with pytest.raises(InputError, match="expected the same images") as caught:
            lost_information.lost_maps(*given)
        assert str(shape) in str(caught.value)


def values(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was lost, labels of three classes, and answers that are wrong where more was lost."""
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=count)
    wrong = random.random(count) < 0.2
    return random.normal(size=count) + wrong + labels, labels, np.where(wrong, 2 - labels, labels)


def test_means_per_class_and_overall():
    amount, labels, predicted = values(400)
    table = lost_information.summarize(amount, labels, predicted, ("a", "b", "c", "absent")).classes
    assert list(table) == ["class", "images", "lost", "low", "high"]
    assert table["class"].tolist() == [lost_information.EVERY_CLASS, "a", "b", "c", "absent"]
    of_classes = [amount, *(amount[labels == number] for number in range(3))]
    assert table["images"].tolist() == [*map(len, of_classes), 0]
    for (_, row), expected in zip(table.iterrows(), of_classes, strict=False):
        assert row["lost"] == pytest.approx(expected.mean())
        # Half of a 95 % interval of a mean is 1.96 standard errors.
        half = 1.96 * expected.std() / np.sqrt(len(expected))
        assert row["high"] - row["lost"] == pytest.approx(half, rel=0.15)
        assert row["lost"] - row["low"] == pytest.approx(half, rel=0.15)
    assert table.iloc[-1][["lost", "low", "high"]].isna().all()


def test_where_most_was_lost():
    amount = np.array([0.0, 5.0, -7.0, 2.0, 5.0])
    summary = lost_information.summarize(amount, np.zeros(5, int), np.zeros(5, int), ("a",), most=3)
    assert summary.most_lost.tolist() == [1, 4, 3]


def test_the_correlation_is_pearsons():
    amount, labels, predicted = values(500)
    row = lost_information.summarize(
        1000 + amount, labels, predicted, ("a", "b", "c")
    ).correlation.iloc[0]
    wrong = labels != predicted
    expected = np.corrcoef(amount, wrong)[0, 1]
    # The point-biserial form: difference of the two means over the spread.
    share = wrong.mean()
    between = (amount[wrong].mean() - amount[~wrong].mean()) / amount.std()
    assert expected == pytest.approx(between * np.sqrt(share * (1 - share)))
    assert row["correlation"] == pytest.approx(expected, rel=1e-9)
    assert row["low"] < expected < row["high"]
    # Fisher's interval of a correlation.
    half = 1.96 / np.sqrt(len(amount) - 3)
    fisher = np.tanh(np.arctanh(expected) + np.array([-half, half]))
    np.testing.assert_allclose([row["low"], row["high"]], fisher, atol=0.03)
    assert (row["images"], row["wrong"]) == (500, wrong.sum())


@pytest.mark.parametrize("wrong", [0, 12])
def test_no_correlation_where_none_or_all_are_wrong(wrong):
    labels = np.zeros(12, int)
    predicted = labels + (np.arange(12) < wrong)
    row = lost_information.summarize(
        np.arange(12.0), labels, predicted, ("a", "b")
    ).correlation.iloc[0]
    assert row["wrong"] == wrong
    assert row[["correlation", "low", "high"]].isna().all()


def test_no_correlation_where_the_same_was_lost_of_each():
    labels = np.arange(10)
    row = lost_information.summarize(np.full(10, 0.1), labels, labels % 7, ("a",)).correlation.iloc[
        0
    ]
    assert row["wrong"] == 3
    assert np.isnan(row["correlation"])


def test_one_wrong_image_is_enough_for_a_correlation():
    labels = np.zeros(20, int)
    predicted = labels + (np.arange(20) == 7)
    amount = np.random.default_rng(0).normal(size=20) + 9 * predicted
    row = lost_information.summarize(amount, labels, predicted, ("a", "b")).correlation.iloc[0]
    assert row["correlation"] == pytest.approx(np.corrcoef(amount, predicted)[0, 1])
    assert -1 <= row["low"] <= row["correlation"] <= row["high"] <= 1


def test_same_seed_same_intervals():
    given = (*values(50), ("a", "b", "c"))
    one, same, other = (lost_information.summarize(*given, seed=seed) for seed in (1, 1, 2))
    assert one.classes.equals(same.classes)
    assert one.correlation.equals(same.correlation)
    assert not one.classes.equals(other.classes)


def test_only_an_interval_below_zero_gets_a_remark():
    assert "not trained enough" in lost_information.remark(-0.3, -0.1)
    assert lost_information.remark(-0.3, 0.1) == lost_information.remark(0.1, 0.3) == ""
    assert lost_information.remark(np.nan, np.nan) == ""
