"""The recipes of CONTRIBUTING.md, each followed: a file, a row, and everything else knows it."""

import importlib
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scripts import HERE

import cladec
from cladec.commands import main
from cladec.commands.settings import ReportFile
from cladec.data import sources
from cladec.experiments.results import METRICS
from cladec.explainers.registry import EXPLAINERS, Explainer
from cladec.metrics.measures import MEASURES, Measure
from cladec.models import recipes
from cladec.models.architectures import ARCHITECTURES, Architecture
from cladec.models.kinds import KINDS, Kind

DENSE = ["--datasets", "digits", "--layers", "dense", "--alphas", "0"]
QUICK = ["--epochs", "1", "--batch-size", "48", *HERE]
RECIPES = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text("utf-8")


@pytest.fixture
def new_file(tmp_path, monkeypatch):
    """Puts a file into a folder of the package, for one test."""

    def write(folder: str, name: str, code: str) -> None:
        package = importlib.import_module(f"cladec.{folder}")
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(textwrap.dedent(code))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / folder)])

    return write


@pytest.mark.parametrize(
    "what",
    ["an architecture", "a kind of decoder", "an explainer", "a measure", "a source", "a command"],
)
def test_there_is_a_recipe(what):
    assert f"## Add {what}" in RECIPES


def test_a_new_architecture_is_trained_decoded_and_measured(new_file, tmp_path, monkeypatch):
    new_file(
        "models",
        "my_architecture",
        """
        import keras
        from keras import layers

        def mine(image_shape, num_classes):
            images = keras.Input(image_shape, name="images")
            hidden = layers.Conv2D(4, 3, strides=4, activation="relu", name="conv")(images)
            hidden = layers.Dense(8, name="dense")(layers.Flatten(name="flatten")(hidden))
            scores = layers.Dense(num_classes, name="logits")(hidden)
            return keras.Model(images, layers.Softmax(name="probabilities")(scores), name="mine")
        """,
    )
    row = Architecture("mine", module="my_architecture")
    monkeypatch.setitem(ARCHITECTURES, "mine", row)  # type: ignore[arg-type]
    out = str(tmp_path / "models")
    chosen = [
        "--datasets",
        "digits",
        "--architecture",
        "mine",
        "--layers",
        "dense",
        "--alphas",
        "0",
    ]
    main.create_models(None, [*chosen, *QUICK, "--out", out])
    main.evaluate_models(None, ["--models", out, "--out", str(tmp_path / "eval"), *HERE])
    table = pd.read_csv(tmp_path / "eval" / "evaluation_result.csv")
    assert set(table["architecture"]) == {"mine"}
    assert set(table["eval"]) == set(METRICS) - {"thumbnail_error"}  # of a flat code


def test_a_new_kind_of_decoder_is_trained_measured_drawn_and_reported(
    new_file, tmp_path, monkeypatch
):
    new_file(
        "models",
        "brighter",
        """
        import keras
        from cladec.models import build_decoder, compute_codes, fit_cladec

        def fit_brighter(classifier, layer, data, *, alpha, **options):
            shape = compute_codes(classifier, layer, data.test.images[:1]).shape[1:]
            decoder = build_decoder(shape, data.image_shape, mean_pixel=0.9)
            return fit_cladec(classifier, layer, data, alpha=alpha, decoder=decoder, **options)
        """,
    )
    row = Kind("brighter.fit_brighter", recipes.CLADEC, title="decoders that start bright")
    monkeypatch.setitem(KINDS, "brighter", row)  # type: ignore[arg-type]
    models, out = str(tmp_path / "models"), str(tmp_path / "eval")
    main.create_models(None, ["--decoder", "brighter", *DENSE, *QUICK, "--out", models])
    main.evaluate_models(None, ["--models", models, "--out", out, *HERE])
    table = pd.read_csv(tmp_path / "eval" / "evaluation_result.csv").set_index(["decoder", "eval"])
    losses = table.loc["brighter", "reconstruction_loss"]
    assert losses["0"] > 0
    assert losses["refAE"] == table.loc["plain", "reconstruction_loss"]["refAE"]
    page = tmp_path / "report.html"
    main.main(["report", "--models", models, "--methods", "saliency", *HERE, "--out", str(page)])
    assert "dense, brighter" in page.read_text("utf-8")


def test_a_new_explainer_is_called_listed_and_compared(
    new_file, monkeypatch, classifier, tiny, tmp_path
):
    new_file(
        "explainers",
        "bright_pixels",
        '''
        def brightness(model, images, targets=None):
            """The brightness of each pixel, (N, H, W)."""
            return images.mean(axis=-1)
        ''',
    )
    monkeypatch.setitem(EXPLAINERS, "brightness", Explainer("bright_pixels", "brightness"))
    images = tiny.test.images[:3]
    maps = cladec.explain(classifier, images, method="brightness")
    np.testing.assert_array_equal(maps, images[..., 0])
    assert cladec.explainers.brightness is EXPLAINERS["brightness"].function


def test_a_new_measure_ranks_explainers(new_file, monkeypatch, classifier, tmp_path):
    new_file(
        "metrics",
        "sparseness",
        """
        def sparseness(model, images, maps, targets, *, seed):
            return (maps == 0).mean(axis=(1, 2))
        """,
    )
    row = Measure("sparseness", "sparseness", "faithfulness", higher_is_better=True)
    monkeypatch.setitem(MEASURES, "sparseness", row)  # type: ignore[arg-type]
    folder = _pictures(tmp_path)
    classifier.save(tmp_path / "m.keras")
    given = ["--model", str(tmp_path / "m.keras"), "--dataset", str(folder), "--images", "4"]
    chosen = ["--methods", "saliency", "--measures", "sparseness", "--out", str(tmp_path / "out")]
    main.main(["compare", *given, *chosen])
    table = pd.read_csv(tmp_path / "out" / "ranking.csv").set_index(["measure", "method"])
    assert table.loc[("sparseness", "saliency"), "higher_is_better"]


def _pictures(folder: Path) -> Path:
    from PIL import Image

    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in map(str, range(10)):
            for number in range(2):
                path = folder / "pictures" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).save(path)
    return folder / "pictures"


def test_a_new_source_is_loaded_by_name(monkeypatch, tmp_path):
    random = np.random.default_rng(0)

    def read(name, data_dir):
        images = random.random((4, 8, 8, 1), np.float32)
        split = (images, np.array([0, 1, 0, 1]))
        return split, split, ("left", "right")

    noise = sources.Source(takes=lambda name: name == "noise", read=read)
    monkeypatch.setattr(sources, "SOURCES", {"noise": noise, **sources.SOURCES})
    data = cladec.load("noise")
    assert (data.name, data.class_names) == ("noise", ("left", "right"))
    cladec.Sweep(datasets=("noise",), out=tmp_path).check()


def test_a_new_command_is_offered_and_run(new_file, monkeypatch, capsys, tmp_path):
    new_file(
        "commands",
        "greet",
        """
        from cladec.commands.console import show

        def run(settings):
            show(f"models are in {settings.models}")
        """,
    )

    class Greet(ReportFile):
        """Say where the models are."""

        def check(self):
            """Nothing is wrong."""

    monkeypatch.setitem(main.COMMANDS, "greet", Greet)
    main.main(["greet", "--models", "there", "--out", str(tmp_path)])
    assert "models are in there" in capsys.readouterr().out
