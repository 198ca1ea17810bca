"""What is set for Keras on a machine: `keras.json` changes nothing, an unusable backend is told."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import zoo

import cladec
from cladec.models import batches, loading
from cladec.models.conditional import build_conditional_decoder
from cladec.models.precision import keras_defaults
from cladec.models.recipes import Recipe
from cladec.models.training import seeded
from cladec.startup import BACKENDS

QUICK = Recipe(epochs=1, batch_size=32, learning_rate=1e-2, least_images=0, least_steps=0)


def dataset() -> cladec.Dataset:
    images = np.random.default_rng(0).random((96, 8, 8, 1), dtype=np.float32)
    split = cladec.Split(images, np.arange(96) % 3)
    return cladec.Dataset("noise", split, split, ("a", "b", "c"))


def digests(saved: Path) -> list[str]:
    """Of the weights of what is built and trained, and of what a loaded model answers."""
    data = dataset()
    classifier = cladec.build_classifier((8, 8, 1), 3, seed=1)
    cladec.fit_classifier(classifier, data, recipe=QUICK)
    decoder = cladec.fit_cladec(classifier, "conv", data, alpha=0.5, recipe=QUICK)
    with seeded(0):
        conditional = build_conditional_decoder((2, 2, 4), (8, 8, 1))
    loaded = loading.load_model(saved)
    arrays = [weight for model in (classifier, decoder, conditional) for weight in model.weights]
    arrays += [batches.predict(loaded, {"codes": np.ones((2, 5)), "alpha": np.full(2, 0.5)})]
    arrays += [cladec.explain(classifier, data.test.images[:2], method="saliency", targets=0)]
    return [hashlib.sha256(np.asarray(array)).hexdigest()[:8] for array in arrays]


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    paths = os.pathsep.join(
        filter(None, [*map(str, Path(__file__).parents[:2]), os.environ.get("PYTHONPATH")])
    )
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def settings(folder: Path, **values) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "keras.json").write_text(json.dumps(values))
    return str(folder)


def test_keras_json_changes_nothing(tmp_path):
    saved = tmp_path / "conditional.keras"
    decoder = build_conditional_decoder((5,), (8, 8, 1))
    zoo.randomised(decoder).save(saved)
    odd = {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1}
    code = f"""
import keras, pathlib, test_keras_settings as here
print(keras.config.floatx(), *here.digests(pathlib.Path({str(saved)!r})))
"""
    done = python(code, KERAS_HOME=settings(tmp_path / "keras", **odd))
    assert done.stdout.split() == ["float16", *digests(saved)], done.stderr


def test_the_settings_of_a_program_hold_again_at_the_end():
    config = keras.config
    before = config.floatx(), config.image_data_format(), config.epsilon(), config.dtype_policy()
    config.set_floatx("float64")
    config.set_image_data_format("channels_first")
    config.set_epsilon(1e-3)
    config.set_dtype_policy("mixed_bfloat16")
    try:
        with keras_defaults():
            assert config.dtype_policy().name == config.floatx() == "float32"
            assert config.image_data_format() == "channels_last"
        decoder = cladec.build_decoder((5, 5, 2), (8, 8, 1))
        assert {layer.dtype_policy.name for layer in decoder.layers} == {"float32"}
        assert config.epsilon() == 1e-3
        assert (config.floatx(), config.image_data_format()) == ("float64", "channels_first")
        assert config.dtype_policy().name == "mixed_bfloat16"
    finally:
        config.set_floatx(before[0])
        config.set_image_data_format(before[1])
        config.set_epsilon(before[2])
        config.set_dtype_policy(before[3])


BROKEN = {
    # the environment, keras.json, and words of the message
    "not installed": (
        {"KERAS_BACKEND": "torch"},
        {},
        ["No module named 'torch'", "pip install 'cladec[torch]'", "KERAS_BACKEND=tensorflow"],
    ),
    "misspelt": ({"KERAS_BACKEND": "tensroflow"}, {}, ["tensroflow", "tensorflow, jax, torch"]),
    "trains nothing": ({"KERAS_BACKEND": "numpy"}, {}, ["numpy, which cannot train"]),
    "wrong file": ({}, {"floatx": "bfloat16"}, ["floatx=bfloat16", "correct ", "keras.json"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_keras_that_cannot_start_is_told_in_one_line(name, tmp_path):
    environment, content, words = BROKEN[name]
    home = settings(tmp_path / "keras", **content)
    code = "from cladec.commands.main import main; main(['layers', '--model', 'none.keras'])"
    here = installed_without({"torch"}, tmp_path / "installed")
    done = python_with(here, code, KERAS_HOME=home, **environment)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: Keras ")
    assert all(word in done.stderr for word in words), done.stderr


def test_it_is_told_in_python_as_well(tmp_path):
    code = """
import cladec
for call in (lambda: cladec.fit_cladec, lambda: cladec.explain(None, None, method="saliency")):
    try:
        call()
    except cladec.InputError as error:
        print(error)
print(cladec.load("digits").name)
"""
    done = python(code, KERAS_HOME=settings(tmp_path / "keras"), KERAS_BACKEND="jaxx")
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0] == lines[1]
    assert lines[0].startswith("Keras does not start (Unable to import backend : jaxx): set the ")
    assert lines[2] == "digits"


def installed_without(hidden: set[str], folder: Path) -> Path:
    """A folder with everything that is installed here, but for these packages."""
    folder.mkdir()
    for path in Path(keras.__file__).parents[1].iterdir():
        if path.name not in hidden:
            (folder / path.name).symlink_to(path)
    return folder


def python_with(installed: Path, code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code that sees this package and what is in this folder alone."""
    paths = [str(Path(cladec.__file__).parents[1]), str(installed)]
    return subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", f"import sys; sys.path += {paths}\n{code}"],
        env=os.environ | {"PYTHONPATH": ""} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("installed", "result"), [("jax", "jax\n"), (None, "pip install 'cladec[tensorflow]'\n")]
)
def test_without_tensorflow_what_is_installed_is_used_unasked(installed, result, tmp_path):
    if installed:
        pytest.importorskip(installed)
    here = installed_without(set(BACKENDS) - {installed}, tmp_path / "installed")
    (here / "torch").mkdir()  # a folder of that name is no PyTorch
    code = """
import os, sys
os.environ.pop("KERAS_BACKEND", None)
import cladec
try:
    cladec.fit_cladec
    print(sys.modules["keras"].backend.backend())
except cladec.InputError as error:
    print(error)
"""
    done = python_with(here, code, KERAS_HOME=settings(tmp_path / "keras"))
    assert done.stdout.endswith(result), done.stderr
