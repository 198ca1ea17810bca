"""Which figures are drawn of saved models, of which of them, and what the layers lost."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cladec.errors import InputError
from cladec.experiments import figures, losing
from cladec.experiments.evaluation import METRICS, own_measures, saved_runs, tidy_rows
from cladec.experiments.gallery import Gallery, galleries
from cladec.experiments.measuring import keep_measures
from cladec.experiments.runs import Run
from cladec.experiments.trainer import Trainer
from cladec.models.recipes import Recipe
from cladec.storage import model_files
from cladec.storage.tables import write_table

CLASSIFIER = Run("digits", "classifier", Recipe(1, 128, 1e-2, 0, 0))
REFAE = replace(CLASSIFIER, model="refae", layer="dense")
CLADEC = replace(CLASSIFIER, model="cladec", layer="dense", alpha=0.0)
PART = {"fraction": 0.5, "units": "random"}
RUNS = [
    CLASSIFIER,
    *(REFAE, CLADEC, replace(REFAE, **PART), replace(CLADEC, **PART)),
    replace(CLADEC, alpha=None, decoder="conditional"),
    *(replace(REFAE, layer="block_1"), replace(CLADEC, layer="block_1")),
    replace(CLADEC, layer="convolution_1"),
]
"""Layers in another order than from input to output; the last one without a RefAE."""

VALUES = {measured: 1.0 + i for i, run in enumerate(RUNS) for measured in run.measured()}
"""What every measure of a run is in the table."""


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "saved-models"
    trainer = Trainer(folder)
    for run in RUNS:
        trainer(run, lambda share, values: None)
    return folder


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rows = [tidy_rows(run, dict.fromkeys(METRICS, value)) for run, value in VALUES.items()]
    return pd.DataFrame([row for of_run in rows for row in of_run])


@pytest.fixture(scope="module")
def gallery(models, table) -> Gallery:
    (only,) = galleries(saved_runs(models), table, models)
    return only


@pytest.fixture(scope="module")
def drawn(gallery) -> dict:
    return {name: figure for make in figures.MAKERS for name, figure in make(gallery)}


def rows_of(figure) -> dict[str, list]:
    """The axes with images, by the name of their row."""
    rows: dict[str, list] = {}
    for axis in figure.axes:
        if axis.images:
            rows.setdefault(axis.get_ylabel() or list(rows)[-1], []).append(axis)
    return rows


def test_every_figure_that_there_are_models_for(drawn):
    assert set(drawn) == {
        *(f"digits-{layer}-reconstructions" for layer in ("dense", "block_1", "convolution_1")),
        *("digits-measures", "digits-layers", "digits-dense-conditional"),
        *("digits-dense-fractions", "digits-dense-fraction-images"),
    }


def test_without_decoders_there_is_nothing_to_draw(models, table):
    empty = Gallery([CLASSIFIER], table[table["model"] == "classifier"], models)
    assert not [name for make in figures.MAKERS for name, _ in make(empty)]
    assert not list(losing.layers_lost(empty))


def test_the_first_look_is_at_plain_decoders_of_whole_layers(drawn):
    assert list(rows_of(drawn["digits-dense-reconstructions"])) == ["original", "RefAE", "ClaDec 0"]
    for axis in drawn["digits-measures"].axes:
        of_dense = next(line for line in axis.lines if line.get_label() == "ClaDec dense")
        assert of_dense.get_ydata().tolist() == [VALUES[CLADEC]]


def test_only_measures_of_the_very_models_are_drawn(models, table, tmp_path):
    own = Path(shutil.copytree(models, tmp_path / "saved models"))
    runs, record = saved_runs(own), model_files.verify(CLASSIFIER.path(own))
    table = table.assign(value=table["value"] / 3)
    written = pd.read_csv(write_table(table, tmp_path / "table.csv"))

    def keep(run, classifier=record, folder=own):
        values = dict.fromkeys(METRICS, VALUES[run] / 3)
        keep_measures(run, own, classifier, values, folder)

    def refused(written: pd.DataFrame) -> str:
        with pytest.raises(InputError, match="of other models than those of digits") as caught:
            _ = Gallery(runs, written, own).measures
        return str(caught.value)

    assert f"python eval.py --models '{own}'" in refused(written)
    for run in VALUES:
        keep(run)
    pd.testing.assert_frame_equal(Gallery(runs, written, own).measures, written)
    refused(written.assign(value=written["value"] + 1e-5))
    assert not Gallery(runs, written[written["layer"] != "dense"], own).measures.empty
    keep(REFAE, record | {"sha256": "of another classifier"})
    refused(written)
    assert len(own_measures(runs, own)) == len(table) - len(METRICS)
    keep(REFAE, folder=tmp_path / "eval")
    assert len(own_measures(runs, own, tmp_path / "eval")) == len(table)


def test_chosen_images_are_right_then_wrong(gallery):
    shown = gallery.choose(3, 2)
    assert shown.wrong == [False, False, False, True, True]
    for title, wrong in zip(shown.titles, shown.wrong, strict=True):
        true, predicted = title.split(" - ")
        assert (true != predicted) == wrong
    answers = gallery.material.classifier.predict(shown.images, verbose=0).argmax(1)
    assert [title.split(" - ")[1] for title in shown.titles] == [str(a) for a in answers]


def test_the_images_of_parts_of_a_layer(gallery, drawn):
    rows = rows_of(drawn["digits-dense-fraction-images"])
    part = ["RefAE\n0.5, random", "ClaDec 0\n0.5, random"]
    assert list(rows) == ["original", *part, "RefAE\nwhole layer", "ClaDec 0\nwhole layer"]
    images = gallery.choose(3, 2).images
    for run, name in ((replace(CLADEC, **PART), part[1]), (REFAE, "RefAE\nwhole layer")):
        expected = gallery.load(run).predict(images, verbose=0)
        for axis, image in zip(rows[name], expected, strict=True):
            np.testing.assert_allclose(axis.images[0].get_array(), image[..., 0], atol=1e-5)


def test_layers_are_drawn_from_input_to_output(drawn):
    titles = [axis.get_title() for axis in drawn["digits-layers"].axes]
    names = ["convolution_1", "block_1", "dense"]
    assert [title for title in titles if title in names] == names
    for axis in drawn["digits-layers"].axes[-3:]:
        lines = {line.get_label(): line.get_ydata() for line in axis.lines}
        of_cladec = [VALUES[replace(CLADEC, layer=name)] for name in names]
        of_refae = [np.nan, *(VALUES[replace(REFAE, layer=name)] for name in names[1:])]
        np.testing.assert_array_equal(lines["ClaDec"], of_cladec)
        np.testing.assert_array_equal(lines["RefAE"], of_refae)


def test_one_network_is_drawn_at_the_alphas_of_the_others(gallery, drawn):
    rows = rows_of(drawn["digits-dense-conditional"])
    assert list(rows) == ["original", "alpha 0"]
    images = gallery.choose(3, 2).images
    network = gallery.load(next(run for run in gallery.runs if run.decoder == "conditional"))
    expected = network.predict(images, alpha=0.0)
    for axis, image in zip(rows["alpha 0"][-5:], expected, strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), image[..., 0], atol=1e-5)


def test_other_architectures_have_names_of_their_own(table, models):
    other = replace(CLASSIFIER, architecture="diff_ae")
    both = list(galleries([CLASSIFIER, other], table, models))
    assert [gallery.name for gallery in both] == ["digits", "digits-diff_ae"]
    assert len(both[0].measures) == len(table)
    assert both[1].measures.empty
    assert both[1].file_name("block/dense", "lost") == "digits-diff_ae-block.dense-lost"


def test_what_the_layers_lost(gallery, tmp_path):
    lost = list(losing.layers_lost(gallery))
    assert [layer.name for layer in lost] == ["digits-block_1-lost", "digits-dense-lost"]
    files = losing.save_tables(lost, tmp_path)
    assert [file.name for file in files] == [
        "evaluation_lost.csv",
        "evaluation_lost_correlation.csv",
    ]
    means, correlations = map(pd.read_csv, files)
    first = ["dataset", "architecture", "layer"]
    assert list(means) == [*first, "class", "images", "lost", "low", "high"]
    assert list(correlations) == [*first, "images", "wrong", "correlation", "low", "high"]
    data = gallery.material.data
    errors = []
    for run in (CLADEC, REFAE):
        decoded = gallery.load(run).predict(data.test.images, verbose=0).astype("float64")
        errors.append(((decoded - data.test.images) ** 2).sum((1, 2, 3)))
    expected = errors[0] - errors[1]
    wrong = gallery.material.classifier.predict(data.test.images, verbose=0).argmax(1)
    wrong = wrong != data.test.labels
    of_dense = means[means["layer"] == "dense"].set_index("class")
    assert list(of_dense.index) == ["all", *data.class_names]
    assert of_dense.loc["all", "lost"] == pytest.approx(expected.mean(), rel=1e-4)
    of_threes = expected[data.test.labels == 3]
    assert of_dense.loc["3", "lost"] == pytest.approx(of_threes.mean(), rel=1e-4)
    assert of_dense.loc["3", "images"] == len(of_threes)
    assert (of_dense["low"] < of_dense["lost"]).all()
    assert (of_dense["lost"] < of_dense["high"]).all()
    row = correlations.set_index("layer").loc["dense"]
    assert row["correlation"] == pytest.approx(np.corrcoef(expected, wrong)[0, 1], abs=1e-4)
    assert (row["images"], row["wrong"]) == (len(wrong), wrong.sum())
    assert lost[1].summary.most_lost[0] == expected.argmax()


def test_where_nothing_can_be_compared_nothing_is_written(tmp_path):
    assert losing.save_tables([], tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_a_figure_with_too_long_a_name_gets_a_shorter_one(tmp_path):
    path = figures.save(Figure(), tmp_path / f"{'n' * 300}-dense-lost.png")
    assert [path] == list(tmp_path.iterdir())
    assert (len(path.name), path.suffix) == (255, ".png")
