"""Features that may be shortcuts: pasted, found, drawn over alpha, and what is said of them."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import cladec
from cladec.data.dataset import Dataset, Split
from cladec.errors import InputError
from cladec.experiments.audits import SOME, USED, Audit, share_drawn
from cladec.experiments.features import PATCHES, Patch, Region
from cladec.experiments.recurring import find_recurring
from cladec.models.training import seeded


def noise(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 0.5, (count, 14, 14, channels)).astype("float32")


@pytest.mark.parametrize("name", PATCHES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_patch_is_pasted_into_a_copy_and_stays_in_range(name, channels):
    images = noise(3, channels)
    before = images.copy()
    pasted = Patch(name).paste(images, np.zeros(3), 0)
    np.testing.assert_array_equal(images, before)
    assert pasted.shape == images.shape
    assert pasted.dtype == np.float32
    assert 0 <= pasted.min() <= pasted.max() <= 1 + 1e-6
    assert (pasted != images).any(axis=(1, 2, 3)).all()


def test_a_corner_is_a_cell_and_a_frame_goes_around():
    images = noise(2)
    differs = (Patch("corner").paste(images, np.zeros(2), 0) != images)[0, ..., 0]
    assert differs[:2, :2].all()
    assert differs.sum() == 4
    framed = Patch("frame").paste(images, np.zeros(2), 0)[0, ..., 0]
    assert framed[0].min() == framed[:, -1].min() == 1
    np.testing.assert_array_equal(framed[1:-1, 1:-1], images[0, 1:-1, 1:-1, 0])


def test_a_region_is_pasted_from_an_image_of_another_class():
    donors = np.stack([np.full((4, 4, 1), value, "float32") for value in (0.2, 0.8)])
    masks = np.zeros((2, 4, 4), "float32")
    masks[0, :2], masks[1, 2:] = 1, 1
    region = Region("halves", donors, np.array([0, 1]), masks)
    images = np.zeros((3, 4, 4, 1), "float32")
    pasted = region.paste(images, np.array([0, 1, 1]), 0)[..., 0]
    np.testing.assert_allclose(pasted[0], [[0] * 4, [0] * 4, [0.8] * 4, [0.8] * 4])
    for each in pasted[1:]:
        np.testing.assert_allclose(each, [[0.2] * 4, [0.2] * 4, [0] * 4, [0] * 4])


def marked(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise of three classes; those of class 2 have a bright cell in the middle."""
    images, labels = noise(count), np.arange(count) % 3
    images[labels == 2, 6:8, 6:8] = 1
    return images, labels


def test_the_region_that_answers_go_by_is_found():
    images, labels = marked(90)

    def answers(shown: np.ndarray) -> np.ndarray:
        bright = shown[:, 6:8, 6:8, 0].mean(axis=(1, 2)) > 0.9
        return np.where(bright, 2, np.resize([0, 1, 0], len(shown)))

    best = find_recurring(answers, images, labels)[0]
    assert best.label == 2
    assert best.changed == 1
    assert best.alike > 0.9
    rows, columns = np.nonzero(best.mask)
    assert set(rows) == set(columns) == {6, 7}
    feature = best.feature("spot")
    pasted = feature.paste(images[:2], labels[:2], 0)
    assert (pasted[:, 6:8, 6:8] == 1).all()


def test_classes_with_few_right_answers_have_no_region():
    images, labels = marked(90)
    assert find_recurring(lambda shown: np.full(len(shown), 7), images, labels) == []


@pytest.fixture(scope="module")
def cheating():
    """A classifier that looks at the corner for class 1 alone, and its images."""
    images, labels = noise(160), np.arange(160) % 2
    images[labels == 1, :2, :2] = 1
    with seeded(0):
        given = keras.Input((14, 14, 1))
        hidden = layers.Flatten()(given)
        hidden = layers.Dense(16, activation="relu", name="hidden")(hidden)
        model = keras.Model(given, layers.Dense(2, activation="softmax")(hidden), name="cheat")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=20, verbose=0)
    train, test = Split(images, labels), Split(images.copy(), labels)
    return model, Dataset("marks", train, test, ("plain", "marked"))


@pytest.fixture(scope="module")
def audited(cheating):
    model, data = cheating
    return cladec.audit(model, data, patch="corner", alphas=[0.9], images=40, epochs=30)


def test_an_audit_tells_what_is_drawn_and_what_flips(audited, cheating):
    model, data = cheating
    assert audited.layer == "hidden"
    assert audited.curve["alpha"].tolist() == [0, 0.9, 0.999]
    assert (audited.curve["drawn_low"] <= audited.curve["drawn"]).all()
    assert (audited.curve["drawn"] <= audited.curve["drawn_high"]).all()
    share, low, high = audited.flips
    assert SOME < low <= share <= high  # half of the images have the mark already
    assert audited.curve["drawn"][0] > 0.3
    assert ("uses it" if low > USED else "some answers depend on it") in audited.sentence
    assert list(audited.decoded) == [0, 0.9, 0.999]
    before, after = (model.predict(each, verbose=0) for each in (audited.images, audited.pasted))
    names = np.array(data.class_names)
    assert audited.said[0] == names[before.argmax(axis=1)].tolist()
    assert audited.said[1] == names[after.argmax(axis=1)].tolist()


def test_the_figure_and_the_table_hold_the_curve(audited, tmp_path):
    table, figure = audited.save(tmp_path)
    assert figure.stat().st_size > 10_000
    read = pd.read_csv(table)
    np.testing.assert_allclose(read["drawn"], audited.curve["drawn"], atol=1e-6)
    assert read["flips"].tolist() == pytest.approx([audited.flips[0]] * 3)
    names = [axis.get_ylabel() for axis in audited.show().axes if axis.get_ylabel()]
    assert names == ["without", "with corner", "ClaDec 0", "ClaDec 0.9", "ClaDec 0.999"]


def test_without_a_name_the_mark_is_found_as_a_region(cheating):
    model, data = cheating
    found = cladec.audit(model, data, images=80, epochs=1)
    regions = cladec.recurring_regions(model, data, images=80)
    assert found.feature == f"region of {data.class_names[regions[0].label]}"
    assert regions[0].mask[:2, :2].all()
    for one, other in zip(regions, found.recurring, strict=True):
        assert (one.label, one.changed) == (other.label, other.changed)
        np.testing.assert_array_equal(one.mask, other.mask)


def test_a_classifier_that_is_never_right_has_no_region(cheating):
    model, data = cheating
    wrong = data.test.images[:40], 1 - data.test.labels[:40]
    with pytest.raises(InputError, match="no region can be sought"):
        cladec.recurring_regions(model, wrong)


def test_masks_say_where_the_feature_is(cheating):
    model, data = cheating
    mask = np.zeros((160, 14, 14))
    mask[data.test.labels == 1, :2, :2] = 1
    found = cladec.audit(model, data, mask=mask, images=40, epochs=1)
    plain = found.pasted[np.array(found.said[0]) == "plain"]
    assert (plain[:, :2, :2] == 1).all()
    assert found.flips[0] > SOME


class Copying:
    """A decoder that draws everything at alpha 0 and half of the feature at alpha 1."""

    encoder = keras.Sequential([keras.Input((14, 14, 1)), layers.Identity()])

    def predict(self, inputs, alpha):
        codes = np.asarray(inputs["codes"], "float32")
        faded = codes.copy()
        faded[:, :2, :2] = 0.5 * codes[:, :2, :2]
        return codes if alpha == 0 else faded


def test_the_share_that_is_drawn_is_its_formula():
    images = noise(5)
    pasted = Patch("corner").paste(images, np.zeros(5), 0)
    drawn, shown = share_drawn(Copying(), images, pasted, [0.0, 1.0])
    np.testing.assert_allclose(drawn[0.0], 1, atol=2e-3)
    np.testing.assert_allclose(drawn[1.0], 0.5, atol=2e-3)
    np.testing.assert_allclose(shown[0.0], pasted, atol=1e-3)
    with pytest.raises(InputError, match="all have it already"):
        share_drawn(Copying(), pasted, pasted, [0.0])


@pytest.mark.parametrize(
    ("first", "kept", "flips", "expected"),
    [
        (0.98, 0.46, (0.8, 0.7, 0.9), "of the answers: the classifier uses it. ClaDec draws 0.98"),
        (0.98, 0.9, (0.2, 0.15, 0.25), "some answers depend on it"),
        (
            0.98,
            0.9,
            (0.01, 0.0, 0.02),
            "0.98 of it at alpha 0, where pictures hold what is there, and 0.88 at 0.999",
        ),
        (0.05, 0.4, (0.8, 0.7, 0.9), "uses it. ClaDec draws 0.05 of it even at alpha 0"),
    ],
)
def test_the_sentence_says_what_both_measures_say(first, kept, flips, expected):
    curve = pd.DataFrame({"alpha": [0.0, 0.999], "drawn": [first, first * kept]})
    found = Audit("model", "dense", "corner", curve, flips, *[np.empty(0)] * 2, {}, ([], []))
    assert found.kept == pytest.approx(kept)
    assert expected in found.sentence


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"patch": "sticker"}, "patch 'sticker'"),
        ({"patch": "tint", "mask": np.ones((14, 14))}, "both given"),
        ({"mask": np.ones((3, 3))}, r"mask of shape \(3, 3\): expected \(14, 14\)"),
        ({"mask": np.zeros((14, 14))}, "zero everywhere"),
        ({"patch": "tint", "layer": "none"}, "no layer"),
        ({"patch": "tint", "images": 0}, "images is 0"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(cheating, options, expected):
    model, data = cheating
    with pytest.raises(InputError, match=expected):
        cladec.audit(model, data, **options)
