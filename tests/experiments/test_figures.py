"""Which figures are drawn of saved models, of which of them, and what the layers lost."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cladec import plots
from cladec.errors import InputError
from cladec.experiments import figures, saved_decoders, stories
from cladec.experiments.records import saved_runs
from cladec.experiments.results import METRICS, keep_measures, own_measures, tidy_rows
from cladec.experiments.runs import Run, by_classifier
from cladec.experiments.saved_models import SavedClassifier
from cladec.experiments.stories import telling_images
from cladec.experiments.trainer import Trainer
from cladec.models import decoder, photographs
from cladec.models.recipes import Recipe
from cladec.storage import model_files
from cladec.storage.outputs import save_figure

CLASSIFIER = Run(dataset="digits", model="classifier", recipe=Recipe(1, 128, 1e-2, 0, 0))
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
def saved(models, table) -> SavedClassifier:
    (only,) = by_classifier(saved_runs(models))
    return SavedClassifier(only, models, measures=table)


@pytest.fixture(scope="module")
def drawn(saved) -> dict:
    return {name: figure for make in figures.MAKERS for name, figure in make(saved)}


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
        *("digits-measures", "digits-layers", "digits-dense-conditional", "digits-dense-story"),
        *("digits-dense-fractions", "digits-dense-fraction-images"),
    }


def test_without_decoders_there_is_nothing_to_draw(models, table):
    measures = table[table["model"] == "classifier"]
    empty = SavedClassifier([CLASSIFIER], models, measures=measures)
    assert not [name for make in figures.MAKERS for name, _ in make(empty)]
    assert not list(figures.layers_lost(empty))


def test_the_first_look_is_at_plain_decoders_of_whole_layers(drawn):
    assert list(rows_of(drawn["digits-dense-reconstructions"])) == ["original", "RefAE", "ClaDec 0"]
    for axis in drawn["digits-measures"].axes:
        of_dense = next(line for line in axis.lines if line.get_label() == "ClaDec dense")
        assert of_dense.get_ydata().tolist() == [VALUES[CLADEC]]


def test_only_measures_of_the_very_models_are_read(models, table, tmp_path):
    own = Path(shutil.copytree(models, tmp_path / "saved models"))
    runs, record = saved_runs(own), model_files.verify(CLASSIFIER.path(own))

    def keep(run, classifier=record, folder=own):
        keep_measures(run, own, classifier, dict.fromkeys(METRICS, VALUES[run]), folder)

    with pytest.raises(InputError, match=r"of digits .* were not measured") as caught:
        _ = SavedClassifier(runs, own).measures
    assert f"python eval.py --models '{own}'" in str(caught.value)
    for run in VALUES:
        keep(run)
    read = SavedClassifier(runs, own).measures
    assert sorted(map(str, read.to_numpy())) == sorted(map(str, table.to_numpy()))
    keep(REFAE, record | {"sha256": "of another classifier"})
    assert len(SavedClassifier(runs, own).measures) == len(table) - len(METRICS)
    keep(REFAE, folder=tmp_path / "eval")
    assert len(own_measures(runs, own, tmp_path / "eval")) == len(table)


def test_chosen_images_are_right_then_wrong(saved):
    shown = saved.choose(3, 2)
    assert shown.wrong == [False, False, False, True, True]
    for title, wrong in zip(shown.titles, shown.wrong, strict=True):
        true, predicted = title.split(" - ")
        assert (true != predicted) == wrong
    answers = saved.classifier.predict(shown.images, verbose=0).argmax(1)
    assert [title.split(" - ")[1] for title in shown.titles] == [str(a) for a in answers]


def test_the_images_of_parts_of_a_layer(saved, drawn):
    rows = rows_of(drawn["digits-dense-fraction-images"])
    part = ["RefAE\n0.5, random", "ClaDec 0\n0.5, random"]
    assert list(rows) == ["original", *part, "RefAE\nwhole layer", "ClaDec 0\nwhole layer"]
    images = saved.choose(3, 2).images
    for run, name in ((replace(CLADEC, **PART), part[1]), (REFAE, "RefAE\nwhole layer")):
        expected = saved.load(run).predict(images, verbose=0)
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


def test_one_network_is_drawn_at_the_alphas_of_the_others(saved, drawn):
    rows = rows_of(drawn["digits-dense-conditional"])
    assert list(rows) == ["original", "alpha 0"]
    images = saved.choose(3, 2).images
    network = saved.load(next(run for run in saved.runs if run.decoder == "conditional"))
    expected = network.predict(images, alpha=0.0)
    for axis, image in zip(rows["alpha 0"][-5:], expected, strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), image[..., 0], atol=1e-5)


def test_other_architectures_have_names_of_their_own(table, models):
    other = replace(CLASSIFIER, architecture="diff_ae")
    groups = by_classifier([CLASSIFIER, other])
    both = [SavedClassifier(runs, models, measures=table) for runs in groups]
    assert [saved.name for saved in both] == ["digits", "digits-diff_ae"]
    assert len(both[0].measures) == len(table)
    assert both[1].measures.empty
    assert figures.file_name(both[1], "block/dense", "lost") == "digits-diff_ae-block.dense-lost"


def test_what_the_layers_lost(saved, tmp_path):
    lost = list(figures.layers_lost(saved))
    assert [layer.name for layer in lost] == ["digits-block_1-lost", "digits-dense-lost"]
    files = figures.save_lost(lost, tmp_path)
    assert [file.name for file in files] == [
        "evaluation_lost.csv",
        "evaluation_lost_correlation.csv",
    ]
    means, correlations = map(pd.read_csv, files)
    first = ["dataset", "architecture", "layer"]
    assert list(means) == [*first, "class", "images", "lost", "low", "high", "remark"]
    assert list(correlations) == [*first, "images", "wrong", "correlation", "low", "high"]
    data = saved.data
    errors = []
    for run in (CLADEC, REFAE):
        decoded = saved.load(run).predict(data.test.images, verbose=0).astype("float64")
        errors.append(((decoded - data.test.images) ** 2).sum((1, 2, 3)))
    expected = errors[0] - errors[1]
    wrong = saved.classifier.predict(data.test.images, verbose=0).argmax(1)
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


def test_a_story_shows_what_was_lost_of_five_images_and_what_the_answer_needs(saved, drawn):
    chosen = telling_images(saved.lost["dense"], saved.data.test.labels, saved.is_right)
    figure = drawn["digits-dense-story"]
    pictures = np.array([axis for axis in figure.axes if axis.images]).reshape(5, len(chosen))
    titles = [axis.get_title() for axis in pictures[0]]
    assert titles == [title.replace(" - ", "\n") for title in saved.show(chosen).titles]
    shown = saved.data.test.images[chosen]
    conditional = next(run for run in saved.runs if run.kind.every_alpha)
    expected = (shown, saved.lost_maps("dense", shown), saved.decode(conditional, shown, 0.99))
    for axes, images in zip(pictures[[0, 3, 4]], expected, strict=True):
        for axis, image in zip(axes, images, strict=True):
            drawn_image = axis.images[0].get_array()
            np.testing.assert_allclose(drawn_image, np.squeeze(image), atol=1e-3)


def test_telling_images_are_of_different_classes_right_and_wrong_much_and_little_lost():
    generator = np.random.default_rng(0)
    lost, labels = generator.random(200), generator.integers(0, 10, 200)
    is_right = generator.random(200) > 0.2
    chosen = telling_images(lost, labels, is_right)
    assert len(set(chosen)) == 5
    assert (np.diff(lost[chosen]) <= 0).all()
    (wrong,) = [number for number in chosen if not is_right[number]]
    assert lost[wrong] == lost[~is_right].max()
    right = [number for number in chosen if is_right[number]]
    assert lost[right[-1]] == lost[is_right].min()
    assert lost[right[0]] == lost[is_right].max()
    assert len(set(labels[right[:3]])) == 3


@pytest.mark.parametrize("right", [0, 1, 3])
def test_telling_images_of_few_images_are_as_many_as_there_are(right):
    is_right = np.arange(3) < right
    chosen = telling_images(np.arange(3.0), np.arange(3), is_right)
    assert len(chosen) == right + (right < 3)


def test_an_animation_has_a_frame_for_every_alpha(saved, monkeypatch):
    monkeypatch.setattr(plots, "slider_alphas", lambda: (0.0, 0.5, 1.0))
    run = next(run for run in saved.runs if run.kind.every_alpha)
    titles, last = [], None
    for figure in stories.animation(saved, run):
        titles.append(figure.axes[-1].get_title(loc="left"))
        last = figure.axes[len(figure.axes) // 2].images[-1].get_array()
    assert (titles[0], titles[-1], len(titles)) == ("alpha 0", "alpha 1", 3)
    chosen = telling_images(saved.lost["dense"], saved.data.test.labels, saved.is_right)
    decoded = saved.decode(run, saved.data.test.images[chosen], 1.0)
    np.testing.assert_allclose(last, decoded[0, ..., 0], atol=1e-3)


def test_where_nothing_can_be_compared_nothing_is_written(tmp_path):
    assert figures.save_lost([], tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_a_figure_with_too_long_a_name_gets_a_shorter_one(tmp_path):
    path = save_figure(Figure(), tmp_path / f"{'n' * 300}-dense-lost.png")
    assert [path] == list(tmp_path.iterdir())
    assert (len(path.name), path.suffix) == (255, ".png")


def test_decoders_of_a_layer_take_over_weights_and_none_is_taken_for_another(models, tmp_path):
    own = shutil.copytree(models, tmp_path / "saved-models")
    runs = [CLADEC, replace(CLADEC, alpha=1.0)]
    Trainer(own)(runs[1], lambda share, values: None)
    saved = SavedClassifier([CLASSIFIER, *runs], own)
    images = saved.data.test.images[:3]
    expected = [saved.decode(run, images) for run in runs]
    assert np.abs(expected[0] - expected[-1]).max() > 1e-3
    for found, naive in zip(saved.decode_each(runs, images), expected, strict=True):
        np.testing.assert_allclose(found, naive, atol=1e-6)
    for run, naive in zip(runs, expected, strict=True):
        np.testing.assert_allclose(saved.decode(run, images), naive, atol=1e-6)


def test_a_decoder_of_another_architecture_does_not_take_over_weights(
    models, tmp_path, monkeypatch
):
    """As where an earlier version trained some of the decoders of a layer."""
    own = shutil.copytree(models, tmp_path / "saved-models")
    runs = [CLADEC, replace(CLADEC, alpha=0.5), replace(CLADEC, alpha=1.0)]
    Trainer(own)(runs[2], lambda share, values: None)
    cropped = decoder._cropped
    monkeypatch.setattr(
        decoder, "_cropped", lambda hidden, *size: photographs.evened(cropped(hidden, *size), "e")
    )
    Trainer(own)(runs[1], lambda share, values: None)
    saved = SavedClassifier([CLASSIFIER, *runs], own)
    images = saved.data.test.images[:3]
    expected = [saved.decode(run, images) for run in runs]
    for found, naive in zip(saved.decode_each(runs, images), expected, strict=True):
        np.testing.assert_allclose(found, naive, atol=1e-6)


def test_models_stay_loaded_while_they_fit(saved, monkeypatch):
    runs = [run for run in saved.runs if run.layer and not run.kind.every_alpha][:3]
    loaded = [saved.load(run) for run in runs]
    assert [saved.load(run) for run in runs] == loaded
    monkeypatch.setattr(saved_decoders, "KEPT_WEIGHTS", 0)
    assert saved.load(runs[0]) is loaded[0]
    fresh = SavedClassifier(saved.runs, saved.models)
    first = [fresh.load(run) for run in runs]
    assert [fresh.load(run) for run in runs[1:]] == first[1:]
    assert fresh.load(runs[0]) is not first[0]
