"""Every form of a classifier of one's own, from training to the report, by the real commands."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest
import zoo
from keras import layers
from own import SIDE, draw_pictures, without_classes
from PIL import Image
from scripts import HERE, files_of

from cladec import Split, load
from cladec.commands import main
from cladec.data.dataset import load_unlabelled
from cladec.models import loading

pytestmark = pytest.mark.filterwarnings("ignore::cladec.errors.InputWarning")
"""The classifiers are not trained, and some are told to be no better than chance."""

AGE = [0.3, 0.7]

KIND, SIZE, LABELS = ("kind", 1, "sigmoid"), ("size", 3, "softmax"), ("labels", 3, "sigmoid")
"""Heads: name, units and activation."""


def network(*heads: tuple[str, int, str], side: int | None = SIDE, age: bool = False):
    """A network that answers differently for dark and bright pictures."""
    inputs = [keras.Input((side, side, 3), name="picture")]
    hidden = inputs[0]
    for name, filters in (("early", 4), ("middle", 6)):
        hidden = layers.Conv2D(filters, 3, 2, "same", activation="relu", name=name)(hidden)
    hidden = layers.GlobalAveragePooling2D(name="pool")(hidden)
    if age:
        inputs.append(keras.Input((len(AGE),), name="age"))
        hidden = layers.Concatenate(name="both")([hidden, inputs[1]])
    outputs = [
        layers.Dense(units, activation=last, name=name)(hidden) for name, units, last in heads
    ]
    model = zoo.randomised(keras.Model(inputs, outputs if len(heads) > 1 else outputs[0]))
    middle = np.full((1, SIDE, SIDE, 3), 0.4, np.float32)
    features = keras.Model(inputs, hidden)(given(model, middle)).numpy()
    for name, *_ in heads:  # an image that is neither dark nor bright is in between
        kernel, bias = model.get_layer(name).weights
        bias.assign(-(features @ kernel.numpy())[0])
    return model


def given(model: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    """What the model itself takes."""
    return [images, np.tile(AGE, (len(images), 1))][: len(model.inputs)]


class Form(NamedTuple):
    """A form: its network, what must be said of it, and the classes or labels of its outputs."""

    build: Callable[[], keras.Model]
    said: Callable[[list[np.ndarray]], np.ndarray]
    options: Sequence[str] = ()
    ending: str = "keras"
    pictures: str = "pets"


def largest(outputs: list[np.ndarray]) -> np.ndarray:
    return outputs[-1].argmax(axis=1)


def half(outputs: list[np.ndarray]) -> np.ndarray:
    return (outputs[0][:, 0] > 0.5).astype(int)


def each_half(outputs: list[np.ndarray]) -> np.ndarray:
    return outputs[0] > 0.5


SAID_OF_ALL = ["--inputs", "age=0.3,0.7", "--output", "kind", "--image-size", "16", "16"]

FORMS = {
    "legacy": Form(lambda: network(SIZE), largest, ending="h5"),
    "inputs": Form(lambda: network(SIZE, age=True), largest, SAID_OF_ALL[:2]),
    "outputs": Form(lambda: network(KIND, SIZE), largest, ["--output", "size"]),
    "any size": Form(lambda: network(SIZE, side=None), largest, SAID_OF_ALL[4:]),
    "binary": Form(lambda: network(KIND), half),
    "all at once": Form(
        lambda: network(KIND, SIZE, side=None, age=True), half, SAID_OF_ALL, ending="h5"
    ),
    "labels": Form(lambda: network(LABELS), each_half),
    "labels, no classes": Form(lambda: network(LABELS), each_half, pictures="flat"),
}


class Done(NamedTuple):
    """What the commands made of one form."""

    form: Form
    folder: Path

    @property
    def train(self) -> list[str]:
        own = ["--classifier", str(self.folder / f"my.{self.form.ending}"), *self.form.options]
        own += ["--datasets", str(self.pictures), "--out", str(self.models), *HERE]
        return [
            *own,
            *("--layers", "middle", "--alphas", "0", "--epochs", "1", "--batch-size", "8"),
        ]

    @property
    def pictures(self) -> Path:
        return self.folder / self.form.pictures

    @property
    def models(self) -> Path:
        return self.folder / "saved-models"

    def answers(self, images: np.ndarray) -> np.ndarray:
        """The classes or labels that the file itself gives, without anything of the package."""
        model = keras.models.load_model(self.folder / f"my.{self.form.ending}", compile=False)
        outputs = model.predict(given(model, images), verbose=0)
        return self.form.said(outputs if isinstance(outputs, list) else [outputs])

    @property
    def test(self) -> Split:
        """The test pictures, with the answers of the file where they have no classes."""
        shape = (SIDE, SIDE, 3)
        if self.form.pictures == "flat":
            return load_unlabelled(self.pictures, ("a", "b", "c"), self.answers, shape=shape).test
        return load(self.pictures, shape=shape).test


@pytest.fixture(scope="module", params=FORMS)
def done(request: pytest.FixtureRequest, made_once: Callable[..., Path]) -> Done:
    form = FORMS[request.param]

    def make(folder: Path) -> None:
        done = Done(form, folder)
        form.build().save(folder / f"my.{form.ending}")
        draw_pictures(folder / "pets")
        without_classes(folder / "pets", folder / "flat")
        main.create_models(None, done.train)
        out = str(folder / "eval")
        main.evaluate_models(None, ["--models", str(done.models), "--out", out, *HERE])

    return Done(form, made_once(request.param, make))


def test_nothing_is_trained_twice(done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(done.models)
    main.create_models(None, done.train)
    assert "2 of 2 models are trained already" in capsys.readouterr().out
    assert files_of(done.models) == before


def test_the_tables_say_what_the_file_itself_answers(done: Done) -> None:
    tidy = pd.read_csv(done.folder / "eval/evaluation_runs.csv")
    values = tidy.set_index(["model", "eval"])["value"]
    cladec = loading.load_saved(done.models / done.form.pictures / "my/middle/cladec-alpha-0.keras")
    test = done.test
    answers = done.answers(np.asarray(test.images))
    assert len(np.unique(answers, axis=0)) > 1
    decoded = cladec.predict(np.asarray(test.images), verbose=0)
    expected = (done.answers(decoded) == answers).mean()
    assert values["cladec", "fidelity"] == pytest.approx(expected)
    assert np.isfinite(values["cladec", "classification_loss"])
    accuracy = values["classifier", "evaluation_accuracy"]
    labels = test.labels
    if answers.ndim > labels.ndim:  # a class is the only label of its images
        labels = np.eye(3)[labels]
    assert accuracy == pytest.approx((answers == labels).mean())
    assert values["cladec", "evaluation_accuracy"] <= 1


def test_pictures_are_drawn(done: Done) -> None:
    for what in ("reconstructions", "lost"):
        path = done.folder / f"eval/img/{done.form.pictures}-my-middle-{what}.png"
        with Image.open(path) as picture:
            assert len(picture.convert("L").getcolors(256) or []) > 20


def test_the_report_shows_it(done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    out = done.folder / "report.html"
    chosen = ["--images", "4", "--methods", "saliency", *HERE]
    command = ["report", "--models", str(done.models), *chosen, "--out", str(out)]
    if done.form.said is each_half:
        with pytest.raises(SystemExit):
            main.main(command)
        assert "several labels" in capsys.readouterr().err
        return
    main.main(command)
    assert f"{done.form.pictures} my" in out.read_text("utf-8")
