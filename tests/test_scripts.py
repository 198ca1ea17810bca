"""The real scripts from end to end, at tiny size, as a user runs them."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scripts import HERE, ROOT, SMALL, TINY, files_of, start

from cladec import load
from cladec.commands import console, main
from cladec.data.dataset import Split
from cladec.experiments import saved_network
from cladec.experiments.results import METRICS
from cladec.models import accuracy, cutting, loading
from cladec.storage import model_files

MODELS = ["classifier", "dense/refae", "dense/cladec-alpha-0", "dense/cladec-alpha-0.99"]


def call(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run create_models.py in this process and return what it printed."""
    main.create_models(None, [*arguments, *HERE])
    return capsys.readouterr().out


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained models that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "saved-models"))


def test_every_model_has_its_file_and_record(trained: Path) -> None:
    names = [f"digits/vgg/{name}{suffix}" for name in MODELS for suffix in (".json", ".keras")]
    assert sorted(n for n in files_of(trained) if "evaluation" not in n) == sorted(names)
    record = json.loads((trained / "digits/vgg/dense/cladec-alpha-0.99.json").read_text())
    assert record["run"]["alpha"] == 0.99
    assert record["run"]["recipe"]["epochs"] == 2
    assert record["run"]["seed"] == 0
    assert record["seconds"] > 0
    assert set(record["history"]) == {"loss", "reconstruction_loss", "classification_loss"}
    assert {"keras", "tensorflow", "numpy"} <= set(record["versions"])
    record = json.loads((trained / "digits/vgg/classifier.json").read_text())
    network = loading.load_saved(trained / "digits/vgg/classifier.keras")
    expected = accuracy(network, load("digits").test)
    assert record["test_accuracy"] == pytest.approx(expected, abs=0.01)


def test_the_same_settings_are_skipped(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(trained)
    output = call([*TINY, "--out", str(trained)], capsys)
    assert "4 of 4 models are trained already" in output
    assert files_of(trained) == before


def test_the_command_that_comes_next_can_be_copied(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my models; $HOME"
    folder.symlink_to(trained)
    output = call([*TINY, "--out", str(folder)], capsys)
    assert shlex.split(output.splitlines()[-1])[-2:] == ["--models", str(folder)]


def test_what_is_new_is_added(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(models)
    output = call([*TINY, "0.5", "--out", str(models)], capsys)
    assert "4 of 5 models are trained already" in output
    after = files_of(models)
    assert set(after) - set(before) == {
        f"digits/vgg/dense/cladec-alpha-0.5{suffix}" for suffix in (".json", ".keras")
    }
    assert {name: after[name] for name in before} == before


def test_changed_settings_train_anew(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = call([*TINY, "--seed", "7", "--out", str(models)], capsys)
    assert "digits dense refae is trained anew: settings changed (seed 0 -> 7)" in output
    record = json.loads((models / "digits/vgg/dense/refae.json").read_text())
    assert record["run"]["seed"] == 7


def test_a_truncated_model_is_named_and_replaced(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = models / "digits/vgg/dense/cladec-alpha-0.keras"
    path.write_bytes(path.read_bytes()[:1000])
    assert str(path) in failure(main.evaluate_models, ["--models", str(models)], capsys)
    output = call([*TINY, "--out", str(models)], capsys)
    assert f"{path} is truncated" in output
    assert "3 of 4 models are trained already" in output
    model_files.verify(path)


def test_another_classifier_trains_cladec_anew(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "digits/vgg/classifier.keras").unlink()
    output = call([*TINY, "--out", str(models)], capsys)
    assert output.count("its classifier changed") == 2
    assert "refae is trained anew" not in output


def test_a_decoder_of_another_classifier_is_not_measured(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = models / "digits/vgg/dense/cladec-alpha-0.json"
    model_files.write_json(record, model_files.read_json(record) | {"classifier_sha256": "0" * 64})
    arguments = ["--models", str(models), "--out", str(models.parent / "eval")]
    message = failure(main.evaluate_models, arguments, capsys)
    assert str(record.with_suffix(".keras")) in message
    assert "another classifier" in message


def test_a_file_that_is_not_ours_is_never_replaced(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = models / "digits/vgg/dense/refae.keras"
    path.with_suffix(".json").unlink()
    before = path.read_bytes()
    message = failure(main.create_models, [*TINY, "--out", str(models)], capsys)
    assert str(path) in message
    assert path.read_bytes() == before


def test_interrupted_and_started_again(
    tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "saved-models"
    process = start("create_models.py", *TINY, "--out", str(folder))
    first = folder / "digits/vgg/classifier.keras"
    deadline = time.monotonic() + 120
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == console.INTERRUPTED, errors
    assert errors.strip() == "stopped; the same command goes on from here"
    assert not [name for name in files_of(folder) if Path(name).name.startswith(".")]
    assert "models are trained already" in call([*TINY, "--out", str(folder)], capsys)
    assert set(files_of(folder)) == {n for n in files_of(trained) if "evaluation" not in n}


def test_the_tables(evaluated: Path) -> None:
    wide = pd.read_csv(evaluated / "evaluation_result.csv")
    assert list(wide) == ["dataset", "layer", "eval", "classifier", "refAE", "0", "0.99"]
    of_flat_codes = tuple(name for name in METRICS if name != "thumbnail_error")
    assert tuple(wide["eval"]) == of_flat_codes
    filled = wide.set_index("eval").notna()
    assert filled[["refAE", "0", "0.99"]].all(axis=None)
    assert list(filled.index[filled["classifier"]]) == [
        "total_loss",
        "classification_loss",
        "evaluation_accuracy",
    ]
    tidy = pd.read_csv(evaluated / "evaluation_runs.csv")
    assert len(tidy) == 3 + 3 * (len(METRICS) - 1)  # a flat code has no thumbnail
    assert set(tidy["model"]) == {"classifier", "refae", "cladec"}


def test_the_values_are_those_of_the_models(trained: Path, evaluated: Path) -> None:
    folder = trained / "digits/vgg"
    classifier = loading.load_saved(folder / "classifier.keras")
    cladec = loading.load_saved(folder / "dense/cladec-alpha-0.99.keras")
    test = load("digits").test
    decoded = cladec.predict(test.images, verbose=0)
    scores = np.asarray(cutting.logits(classifier)(decoded), "float64")
    entropy = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(scores)), test.labels]
    reconstruction = ((decoded.astype("float64") - test.images) ** 2).sum((1, 2, 3)).mean()
    answers = classifier.predict(test.images, verbose=0).argmax(1)
    wide = pd.read_csv(evaluated / "evaluation_result.csv").set_index("eval")["0.99"]
    assert wide["reconstruction_loss"] == pytest.approx(reconstruction, rel=1e-4)
    nothing = ((test.images - load("digits").train.images.mean(0)) ** 2).sum((1, 2, 3)).mean()
    assert wide["normalised_error"] == pytest.approx(reconstruction / nothing, rel=1e-4)
    assert wide["classification_loss"] == pytest.approx(entropy.mean(), rel=1e-4)
    expected = 0.01 * reconstruction + 0.99 * entropy.mean()
    assert wide["total_loss"] == pytest.approx(expected, rel=1e-4)
    assert wide["fidelity"] == pytest.approx((scores.argmax(1) == answers).mean(), abs=1e-6)
    assert 0.05 < wide["evaluation_accuracy"] <= 1  # after a single pass


def test_what_the_layer_lost_is_the_difference_of_the_tables(evaluated: Path) -> None:
    lost = pd.read_csv(evaluated / "evaluation_lost.csv")
    assert list(lost) == [
        *("dataset", "architecture", "layer", "class", "images", "lost", "low", "high", "remark"),
    ]
    assert lost["class"].tolist() == ["all", *"0123456789"]
    wide = pd.read_csv(evaluated / "evaluation_result.csv").set_index("eval")
    errors = wide.loc["reconstruction_loss"]
    assert lost["lost"][0] == pytest.approx(errors["0"] - errors["refAE"], rel=1e-4)
    assert lost["images"][0] == lost["images"][1:].sum() == len(load("digits").test.labels)
    (row,) = pd.read_csv(evaluated / "evaluation_lost_correlation.csv").to_dict("records")
    assert -1 <= row["low"] <= row["correlation"] <= row["high"] <= 1


def test_without_refae_nothing_is_said_of_what_was_lost(
    models: Path, evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (models / "digits/vgg/dense").glob("refae.*"):
        path.unlink()
    main.evaluate_models(None, ["--models", str(models), "--out", str(tmp_path / "eval"), *HERE])
    captured = capsys.readouterr()
    assert "lost" not in captured.out
    assert captured.err == ""
    assert not [name for name in files_of(tmp_path / "eval") if "lost" in name]


def test_the_pictures_are_there(evaluated: Path) -> None:
    names = ("digits-dense-reconstructions.png", "digits-measures.png", "digits-dense-lost.png")
    for name in names:
        with Image.open(evaluated / "img" / name) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("L").getcolors(256) or []) > 20


def test_the_command_has_both_jobs_and_gives_the_same_table(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models, out = str(tmp_path / "saved-models"), str(tmp_path / "eval")
    command = [sys.executable, "-c", "from cladec.commands.main import main; main()"]
    evaluate = ["evaluate", "--models", models, "--out", out]
    for arguments in (["train", *TINY, "--out", models], evaluate):
        subprocess.run([*command, *arguments], check=True, capture_output=True)
    for name in ("evaluation_result.csv", "evaluation_runs.csv"):
        assert (tmp_path / "eval" / name).read_bytes() == (evaluated / name).read_bytes()
    with pytest.raises(SystemExit, match="0"):
        main.main(["--help"])
    helped = capsys.readouterr().out
    assert "train" in helped
    assert "evaluate" in helped


def test_evaluation_measures_only_what_is_new(
    trained: Path, evaluated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = trained / "digits/vgg/dense/refae.evaluation.json"
    before = (evaluated / "evaluation_result.csv").read_bytes(), kept.stat().st_mtime
    main.evaluate_models(None, ["--models", str(trained), "--out", str(evaluated), *HERE])
    capsys.readouterr()
    assert ((evaluated / "evaluation_result.csv").read_bytes(), kept.stat().st_mtime) == before


def failure(script, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a script in this process; it must end with code 2 and one line, which is returned."""
    with pytest.raises(SystemExit) as ended:
        script(None, [*HERE, *arguments])
    assert ended.value.code == main.BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--datasets", "mnits"], ["mnits", "mnist", "digits"]),
        (["--datasets", "digits", "--layers", "dens"], ["dens", "'dense'", "conv"]),
        (["--datasets", "digits", "--alphas", "0.5", "1.5"], ["1.5", "[0, 1]"]),
        (["--datasets", "digits", "--alphas", "nan"], ["nan", "[0, 1]"]),
        (["--datasets", "digits", "--epochs", "0"], ["--epochs", "0", "at least 1"]),
        (["--datasets", "digits", "--batch-size", "-3"], ["--batch-size", "-3"]),
        (["--datasets", "digits", "--repeats", "0"], ["--repeats", "at least 1"]),
        (["--datasets", "digits", "--workers", "-1"], ["--workers", "at least 1"]),
        (["--datasets", "--layers", "dense"], ["--datasets", "empty"]),
    ],
)
def test_bad_settings(
    arguments: list[str],
    named: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "saved-models"
    message = failure(main.create_models, [*arguments, "--out", str(out)], capsys)
    for text in named:
        assert text in message
    assert not out.exists() or not files_of(out)


def test_an_output_that_cannot_be_written(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    models = ["--models", str(trained)]
    for script, options in ((main.create_models, TINY), (main.evaluate_models, models)):
        message = failure(script, [*options, "--out", str(blocked / "out")], capsys)
        assert str(blocked / "out") in message
        assert "--out" in message


def test_a_folder_with_a_damaged_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        for name in "ab":
            (tmp_path / "pictures" / split / name).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / "pictures" / split / name / "0.png")
    damaged = tmp_path / "pictures/train/b/1.png"
    damaged.write_bytes((tmp_path / "pictures/train/b/0.png").read_bytes()[:40])
    arguments = [
        "--datasets",
        str(tmp_path / "pictures"),
        "--out",
        str(tmp_path / "models"),
        *SMALL,
    ]
    assert str(damaged) in failure(main.create_models, arguments, capsys)
    assert not files_of(tmp_path / "models")


def test_nothing_is_trained_before_every_dataset_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A closed port in place of the network: the failure is the same with and without one.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "empty"))
    arguments = ["--datasets", "digits", "cifar10", "--out", str(tmp_path / "models"), *SMALL]
    message = failure(main.create_models, arguments, capsys)
    for text in ("cifar10", "cannot be reached", "TFDS_DATA_DIR", "--datasets digits"):
        assert text in message
    assert not files_of(tmp_path / "models")


def test_no_models_to_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--models", str(tmp_path / "none"), "--out", str(tmp_path / "eval")]
    assert "create_models.py" in failure(main.evaluate_models, arguments, capsys)


def test_a_diverging_run_is_named_and_not_saved(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = models / "digits/vgg/classifier.keras"
    model, record = loading.load_saved(classifier), model_files.verify(classifier)
    for layer in model.layers:
        layer.set_weights([np.full_like(weight, np.nan) for weight in layer.get_weights()])
    model_files.save(model, classifier, record)
    cladec = models / "digits/vgg/dense/cladec-alpha-0.keras"
    before = cladec.read_bytes()
    message = failure(main.create_models, [*TINY, "--out", str(models)], capsys)
    assert "digits dense cladec alpha 0: " in message
    assert "NaN" in message
    assert cladec.read_bytes() == before


def prepared_mnist() -> str | None:
    for folder in (os.environ.get("TFDS_DATA_DIR"), ROOT.parent / "shared/tensorflow_datasets"):
        if folder and (Path(folder) / "mnist").is_dir():
            return str(folder)
    return None


@pytest.mark.skipif(prepared_mnist() is None, reason="no prepared MNIST in TFDS_DATA_DIR")
def test_real_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_mnist()))
    whole = load("mnist")
    assert (len(whole.train.images), len(whole.test.images)) == (60_000, 10_000)
    part = replace(
        whole,
        train=Split(whole.train.images[:12_000], whole.train.labels[:12_000]),
        test=Split(whole.test.images[:2_000], whole.test.labels[:2_000]),
    )
    monkeypatch.setattr(saved_network, "load", lambda name: part)
    settings = ["--datasets", "mnist", "--layers", "dense", "--alphas", "0.5", "--epochs", "1"]
    call([*settings, "--batch-size", "64", "--out", str(tmp_path / "models")], capsys)
    arguments = ["--models", str(tmp_path / "models"), "--out", str(tmp_path / "eval")]
    main.evaluate_models(None, [*arguments, *HERE])
    wide = pd.read_csv(tmp_path / "eval/evaluation_result.csv").set_index("eval")
    assert wide.loc["evaluation_accuracy", "classifier"] > 0.975
    assert wide.loc["fidelity", "0.5"] > 0.9
    assert not (tmp_path / "eval/evaluation_lost.csv").exists(), "there is no ClaDec at alpha 0"
    assert wide.loc["reconstruction_loss", "refAE"] < wide.loc["reconstruction_loss", "0.5"] < 40
