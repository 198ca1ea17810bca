"""Folders of pictures that were moved, renamed or copied after models were trained on them."""

import os
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cladec.commands import main
from cladec.commands.settings import ReportFile
from cladec.errors import InputError
from cladec.experiments import evaluator, records, results, trainer
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.records import located, saved_runs
from cladec.experiments.runs import Run
from cladec.models.recipes import Recipe
from cladec.storage import model_files

QUICK = Recipe(1, 8, 1e-2, 0, 0)


def make_pictures(folder: Path, first: int = 0) -> Path:
    """Eight dark and eight bright pictures of 8x8 to train on, and as many to test on."""
    random = np.random.default_rng(first)
    for split in ("train", "test"):
        for name, low in (("bright", 150), ("dark", 0)):
            for number in range(first, first + 8):
                path = folder / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(low, low + 100, (8, 8), np.uint8)).save(path)
    return folder


def save(dataset: str, models: Path, *, old: bool = False) -> Run:
    """What training leaves, but for the weights; a record of before this was known if `old`."""
    run = Run(dataset=dataset, model="classifier", recipe=QUICK)
    path = run.path(models)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    record = {"run": asdict(run), "sha256": model_files.checksum(path)}
    if old:
        del record["run"]["name"]
    elif origin := records.origin(dataset, models):
        record["pictures"] = asdict(origin)
    model_files.write_json(model_files.record_path(path), record)
    return run


def places(models: Path, within: Path | None = None) -> list[str]:
    return [run.dataset for run in located(saved_runs(models), models, within)]


@pytest.fixture(params=["new", "old"])
def old(request) -> bool:
    return request.param == "old"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with my cats/ in pics/."""
    folder = tmp_path / "project"
    make_pictures(folder / "pics" / "my cats")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("given", ["pics/my cats", "./pics/../pics/my cats/", "absolute"])
def test_pictures_that_are_where_they_were(project, given, old):
    dataset = str(project / "pics" / "my cats") if given == "absolute" else given
    run = save(dataset, Path("saved-models"), old=old)
    assert run.path(Path("m")) == Path("m/my-cats/vgg/classifier.keras")
    assert saved_runs(Path("saved-models")) == [run]
    assert places(Path("saved-models")) == [dataset]


def test_pictures_and_models_that_were_moved_together(project, tmp_path, monkeypatch, old):
    """And the same from another working directory, which is where a relative path led astray."""
    save("pics/my cats", Path("saved-models"), old=old)
    monkeypatch.chdir(tmp_path)
    assert [Path(each).resolve() for each in places(project / "saved-models")] == [
        project / "pics/my cats"
    ]
    project.rename(tmp_path / "elsewhere")
    models = tmp_path / "elsewhere/saved-models"
    assert places(models) == [str(tmp_path / "elsewhere/pics/my cats")]
    (run,) = saved_runs(models)
    assert (run.name, run.title) == ("my-cats", "my-cats classifier")
    assert run.path(models) == models / "my-cats/vgg/classifier.keras"


def test_what_was_moved_alone_is_looked_for_where_data_says(project, tmp_path, old):
    models = project / "saved-models"
    save("pics/my cats", models, old=old)
    there = tmp_path / "there"
    shutil.copytree("pics", there)
    assert places(models, there) == [str(there / "my cats")]
    shutil.rmtree("pics")
    for within in (there, there / "my cats"):
        assert places(models, within) == [str(there / "my cats")]
    (there / "my cats").rename(there / "kittens")
    assert places(models, there / "kittens") == [str(there / "kittens")]
    with pytest.raises(InputError) as caught:
        places(models, there)
    was = "pics/my cats" if old else project / "pics/my cats"
    assert str(caught.value) == (
        "the pictures of my-cats are not where they were when my-cats classifier was trained, "
        f"{was}: name their folder, or the one that holds it, with --data"
    )


def test_other_pictures_are_not_taken_for_those_that_were_moved(project, tmp_path):
    save("pics/my cats", project / "saved-models")
    shutil.rmtree("pics")
    other = make_pictures(tmp_path / "my cats", first=100)
    with pytest.raises(InputError, match=r"my cats holds other training pictures\): name their"):
        places(project / "saved-models", other)
    make_pictures(tmp_path / "right" / "my cats")
    assert places(project / "saved-models", tmp_path / "right") == [str(tmp_path / "right/my cats")]


def test_only_one_of_several_datasets_may_be_a_folder_of_any_name(project, tmp_path):
    """Where no record tells which pictures they were."""
    models = project / "saved-models"
    make_pictures(project / "dogs")
    save("pics/my cats", models, old=True)
    save("dogs", models, old=True)
    save("digits", models)
    shutil.move("pics/my cats", tmp_path / "kittens")
    with pytest.raises(InputError, match="pictures of my-cats are not where they were"):
        places(models, tmp_path / "kittens")
    (tmp_path / "kittens").rename(tmp_path / "my cats")
    found = places(models, tmp_path / "my cats")
    assert set(found) == {"digits", "dogs", str(tmp_path / "my cats")}


@pytest.mark.skipif(sys.platform != "linux", reason="file names there are text")
def test_names_of_folders_that_are_no_text(project, tmp_path, old):
    dataset = os.fsdecode(b"caf\xe9 \x1b")
    shutil.move("pics/my cats", dataset)
    run = save(dataset, project / "saved-models", old=old)
    assert run.path(Path("m")) == Path("m/caf/vgg/classifier.keras")
    assert places(project / "saved-models") == [dataset]
    shutil.move(dataset, tmp_path)
    assert places(project / "saved-models", tmp_path) == [str(tmp_path / dataset)]


@pytest.mark.parametrize("dataset", [".", "link"])
def test_the_name_is_that_of_the_folder_then(project, tmp_path, monkeypatch, dataset, old):
    (project / "link").symlink_to(project / "pics" / "my cats")
    if dataset == ".":
        monkeypatch.chdir("pics/my cats")
    models = project / "saved-models"
    save(dataset, models, old=old)
    monkeypatch.chdir(tmp_path)
    shutil.move(project / "pics" / "my cats", tmp_path / "moved")
    (run,) = saved_runs(models)
    assert (run.name, run.dataset) == ("my-cats", dataset)
    assert places(models, tmp_path / "moved") == [str(tmp_path / "moved")]


def test_datasets_that_are_no_folders_stay_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path / "within" / "mnist")
    make_pictures(tmp_path / "digits")
    for old, name in ((False, "digits"), (True, "mnist"), (False, "fashion_mnist")):
        save(name, tmp_path / "models", old=old)
    names = ["digits", "fashion_mnist", "mnist"]
    assert places(tmp_path / "models", tmp_path / "within") == names


def test_a_model_in_the_place_of_another_dataset_is_named(tmp_path):
    save("digits", tmp_path)
    (tmp_path / "digits").rename(tmp_path / "mnist")
    with pytest.raises(InputError, match=r"belongs in .*digits/vgg/classifier\.keras: move it"):
        saved_runs(tmp_path)


@pytest.mark.parametrize("origin", [[], "x", {"folder": "x"}, {"folder": 1}])
def test_a_record_with_a_damaged_origin_is_named(tmp_path, origin):
    path = save("digits", tmp_path).path(tmp_path).with_suffix(".json")
    model_files.write_json(path, model_files.read_json(path) | {"pictures": origin})
    with pytest.raises(InputError, match=r"or delete .*classifier\.json"):
        saved_runs(tmp_path)


def test_a_sweep_keeps_models_of_pictures_that_were_moved(project, tmp_path, monkeypatch, old):
    models = project / "saved-models"
    run = save("pics/my cats", models, old=old)
    absolute = replace(run, dataset=str(project / "pics/my cats"))
    assert trainer.pending([run], models) == {}
    assert trainer.pending([absolute], models) == {}
    shutil.move("pics", tmp_path / "moved")
    moved = replace(run, dataset=str(tmp_path / "moved/my cats"))
    todo = trainer.pending([moved], models)
    if old:  # no record tells that they are the same
        assert todo == {moved: f"settings changed (dataset pics/my cats -> {moved.dataset})"}
    else:
        assert todo == {}
    make_pictures(tmp_path / "others" / "my cats", first=100)
    other = replace(run, dataset=str(tmp_path / "others/my cats"))
    assert "settings changed (dataset " in trainer.pending([other], models)[other]
    monkeypatch.chdir(tmp_path)
    make_pictures(tmp_path / "pics" / "my cats", first=100)  # the same words, other pictures
    if not old:
        assert (
            f"dataset {project}/pics/my cats -> pics/my cats" in trainer.pending([run], models)[run]
        )


def test_a_trained_model_is_measured_on_pictures_that_were_moved(project, tmp_path, monkeypatch):
    """Trained, moved and measured as the commands do it; the rows are named as ever."""
    models = project / "saved-models"
    trainer.Trainer(models)(
        Run(dataset="pics/my cats", model="classifier", recipe=QUICK), lambda *_: None
    )
    monkeypatch.chdir(tmp_path)
    shutil.move(project / "pics" / "my cats", tmp_path / "kittens")
    (run,) = located(saved_runs(models), models, tmp_path / "kittens")
    measures = evaluator.Measurer(models)(run, lambda *_: None)
    assert 0 <= measures["evaluation_accuracy"] <= 1
    assert {row["dataset"] for row in results.tidy_rows(run, measures)} == {"my-cats"}
    make_pictures(tmp_path / "my cats")
    three = shutil.copytree(tmp_path / "my cats/train/dark", tmp_path / "my cats/train/third")
    assert three.exists()
    run.evaluation_path(models).unlink()
    with pytest.raises(InputError, match="3 classes, the classifier 2"):
        evaluator.Measurer(models)(replace(run, dataset=str(tmp_path / "my cats")), lambda *_: None)


@pytest.mark.parametrize("settings", [Evaluation, ReportFile])
def test_commands_say_what_is_gone_before_any_work(project, tmp_path, settings):
    models = project / "saved-models"
    save("pics/my cats", models)
    shutil.rmtree("pics")
    for data, expected in ((None, "not where"), (tmp_path, "not where"), (Path("no"), "--data no")):
        given = settings(models=models, data=data, out=tmp_path / "made" / "it")
        with pytest.raises(InputError, match=expected):
            main.run(given)
