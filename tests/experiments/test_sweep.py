"""A sweep from Python, as the notebooks use it."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from cladec.experiments.evaluator import measure_missing
from cladec.experiments.sweep import Sweep
from cladec.experiments.trainer import train, train_missing
from cladec.progress import Progress
from cladec.storage import model_files


def test_what_is_missing_is_trained_and_what_is_there_kept(tmp_path: Path) -> None:
    sweep = Sweep(
        ("digits",), layers=("dense",), alphas=(), epochs=1, batch_size=240, workers=0, out=tmp_path
    )
    train(sweep, Progress())
    classifier, refae = (run.path(tmp_path) for run in sweep.runs())
    before = classifier.read_bytes(), refae.read_bytes()
    more = replace(sweep, alphas=(0.0,), epochs=2)
    runs = train_missing(more, Progress())
    assert runs == more.runs()
    assert [run.path(tmp_path) for run in runs[:2]] == [classifier, refae]
    assert (classifier.read_bytes(), refae.read_bytes()) == before
    record = model_files.verify(runs[2].path(tmp_path))
    assert record["run"]["recipe"]["epochs"] == 2
    assert record["classifier_sha256"] == model_files.checksum(classifier)


def test_what_was_not_measured_is_measured_once_and_each_time_it_is_said(tmp_path, capsys) -> None:
    sweep = Sweep(
        ("digits",),
        layers=("dense",),
        alphas=(0.0,),
        epochs=1,
        batch_size=240,
        workers=0,
        out=tmp_path,
    )
    runs = train_missing(sweep)
    assert "3 of 3 models are missing and are trained now\n" in capsys.readouterr().out
    table = measure_missing(runs, tmp_path, workers=0)
    assert "3 of 3 models were not measured and are measured now\n" in capsys.readouterr().out
    decoded = table[table["model"] != "classifier"]
    assert {"reconstruction_loss", "fidelity"} <= set(decoded["eval"])
    assert "evaluation_accuracy" not in set(decoded["eval"])
    assert train_missing(sweep) == runs
    pd.testing.assert_frame_equal(measure_missing(runs, tmp_path, workers=0), table)
    assert capsys.readouterr().out == ""
