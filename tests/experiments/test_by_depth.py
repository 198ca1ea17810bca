"""All layers side by side: the numbers are those of decoders trained one by one."""

import numpy as np
import pandas as pd
import pytest

import cladec
from cladec.commands import main
from cladec.errors import InputError
from cladec.experiments.chosen_layers import chosen_layers


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def found(classifier, tiny, told):
    report = lambda share, values: told.append(share)  # noqa: E731
    return cladec.depth(classifier, tiny, layers=["logits", "conv"], epochs=4, report=report)


def test_layers_come_from_input_to_output_with_their_numbers(found, told):
    assert found.measures["layer"].tolist() == ["conv", "logits"]
    assert found.measures["numbers"].tolist() == [8 * 8 * 8, 10]
    assert found.measures["shape"].tolist() == ["8x8x8", "10"]
    first, last = found.measures["normalised_error"]
    assert 0 < first < last
    for name in ("normalised_error", "fidelity"):
        low, value, high = (found.measures[name + end] for end in ("_low", "", "_high"))
        assert (low <= value).all()
        assert (value <= high).all()
    assert np.isnan(found.measures["thumbnail_error"].iloc[1])
    assert told == sorted(told)
    assert told[-1] == 1


def test_the_error_is_that_of_a_decoder_trained_alone(found, classifier, tiny):
    recipe = cladec.models.recipes.CLADEC.with_changes(4, None)
    model = cladec.fit_cladec(classifier, "conv", tiny, alpha=0, recipe=recipe)
    images, decoded = tiny.test.images, model.predict(tiny.test.images, verbose=0)
    mean = tiny.train.images.mean(axis=0)
    expected = np.square(images - decoded).sum() / np.square(images - mean).sum()
    error = found.measures["normalised_error"].iloc[0]
    assert error == pytest.approx(expected, rel=0.1)  # where there is bfloat16, it was used
    said = [classifier.predict(each, verbose=0).argmax(axis=1) for each in (images, decoded)]
    assert found.measures["fidelity"].iloc[0] == pytest.approx((said[0] == said[1]).mean(), abs=0.1)


def test_what_cannot_be_learned_is_not_learned_by_heart(classifier, tiny):
    noise = np.random.default_rng(0).random((60, *tiny.image_shape)).astype(np.float32)
    quiet = {"layers": ["dense"], "report": lambda share, values: None}
    by_itself, too_long = (
        cladec.depth(classifier, noise, epochs=epochs, **quiet).measures.iloc[0]
        for epochs in (None, 167)
    )
    assert too_long["normalised_error"] > 1.1
    assert by_itself["normalised_error"] < 1.05
    assert by_itself["training_error"] > too_long["training_error"]


def test_what_was_lost_most_is_said_and_drawn(found):
    assert "step" in found.in_words()
    assert "that to logits" in repr(found)
    figure = found.show()
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["original", "conv", "logits"]


def test_few_images_are_drawn_and_labels_may_be_missing(classifier, tiny):
    found = cladec.depth(
        classifier, tiny.train.images, layers="dense", trained_on=30, measured_on=7, epochs=1,
        report=lambda share, values: None,
    )  # fmt: skip
    assert (found.facts.trained_on, found.facts.measured_on) == (30, 7)
    assert found.facts.own_answers
    assert "without labels" in found.caption()


def test_the_words_for_layers(classifier):
    paths = [layer.path for layer in chosen_layers(classifier, "all")]
    assert paths == ["conv", "normalised", "pooled", "dense", "logits", "probabilities"]
    assert [layer.path for layer in chosen_layers(classifier, ("auto",))] == [
        "conv",
        "pooled",
        "dense",
    ]
    assert [layer.path for layer in chosen_layers(classifier, ["flat", "conv"])] == ["conv", "flat"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layers": ["convolution"]}, "no layer 'convolution'"),
        ({"layers": []}, "name at least one"),
        ({"trained_on": 0}, "trained_on is 0"),
        ({"pixels": "0-2"}, "choose from 0-1, 0-255"),
    ],
)
def test_bad_input_is_refused(classifier, tiny, options, expected):
    with pytest.raises(InputError, match=expected):
        cladec.depth(classifier, tiny, **options)


def test_the_command_writes_a_table_and_a_figure(classifier, tmp_path, capsys):
    from PIL import Image

    random = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).save(tmp_path / f"{number}.png")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(pictures / path.name)
    classifier.save(tmp_path / "mine.keras")
    out = tmp_path / "out"
    given = ["--classifier", str(tmp_path / "mine.keras"), "--datasets", str(pictures)]
    main.main(["depth", *given, "--layers", "dense", "--epochs", "1", "--out", str(out)])
    table = pd.read_csv(out / "depth.csv")
    assert table["layer"].tolist() == ["dense"]
    assert (out / "depth.png").exists()
    assert "normalised error" in capsys.readouterr().out
