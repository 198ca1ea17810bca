"""The tables: which runs are read, means over repeats, empty cells; and the order of a sweep."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cladec.errors import InputError
from cladec.experiments.records import saved_runs
from cladec.experiments.results import METRICS, tidy_rows, wide_table
from cladec.experiments.runs import Run
from cladec.experiments.sweep import Sweep
from cladec.models.recipes import ALPHAS, CLADEC, CLASSIFIER


def rows(run: Run, value: float) -> list[dict]:
    metrics = METRICS if run.layer else ("total_loss", "classification_loss", "evaluation_accuracy")
    return tidy_rows(run, dict.fromkeys(metrics, value))


def test_a_sweep_is_complete_and_starts_with_the_classifier():
    runs = Sweep(repeats=2).runs()
    assert len(runs) == len(set(runs)) == 2 * (1 + 2 * 2 * (1 + len(ALPHAS)))
    assert [run.model for run in runs[:3]] == ["classifier", "refae", "cladec"]
    assert [run.dataset for run in runs].index("fashion_mnist") == len(runs) // 2
    assert len({run.path(Path("m")) for run in runs}) == len(runs)


def test_given_twice_is_trained_once():
    sweep = Sweep(datasets=("digits", "digits"), layers=("conv",), alphas=(0.5, 0.5))
    assert len(sweep.runs()) == 3


def test_paths():
    run = Run(
        dataset="digits", model="cladec", recipe=CLADEC, layer="block/conv", alpha=0.9999, repeat=2
    )
    assert run.path(Path("m")) == Path("m/digits/vgg/block.conv/cladec-alpha-0.9999-repeat-2.keras")
    assert Run(dataset="emnist/letters", model="classifier", recipe=CLASSIFIER).path(
        Path("m")
    ) == Path("m/emnist-letters/vgg/classifier.keras")


def names(**settings) -> list[str]:
    """The files of a sweep of one dataset and layer, without its classifier."""
    sweep = Sweep(datasets=("digits",), layers=("conv",), **settings)
    return [run.path(Path("m")).relative_to("m/digits").as_posix() for run in sweep.runs()[1:]]


def test_what_sets_a_run_apart_is_in_its_name():
    folder = "vgg/conv"
    assert names(alphas=(0.5,), fractions=(0.1, 1.0), units="random") == [
        f"{folder}/refae-fraction-0.1-random.keras",
        f"{folder}/cladec-alpha-0.5-fraction-0.1-random.keras",
        f"{folder}/refae.keras",
        f"{folder}/cladec-alpha-0.5.keras",
    ]
    assert names(conditional=True) == [
        f"{folder}/refae.keras",
        f"{folder}/cladec-conditional.keras",
    ]
    assert names(variational=True, alphas=(0.5,), latent_dim=8, beta=0.25, repeats=2)[2:] == [
        f"{folder}/refae-variational-latent-8-beta-0.25-repeat-1.keras",
        f"{folder}/cladec-variational-alpha-0.5-latent-8-beta-0.25-repeat-1.keras",
    ]
    assert names(variational=True, alphas=())[0] == f"{folder}/refae-variational.keras"
    assert names(architecture="diff_ae", alphas=())[0] == "diff_ae/conv/refae.keras"


def test_a_conditional_decoder_is_measured_at_every_alpha():
    plain, conditional = (
        Run(
            dataset="digits",
            model="cladec",
            recipe=CLADEC,
            layer="conv",
            alpha=alpha,
            decoder=decoder,
        )
        for alpha, decoder in ((0.5, "plain"), (None, "conditional"))
    )
    assert plain.measured() == [plain]
    measured = conditional.measured()
    assert [run.alpha for run in measured] == list(ALPHAS)
    assert {run.path(Path("m")) for run in measured} == {conditional.path(Path("m"))}
    assert len({run.evaluation_path(Path("m")) for run in measured}) == len(ALPHAS)


def test_what_decodes_a_classifier_shares_its_path():
    for run in Sweep(datasets=("digits",), fractions=(0.5,), variational=True).runs():
        assert run.classifier_path(Path("m")) == Path("m/digits/vgg/classifier.keras")


def test_important_units_depend_on_the_classifier():
    refae = Run(dataset="digits", model="refae", recipe=CLADEC, layer="conv", fraction=0.5)
    assert not refae.depends_on_classifier
    assert replace(refae, units="important").depends_on_classifier
    assert replace(refae, model="cladec").depends_on_classifier


def test_repeats_have_seeds_of_their_own():
    assert len({run.run_seed for run in Sweep(repeats=3, seed=5).runs()}) == 3


def test_wide_table():
    classifier = Run(dataset="digits", model="classifier", recipe=CLASSIFIER)
    table = rows(classifier, 0.5)
    for layer in ("conv", "dense"):
        table += rows(Run(dataset="digits", model="refae", recipe=CLADEC, layer=layer), 1.0)
        for alpha in (0.0, 0.9999, 1.0):
            for repeat, value in enumerate((2.0, 4.0)):
                run = Run(
                    dataset="digits",
                    model="cladec",
                    recipe=CLADEC,
                    layer=layer,
                    alpha=alpha,
                    repeat=repeat,
                )
                table += rows(run, value + alpha)
    wide = wide_table(pd.DataFrame(table))
    assert list(wide) == ["dataset", "layer", "eval", "classifier", "refAE", "0", "0.9999", "1"]
    assert list(wide["eval"]) == [*METRICS, *METRICS]
    assert list(wide["layer"]) == ["conv"] * len(METRICS) + ["dense"] * len(METRICS)
    by_eval = wide[wide["layer"] == "dense"].set_index("eval")
    values = by_eval.loc["fidelity", ["refAE", "0", "0.9999", "1"]].tolist()
    assert values == pytest.approx([1, 3, 3.9999, 4])
    assert by_eval.loc["total_loss", "classifier"] == 0.5
    of_classifier = by_eval["classifier"].dropna().index
    assert list(of_classifier) == ["total_loss", "classification_loss", "evaluation_accuracy"]


def test_what_sets_runs_apart_has_a_column_where_it_differs():
    table = rows(Run(dataset="digits", model="classifier", recipe=CLASSIFIER), 0.5)
    refae = Run(dataset="digits", model="refae", recipe=CLADEC, layer="conv")
    cladec = replace(refae, model="cladec", alpha=0.0)
    table += rows(refae, 1.0) + rows(cladec, 2.0)
    table += rows(replace(refae, fraction=0.1, units="random"), 3.0)
    table += rows(replace(cladec, fraction=0.1, units="random"), 4.0)
    table += rows(replace(cladec, decoder="conditional"), 5.0)
    wide = wide_table(pd.DataFrame(table))
    variants = ["fraction", "units", "decoder"]
    assert list(wide) == ["dataset", *variants, "layer", "eval", "classifier", "refAE", "0"]
    losses = wide[wide["eval"] == "total_loss"].sort_values("0")
    assert losses[[*variants, "classifier", "refAE", "0"]].values.tolist() == [
        [1.0, "first", "plain", 0.5, 1.0, 2.0],
        [0.1, "random", "plain", 0.5, 3.0, 4.0],
        [1.0, "first", "conditional", 0.5, 1.0, 5.0],
    ]


def test_architectures_have_their_own_classifier_in_the_table():
    table = []
    for value, architecture in enumerate(("vgg", "diff_ae")):
        classifier = Run(
            dataset="digits", model="classifier", recipe=CLASSIFIER, architecture=architecture
        )
        table += rows(classifier, float(value))
        table += rows(replace(classifier, model="refae", layer="conv"), 10.0 + value)
    wide = wide_table(pd.DataFrame(table))
    losses = wide[wide["eval"] == "total_loss"]
    assert losses[["architecture", "classifier", "refAE"]].values.tolist() == [
        ["vgg", 0.0, 10.0],
        ["diff_ae", 1.0, 11.0],
    ]


def test_wide_table_without_refae_or_classifier():
    run = Run(dataset="digits", model="cladec", recipe=CLADEC, layer="conv", alpha=0.0)
    wide = wide_table(pd.DataFrame(rows(run, 2.0)))
    assert wide["0"].tolist() == [2.0] * len(METRICS)
    assert wide[["classifier", "refAE"]].isna().all(axis=None)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"sha256": "0", "run": {}})])
def test_a_damaged_record_is_named(content: str, tmp_path: Path):
    record = tmp_path / "digits/vgg/classifier.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)
    record.with_suffix(".keras").write_bytes(b"")
    with pytest.raises(InputError, match=r"classifier\.") as caught:
        saved_runs(tmp_path)
    assert "create_models.py" in str(caught.value)
