"""Parts of layers, variational and conditional decoders, architectures: through the scripts."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cladec import load
from cladec.commands import main
from cladec.experiments.results import METRICS
from cladec.metrics import lost_information
from cladec.models import loading
from cladec.models.recipes import ALPHAS, alpha_text

SETTINGS = ["--datasets", "digits", "--layers", "dense", "--epochs", "2", "--batch-size", "64"]
HERE = ["--workers", "0"]
KINDS = {
    "plain": ["--alphas", "0"],
    "important": ["--alphas", "0", "--fractions", "0.25", "--units", "important"],
    "variational": ["--alphas", "0.5", "--variational", "--latent-dim", "3"],
    "conditional": ["--conditional"],
}

OF_FLAT_CODES = len(METRICS) - 1
"""Measures of a layer without places, whose grid has no thumbnail."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variants") / "saved-models"
    for options in KINDS.values():
        main.create_models(None, [*SETTINGS, *options, *HERE, "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def tables(models: Path) -> Path:
    out = models.parent / "eval"
    main.evaluate_models(None, ["--models", str(models), "--out", str(out), *HERE])
    return out


def test_every_kind_has_files_of_its_own(models: Path) -> None:
    names = {path.stem for path in (models / "digits/vgg/dense").glob("*.keras")}
    assert names == {
        "refae",
        "cladec-alpha-0",
        "refae-fraction-0.25-important",
        "cladec-alpha-0-fraction-0.25-important",
        "refae-variational-latent-3",
        "cladec-variational-alpha-0.5-latent-3",
        "cladec-conditional",
    }


def test_part_of_a_layer_is_what_is_decoded(models: Path) -> None:
    folder = models / "digits/vgg/dense"
    whole = loading.load_saved(folder / "cladec-alpha-0.keras")
    part = loading.load_saved(folder / "cladec-alpha-0-fraction-0.25-important.keras")
    reference = loading.load_saved(folder / "refae-fraction-0.25-important.keras")
    images = load("digits").test.images[:4]
    codes, chosen = (np.asarray(model.encoder(images)) for model in (whole, part))
    assert chosen.shape == (4, codes.shape[1] // 4)
    columns = [np.flatnonzero((codes == unit[:, None]).all(axis=0)) for unit in chosen.T]
    assert all(len(found) for found in columns)
    assert reference.encoder.output_shape[1:] == chosen.shape[1:]
    record = json.loads((folder / "refae-fraction-0.25-important.json").read_text())
    assert record["classifier_sha256"]


def test_all_of_it_is_in_the_tables(tables: Path) -> None:
    runs = pd.read_csv(tables / "evaluation_runs.csv")
    counts = runs[runs["model"] == "cladec"].groupby(["decoder", "fraction"]).size()
    assert counts.to_dict() == {
        ("conditional", 1.0): len(ALPHAS) * OF_FLAT_CODES,
        ("plain", 0.25): OF_FLAT_CODES,
        ("plain", 1.0): OF_FLAT_CODES,
        ("variational", 1.0): OF_FLAT_CODES,
    }
    wide = pd.read_csv(tables / "evaluation_result.csv")
    variants = ["fraction", "units", "decoder", "latent_dim"]
    assert list(wide)[:7] == ["dataset", *variants, "layer", "eval"]
    conditional = wide[wide["decoder"] == "conditional"].set_index("eval")
    assert conditional.loc["reconstruction_loss"].notna().drop("classifier").all()


def test_the_conditional_decoder_is_measured_as_it_decodes(models: Path, tables: Path) -> None:
    cladec = loading.load_saved(models / "digits/vgg/dense/cladec-conditional.keras")
    images = load("digits").test.images
    runs = pd.read_csv(tables / "evaluation_runs.csv")
    runs = runs[(runs["decoder"] == "conditional") & (runs["eval"] == "reconstruction_loss")]
    for alpha in (0.0, 0.9999):
        decoded = cladec.predict(images, alpha=alpha).astype("float64")
        expected = ((decoded - images) ** 2).sum((1, 2, 3)).mean()
        measured = runs.loc[runs["alpha"] == alpha, "value"].item()
        assert measured == pytest.approx(expected, rel=1e-4)


def test_every_kind_has_its_figures(tables: Path) -> None:
    names = {path.stem for path in (tables / "img").iterdir()}
    variational = ("refae-variational-latent-3", "cladec-variational-alpha-0.5-latent-3")
    assert names == {
        *("digits-measures", "digits-dense-reconstructions", "digits-dense-lost"),
        "digits-dense-story",
        *("digits-dense-fractions", "digits-dense-fraction-images", "digits-dense-conditional"),
        *(
            f"digits-dense-{run}-{what}"
            for run in variational
            for what in ("images", "codes", "classes")
        ),
    }


def test_a_changed_latent_space_is_another_run(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--variational", "--alphas", "0.5", "--latent-dim", "3"]
    main.create_models(None, [*SETTINGS, *options, *HERE, "--out", str(models)])
    assert "3 of 3 models are trained already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--fractions", "0"], ["0.0", "above 0"]),
        (["--fractions"], ["--fractions", "empty"]),
        (["--conditional", "--variational"], ["--conditional", "--variational", "choose one"]),
        (["--variational", "--beta", "-1"], ["beta", "-1"]),
        (["--latent-dim", "0"], ["--latent-dim", "0", "at least 1"]),
        (["--architecture", "diff_ae", "--layers", "block_3"], ["block_3", "conv"]),
    ],
)
def test_bad_settings(
    arguments: list[str], named: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.create_models(None, ["--datasets", "digits", *arguments, "--out", str(tmp_path)])
    assert ended.value.code == main.BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    for text in named:
        assert text in errors


def test_all_layers_from_input_to_output() -> None:
    from cladec.experiments.sweep import Sweep

    assert Sweep(layers=("all",)).with_layers().layers == (
        *("convolution_1", "pooling_1", "relu_1", "block_1"),
        *("convolution_2", "pooling_2", "relu_2", "conv", "dense", "logits", "probabilities"),
    )
    assert Sweep(layers=("all",), architecture="diff_ae").with_layers().layers[-2:] == (
        "dense",
        "probabilities",
    )


def test_the_report_slides_finely_through_one_network_for_every_alpha(
    models: Path, tables: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    given = ["--models", str(models), "--evaluation", str(tables), "--out", str(out), *HERE]
    main.main(["report", *given, "--images", "6", "--methods", "saliency"])
    found = re.search(r'class="data">(.*?)</script>', out.read_text(), re.S)
    assert found
    data = json.loads(found[1])
    decoded = {each["label"]: each for each in data["decoded"]}
    assert {each["layer"] for each in data["decoded"]} == {"dense"}
    assert set(decoded) == {
        "dense",
        "dense, important 25 %",
        "dense, variational (latent dim 3, beta 1)",
        "dense, one network for every alpha",
    }
    one = decoded["dense, one network for every alpha"]
    assert set(map(alpha_text, ALPHAS)) < set(one["alphas"])
    assert [float(alpha) for alpha in one["alphas"]] == sorted(map(float, one["alphas"]))
    published = one["measures"][one["alphas"].index("0.99")]
    runs = pd.read_csv(tables / "evaluation_runs.csv")
    is_it = (runs["decoder"] == "conditional") & (runs["alpha"] == 0.99)
    (value,) = runs[is_it & (runs["eval"] == "fidelity")]["value"]
    assert float(published["Fidelity"]) == pytest.approx(value, rel=1e-3)
    images = load("digits").test.images[data["rows"]]
    model = loading.load_saved(models / "digits/vgg/dense/cladec-conditional.keras")
    answers = loading.load_saved(models / "digits/vgg/classifier.keras")(
        model.predict(images, alpha=0.94)
    )
    shown = one["cladec"][one["alphas"].index("0.94")]
    np.testing.assert_allclose(shown, 1000 * np.asarray(answers), atol=2)
    refae = np.asarray(loading.load_saved(models / "digits/vgg/dense/refae.keras")(images))
    maps = lost_information.lost_maps(images, model.predict(images, alpha=0.0), refae)
    lost = lost_information.lost_per_image(maps)
    np.testing.assert_allclose(one["lost"], lost, atol=0.02)
    assert len(decoded["dense, important 25 %"]["lost"]) == len(images)
    assert decoded["dense, variational (latent dim 3, beta 1)"]["lost"] is None
