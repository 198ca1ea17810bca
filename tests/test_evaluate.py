"""The tables: which runs are read, means over repeats, empty cells; and the order of a sweep."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cladec.errors import InputError
from cladec.evaluate import METRICS, saved_runs, tidy_rows, wide_table
from cladec.recipes import ALPHAS, CLADEC, CLASSIFIER
from cladec.sweep import Run, Sweep


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
    run = Run("digits", "cladec", CLADEC, layer="block/conv", alpha=0.9999, repeat=2)
    assert run.path(Path("m")) == Path("m/digits/vgg/block.conv/cladec-alpha-0.9999-repeat-2.keras")
    assert Run("emnist/letters", "classifier", CLASSIFIER).path(Path("m")) == Path(
        "m/emnist-letters/vgg/classifier.keras"
    )


def test_repeats_have_seeds_of_their_own():
    assert len({run.run_seed for run in Sweep(repeats=3, seed=5).runs()}) == 3


def test_wide_table():
    classifier = Run("digits", "classifier", CLASSIFIER)
    table = rows(classifier, 0.5)
    for layer in ("conv", "dense"):
        table += rows(Run("digits", "refae", CLADEC, layer=layer), 1.0)
        for alpha in (0.0, 0.9999, 1.0):
            for repeat, value in enumerate((2.0, 4.0)):
                run = Run("digits", "cladec", CLADEC, layer=layer, alpha=alpha, repeat=repeat)
                table += rows(run, value + alpha)
    wide = wide_table(pd.DataFrame(table))
    assert list(wide) == ["dataset", "layer", "eval", "classifier", "refAE", "0", "0.9999", "1"]
    assert list(wide["eval"]) == [*METRICS, *METRICS]
    assert list(wide["layer"]) == ["conv"] * 5 + ["dense"] * 5
    by_eval = wide[wide["layer"] == "dense"].set_index("eval")
    values = by_eval.loc["fidelity", ["refAE", "0", "0.9999", "1"]].tolist()
    assert values == pytest.approx([1, 3, 3.9999, 4])
    assert by_eval.loc["total_loss", "classifier"] == 0.5
    assert by_eval["classifier"].isna().tolist() == [False, True, False, False, True]


def test_wide_table_without_refae_or_classifier():
    run = Run("digits", "cladec", CLADEC, layer="conv", alpha=0.0)
    wide = wide_table(pd.DataFrame(rows(run, 2.0)))
    assert wide["0"].tolist() == [2.0] * 5
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
