"""What leaks from a layer: deep layers and noise hide, more pictures help, and where to cut."""

import keras
import numpy as np
import pandas as pd
import pytest

import cladec
from cladec.commands import main
from cladec.errors import InputError
from cladec.experiments.leaking import _cuts, _deviation, _Noise


def quiet(share, values):
    """Nobody is told."""


@pytest.fixture(scope="module")
def found(classifier, tiny):
    options = {"known": [20, 500], "noise": [3.0], "epochs": 12, "report": quiet}
    return cladec.leak(classifier, tiny, layers=["conv", "probabilities"], **options)


def test_every_attack_has_its_row(found):
    rows = found.measures[["layer", "known", "noise"]].to_numpy().tolist()
    tried = [[20, 0.0], [96, 0.0], [96, 3.0]]
    expected = [[layer, *each] for layer in ("conv", "probabilities") for each in tried]
    assert rows == [["", 96, 0.0], *expected]
    for name in ("psnr", "ssim", "reidentified"):
        low, value, high = (found.measures[name + end] for end in ("_low", "", "_high"))
        assert (low <= value).all()
        assert (value <= high).all()


def test_less_leaks_from_deep_layers_and_under_noise(found):
    rows = found.measures.set_index(["layer", "known", "noise"]).sort_index()
    for name in ("psnr", "ssim", "reidentified"):
        plain = rows.loc[("conv", 96, 0.0), name]
        assert plain > rows.loc[("conv", 96, 3.0), name]
        assert plain > rows.loc[("probabilities", 96, 0.0), name]
        assert plain > rows.loc[("conv", 20, 0.0), name]
        assert plain > rows.loc[("", 96, 0.0), name]


def test_noise_costs_accuracy(found, classifier, tiny):
    rows = found.measures.set_index(["layer", "known", "noise"])["accuracy"]
    said = classifier.predict(tiny.test.images, verbose=0).argmax(axis=1)
    assert rows["conv", 96, 0.0] == pytest.approx((said == tiny.test.labels).mean(), abs=0.03)
    assert rows["conv", 96, 3.0] < rows["conv", 96, 0.0]


def test_the_figure_shows_every_layer(found):
    names = [axis.get_ylabel() for axis in found.show().axes if axis.get_ylabel()]
    assert names == ["original", "conv", "probabilities"]
    assert len(found.decoded["conv"]) == len(found.images.images) == 8


def test_the_first_of_the_best_safe_cuts_is_named(found):
    columns = ["layer", "known", "noise", "psnr", "ssim", "reidentified", "accuracy"]
    rows = [
        ("a", 9, 0.0, 30, 0.9, 0.9, 0.90),
        ("a", 9, 1.0, 20, 0.5, 0.10, 0.60),
        ("b", 9, 0.0, 20, 0.5, 0.20, 0.90),
        ("b", 9, 1.0, 20, 0.5, 0.05, 0.895),
        ("c", 9, 0.0, 10, 0.1, 0.05, 0.90),
        ("d", 9, 0.0, 10, 0.1, 0.50, 0.90),
        ("e", 9, 0.0, 10, 0.1, 0.01, np.nan),
    ]
    measures = pd.DataFrame(rows, columns=columns)
    cuts = _cuts(measures, dict.fromkeys("abcde", 1), 0.1)
    assert cuts["noise"].tolist()[:3] == [1.0, 1.0, 0.0]
    assert np.isnan(cuts["noise"][3])
    leak = cladec.Leak(measures, cuts, found.images, {}, 0.1, 100, found.facts)
    assert leak.cut == ("b", 1.0)
    assert leak.in_words().startswith("cut at b with noise of 1 standard deviation: at most 10 %")
    unsafe = cladec.Leak(measures, cuts[3:], found.images, {}, 0.1, 100, found.facts)
    assert unsafe.cut is None
    assert "no layer and noise" in repr(unsafe)


def test_noise_has_the_deviation_of_each_channel():
    codes = np.zeros((4_000, 3), np.float16)
    noise = _Noise(np.array([0.0, 1.0, 4.0]), seed=0)
    noisy = noise.added(codes, stream=0)
    np.testing.assert_allclose(noisy.astype(float).std(axis=0), [0, 1, 4], rtol=0.05)
    np.testing.assert_array_equal(noisy, noise.added(codes, stream=0))
    assert noisy.dtype == codes.dtype
    other = noise.added(codes, stream=1)[:, 2]
    assert abs(np.corrcoef(noisy[:, 2], other)[0, 1]) < 0.1
    assert _Noise(np.zeros(3), seed=0).added(codes, stream=0) is codes


def test_the_deviation_is_that_of_each_channel():
    codes = np.random.default_rng(0).normal(5, [1, 2, 3], (150, 4, 4, 3)).astype(np.float16)
    expected = codes.astype(float).std(axis=(0, 1, 2))
    np.testing.assert_allclose(_deviation(codes), expected, rtol=1e-6)
    assert (_deviation(np.ones((5, 2), np.float16)) == 0).all()


def test_an_attacker_with_few_photographs_trains_on_noisy_copies_of_them():
    random = np.random.default_rng(0)
    pictures = random.random((24, 36, 36, 1), np.float32)
    classifier = keras.Sequential(
        [
            keras.Input((36, 36, 1)),
            keras.layers.Conv2D(2, 4, strides=4, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax", name="dense"),
        ]
    )
    few = {"known": [10], "noise": [1], "gallery": 8, "epochs": 1, "report": quiet}
    found = cladec.leak(classifier, (pictures, np.arange(24) % 2), layers=["conv"], **few)
    assert found.measures["known"].tolist() == [10, 10, 10]
    assert found.decoded["conv"].shape[1:] == (36, 36, 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"known": 100}, "expected several numbers"),
        ({"known": [0]}, "known is 0"),
        ({"noise": [-1]}, "noise is -1"),
        ({"gallery": 1}, "gallery is 1"),
        ({"limit": 2}, "limit is 2"),
        ({"layers": ["no"]}, "no layer 'no'"),
    ],
)
def test_bad_input_is_refused(classifier, tiny, options, expected):
    with pytest.raises(InputError, match=expected):
        cladec.leak(classifier, tiny, **options)


def test_the_command_says_where_to_cut(classifier, tmp_path, capsys):
    from PIL import Image

    pictures, random = tmp_path / "pictures", np.random.default_rng(0)
    pictures.mkdir()
    for number in range(15):
        pixels = random.integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    classifier.save(tmp_path / "mine.keras")
    given = ["--classifier", str(tmp_path / "mine.keras"), "--datasets", str(pictures)]
    chosen = ["--layers", "dense", "--known", "9", "--noise", "0", "--limit", "1", "--epochs", "1"]
    main.main(["leak", *given, *chosen, "--out", str(tmp_path / "out")])
    assert "cut at dense without noise" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "out" / "cuts.csv")["layer"].tolist() == ["dense"]
    assert (tmp_path / "out" / "leak.png").exists()
