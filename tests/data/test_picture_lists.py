"""The layouts of folders and tables: which pictures there are, of which class, and which test."""

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cladec.data.dataset import check_name, dataset_name, is_folder, load
from cladec.data.held_out import held_out
from cladec.data.picture_lists import fingerprint, list_images
from cladec.errors import InputError
from cladec.experiments import records

PICTURE = Image.fromarray(np.zeros((2, 2), np.uint8))


def message_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PICTURE.save(folder / name)
    return folder


def names_of(files: list[tuple[Path, int]], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path, _ in files]


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A folder of class folders alone, with folders in them."""
    names = [f"{name}/{place}{i}.png" for name in "ab" for place in ("", "x/y/") for i in range(15)]
    return fill(tmp_path / "photos", *names)


def test_class_folders_at_the_top_hold_a_fifth_out(classes: Path) -> None:
    names, train, test = list_images(classes)
    assert names == ("a", "b")
    assert 5 <= len(test) <= 20
    assert len(train) + len(test) == 60
    assert all(path.relative_to(classes).parts[0] == names[label] for path, label in train + test)
    assert "a/x/y/3.png" in names_of(train + test, classes)
    copy = shutil.copytree(classes, classes.parent / "other place" / "copy")
    assert names_of(list_images(copy).test, copy) == names_of(test, classes)
    assert fingerprint(copy) == fingerprint(classes)
    fill(classes, *(f"a/new{number}.png" for number in range(9)))
    assert set(test) <= set(list_images(classes).test)
    assert fingerprint(copy) != fingerprint(classes)


def test_what_is_held_out_follows_from_the_names_alone() -> None:
    names = [f"c/{number}.jpg" for number in range(500)]
    labels = np.arange(500) % 2
    test = held_out(names, labels, "here")
    assert 0.15 < test.mean() < 0.25
    assert [int(place) for place in np.flatnonzero(test)[:5]] == [0, 4, 8, 10, 13]
    backwards = held_out(names[::-1], labels[::-1], "here")
    np.testing.assert_array_equal(backwards[::-1], test)
    accents = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    assert len(set(accents)) == 2
    several = [held_out([name, *names], [0, *labels], "here")[0] for name in accents]
    assert several[0] == several[1]


def test_every_class_keeps_a_picture_for_training_and_one_is_tested() -> None:
    for seed in range(20):
        names = [f"{seed}/{number}" for number in range(4)]
        test = held_out(names, np.array([0, 0, 1, 2]), "here")
        assert not test[2:].any()
        assert test[:2].sum() == 1
    assert "one picture of each class" in message_of(held_out, ["x", "y"], np.array([0, 1]), "here")


def test_folders_without_pictures_or_classes_are_named(tmp_path: Path) -> None:
    for call in (check_name, load):
        assert "no class folders" in message_of(call, tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").touch()
    assert f"{tmp_path} has no pictures" in message_of(check_name, tmp_path)
    fill(tmp_path, "a/1.png", "a/2.png")
    assert "one class folder, 'a'" in message_of(check_name, tmp_path)
    (tmp_path / "b").mkdir()
    assert f"{tmp_path / 'b'} has no pictures" in message_of(check_name, tmp_path)
    fill(tmp_path, "b/1.png")
    check_name(tmp_path)
    (tmp_path / "train").mkdir()
    assert f"{tmp_path / 'train'} has no class folders" in message_of(check_name, tmp_path)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links")
def test_links_that_lead_back_end(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "more").symlink_to(tmp_path / "b")
    _, train, test = list_images(tmp_path)
    assert sorted(names_of(train + test, tmp_path)) == [
        *("a/1.png", "a/2.png", "a/more/1.png", "a/more/2.png", "b/1.png", "b/2.png"),
    ]


# Tables


def table(folder: Path, *lines: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", "utf-8-sig")
    return path


def test_a_table_names_files_labels_and_splits(tmp_path: Path) -> None:
    fill(tmp_path, "p/1.png", "p/2.png", "3.png", "4.png")
    path = table(
        tmp_path, "File, label,split", "p/1.png,10,train", '"p/2.png", 9,Train', "3.png,9,val"
    )
    assert is_folder(path)
    assert dataset_name(path) == "labels"
    names, train, test = list_images(path)
    assert names == ("9", "10")
    assert [
        (name, label) for name, (_, label) in zip(names_of(train, tmp_path), train, strict=True)
    ] == [
        ("p/1.png", 1),
        ("p/2.png", 0),
    ]
    assert names_of(test, tmp_path) == ["3.png"]
    assert load(path, shape=(2, 1, 3)).train.images.shape == (2, 2, 1, 3)
    assert load(path).train.labels.tolist() == [1, 0]
    before = fingerprint(path)
    table(tmp_path, "file,label,split", "p/1.png,9,train", "p/2.png,10,train", "3.png,9,val")
    assert fingerprint(path) != before


def test_a_table_without_splits_holds_a_fifth_out(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(30)]
    fill(tmp_path, *names)
    path = table(tmp_path, "label,file", *(f"c{i % 2},{name}" for i, name in enumerate(names)))
    _, train, test = list_images(path)
    assert len(train) + len(test) == 30
    assert 1 <= len(test) <= 14


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["file,class", "1.png,a"], "the columns file, class: expected the columns file and label"),
        ([""], "expected the columns file and label"),
        (["file,label"], "names no picture"),
        (["file,label", "1.png,a", "2.png,"], "line 3: expected the name of a file and a label"),
        (["file,label,split", "1.png,a,other"], "line 2: the split is 'other', expected one of"),
        (["file,label", "1.png,a", "9.png,b", "8.png,b"], "2 files of 3 that do not exist, first"),
        (["file,label", "1.png,a", "2.png,a"], "one class, 'a'"),
        (["file,label,split", "1.png,a,train", "2.png,b,test"], "no training picture of 'b'"),
        (["file,label,split", "1.png,a,train", "2.png,b,train"], "no test picture"),
        (["file,label", "1.png,a", '"2.png,b'], "cannot be read as CSV"),
    ],
)
def test_mistakes_of_a_table_are_named(tmp_path: Path, lines: list[str], told: str) -> None:
    path = table(fill(tmp_path, "1.png", "2.png"), *lines)
    message = message_of(check_name, path)
    assert told in message
    assert str(path) in message


def test_records_know_the_pictures_of_every_layout(classes: Path, tmp_path: Path) -> None:
    fill(tmp_path / "t", "1.png", "2.png", "3.png")
    path = table(tmp_path / "t", "file,label", "1.png,a", "2.png,a", "3.png,b")
    for source in (classes, path):
        origin = records.origin(str(source), tmp_path / "models")
        assert origin is not None
        assert origin.fingerprint == fingerprint(source)
        assert records._holds(str(source), origin)
        moved = source.parent.rename(source.parent.with_name(f"{source.parent.name} moved"))
        assert not records._holds(str(source), origin)
        assert records._holds(str(moved / source.name), origin)
        moved.rename(source.parent)
