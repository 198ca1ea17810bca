"""Killed, full, read-only, damaged, used by two: one line, and what was finished is intact.

The long form of the first is `benchmarks/faults.py`.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cladec.commands import main
from cladec.errors import InputError
from cladec.experiments import records, trainer
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.sweep import Sweep
from cladec.progress import Progress
from cladec.storage import model_files
from cladec.storage.locks import locked
from cladec.storage.tables import write_table

OPTIONS = ["--datasets", "digits", "--layers", "dense", "--alphas", "0", "0.99", "--epochs", "1"]
HERE = ["--workers", "0"]
MODELS = ["classifier", "dense/refae", "dense/cladec-alpha-0", "dense/cladec-alpha-0.99"]
TABLES = ("evaluation_result.csv", "evaluation_runs.csv")


def arguments_of(script: str, folder: Path) -> list[str]:
    """What a script is called with, to work below `folder`."""
    models, out = str(folder / "saved-models"), str(folder / "eval")
    if script == "create_models":
        return [*OPTIONS, *HERE, "--out", models]
    return ["--models", models, "--out", out, *HERE]


def command(script: str, folder: Path) -> None:
    """Run a script in this process."""
    getattr(main, script)(None, arguments_of(script, folder))


def failure(call: Callable, *arguments, capsys) -> str:
    """What a command says that must end with code 2 and one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call(*arguments)
    errors = capsys.readouterr().err
    assert ended.value.code == main.BAD_INPUT
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """A sweep and its evaluation, done in peace."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for script in ("create_models", "evaluate_models"):
        command(script, folder)
    return folder


@pytest.fixture
def done(undisturbed, tmp_path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(undisturbed, tmp_path / "done"))


# Killed

KILLED = """
import os, signal, sys
from cladec.commands import main as cli

replace = os.replace

def deadly(source, target):
    if os.path.basename(target) == {target!r}:
        if {after}:
            replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = deadly
cli.{script}(None, sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("script", "target", "after"),
    [
        ("create_models", "refae.keras", False),  # its record is there, and it is not
        ("create_models", "cladec-alpha-0.keras", True),
        ("evaluate_models", "evaluation_runs.csv", False),
    ],
)
def test_killed_and_started_again(script, target, after, undisturbed, tmp_path, capsys):
    if script == "evaluate_models":
        shutil.copytree(undisturbed / "saved-models", tmp_path / "saved-models")
    code = KILLED.format(script=script, target=target, after=after)
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments_of(script, tmp_path)], capture_output=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert any("unfinished" in name for name in files_of(tmp_path)) != after
    whole = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "saved-models").rglob("[a-z]*.keras")
        if model_files.verify(path)
    }
    for again in ("create_models", "evaluate_models"):
        command(again, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert not [name for name in files_of(tmp_path) if Path(name).name.startswith(".")]
    assert set(files_of(tmp_path)) == set(files_of(undisturbed))
    for table in TABLES:
        assert (tmp_path / "eval" / table).read_bytes() == (
            undisturbed / "eval" / table
        ).read_bytes()


# Two at once

HOLDER = """
import sys, time
from pathlib import Path
from cladec.storage.locks import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen]:
    """Another process that has a folder to itself."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("script", "folder"),
    [
        ("create_models", "saved-models"),
        ("evaluate_models", "saved-models"),
        ("evaluate_models", "eval"),
    ],
)
def test_the_second_says_who_has_the_folder(script, folder, tmp_path, capsys):
    (tmp_path / "saved-models").mkdir()
    with holder(tmp_path / folder) as process:
        message = failure(command, script, tmp_path, capsys=capsys)
        assert f"{tmp_path / folder} is in use by process {process.pid} on " in message
        assert "since 20" in message
        before = files_of(tmp_path)
    with locked(tmp_path / folder):  # the killed process has let go of it
        assert set(files_of(tmp_path)) == set(before)
        with (
            pytest.raises(InputError, match=f"process {os.getpid()} on"),
            locked(tmp_path / folder),
        ):
            pass
    assert not files_of(tmp_path)


def test_one_folder_for_both_is_locked_once(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    with locked(inner, tmp_path):
        for folder in (inner, tmp_path):
            with pytest.raises(InputError, match="in use"), locked(folder):
                pass
    with locked(tmp_path, tmp_path / ".." / tmp_path.name):
        pass


# Disks and permissions


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own that can be made full and read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "cladec", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root, with the right to mount, can make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_a_disk_that_is_full_at_any_write(small_disk, tiny, classifier):
    path = small_disk / "model.keras"
    model_files.save(classifier, path, {"number": 1})
    before = files_of(small_disk)
    messages = []
    for free in range(0, 2**20, 4096):
        fill = small_disk / "fill"
        fill.unlink(missing_ok=True)
        room = shutil.disk_usage(small_disk).free
        fill.write_bytes(b"x" * max(0, room - free))
        try:
            model_files.save(classifier, path, {"number": 2})
        except InputError as error:
            messages.append(str(error))
        else:
            break
        fill.unlink()
        assert files_of(small_disk) == before
    assert len(messages) > 5  # the first pages are not enough, whichever write it is
    assert {message.split(": ")[1] for message in messages} == {"No space left on device"}
    assert model_files.verify(path)["number"] == 2


def test_a_sweep_on_a_full_and_on_a_read_only_disk(small_disk, undisturbed, capsys):
    folder = small_disk / "all"
    shutil.copytree(undisturbed / "saved-models", folder / "saved-models")
    lost = folder / "saved-models/digits/vgg/dense/cladec-alpha-0.99.keras"
    lost.unlink()
    before = files_of(folder)
    (small_disk / "fill").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 16 * 1024))
    message = failure(command, "create_models", folder, capsys=capsys)
    assert f"{lost} cannot be written: No space left on device" in message
    assert files_of(folder) == before
    remount(small_disk, "ro")
    for script in ("create_models", "evaluate_models"):
        assert "Read-only file system" in failure(command, script, folder, capsys=capsys)
    remount(small_disk, "rw,size=64m")
    command("create_models", folder)
    assert "3 of 4 models are trained already" in capsys.readouterr().out
    assert model_files.verify(lost)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Files may grow to `size` bytes, as by a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 100, 200])
def test_a_quota_leaves_what_was_there(size, done, classifier):
    before = files_of(done)
    table = pd.read_csv(done / "eval" / TABLES[0])
    writes = (
        lambda: model_files.save(classifier, done / "a.keras", {}),
        lambda: model_files.write_json(done / "b.json", {"x": "y" * 3_000}),
        lambda: write_table(table, done / "eval" / TABLES[0]),
    )
    for write in writes:
        with largest_file(size), pytest.raises(InputError, match="cannot be written: File too"):
            write()
    assert files_of(done) == before


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder of somebody who is not root, in whose name the test goes on."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    yield folder
    if os.getuid() == 0:
        os.seteuid(0)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700)
    shutil.rmtree(folder)


def test_a_folder_without_permission(own_folder, capsys):
    own_folder.chmod(0o500)
    assert "Permission denied" in failure(command, "create_models", own_folder, capsys=capsys)
    own_folder.chmod(0o700)
    (own_folder / "saved-models").mkdir(mode=0o500)
    message = failure(command, "create_models", own_folder, capsys=capsys)
    assert f"{own_folder / 'saved-models'}" in message
    assert "Permission denied" in message
    message = failure(command, "evaluate_models", own_folder, capsys=capsys)
    assert f"no trained models in {own_folder / 'saved-models'}" in message  # they are only read


class Spoilsport(Progress):
    """Takes the permission away as soon as the first model is done."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def say(self, line: str) -> None:
        super().say(line)
        if line.startswith("[1/"):
            for folder in (path for path in self.folder.rglob("*") if path.is_dir()):
                folder.chmod(0o500)


def test_permission_lost_midway(own_folder):
    settings = Sweep(
        datasets=("digits",),
        layers=("dense",),
        alphas=(0.5,),
        epochs=1,
        batch_size=256,
        workers=0,
        out=own_folder,
    )
    with pytest.raises(InputError, match=r"cannot be written: Permission denied"):
        trainer.train(settings, Spoilsport(own_folder))
    assert set(files_of(own_folder)) == {f"digits/vgg/classifier{s}" for s in (".json", ".keras")}
    model_files.verify(own_folder / "digits/vgg/classifier.keras")


@pytest.fixture
def own_models(undisturbed, own_folder) -> dict[str, bytes]:
    """The files of the undisturbed sweep, whose models are copied to where they are one's own."""
    uid = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    shutil.copytree(undisturbed / "saved-models", own_folder / "saved-models")
    for path in own_folder.rglob("*"):
        os.chown(path, uid, -1)
    files = files_of(undisturbed)
    os.seteuid(uid)
    return files


def test_models_that_may_only_be_read(own_models, own_folder, capsys):
    """All that looks at them works; only what is measured is not kept there."""
    models = own_folder / "saved-models"
    (models / "digits/vgg/classifier.evaluation.json").unlink()
    for path in [*models.rglob("*"), models]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = files_of(models)
    command("evaluate_models", own_folder)
    assert f"{models} cannot be written: the next eval" in capsys.readouterr().out
    for table in TABLES:
        assert (own_folder / "eval" / table).read_bytes() == own_models[f"eval/{table}"]
    Image.new("L", (8, 8), 128).save(own_folder / "image.png")
    of_model = ["--model", str(models / "digits/vgg/classifier.keras"), "--models", str(models)]
    given = [*of_model, "--images", str(own_folder / "image.png"), "--resize"]
    main.main(["explain", *given, "--methods", "cladec", "--out", str(own_folder / "explained")])
    evaluation = ["--evaluation", str(own_folder / "eval"), "--images", "4", "--methods"]
    out = ["--out", str(own_folder / "report.html")]
    main.main(["report", "--models", str(models), *evaluation, "saliency", *HERE, *out])
    assert (own_folder / "report.html").is_file()
    assert files_of(models) == before


def test_a_folder_that_is_read_is_locked_where_it_can_be(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with (
        holder(tmp_path / "models") as process,
        pytest.raises(InputError, match=f"models is in use by process {process.pid} on "),
        locked(out, reading=[tmp_path / "models"]),
    ):
        pass
    assert not files_of(out)


def test_a_name_that_is_no_text_is_printed(tmp_path):
    code = "import sys; from cladec.commands import main; main.guarded(print, sys.argv[1])"
    name = os.fsencode(tmp_path) + b"/\xff"
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == os.fsencode(tmp_path) + b"/\\udcff\n"


def test_what_the_system_refuses_is_one_line(tmp_path, capsys):
    def action(_):
        (tmp_path / "none" / "file").read_bytes()

    message = failure(main.guarded, action, None, capsys=capsys)
    assert message == f"error: {tmp_path / 'none' / 'file'}: No such file or directory\n"


# Damaged files


def truncate(path: Path, _: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path, _: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def replace(path: Path, other: Path) -> None:
    shutil.copy(other, path)


HARM = [truncate, empty, replace]


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(".keras", flip), *((suffix, damage) for suffix in (".keras", ".json") for damage in HARM)],
)
@pytest.mark.parametrize("number", range(len(MODELS)))
def test_a_damaged_model_is_named_and_never_used(done, number, suffix, damage):
    models = done / "saved-models"
    path = models / "digits/vgg" / (MODELS[number] + suffix)
    damage(path, models / "digits/vgg" / (MODELS[number - 1] + suffix))
    with pytest.raises(InputError) as caught:
        records.saved_runs(models)
    assert str(path.with_suffix("")) in str(caught.value)
    settings = Sweep(
        datasets=("digits",), layers=("dense",), alphas=(0.0, 0.99), epochs=1, workers=0, out=models
    )
    todo = trainer.pending(settings.runs(), models)
    damaged = next(run for run in settings.runs() if run.path(models) == path.with_suffix(".keras"))
    assert str(path.with_suffix("")) in todo[damaged]
    others = {run.model for run in todo if run != damaged}
    assert others == ({"cladec"} if number == 0 else set())  # what decodes it


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_instead(path: Path) -> None:
    """As to a disk that is not there now."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("unplugged") / path.name)


def loop_instead(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.name)


def pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("suffix", [".keras", ".json"])
@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("harm", [folder_instead, link_instead, loop_instead, pipe_instead])
def test_a_model_that_cannot_be_read_is_never_replaced(done, number, suffix, harm, capsys):
    path = done / "saved-models/digits/vgg" / (MODELS[number] + suffix)
    harm(path)
    before = files_of(done), sorted(done.rglob("*"))
    message = failure(command, "create_models", done, capsys=capsys)
    assert message.startswith(f"error: {path} cannot be read: ")
    assert "such a model is not replaced: make it readable, or choose" in message
    message = failure(command, "evaluate_models", done, capsys=capsys)
    assert message.startswith(f"error: {path} cannot be read: ")
    assert "delete" not in message
    assert (files_of(done), sorted(done.rglob("*"))) == before


@pytest.mark.parametrize("lost", ["refae.keras", "refae.json", ""])
def test_permission_that_is_lost_is_no_damage(own_models, own_folder, lost, capsys):
    """A file that may not be read, or its folder that may not be searched."""
    folder = "saved-models/digits/vgg/dense"
    (own_folder / folder / lost).chmod(0)
    message = failure(command, "create_models", own_folder, capsys=capsys)
    assert message.startswith(f"error: {own_folder / folder / (lost or 'refae.keras')} cannot be ")
    assert "read: Permission denied; such a model is not replaced" in message
    (own_folder / folder / lost).chmod(0o700)
    after = files_of(own_folder)
    assert after == {name: own_models[name] for name in after}
    assert len(after) == len([name for name in own_models if name.startswith("saved-models")])


def test_a_model_in_the_place_of_another_is_named_and_never_used(done):
    """With its record, so that every checksum is right."""
    folder = done / "saved-models/digits/vgg/dense"
    for suffix in (".keras", ".json"):
        shutil.copy(folder / f"cladec-alpha-0{suffix}", folder / f"cladec-alpha-0.99{suffix}")
    place = folder / "cladec-alpha-0.99.keras"
    with pytest.raises(InputError, match=r"alpha-0\.99\.keras holds digits dense cladec alpha 0, "):
        records.saved_runs(done / "saved-models")
    settings = Sweep(
        datasets=("digits",), layers=("dense",), alphas=(0.99,), epochs=1, out=done / "saved-models"
    )
    todo = trainer.pending(settings.runs(), done / "saved-models")
    assert list(todo.values()) == ["settings changed (alpha 0.0 -> 0.99)"]
    assert next(iter(todo)).path(done / "saved-models") == place


@pytest.mark.parametrize("damage", HARM)
def test_damaged_measures_and_tables_are_made_anew(done, damage, capsys):
    folder = done / "saved-models/digits/vgg/dense"
    kept, other = folder / "refae.evaluation.json", folder / "cladec-alpha-0.evaluation.json"
    before = files_of(done)
    damage(kept, other)
    for table in TABLES:
        damage(done / "eval" / table, other)
    command("evaluate_models", done)
    assert f"{kept} " in capsys.readouterr().out
    after = files_of(done)
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in changed if not name.endswith(".png")} == set()


# Memory


@pytest.fixture(scope="module", params=["numpy", "tensorflow"])
def out_of_memory(request) -> Exception:
    """What a library raises; TensorFlow waits ten seconds before."""
    import tensorflow as tf

    with pytest.raises((MemoryError, tf.errors.ResourceExhaustedError)) as caught:
        np.zeros(2**50) if request.param == "numpy" else tf.zeros([2**43, 2]) + 1.0
    return caught.value


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Sweep(workers=2), "with --workers 1 or a smaller --batch-size"),
        (Sweep(workers=1), "with a smaller --batch-size"),
        (Evaluation(workers=1), "on a machine with more memory"),
    ],
)
def test_out_of_memory_names_the_setting(out_of_memory, settings, words, capsys):
    def action(_):
        raise out_of_memory

    message = failure(main.guarded, action, settings, capsys=capsys)
    assert message == f"error: out of memory: run the same command again {words}\n"


# Images that hold nothing to learn


def make_images(folder: Path, name: str) -> Path:
    """A folder of 8x8 images: two classes, twelve training and four test images of each."""
    noise = np.random.default_rng(0)
    count = {"one image of each class": 1}.get(name, 12)
    for split, number in (("train", count), ("test", 4)):
        for kind in ("a", "b"):
            target = folder / name.replace(" ", "-") / split / kind
            target.mkdir(parents=True)
            present = 0 if (name, kind) == ("no test image of a class", "b") else number
            for i in range(present if split == "test" else number):
                pixels = noise.integers(0, 128, (8, 8)) + (128 if kind == "b" else 0)
                if name == "all black":
                    pixels = np.zeros((8, 8))
                elif name == "the same image for both classes":
                    pixels = np.full((8, 8), 77)
                Image.fromarray(pixels.astype(np.uint8)).save(target / f"{i}.png")
    return folder / name.replace(" ", "-")


@pytest.mark.parametrize(
    "name",
    [
        "all black",
        "one image of each class",
        "the same image for both classes",
        "no test image of a class",
    ],
)
def test_results_are_defined(name, tmp_path, capsys):
    folder = make_images(tmp_path, name)
    options = ["--layers", "dense", "--alphas", "0.5", "--epochs", "1", *HERE]
    models = ["--datasets", str(folder), "--out", str(tmp_path / "saved-models")]
    main.create_models(None, [*options, *models])
    command("evaluate_models", tmp_path)
    table = pd.read_csv(tmp_path / "eval" / TABLES[1])
    assert np.isfinite(table["value"]).all()
    shares = table[table["eval"].isin(["evaluation_accuracy", "fidelity"])]["value"]
    assert shares.between(0, 1).all()


@pytest.mark.parametrize("label", [0, 1])
def test_labels_that_are_all_the_same(label, tiny, classifier, tmp_path, monkeypatch, capsys):
    """A class that is missing from the training images, and with it constant labels."""
    import cladec.experiments.saved_network
    from cladec.data.dataset import Dataset, Split

    constant = Dataset(
        "constant",
        Split(tiny.train.images, np.full_like(tiny.train.labels, label)),
        tiny.test,
        tiny.class_names,
    )
    monkeypatch.setattr(cladec.experiments.saved_network, "load", lambda name: constant)
    options = ["--datasets", "digits", "--layers", "dense", "--alphas", "0.5", "--epochs", "1"]
    main.create_models(None, [*options, *HERE, "--out", str(tmp_path / "saved-models")])
    command("evaluate_models", tmp_path)
    table = pd.read_csv(tmp_path / "eval" / TABLES[1])
    assert np.isfinite(table["value"]).all()


def test_images_that_are_not_finite(tmp_path, capsys):
    folder = make_images(tmp_path, "all black")
    with np.errstate(all="ignore"):
        Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(folder / "train/a/0.png", "TIFF")
    arguments = ["--datasets", str(folder), "--out", str(tmp_path / "saved-models"), *HERE]
    assert "is NaN" in failure(main.create_models, None, arguments, capsys=capsys)
    assert not files_of(tmp_path / "saved-models")
