"""`cladec report`: what is in the file, what is left out, and that nothing in it is fetched or run.

`test_report_browser.py` looks at the same file in a real browser.
"""

import io
import json
import re
import shutil
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from conftest import RANKING
from PIL import Image
from scripts import HERE

from cladec import load, metrics, plots
from cladec.commands import main
from cladec.commands.settings import REPORT_METHODS, ReportFile
from cladec.errors import InputError
from cladec.experiments import Evaluation, evaluate
from cladec.experiments.records import saved_runs
from cladec.experiments.results import own_measures, published, tidy_rows
from cladec.experiments.runs import Run, Variant, by_classifier, variants
from cladec.explainers import EXPLAINERS
from cladec.metrics import lost_information
from cladec.models import loading
from cladec.models.recipes import ALPHAS, CLADEC, CLASSIFIER, REFAE
from cladec.plots import sprites
from cladec.progress import Progress
from cladec.report import charts, choosing, measures, network, page, rankings, write
from cladec.report.section import ClassifierRuns, Decoded, Layer, LeftOut, Section
from cladec.storage import model_files
from cladec.storage.tables import csv_text, read_table

EVIL = "<script>alert(1)</script>'\"&"
LIMIT = 5_000_000
"""Bytes that a file to be mailed around may have."""


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of each kind of element."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]


@pytest.fixture(scope="module")
def text(report_file: Path) -> str:
    return report_file.read_text("utf-8")


@pytest.fixture(scope="module")
def data(text: str) -> dict:
    found = re.search(r'<script type="application/json" class="data">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def pictures(text: str) -> dict[str, np.ndarray]:
    """The sprites of the page by the rule that shows them, (height, width, ...)."""
    rules = re.findall(
        r"(#classifier-[^{]*) { background-image: url\(data:image/webp;base64,(.*?)\)", text
    )
    return {
        rule.strip(): np.asarray(Image.open(io.BytesIO(b64decode(content))))
        for rule, content in rules
    }


def test_the_file_is_small_and_needs_nothing_else(text: str) -> None:
    assert len(text.encode()) < LIMIT
    shown = Page(text)
    for _, attributes in shown.elements:
        for name in ("src", "href", "action", "poster", "data", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"(url\(|@import|src=)\s*[\"']?\s*(https?:)?//", text)
    (policy,) = shown.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert str(policy["content"]).startswith("default-src 'none'")


def test_the_top_says_what_was_trained(text: str, trained: Path) -> None:
    record = json.loads((trained / "digits/vgg/classifier.json").read_text())
    assert f"keras {record['versions']['keras']}" in text
    assert record["finished"][:16].replace("T", " ") in text
    evaluation = json.loads((trained / "digits/vgg/classifier.evaluation.json").read_text())
    assert f"{evaluation['measures']['evaluation_accuracy']:.2%}".replace("%", "&nbsp;%") in text
    assert "1&nbsp;classifier" in text
    assert "2&nbsp;ClaDec" in text


def test_probabilities_and_what_was_lost_are_those_of_the_models(data: dict, trained: Path) -> None:
    rows, test = data["rows"], load("digits").test
    images, folder = test.images[rows], trained / "digits/vgg"
    classifier, refae, first, last = (
        loading.load_saved(folder / f"{name}.keras")
        for name in ("classifier", "dense/refae", "dense/cladec-alpha-0", "dense/cladec-alpha-0.99")
    )
    assert data["labels"] == test.labels[rows].tolist()
    (dense,) = data["decoded"]
    assert dense["alphas"] == ["0", "0.99"]
    for shown, pixels in (
        (data["probabilities"], images),
        (dense["reference"], refae(images)),
        (dense["cladec"][1], last(images)),
    ):
        np.testing.assert_allclose(shown, 1000 * np.asarray(classifier(pixels)), atol=1)
    maps = lost_information.lost_maps(images, np.asarray(first(images)), np.asarray(refae(images)))
    np.testing.assert_allclose(dense["lost"], lost_information.lost_per_image(maps), atol=0.02)


def test_sprites_hold_the_decoded_images(text: str, data: dict, trained: Path) -> None:
    shown = pictures(text)
    images = load("digits").test.images[data["rows"]]
    decoder = loading.load_saved(trained / "digits/vgg/dense/cladec-alpha-0.99.keras")
    across = sprites.columns(len(images))
    for rule, expected in (
        ("#classifier-0 .original", images),
        ('#classifier-0 [data-layer="0"][data-alpha="1"] .cladec', np.asarray(decoder(images))),
    ):
        sheet = shown[rule]
        if sheet.ndim == 3:
            sheet = sheet[..., 0]
        last = len(images) - 1
        for number in (0, 1, last):
            top, left = 28 * (number // across), 28 * (number % across)
            tile = sheet[top : top + 28, left : left + 28] / 255
            np.testing.assert_allclose(tile, expected[number, ..., 0], atol=0.6 / 31)


def test_the_table_to_download_is_that_of_the_evaluation(text: str, evaluated: Path) -> None:
    (link,) = Page(text).all("a", download="evaluation_result.csv")
    content = unquote(str(link["href"]).removeprefix("data:text/csv;charset=utf-8,"))
    assert content == (evaluated / "evaluation_result.csv").read_text()


def test_every_confusion_has_its_cell(text: str, trained: Path) -> None:
    test = load("digits").test
    classifier = loading.load_saved(trained / "digits/vgg/classifier.keras")
    predicted = np.asarray(classifier(test.images)).argmax(axis=1)
    matrix = metrics.confusion_matrix(test.labels, predicted, 10)
    cells = {
        str(button["data-confusion"]): button
        for button in Page(text).all("button")
        if "data-confusion" in button
    }
    assert set(cells) == {f"{i}-{j}" for i, j in zip(*np.nonzero(matrix), strict=True)}
    for name, cell in cells.items():
        i, j = map(int, name.split("-"))
        share = 100 * matrix[i, j] / matrix[i].sum()
        assert cell["aria-label"] == (
            f"{matrix[i, j]} images of {i} predicted as {j}, {share:.1f} % of the class"
        )


def test_curves_ranking_and_maps_are_there(text: str, data: dict) -> None:
    shown = Page(text)
    for title in (
        "Total loss over alpha",
        "Fidelity over alpha",
        "ROC: area",
        "Precision and recall",
    ):
        charts_shown = shown.all("svg", **{"class": "chart"})
        assert any(title in str(chart["aria-label"]) for chart in charts_shown), title
    assert "Which explanation to trust" in text
    assert "<b>0.200</b> a <small>(0.100 to 0.300)</small>" in text
    assert re.search(r'<tr class="floor"><th scope="row">random</th>.*0\.400 b ', text)
    assert "mean rank" not in text
    maps = re.findall(r'<figure data-map="\d+">.*?</figure>', text, re.S)
    for figure, words in zip(
        maps, (["saliency"], ["occlusion"], ["cladec", "layer dense, alpha 0"]), strict=True
    ):
        assert all(word in figure for word in (*words, "linear-gradient", 'class="effect"'))
    for maps in data["maps"][:2]:
        assert len(maps["effects"]) == maps["count"] == 60
        assert all("probability" in text or "score" in text for text in maps["effects"])


def test_the_network_is_drawn_with_what_each_layer_lost(text: str, trained: Path) -> None:
    images, folder = load("digits").test.images, trained / "digits/vgg/dense"
    refae, decoder = (
        np.asarray(loading.load_saved(folder / f"{name}.keras")(images))
        for name in ("refae", "cladec-alpha-0")
    )
    lost = lost_information.lost_per_image(lost_information.lost_maps(images, decoder, refae))
    (node,) = re.findall(r'<label class="node">.*?</label>', text, re.S)
    assert "<b>dense</b><small>128</small>" in node
    assert f"<small>lost {in_short(lost.mean())}</small>" in node
    ends = [text.index(word) for word in ('class="end">image', node, 'class="end">answer')]
    assert ends == sorted(ends)


def in_short(value: float) -> str:
    """A number as the page writes it."""
    return f"{value:.2g}".replace("-", "\N{MINUS SIGN}")


def test_one_network_for_every_alpha_tells_what_its_layer_lost(every_alpha: Path) -> None:
    text = every_alpha.read_text("utf-8")
    (found,) = re.findall(
        r'<script type="application/json" class="data">(.*?)</script>', text, re.S
    )
    (dense,) = json.loads(found)["decoded"]
    assert list(map(float, dense["alphas"])) == list(plots.slider_alphas())
    assert dense["places"] == sorted(set(dense["places"]))
    assert len(dense["lost"]) == 10
    shown, folder = pictures(text), every_alpha.parent / "saved-models/digits/vgg"
    rules = [rule for rule in shown if rule.endswith(".cladec")]
    assert len(rules) == len(plots.slider_alphas())
    images = load("digits").test.images
    refae = loading.load_saved(folder / "dense/refae.keras")
    decoder = loading.load_saved(folder / "dense/cladec-conditional.keras")
    maps = lost_information.lost_maps(
        images, decoder.predict(images, alpha=0.0), np.asarray(refae(images))
    )
    lost = lost_information.lost_per_image(maps)
    rows = json.loads(found)["rows"]
    np.testing.assert_allclose(dense["lost"], lost[rows], atol=0.02)
    assert lost.argmax() in rows
    assert f"<small>lost {in_short(lost.mean())}</small>" in text


def test_methods_of_every_kind_are_shown_by_default() -> None:
    assert set(REPORT_METHODS) <= {name for name, row in EXPLAINERS.items() if not row.makes_images}
    assert ReportFile().methods == REPORT_METHODS


def test_missing_parts_are_named_with_their_command(trained: Path, tmp_path: Path) -> None:
    models = Path(shutil.copytree(trained, tmp_path / "saved models"))
    for path in (models / "digits/vgg/dense").iterdir():
        path.unlink()
    out = tmp_path / "report.html"
    given = ["--models", str(models), "--evaluation", str(tmp_path / "none"), "--images", "5"]
    chosen = ["--ranking", str(tmp_path / "none.csv"), "--methods", "saliency"]
    main.main(["report", *given, *chosen, "--out", str(out)])
    text = out.read_text()
    codes = "".join(Page(text).texts["code"])
    for command in (
        "cladec evaluate --models",
        "cladec compare --model",
        "cladec train --datasets",
    ):
        assert command in codes
    assert f"'{models}'" in codes
    assert "Losses and accuracy over alpha" not in text
    assert "Which explanation to trust" not in text


def report_of(models: Path, out: Path, *more: str) -> str:
    given = ["--models", str(models), "--images", "5", "--methods", "saliency", *HERE]
    main.main(["report", *given, *more, "--out", str(out)])
    return out.read_text()


def codes(text: str) -> list[str]:
    return Page(text).texts["code"]


def test_only_what_was_measured_of_these_models_is_shown(
    trained: Path, evaluated: Path, tmp_path: Path, monkeypatch
) -> None:
    models = Path(shutil.copytree(trained, tmp_path / "saved-models"))
    shutil.copytree(evaluated, tmp_path / "eval")
    ranking = tmp_path / "comparison/ranking.csv"
    ranking.parent.mkdir()
    ranking.write_text(RANKING.format("of another classifier"))
    monkeypatch.chdir(tmp_path)
    out, dense = tmp_path / "report.html", models / "digits/vgg/dense"
    text = report_of(models, out)
    assert "Total loss over alpha" in text
    assert "<td>0.200 <small>" not in text
    assert "comparison/ranking.csv ranks another classifier" in text
    # Of another decoder, as it is after one was trained anew.
    shutil.copy(dense / "refae.evaluation.json", dense / "cladec-alpha-0.99.evaluation.json")
    text = report_of(models, out)
    assert "ClaDec, alpha 0: " in text
    assert "ClaDec, alpha 0.99: " not in text
    assert "over alpha (1 of 4 not measured)" in text
    assert f"cladec evaluate --models {models} --out {tmp_path / 'eval'}" in codes(text)
    for path in models.rglob("*.evaluation.json"):
        path.unlink()
    text = report_of(models, out)  # the tables of evaluation in eval are not looked at
    assert "Losses and accuracy over alpha" not in text
    assert "Download evaluation_result.csv" not in text
    assert "the losses and accuracies of digits vgg over alpha:" in text
    assert f"cladec evaluate --models {models} --out {tmp_path / 'eval'}" in codes(text)


def test_a_layer_that_was_saved_by_itself_is_no_model_of_the_sweep(
    trained: Path, tmp_path: Path
) -> None:
    models = Path(shutil.copytree(trained, tmp_path / "saved-models"))
    runs = saved_runs(models)
    (models / "mine").mkdir()
    for name in ("explanation.json", "cladec.json"):
        (models / "mine" / name).write_text('{"layer": "dense"}')
    assert saved_runs(models) == runs


def test_measures_that_cannot_be_kept_beside_the_models_are_kept_in_the_results(
    trained: Path, evaluated: Path, tmp_path: Path
) -> None:
    models, out = Path(shutil.copytree(trained, tmp_path / "saved-models")), tmp_path / "eval"
    kept = models / "digits/vgg/classifier.evaluation.json"
    kept.unlink()
    kept.mkdir()  # nothing can be written there, as in a folder that may only be read
    evaluate(Evaluation(models, out, workers=1), Progress())
    runs = saved_runs(models)
    assert set(own_measures(runs, models)["model"]) == {"refae", "cladec"}
    own = own_measures(runs, models, out)
    written = read_table(out / "evaluation_runs.csv", measures.COLUMNS)
    assert written is not None
    assert csv_text(own) == csv_text(written.drop(columns="verdict"))
    assert (out / "digits/vgg/classifier.evaluation.json").is_file()


@pytest.mark.parametrize(
    ("more", "messages"),
    [
        (["--images", "0"], ["--images", "0", "at least 1"]),
        (["--workers", "-1"], ["--workers", "-1"]),
        (["--methods", "gradcam"], ["did you mean 'grad_cam'?"]),
        (["--methods", "deep_dream"], ["'deep_dream' makes images"]),
        (["--models", "nowhere"], ["nowhere", "create_models.py"]),
        (["--out", "."], ["--out .", "folder"]),
    ],
)
def test_bad_settings_are_one_line(more, messages, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main.main(["report", *more])
    assert ended.value.code == main.BAD_INPUT
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    for message in messages:
        assert message in errors
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\x00\x01"])
def test_a_table_that_cannot_be_read_is_named(content, trained, tmp_path, capsys) -> None:
    table = tmp_path / "ranking.csv"
    table.write_text(content)
    given = ["--models", str(trained), "--evaluation", str(tmp_path), "--ranking", str(table)]
    with pytest.raises(SystemExit):
        main.main(["report", *given, "--out", str(tmp_path / "report.html")])
    assert str(table) in capsys.readouterr().err


NETWORK = (("first", (4, 4, 8)), ("second", (16,)), ("third", (3,)))


def section(name: str = "0", classes: int = 3) -> Section:
    """The section of a classifier that nothing decodes, made by hand."""
    random = np.random.default_rng(0)
    labels = np.arange(6) % classes
    probabilities = random.dirichlet(np.ones(classes), 6)
    names = (name, *map(str, range(1, classes)))
    report = metrics.class_report(labels, probabilities, names)
    return Section(
        of=ClassifierRuns((Run(dataset="digits", model="classifier", recipe=CLASSIFIER),)),
        class_names=names,
        image_shape=(4, 4, 1),
        rows=np.arange(6),
        labels=labels,
        probabilities=probabilities,
        originals=sprites.data_url(random.random((6, 4, 4, 1))),
        network=tuple(Layer(*each, is_decodable=True) for each in NETWORK),
        decoded=(),
        lost_scale=None,
        mean_lost={},
        maps=(),
        refusals=(f"grad_cam: {name}",),
        confusion=metrics.confusion_matrix(labels, probabilities.argmax(1), classes),
        classes=report,
        curves=(charts.roc(metrics.roc_curves(labels, probabilities), names),),
    )


def test_a_classifier_that_cannot_be_shown_leaves_the_others(capsys) -> None:
    kept = section()
    assert write._shown([LeftOut("labels: several"), kept], Progress()) == [kept]
    assert "left out: labels: several" in capsys.readouterr().out
    with pytest.raises(InputError, match="labels: several"):
        write._shown([LeftOut("labels: several")], Progress())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the record of the classifier of `section`, and no model."""
    record = {
        "finished": "2026-01-02T03:04:05+00:00",
        "seconds": 1.5,
        "versions": {"keras": EVIL},
    }
    path = Run(dataset="digits", model="classifier", recipe=CLASSIFIER).path(tmp_path)
    path.parent.mkdir(parents=True)
    model_files.write_json(model_files.record_path(path), record)
    return tmp_path


def ranking_of(name: str) -> pd.DataFrame:
    """A ranking in which every text is this name."""
    row = [name, name, name, 1.0, 0.5, 1.5, 1, name, name, True, 4]
    return pd.DataFrame([row], columns=list(rankings.COLUMNS))


def test_names_are_never_read_as_html(models: Path) -> None:
    folders = {"models": models, "evaluation": Path(EVIL.replace("/", ""))}
    table = ranking_of(EVIL)
    text = page.render([section(EVIL)], None, {Path("a" + EVIL): table}, **folders)
    assert EVIL not in text
    assert "<script>alert" not in text
    shown = Page(text)
    assert len(shown.all("script")) == 2
    assert EVIL in "".join(shown.texts["option"])
    assert json.loads("".join(shown.texts["script"][:1]))["classes"][0] == EVIL


def test_names_hold_nothing_but_text(models: Path) -> None:
    odd, shown = "\x1b[31m\x07 \u202egnp", r"\x1b[31m\x07 \u202egnp"
    folders = {"models": models, "evaluation": models}
    table = ranking_of("m")
    text = page.render([section(odd)], None, {Path(f"{odd} \udcff"): table}, **folders)
    assert not {"\x1b", "\x07", "\u202e", "\udcff"} & set(text)
    assert rf"<caption>{shown} \udcff, 4 images</caption>" in text
    assert shown in Page(text).texts["option"]
    assert json.loads("".join(Page(text).texts["script"][:1]))["classes"][0] == shown


def decoded_by(variant: Variant, place: int = 1, lost: np.ndarray | None = None) -> Decoded:
    """The images of `section` at alpha 0 and 0.5, without pictures."""
    probabilities = np.zeros((2, 6, 3))
    return Decoded(variant, place, (0.0, 0.5), (), probabilities, None, None, lost, None)


@pytest.mark.parametrize("is_folder", [False, True])
def test_published_figures_stand_beside_their_own_dataset_only(
    is_folder: bool, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if is_folder:
        (tmp_path / "mnist").mkdir()
    classifier = Run(dataset="mnist", model="classifier", recipe=CLASSIFIER)
    runs = [
        Run(dataset="mnist", model="cladec", recipe=CLADEC, layer="dense", alpha=alpha)
        for alpha in (0.0, 0.5)
    ]
    rows = [row for run in runs for row in tidy_rows(run, {"total_loss": 1.0})]
    own = measures.complete(pd.DataFrame(rows))
    (variant,) = variants([classifier, *runs])
    decoded = decoded_by(variant)
    shown = replace(section(), of=ClassifierRuns((classifier, *runs)), decoded=(decoded,))
    table = measures.of_variant(own, shown, variant)
    ((drawn,),) = measures.over_alpha(shown, [table], plots.AlphaAxis(ALPHAS))
    assert ("published" in {line.kind for line in drawn.lines}) != is_folder


def test_many_classes_are_listed_instead_of_a_matrix(models: Path) -> None:
    text = page.render([section(classes=30)], None, {}, models=models, evaluation=models)
    assert '<table class="confusion">' not in text
    assert '<ul class="confusions">' in text


def test_measures_of_a_table_without_variants_are_read(models: Path) -> None:
    rows = [["digits", "vgg", None, "classifier", None, 0, "total_loss", 0.25]]
    table = pd.DataFrame(rows, columns=list(measures.COLUMNS))
    table.loc[1] = ["digits", "vgg", "dense", "cladec", 0.5, 0, "total_loss", 0.75]
    text = page.render([section()], table, {}, models=models, evaluation=models)
    assert "<td>0.75</td>" in text


def test_published_figures_are_those_of_both_datasets_and_layers() -> None:
    table = published()
    assert set(table["dataset"]) == {"mnist", "fashion_mnist"}
    assert set(table["layer"]) == {"dense", "conv"}
    assert set(table["alpha"].dropna()) == set(ALPHAS)
    value = table[
        (table["dataset"] == "mnist") & (table["layer"] == "dense") & (table["model"] == "refae")
    ].set_index("eval")["value"]
    assert value["evaluation_accuracy"] == 0.9871


def test_runs_are_grouped_by_classifier_and_by_how_they_decode() -> None:
    def run(model, recipe=CLADEC, **settings):
        return Run(dataset="digits", model=model, recipe=recipe, **settings)

    dense = [
        run("refae", REFAE, layer="dense"),
        run("cladec", layer="dense", alpha=0.0),
        run("cladec", layer="dense", alpha=1.0),
        run("cladec", layer="dense", alpha=1.0, repeat=1),
        run("cladec", layer="dense", decoder="conditional"),
        run("refae", REFAE, layer="dense", fraction=0.1),
        run("cladec", layer="dense", alpha=0.0, fraction=0.1),
        run("cladec", layer="dense", alpha=0.5, decoder="variational", latent_dim=2, beta=1.0),
    ]
    other = run("classifier", CLASSIFIER, architecture="diff_ae")
    first, second = by_classifier([run("classifier", CLASSIFIER), *dense, other])
    assert second == (other,)
    assert variants(second) == []
    usual, conditional, part, variational = variants(first)
    assert usual.decoders == tuple(dense[1:3])
    assert usual.pair == (dense[0], dense[1])
    assert conditional.reference == dense[0]
    assert part.reference == dense[5]
    assert variational.reference is None
    assert [variant.label for variant in variants(first)] == [
        "dense",
        "dense, one network for every alpha",
        "dense, first 10 %",
        "dense, variational (latent dim 2, beta 1)",
    ]
    assert not any(variant.pair for variant in (conditional, part, variational))


def test_chosen_images_have_every_confusion_every_class_and_the_most_lost() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, 400)
    predicted = np.where(random.random(400) < 0.1, random.integers(0, 5, 400), labels)
    losses = [random.random(400), random.random(400)]
    rows = choosing.choose_images(labels, predicted, losses, 60, seed=1)
    assert len(set(rows.tolist())) == len(rows) == 60
    wrong = labels != predicted
    pairs = set(zip(labels[wrong], predicted[wrong], strict=True))
    assert pairs <= set(zip(labels[rows], predicted[rows], strict=True))
    assert set(labels[rows][~wrong[rows]]) == set(range(5))
    assert {losses[0].argmax(), losses[1].argmax()} <= set(rows.tolist())
    np.testing.assert_array_equal(
        rows, choosing.choose_images(labels, predicted, losses, 60, seed=1)
    )
    all_of_them = choosing.choose_images(labels, labels, [], 1000)
    assert sorted(all_of_them) == list(range(400))


def test_the_layer_that_lost_most_is_first_seen_and_all_stand_in_the_order_of_the_network() -> None:
    def run(layer, model="cladec", **settings):
        return Run(dataset="digits", model=model, recipe=CLADEC, layer=layer, **settings)

    runs = [run("third", alpha=0.0), run("first", alpha=0.0), run("first", decoder="conditional")]
    places = {name: place for place, (name, _) in enumerate(NETWORK)}
    decoded = sorted(
        (decoded_by(each, places[each.layer]) for each in variants(runs)),
        key=lambda each: each.place,
    )
    shown = replace(section(), decoded=tuple(decoded), mean_lost={"first": -0.5, "third": 2.0})
    first, third = network.nodes(shown)
    assert (first["layer"], first["number"], first["between"]) == ("first", 0, 0)
    assert (third["layer"], third["number"], third["between"]) == ("third", 2, 1)
    assert (first["share"], third["share"]) == (0, 1)
    assert (first["shape"], first["height"], third["height"]) == (
        "4\N{MULTIPLICATION SIGN}4\N{MULTIPLICATION SIGN}8",
        1,
        0,
    )
    assert network.start(shown) == 2
    assert network.start(section()) == 0


def test_marks_ticks_and_lines_lie_inside_the_drawing() -> None:
    curve = {0.0: 20.0, 0.5: 10.0, 0.9: 2.0, 1.0: 0.2}
    axis = plots.AlphaAxis(ALPHAS)
    chart = charts.over_alpha("Loss", {"ours": curve}, {"refae": 4.0}, axis=axis, logarithmic=True)
    level, line = chart.lines
    heights = [mark.y for mark in line.marks]
    assert heights == sorted(heights)
    assert heights[0] < float(level.path.split()[1].split("H")[0]) < heights[2]
    for x, y in [(mark.x, mark.y) for mark in line.marks]:
        assert charts.LEFT <= x <= charts.WIDTH - charts.RIGHT
        assert charts.TOP <= y <= charts.HEIGHT - charts.BOTTOM
    assert len(chart.y_ticks) >= 3
    # On a logarithmic axis equal ratios are equal distances.
    assert heights[3] - heights[2] == pytest.approx(heights[2] - heights[0], abs=0.2)
    curves = {"ours": {0.5: 1.0}}
    constant = charts.over_alpha("Accuracy", curves, {}, axis=axis, logarithmic=False)
    assert np.isfinite([mark.y for mark in constant.lines[0].marks]).all()


def test_curves_are_enlarged_to_where_they_bend() -> None:
    labels = np.repeat([0, 1], 200)
    sure = np.where(labels == 0, 0.99, 0.01)
    sure[:2] = 0.4
    probabilities = np.stack([sure, 1 - sure], axis=1)
    near = charts.roc(metrics.roc_curves(labels, probabilities), ["a", "b"])
    assert float(near.x_ticks[-1].text) <= 0.05
    random = np.random.default_rng(0).dirichlet([1, 1], 400)
    far = charts.roc(metrics.roc_curves(labels, random), ["a", "b"])
    assert far.x_ticks[-1].text == "1"
    assert "Only the corner" in near.summary
    assert "Only the corner" not in far.summary


def test_positions_find_every_image_of_a_sprite() -> None:
    for count in (1, 2, 5, 12):
        across, down = sprites.columns(count), -(-count // sprites.columns(count))
        for number, (x, y) in enumerate(sprites.positions(count)):
            assert round(x / 100 * (across - 1), 3) == (number % across if across > 1 else 0)
            assert round(y / 100 * (down - 1), 3) == (number // across if down > 1 else 0)


def test_photographs_are_made_small_enough() -> None:
    ramp = np.linspace(0, 1, 320, dtype=np.float32)[:, None, None] * np.ones((1, 160, 3))
    images = np.stack([ramp, 1 - ramp, ramp**2])
    content = b64decode(sprites.data_url(images).partition("base64,")[2])
    assert len(content) < 3 * sprites.size((320, 160, 3)) < 3 * 320 * 160
    with Image.open(io.BytesIO(content)) as sheet:
        assert sheet.size == (2 * 80, 2 * 160)
        assert sheet.mode == "RGB"
        tile = np.asarray(sheet)[:160, :80] / 255
    np.testing.assert_allclose(tile[:, 40, 1], np.linspace(0, 1, 160), atol=0.03)
