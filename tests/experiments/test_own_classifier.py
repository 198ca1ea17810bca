"""The whole job on a classifier of one's own and a folder of pictures, as a user runs it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from own import draw_pictures, small_network, without_classes
from PIL import Image
from scripts import HERE

from cladec import Evaluation, Sweep, evaluate, load
from cladec.commands import main
from cladec.data import stored_rows
from cladec.data.dataset import Dataset, Split
from cladec.errors import InputError
from cladec.experiments import records, trainer
from cladec.experiments.saved_models import SavedClassifier
from cladec.models import evaluation_network
from cladec.models.loading import load_model, load_saved
from cladec.models.recipes import Recipe
from cladec.progress import Progress
from cladec.storage import model_files

QUICK = ["--layers", "middle", "--alphas", "0", "--epochs", "1", "--batch-size", "8", *HERE]


unlikely = pytest.mark.filterwarnings("ignore::cladec.errors.InputWarning")
"""The classifier is not trained, and is told to be no better than chance."""


@pytest.fixture(scope="module")
def place(made_once: Callable[..., Path]) -> Path:
    """A classifier and pictures, the models of its layer `middle`, and their evaluation."""

    def make(folder: Path) -> None:
        small_network(0).save(folder / "my net.keras")
        draw_pictures(folder / "pets")
        (folder / "names.txt").write_text("cat\ncat\n")
        shutil.copytree(folder / "pets/train/cat", folder / "one class/cat")
        for name in ("no picture/cat", "no picture/dog", "nothing"):
            (folder / name).mkdir(parents=True)
        main.create_models(None, arguments(folder))
        models = str(folder / "saved-models")
        main.evaluate_models(None, ["--models", models, "--out", str(folder / "eval"), *HERE])

    return made_once("own-classifier", make)


def arguments(folder: Path, *more: str) -> list[str]:
    own = ["--classifier", str(folder / "my net.keras"), "--datasets", str(folder / "pets")]
    return [*own, "--reference", "tuned", "--out", str(folder / "saved-models"), *QUICK, *more]


def sweep_of(folder: Path, **settings) -> Sweep:
    given = {"datasets": (str(folder / "pets"),), "layers": ("middle",), "alphas": (0.0,)}
    given |= {"epochs": 1, "batch_size": 8, "workers": 0, "reference": "tuned"}
    return Sweep(
        **given | settings, classifier=folder / "my net.keras", out=folder / "saved-models"
    )


def test_the_file_is_copied_with_its_origin(place: Path) -> None:
    copy = place / "saved-models/pets/my-net/classifier.keras"
    assert copy.read_bytes() == (place / "my net.keras").read_bytes()
    record = model_files.verify(copy)
    assert record["given"]["sha256"] == model_files.checksum(place / "my net.keras")
    assert Path(record["given"]["file"]).name == "my net.keras"
    assert sorted(path.name for path in copy.parent.joinpath("middle").glob("*.keras")) == [
        "cladec-alpha-0.keras",
        "refae.keras",
    ]


def test_the_tables_say_which_reference_and_which_network(place: Path) -> None:
    wide = pd.read_csv(place / "eval/evaluation_result.csv")
    first = ["dataset", "architecture", "layer", "eval", "classifier", "reference", "refAE", "0"]
    assert list(wide) == first
    assert set(wide["architecture"]) == {"my-net"}
    assert set(wide["reference"]) == {"tuned"}
    tidy = pd.read_csv(place / "eval/evaluation_runs.csv")
    accuracies = tidy["eval"] == "evaluation_accuracy"
    assert set(tidy.loc[accuracies, "evaluation_network"]) == {"my-net"}
    assert tidy.loc[~accuracies, "evaluation_network"].isna().all()
    assert tidy.loc[tidy["model"] != "refae", "reference"].isna().all()
    lost = pd.read_csv(place / "eval/evaluation_lost.csv")
    assert list(lost)[:4] == ["dataset", "architecture", "layer", "reference"]
    assert set(lost["reference"]) == {"tuned"}


def test_a_saved_classifier_knows_its_pictures_and_its_reference(place: Path) -> None:
    models = place / "saved-models"
    runs = records.located(records.saved_runs(models), models, place / "pets")
    saved = SavedClassifier(runs, models)
    assert saved.class_names == ("cat", "dog", "2")
    assert [run.short_title for run in saved.plain("middle")] == ["RefAE (tuned)", "ClaDec 0"]
    tuned = saved.pair("middle", 0.0)[0]
    assert tuned.start == "tuned"
    assert tuned.title == "pets my-net middle refae (tuned)"
    shown = saved.choose(2, 2)
    assert all(title.split(" - ")[0] in ("cat", "dog") for title in shown.titles)
    with Image.open(place / "eval/img/pets-my-net-middle-reconstructions.png") as picture:
        assert len(picture.convert("L").getcolors(256) or []) > 20


def test_the_report_shows_it(place: Path, tmp_path: Path) -> None:
    chosen = ["--images", "4", "--methods", "saliency", *HERE]
    models, data = str(place / "saved-models"), str(place / "pets")
    out = tmp_path / "report.html"
    main.main(["report", "--models", models, "--data", data, *chosen, "--out", str(out)])
    assert "my-net" in out.read_text("utf-8")


@unlikely
def test_what_is_trained_is_skipped_until_the_file_changes(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    main.create_models(None, arguments(folder))
    assert "2 of 2 models are trained already" in capsys.readouterr().out
    small_network(1).save(folder / "my net.keras")
    sweep = sweep_of(folder)
    _, runs = trainer._planned(sweep, Progress())
    copied = folder / "saved-models/pets/my-net/classifier.keras"
    assert copied.read_bytes() == (folder / "my net.keras").read_bytes()
    reasons = {run.model: reason for run, reason in trainer.pending(runs, sweep.out).items()}
    assert set(reasons) == {"refae", "cladec"}
    assert all("the file of the classifier" in reason for reason in reasons.values())


@unlikely
def test_the_copy_has_the_range_of_pixels_and_the_order_of_the_classes(
    place: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    (tmp_path / "names.txt").write_text("dog\ncat\nbird\n")
    sweep = sweep_of(folder, pixels="-1-1", class_names=tmp_path / "names.txt")
    _, runs = trainer._planned(sweep, Progress())
    path = runs[0].path(sweep.out)
    images = load(folder / "pets").test.images
    expected = load_model(folder / "my net.keras").predict(2 * images - 1, verbose=0)
    assert np.allclose(load_saved(path).predict(images, verbose=0), expected, atol=1e-5)
    saved = SavedClassifier(runs[:1], sweep.out)
    assert saved.data.class_names == ("dog", "cat", "bird")
    assert saved.data.test.labels.tolist() == [1] * 4 + [0] * 4


@unlikely
def test_epochs_of_the_evaluation_leave_the_copy_as_it_is(place: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    sweep = sweep_of(folder, epochs=2)
    copy = folder / "saved-models/pets/my-net/classifier.keras"
    before = copy.stat().st_mtime_ns
    trainer._planned(sweep, Progress())
    assert copy.stat().st_mtime_ns == before
    assert json.loads(copy.with_suffix(".json").read_text())["run"]["recipe"]["epochs"] == 2


def test_without_evaluation_accuracy_no_network_is_trained(place: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    for path in (folder / "saved-models").rglob("*.evaluation.json"):
        path.unlink()
    evaluation = Evaluation(
        folder / "saved-models",
        tmp_path / "eval",
        folder / "pets",
        evaluation_accuracy=False,
        workers=0,
    )
    tidy = evaluate(evaluation)
    assert set(tidy.loc[tidy["eval"] == "evaluation_accuracy", "model"]) == {"classifier"}
    assert (tidy["eval"] == "fidelity").any()


def test_a_large_classifier_is_evaluated_by_a_small_one(place: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    images = keras.Input((16, 16, 3))
    hidden = keras.layers.Flatten()(images)
    hidden = keras.layers.Dense(1400, activation="relu", name="large")(hidden)
    keras.Model(images, keras.layers.Dense(3)(hidden)).save(folder / "my net.keras")
    plan = sweep_of(folder, layers=("auto",), reference="auto").plan()
    assert (plan.evaluation_network, plan.layers, plan.tuned) == ("vgg", ("large",), {"large"})


def test_networks_of_the_evaluation(tiny, classifier) -> None:
    photographs = evaluation_network.of_architecture("vgg", (224, 224, 3), 2, seed=0)
    assert photographs.count_params() < 2_000_000
    fresh = evaluation_network.like(classifier, seed=0)
    recipe = Recipe(15, 32, 2e-2, 0, 0)
    accuracy = evaluation_network.learned(fresh, tiny, recipe=recipe, seed=0)
    assert 0.4 < accuracy <= 1.0


def test_several_labels_of_an_image(tmp_path: Path) -> None:
    small_network(0, "sigmoid").save(tmp_path / "labels.keras")
    images = np.random.default_rng(0).random((6, 16, 16, 3)).astype(np.float32)
    rows = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 1, 1], [0, 1, 0], [1, 0, 0]])
    split = Split(images, rows)
    data = Dataset("several", split, split, ("sun", "sea", "sand"))
    saved = SavedClassifier.at(tmp_path / "labels.keras", data=data)
    expected = load_model(tmp_path / "labels.keras").predict(images, verbose=0) > 0.5
    assert saved.is_right.tolist() == (expected == rows).all(axis=1).tolist()
    titles = saved.show(range(3)).titles
    assert [title.split(" - ")[0] for title in titles] == ["sun, sea", "none", "sea, sand"]
    assert len(saved.choose(6, 6).images) == 6


def test_answers_stand_for_missing_classes(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    (folder / "pets").rename(folder / "labelled")
    without_classes(folder / "labelled", folder / "pets")
    sweep = sweep_of(folder)
    _, runs = trainer._planned(sweep, Progress())
    assert "own answers" in capsys.readouterr().out
    assert {run.targets for run in runs} == {"answers"}
    saved = SavedClassifier(runs[:1], sweep.out)
    assert len(saved.data.train.labels) + len(saved.data.test.labels) == 24
    assert saved.is_right.all()
    with pytest.raises(InputError, match="without class folders"):
        load(folder / "pets")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--layers", "middel"], ["middel", "'middle'"]),
        (["--classifier", "{}/none.keras"], ["none.keras", "missing"]),
        (["--classifier", "{}/pets"], ["pets", "folder"]),
        (["--architecture", "vgg11"], ["--architecture", "--classifier"]),
        (["--class-names", "{}/names.txt"], ["--class-names", "1 of them"]),
        (["--datasets", "digits"], ["10 classes", "the classifier 3"]),
        (["--pixels", "0-2"], ["0-2", "0-255"]),
        (["--output", "scors"], ["scors", "scores"]),
        (["--datasets", "{}/one class"], ["one class folder", "'cat'"]),
        (["--datasets", "{}/no picture"], ["no picture", "has no pictures"]),
        (["--datasets", "{}/nothing"], ["nothing", "expected train/<class>/"]),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(
    more: list[str],
    named: list[str],
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = [word.format(place) for word in more]
    with pytest.raises(SystemExit) as ended:
        main.create_models(None, arguments(place, *more, "--out", str(tmp_path / "models")))
    assert ended.value.code == main.BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert all(text in errors for text in named)
    assert not list((tmp_path / "models").rglob("*.keras"))


@unlikely
def test_codes_that_do_not_fit_the_disk_are_refused_before_anything_is_trained(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(stored_rows, "IN_MEMORY", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(free=4_000))
    models, cached = tmp_path / "models", str(place / "saved-models-images")
    more = ["--out", str(models), "--cache", cached, "--layers", "middle", "early"]
    with pytest.raises(SystemExit) as ended:
        main.create_models(None, arguments(place, *more))
    assert ended.value.code == main.BAD_INPUT
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line[:7] != "warning"]
    assert "the codes of layer 'early', 16 of shape (8, 8, 4), take 0.0 MiB" in told
    assert [path.name for path in models.rglob("*.keras")] == ["classifier.keras"]


@dataclass(frozen=True)
class Usage:
    free: int


@unlikely
def test_of_pictures_smaller_than_the_input_it_is_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_network(0).save(tmp_path / "my net.keras")
    draw_pictures(tmp_path / "pets", side=10)
    told: list[str] = []
    monkeypatch.setattr(trainer, "_train", lambda *given: told.append(capsys.readouterr().err))
    main.create_models(None, arguments(tmp_path))
    assert "24 of 24 pictures" in told[0]
    assert "smaller than the 16 x 16 pixels" in told[0]


def test_pictures_without_classes_need_a_classifier_that_answers(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = without_classes(place / "pets", tmp_path / "photos")
    with pytest.raises(SystemExit) as ended:
        main.create_models(None, ["--datasets", str(folder), "--out", str(tmp_path / "models")])
    assert ended.value.code == main.BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert f"{folder} has pictures without class folders" in errors


def test_what_is_said_of_a_classifier_needs_one() -> None:
    with pytest.raises(InputError, match="--pixels is said of your own classifier"):
        Sweep(datasets=("digits",), pixels="0-255").check()
