"""Two models compared: what is the same is found to be the same, and the layer that changed."""

import re

import keras
import numpy as np
import pandas as pd
import pytest

import cladec
from cladec.commands import main
from cladec.errors import InputError
from cladec.experiments.two_models import _change, _with_verdicts

LAYERS = ["conv", "pooled", "dense"]


def quiet(share, values):
    """Nobody is told."""


@pytest.fixture(scope="module")
def halved(classifier):
    """The classifier with half of the units of `dense` at zero."""
    model = keras.models.clone_model(classifier)
    model.set_weights(classifier.get_weights())
    kernel, bias = model.get_layer("dense").get_weights()
    keep = np.arange(len(bias)) % 2
    model.get_layer("dense").set_weights([kernel * keep, bias * keep])
    return model


@pytest.fixture(scope="module")
def found(classifier, halved, tiny):
    names = ("original", "<b>half</b>")
    return cladec.diff(classifier, halved, tiny, layers=LAYERS, epochs=3, names=names, report=quiet)


def test_the_layer_that_changed_is_named_and_none_before_it(found):
    assert found.first_change == "dense"
    verdicts = dict(zip(found.layers["layer"], found.layers["verdict"], strict=True))
    assert verdicts["conv"] == verdicts["pooled"] == "the same numbers"
    assert verdicts["dense"] in ("keeps less", "within the noise")
    rows = found.layers.set_index("layer")
    assert rows.loc["conv", "difference"] == rows.loc["pooled", "difference"] == 0
    assert (found.layers["noise"] > 0).all()


def test_differences_are_those_of_the_errors_and_paired(found):
    rows = found.layers
    np.testing.assert_allclose(rows["difference"], rows["after"] - rows["before"], atol=1e-9)
    assert (rows["difference_low"] <= rows["difference"]).all()
    assert (rows["difference"] <= rows["difference_high"]).all()
    of_all = found.classes[found.classes["class"] == "all"].set_index("layer")["difference"]
    np.testing.assert_allclose(of_all[rows["layer"]], rows["difference"])
    parts = found.classes[(found.classes["class"] != "all") & (found.classes["layer"] == "dense")]
    assert parts["images"].sum() == found.facts.measured_on == 40


def test_changed_answers_are_counted_and_shown(found, classifier, halved, tiny):
    said = [
        model.predict(tiny.test.images, verbose=0).argmax(axis=1) for model in (classifier, halved)
    ]
    differ = said[0] != said[1]
    rows = found.answers.set_index(["layer", "class"])["images"]
    assert rows["dense", "another answer"] == differ.sum() > 0
    assert rows["dense", "same answer"] == (~differ).sum()
    for model, answers in zip(said, found.said, strict=True):
        np.testing.assert_array_equal(answers, model[differ][: len(answers)])
    count = len(found.changed.images)
    np.testing.assert_array_equal(found.changed.images, tiny.test.images[differ][:count])
    assert f"another answer to {differ.sum()} of 40 images" in repr(found)
    assert len(found.pictures["dense"]["after"]) == len(found.examples.images) + count


def test_the_page_needs_nothing_else_and_escapes_names(found, tmp_path):
    text = found.report(tmp_path / "diff.html").read_text("utf-8")
    assert set(re.findall(r"""(?:src|href)\s*=\s*["']?([a-z]*)""", text)) == {"data"}
    assert "<script" not in text
    assert "<b>half" not in text
    assert "&lt;b&gt;half" in text
    assert found.differing == ["dense"]
    assert text.count("<section") == 1 + 2 + 2
    first, second = (found.facts.class_names[said[0]] for said in found.said)
    assert f"original says {first}, &lt;b&gt;half&lt;/b&gt; says {second}" in text


def test_the_figure_has_every_layer_of_both(found):
    names = [
        axis.get_ylabel().replace("\n", " ") for axis in found.show().axes if axis.get_ylabel()
    ]
    assert names[:4] == ["original", "conv: RefAE", "conv: original", "conv: <b>half</b>"]


def test_a_model_is_the_same_as_itself(classifier, tiny, tmp_path):
    path = tmp_path / "mine.keras"
    classifier.save(path)
    found = cladec.diff(classifier, path, tiny, layers=["dense"], epochs=1, report=quiet)
    assert found.first_change is None
    assert found.changed is None
    assert (found.codes["change"] == 0).all()
    assert found.layers["verdict"].tolist() == ["the same numbers"]
    text = found.report(tmp_path / "page.html").read_text("utf-8")
    assert "holds the same numbers in both models" in text
    assert text.count("<section") == 1


def test_the_change_of_codes_is_a_share_of_their_spread():
    random = np.random.default_rng(0)
    before = random.normal(3, 2, (700, 5)).astype(np.float32)
    spread = np.sqrt(np.square(before - before.mean(axis=0)).sum())
    after = before + 0.25
    expected = np.sqrt(np.square(after - before).sum()) / spread
    assert _change(before, after) == pytest.approx(expected, rel=1e-5)
    assert _change(before, before) == 0
    assert np.isnan(_change(before, before[:, :3]))
    assert _change(np.ones((3, 2)), np.zeros((3, 2))) == np.inf


def test_what_is_smaller_than_the_noise_of_any_layer_says_nothing():
    row = {"same_numbers": False, "before": 0.1, "floor_low": -0.001, "floor_high": 0.002}
    small = {"difference": 0.004, "difference_low": 0.003, "difference_high": 0.005}
    rows = pd.DataFrame([{**row, **small}, {**row, **small, "floor_low": -0.005}])
    assert _with_verdicts(rows)["verdict"].tolist() == ["within the noise"] * 2
    assert _with_verdicts(rows[:1])["verdict"].tolist() == ["keeps less"]
    better = rows[:1].assign(difference=-0.004, difference_low=-0.005, difference_high=-0.003)
    assert _with_verdicts(better)["verdict"].tolist() == ["keeps more"]
    unsure = rows[:1].assign(difference_low=-0.001)
    assert _with_verdicts(unsure)["verdict"].tolist() == ["within the noise"]


def test_models_that_cannot_be_compared_are_refused(classifier, tiny):
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(name="flat")])
    other.add(keras.layers.Dense(10, activation="softmax", name="scores"))
    with pytest.raises(InputError, match="the second model has no layer 'conv'"):
        cladec.diff(classifier, other, tiny, layers=["conv"])
    few = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(InputError, match=r"has 10 classes, the second .* has 3 classes"):
        cladec.diff(classifier, few, tiny)
    for names in ("both", ("one", "one"), ("RefAE", "one"), ("one", "two", "three")):
        with pytest.raises(InputError, match="expected two that differ"):
            cladec.diff(classifier, classifier, tiny, layers=["dense"], names=names)


def test_the_command_writes_a_page(classifier, halved, tmp_path, capsys):
    paths = [tmp_path / "whole.keras", tmp_path / "half.keras"]
    for model, path in zip((classifier, halved), paths, strict=True):
        model.save(path)
    pictures = _pictures(tmp_path / "pictures")
    out = ["--layers", "dense", "--epochs", "1", "--out", str(tmp_path / "out")]
    main.main(["diff", *map(str, paths), "--datasets", str(pictures), *out])
    shown = capsys.readouterr().out
    assert "verdict" in shown
    assert max(map(len, shown.splitlines()[:3])) <= 80
    assert "From whole to half" in (tmp_path / "out" / "diff.html").read_text("utf-8")
    table = pd.read_csv(tmp_path / "out" / "layers.csv")
    assert table["layer"].tolist() == ["dense"]


def _pictures(folder):
    from PIL import Image

    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(15):
        pixels = random.integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder
