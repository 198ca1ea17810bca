"""What the commands print in a terminal of 80 columns: help, plans, results and what is next."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image

from cladec.commands import evaluate, main, options
from cladec.commands.class_names import IMAGENET
from cladec.experiments.estimates import plan_line
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.sweep import Sweep
from cladec.models.layers import ListedLayer, table
from cladec.progress import in_words
from cladec.storage import model_files

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = {"create_models": main.create_models, "eval": main.evaluate_models}


def helped(capsys, call, *arguments) -> str:
    with pytest.raises(SystemExit) as ended:
        call(*arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


def check_help(text: str) -> None:
    assert max(map(len, text.splitlines())) <= 80
    for noise in ("{None}", "None)", "STR", "INT", "FLOAT", "(default: )"):
        assert noise not in text, noise


@pytest.mark.parametrize("command", [[], *([name] for name in main.COMMANDS)])
def test_help_fits_80_columns(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    check_help(helped(capsys, main.main, [*command, "--help"]))


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_of_the_scripts_fits_80_columns(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    about = (ROOT / f"{name}.py").read_text("utf-8").split('"""')[1]
    text = helped(capsys, SCRIPTS[name], about, ["--help"])
    check_help(text)
    for line in about.splitlines():  # each command of the examples has a line of its own
        assert line.rstrip() in text


@dataclass(frozen=True)
class Own:
    """Settings of somebody else, such as those of a benchmark."""

    number: int | None = None
    """As many."""
    folders: tuple[Path, ...] = ()
    """Where."""


def test_help_of_settings_from_elsewhere_is_as_readable(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = helped(capsys, lambda arguments: main.settings(Own, args=arguments), ["--help"])
    check_help(text)
    assert "--number NUMBER" in text
    assert "--folders PATH ..." in text


@pytest.mark.parametrize("kind", main.COMMANDS.values())
def test_every_option_is_explained_in_whole_sentences(kind):
    about = options.descriptions(kind)
    own = {field.name for field in fields(kind)} - {"cluster"}
    assert own <= set(about)
    assert all(about[name].endswith(".") and "\n" not in about[name] for name in own)


def test_options_are_read_as_before():
    given = ["compare", "--model", "m.keras", "--dataset", "digits", "--grid", "7", "7"]
    read = main.parse([*given, "--alpha", "0.5", "--methods", "lime", "rise"])
    assert (read.model, read.grid, read.alpha) == (Path("m.keras"), (7, 7), 0.5)
    assert read.methods == ("lime", "rise")
    assert read.layer is None
    assert main.parse(["train"]) == Sweep()
    assert main.parse(["evaluate"]) == Evaluation()
    with pytest.raises(SystemExit):
        main.parse(["compare", "--dataset", "digits"])  # without a model


def test_something_is_said_before_keras_is_imported(tmp_path):
    code = (
        "import sys, builtins\n"
        "from cladec.commands import main\n"
        "main.start_keras = lambda: sys.exit('keras' in sys.modules)\n"
        f"main.main(['layers', '--model', {str(tmp_path / 'm.keras')!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "cladec layers: starting Keras takes a few seconds\n"


def test_the_plan_tells_models_time_and_memory(tmp_path):
    sweep = Sweep(datasets=("mnist",), layers=("conv",), alphas=(0.0, 1.0), out=tmp_path)
    runs = sweep.runs()
    line = plan_line(runs, runs, tmp_path, 2)
    assert re.fullmatch(r"4 models to train, about \d+ (s|min) and 3.6 GiB of memory", line)
    one = plan_line(runs, runs, tmp_path, 1)
    assert "1.8 GiB" in one
    kept = "4 of 4 models are trained already and are skipped"
    assert plan_line([], runs, tmp_path, 2) == kept
    unknown = plan_line(runs, runs, tmp_path, None)
    assert unknown == "4 models to train, the time left is shown as it goes"


def test_the_plan_learns_from_what_was_trained(tmp_path):
    sweep = Sweep(datasets=("digits",), layers=("conv",), alphas=(0.0, 1.0), out=tmp_path)
    runs = sweep.runs()
    for run in runs[:3]:
        path = run.path(tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        model_files.write_json(model_files.record_path(path), {"seconds": 600.0})
    line = plan_line(runs[3:], runs, tmp_path, 1)
    assert line.startswith("1 model to train, about 10 min and 1.0 GiB of memory; 3 of 4 models")
    other = [replace(runs[3], dataset="photos", name="photos")]
    assert "as it goes" in plan_line(other, other, tmp_path, 1)


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.4, "4 s"), (89, "89 s"), (120, "2 min"), (9000, "2.5 h")]
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


def test_the_measures_fit_80_columns():
    wide = pd.read_csv(ROOT / "eval" / "evaluation_result.csv")
    text = evaluate.result_text(wide)
    assert max(map(len, text.splitlines())) <= 80
    assert "fashion_mnist, dense\n" in text
    assert "fashion_mnist, dense, fraction 0.1\n" in text
    assert "ClaDec 0.99 " in text
    row = wide.query("dataset == 'mnist' and layer == 'dense' and eval == 'fidelity'")
    of_layer = text[text.index("\nmnist, dense\n") :].splitlines()
    assert f"{row['refAE'].iloc[0]:.4g}" in next(x for x in of_layer if x.startswith("refAE"))


def test_the_table_of_layers_fits_80_columns():
    reason = "the same numbers as layer a_layer_with_a_name/another_with_a_name of the model"
    listed = [ListedLayer("conv2d_12", "Conv2D", (28, 28, 32), reason)]
    lines = table(listed).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines[1:]).split()).endswith(f"no: {reason}")


@pytest.fixture(scope="module")
def thousand(tmp_path_factory) -> Path:
    """An untrained classifier of 1,000 classes, and a picture for it."""
    folder = tmp_path_factory.mktemp("thousand")
    inputs = keras.Input((8, 8, 1))
    outputs = layers.Dense(IMAGENET, activation="softmax")(layers.Flatten()(inputs))
    keras.Model(inputs, outputs).save(folder / "m.keras")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 3).save(folder / "cat.png")
    return folder


def explained(folder: Path, out: Path, capsys, *more: object, code: int = 0) -> list[str]:
    given = ["explain", "--model", folder / "m.keras", "--images", folder / "cat.png"]
    ended = 0
    try:
        main.main([str(part) for part in (*given, "--methods", "saliency", "--out", out, *more)])
    except SystemExit as error:
        ended = int(error.code or 0)
    assert ended == code
    captured = capsys.readouterr()
    return (captured.err if code else captured.out).splitlines()


def test_explain_tells_predictions_by_the_names_of_a_file(thousand, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"kind {i}" for i in range(IMAGENET)), "utf-8")
    output = explained(thousand, tmp_path, capsys, "--class-names", names)
    (told,) = (line for line in output if line.startswith("cat: "))
    with np.load(tmp_path / "cat.npz") as arrays:
        assert told.startswith(f"cat: kind {arrays['target']} ")
    assert told.count(" kind ") == 3
    assert output[-1].startswith("next: cladec compare ")
    names.write_text("one\ntwo\n", "utf-8")
    (error,) = explained(thousand, tmp_path, capsys, "--class-names", names, code=main.BAD_INPUT)
    assert "has 2 names and the classifier 1000 classes" in error


def test_explain_takes_the_names_of_imagenet_where_keras_has_them(
    thousand, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    output = explained(thousand, tmp_path, capsys)
    assert any("Keras has no list of ImageNet's here" in line for line in output)
    index = {str(i): [f"n{i:08}", f"animal_{i}"] for i in range(IMAGENET)}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "imagenet_class_index.json").write_text(json.dumps(index), "utf-8")
    output = explained(thousand, tmp_path, capsys)
    assert any("taken for those of ImageNet" in line for line in output)
    assert any(line.startswith("cat: animal_") for line in output)
