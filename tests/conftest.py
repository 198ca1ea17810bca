"""What several test files share: a dataset of 8x8 digits and a classifier trained on it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # each has its share of the cores
    for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

import gc
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from scripts import HERE, TINY, run

# Traced models are many objects that live on: to look through all of them takes a second.
gc.set_threshold(50_000, 20, 20)

LONGEST = (
    *("test_ray_cluster.py", "test_notebooks.py", "test_backends.py", "test_faults.py"),
    *("test_scripts.py", "test_report.py", "test_variants.py", "test_examples.py"),
    *("test_memory.py", "test_explain_backends.py", "test_streaming.py", "test_readme.py"),
)
"""The files that take longest; they come first, so that no process waits for another at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Copies a folder that `make` fills in the first of the processes to ask for its name."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def copy(name: str, make: Callable[[Path], object]) -> Path:
        folder = shared / f"{name}-once"
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                unfinished = Path(tempfile.mkdtemp(dir=shared))
                make(unfinished)
                unfinished.rename(folder)
        return Path(shutil.copytree(folder, own / name))

    return copy


@pytest.fixture(scope="session")
def tiny():
    """The digits of scikit-learn at their own 8x8 pixels: 96 to train on, 40 to test on."""
    from sklearn.datasets import load_digits

    from cladec.data.dataset import Dataset, Split

    digits = load_digits()
    images = (digits.images[:136, :, :, None] / 16).astype(np.float32)
    labels = digits.target[:136].astype(np.int64)
    train, test = Split(images[:96], labels[:96]), Split(images[96:], labels[96:])
    return Dataset("tiny", train, test, tuple(str(digit) for digit in range(10)))


@pytest.fixture(scope="session")
def classifier(tiny):
    """A classifier with BatchNormalization and Dropout, right on most training images of `tiny`.

    Its layers: conv, normalised, pooled, flat, dropped, dense, logits, probabilities.
    """
    import keras
    from keras import layers

    from cladec.models.classifiers import fit_classifier
    from cladec.models.recipes import Recipe
    from cladec.models.training import seeded

    with seeded(0):
        images = keras.Input((8, 8, 1))
        hidden = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")(images)
        hidden = layers.BatchNormalization(momentum=0.8, name="normalised")(hidden)
        hidden = layers.MaxPooling2D(name="pooled")(hidden)
        hidden = layers.Flatten(name="flat")(hidden)
        hidden = layers.Dropout(0.5, name="dropped")(hidden)
        hidden = layers.Dense(16, activation="relu", name="dense")(hidden)
        logits = layers.Dense(10, name="logits")(hidden)
        probabilities = layers.Softmax(name="probabilities")(logits)
        model = keras.Model(images, probabilities, name="tiny_classifier")
    fit_classifier(model, tiny, recipe=Recipe(30, 32, 2e-2, 0, 0))
    return model


@pytest.fixture(scope="session")
def trained(made_once: Callable[..., Path]) -> Path:
    """Models of the digits, made by the scripts; beside them "eval" with what they measured."""
    return made_once("trained", train_and_evaluate) / "saved-models"


def train_and_evaluate(folder: Path) -> None:
    models, out = folder / "saved-models", folder / "eval"
    output, errors = run("create_models.py", *TINY, "--out", str(models))
    begin, plan, *steps = output.splitlines()
    assert "starting Keras" in begin
    assert plan.startswith("4 models to train, about ")
    assert ", training accuracy 0." in steps[0]
    assert ", test accuracy 0." in steps[0]
    assert [line.split("]")[0] for line in steps[:4]] == [
        "[1/4",
        "[2/4",
        "[3/4",
        "[4/4",
    ]
    assert "alpha 0.99: " in output
    assert errors == ""
    output, errors = run("eval.py", "--models", str(models), "--out", str(out))
    assert "fidelity" in output
    assert str(out / "img" / "digits-dense-reconstructions.png") in output
    assert errors == ""


@pytest.fixture(scope="session")
def evaluated(trained: Path) -> Path:
    return trained.parent / "eval"


@pytest.fixture(scope="session")
def report_file(trained: Path, evaluated: Path, made_once: Callable[..., Path]) -> Path:
    """The report of `trained`, with everything in it."""
    from cladec.commands import main
    from cladec.storage import model_files

    def make(folder: Path) -> None:
        ranking = folder / "ranking.csv"
        checksum = model_files.checksum(trained / "digits/vgg/classifier.keras")
        ranking.write_text(RANKING.format(checksum))
        made = ["--models", str(trained), "--evaluation", str(evaluated), "--ranking", str(ranking)]
        chosen = ["--images", "60", "--methods", "saliency", "occlusion", "cladec", *HERE]
        main.main(["report", *made, *chosen, "--out", str(folder / "report.html")])

    return made_once("report", make) / "report.html"


@pytest.fixture(scope="session")
def every_alpha(trained: Path, made_once: Callable[..., Path]) -> Path:
    """The report of one network for every alpha beside a RefAE, without a ClaDec of its own."""
    from cladec.commands import main

    def make(folder: Path) -> None:
        models = Path(shutil.copytree(trained, folder / "saved-models"))
        for path in models.rglob("cladec-*"):
            path.unlink()
        tiny = [*TINY, "--decoder", "conditional", "--out", str(models), *HERE]
        run("create_models.py", *tiny)
        run("eval.py", "--models", str(models), "--out", str(folder / "eval"), *HERE)
        chosen = ["--images", "10", "--methods", "saliency", *HERE]
        main.main(
            ["report", "--models", str(models), *chosen, "--out", str(folder / "report.html")]
        )

    return made_once("every-alpha", make) / "report.html"


RANKING = """question,measure,method,mean,low,high,rank,group,than_random,higher_is_better,images,\
classifier_sha256
faithfulness,deletion,saliency,0.2,0.1,0.3,1,a,better,False,100,{0}
faithfulness,deletion,random,0.4,0.3,0.5,2,b,,False,100,{0}
robustness,stability,random,0.9,0.8,1,1,a,,False,100,{0}
robustness,stability,saliency,1,0.9,1.1,1,a,not told apart,False,100,{0}
"""
