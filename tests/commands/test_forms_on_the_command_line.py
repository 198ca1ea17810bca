"""Classifiers of several inputs, outputs and sizes on the command line."""

import keras
import numpy as np
import pytest
import zoo
from keras import layers
from PIL import Image

from cladec.commands.main import main


@pytest.fixture
def folder(tmp_path):
    """A model that looks at a picture and an age and has two outputs, and a picture."""
    picture, age = keras.Input((None, None, 3), name="picture"), keras.Input((2,), name="age")
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(picture)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(hidden)
    both = layers.Concatenate(name="both")([pooled, age])
    kinds = layers.Dense(1, activation="sigmoid", name="kind")(both)
    sizes = layers.Dense(3, name="size")(both)
    zoo.randomised(keras.Model([picture, age], [kinds, sizes], name="two")).save(
        tmp_path / "two.keras"
    )
    pixels = (zoo.images(1, (10, 12, 3))[0] * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    np.save(tmp_path / "age.npy", np.array([0.3, 0.7]))
    return tmp_path


def explain(folder, *options):
    methods = ["saliency", "grad_cam", "occlusion"]
    command = ["explain", "--model", str(folder / "two.keras"), "--images", str(folder / "one.png")]
    main([*command, "--methods", *methods, "--out", str(folder / "out"), *options])


def refused(capsys, call, *given) -> str:
    """What a command says that ends with code 2."""
    with pytest.raises(SystemExit) as ended:
        call(*given)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("age", ["0.3,0.7", "age.npy"])
def test_a_picture_is_explained_with_the_other_inputs_given(folder, age, monkeypatch):
    monkeypatch.chdir(folder)
    explain(folder, "--output", "kind", "--inputs", f"age={age}")
    with np.load(folder / "out/one.npz") as found:
        assert {name: found[name].shape for name in ("saliency", "grad_cam", "occlusion")} == (
            dict.fromkeys(("saliency", "grad_cam", "occlusion"), (10, 12))
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "several outputs"),
        (["--output", "kind"], "--inputs"),
        (["--output", "kind", "--inputs", "age"], "name=1,2,3"),
        (["--output", "kind", "--inputs", "age=old"], "name=1,2,3"),
        (["--output", "kind", "--inputs", "age=nothing.npy"], "nothing.npy"),
        (["--output", "kind", "--inputs", "age=1"], "(2,)"),
    ],
)
def test_what_is_missing_is_told_with_its_option(folder, options, words, capsys):
    assert words in refused(capsys, explain, folder, *options)


def test_the_layers_are_listed_at_a_size(folder, capsys):
    given = ["--output", "size", "--inputs", "age=1,2", "--image-size", "20", "30"]
    command = ["layers", "--model", str(folder / "two.keras"), *given]
    main(command)
    assert "18x28x3" in capsys.readouterr().out
    assert "--image-size" in refused(capsys, main, command[:-3])


def test_the_tokens_of_a_transformer_are_laid_out_as_the_grid_says(tmp_path, capsys):
    shape = (8, 12, 3)
    zoo.transformer(shape, first=9).save(tmp_path / "model.keras")
    pixels = (zoo.images(1, shape)[0] * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    files = ["--model", str(tmp_path / "model.keras"), "--images", str(tmp_path / "one.png")]
    out = ["--methods", "hires_cam", "rise", "--out", str(tmp_path / "out")]
    main(["explain", *files, *out, "--grid", "4", "6"])
    with np.load(tmp_path / "out/one.npz") as found:
        assert found["hires_cam"].shape == found["rise"].shape == shape[:2]
    assert "--grid" in refused(capsys, main, ["explain", *files, *out, "--grid", "4"])
