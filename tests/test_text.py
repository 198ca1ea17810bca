"""Names that somebody else chose: what a terminal, a figure and the name of a file show of them."""

import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from rich.console import Console

from cladec import load, metrics, plots, progress
from cladec.commands import console
from cladec.errors import InputError
from cladec.progress import Progress
from cladec.text import printable, shortened

ODD = ["$\\frac{$", "$5 to $9", "_x", "a\\$b", "\x1b[31mred\x07", "\u202egnp", "\udcff\udcfe"]
"""What is a formula, or hidden, to matplotlib; what moves a terminal; what is no UTF-8."""

SHOWN = ["$\\frac{$", "$5 to $9", "_x", "a\\$b", r"\x1b[31mred\x07", r"\u202egnp", r"\udcff\udcfe"]


def test_what_could_do_more_than_be_read_is_written_out():
    assert list(map(printable, ODD)) == SHOWN
    assert printable("a\tb\r\nc\x7f\x9b2J\u2028\u2066") == r"a\tb\r\nc\x7f\x9b2J\u2028\u2066"


@pytest.mark.parametrize(
    "text", ["", "T-shirt/top", "Grüße, 猫 и кот", "👩‍🔬 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می‌خواهم", "e\u0301 \xa0 -1 %s {} \\"]
)
def test_all_other_unicode_stays(text):
    assert printable(text) == text


@pytest.mark.parametrize("letter", ["a", "é", "猫", "🐱", "\udcff"])
def test_long_names_are_cut_at_whole_letters_and_stay_apart(letter):
    assert shortened(letter * 10, 40) == letter * 10
    names = [shortened(letter * 300 + end) for end in ("1", "2", "")]
    assert len(set(names)) == 3
    for name in names:
        assert len(os.fsencode(name)) <= 255
        assert name.strip(letter)[0] == "-"
        assert name[:50] in (letter * 50, name)
    assert shortened("x" * 255) == "x" * 255


def test_class_names_of_a_folder_are_text(tmp_path):
    for split in ("train", "test"):
        for name in (b"\xff\x1b[31m", "Grüße".encode()):
            path = tmp_path / split / os.fsdecode(name) / "1.png"
            path.parent.mkdir(parents=True)
            Image.new("L", (4, 4)).save(path)
    assert load(tmp_path).class_names == ("Grüße", r"\xff\x1b[31m")


@pytest.fixture(scope="module")
def drawn() -> dict[str, Figure]:
    """Every figure with names in it, all of them odd."""
    count, random = len(ODD), np.random.default_rng(0)
    labels = np.arange(40) % count
    probabilities = random.dirichlet(np.ones(count), 40)
    images, maps = random.random((2, 4, 4, 1)), random.random((2, 4, 4)) - 0.5
    both, title = ["$_a$ - $_b$", "_b - _a"], " ".join(ODD)
    in_tables = [*ODD[:-1], SHOWN[-1]]  # pandas itself refuses what is no UTF-8
    classes = pd.DataFrame({"class": ["all", *in_tables], "lost": 1.0, "low": 0.5, "high": 2.0})
    layers = ["$\\frac{$", "_x"]
    usual = {"repeat": 0, "units": "first", "decoder": "plain", "value": 0.5}
    rows = [
        usual | {"layer": name, "model": model, "alpha": alpha, "eval": metric, "fraction": part}
        for name in layers
        for model, alpha in (("refae", None), ("cladec", 0.0), ("cladec", 1.0))
        for metric in plots.LABELS
        for part in (0.5, 1.0)
    ]
    runs, whole = pd.DataFrame(rows), pd.DataFrame(rows).query("fraction == 1")
    curves = metrics.roc_curves, metrics.precision_recall_curves
    ranks = {"rank": 1, "mean": 0.5, "low": 0.1, "high": 0.9, "higher_is_better": True}
    ranks |= {"question": "faithfulness", "group": "a", "than_random": "better"}
    ranked = pd.DataFrame({"measure": ODD[0], "method": in_tables} | ranks)
    row = plots.Row("$_", images, both)
    drawn = {"alpha": [0.0, 1.0], "drawn": 0.5, "drawn_low": 0.1, "drawn_high": 0.9}
    extent = {"extent": 2.0, "title": title}
    decoded, alphas = {name: {"refae": images} for name in layers}, {0.5: images}
    return {
        "image_grid": plots.image_grid(dict.fromkeys(ODD, images), both),
        "image_rows": plots.image_rows([row], both, title=title),
        "erasure": plots.erasure([row], pd.DataFrame(drawn), title=title, sentence=title),
        "measures_over_alpha": plots.measures_over_alpha(whole, title=title),
        "lost": plots.lost_by_layer({"_r": images}, maps, both, classes, title=title),
        "fractions": plots.measures_over_fraction(runs, title=title),
        "layers": plots.layers_by_depth(images, decoded, whole, title=title),
        "every alpha": plots.conditional_beside_separate(
            images, alphas, alphas, whole, both, title=title
        ),
        **{
            f"side_by_side {name}": plots.side_by_side(images[0], {"saliency": maps[0]}, name)
            for name in ODD
        },
        "explanation_grid": plots.explanation_grid(images, {"rise": maps}, both, title=title),
        "confusion": plots.confusion(np.eye(count, dtype=int), ODD, title=title),
        "curves": plots.curves(*(make(labels, probabilities) for make in curves), ODD),
        "ranking": plots.ranking(ranked, floor="_x", title=title),
        "grid": plots.latent_grid(random.random((4, 4, 4, 1)), title=title),
        "codes": plots.latent_codes(random.random((40, 2)), labels, ODD, **extent),
        "plane": plots.latent_classes(probabilities[:36].reshape(6, 6, count), 2.0, ODD),
    }


def test_figures_show_odd_names_as_they_are(drawn):
    named = {
        *(
            "image_grid",
            "image_rows",
            "measures_over_alpha",
            "lost",
            "fractions",
            "layers",
            "every alpha",
        ),
        *("explanation_grid", "confusion", "curves", "grid", "codes", "plane"),
    }
    for name, figure in drawn.items():
        figure.set_dpi(40)
        FigureCanvasAgg(figure).draw()
        texts = [text.get_text() for text in figure.findobj(Text)]
        ours = [text for text in texts if text not in ("$z_1$", "$z_2$")]
        assert not [text for text in ours if is_math_text(text) and "mathdefault" not in text]
        seen = " ".join(text.replace(r"\$", "$") for text in ours)
        assert [shown for shown in SHOWN if name in named and shown not in seen] == [], name
    for name, shown in zip(ODD, SHOWN, strict=True):
        drawn_title = drawn[f"side_by_side {name}"].axes[0].get_title()
        assert drawn_title.replace(r"\$", "$").lstrip("\N{ZERO WIDTH SPACE}") == shown


@pytest.mark.parametrize("name", ["curves", "codes", "plane"])
def test_legends_name_what_begins_with_an_underscore(name, drawn):
    figure = drawn[name]
    legends = [axis.get_legend() for axis in figure.axes if axis.get_legend()] or figure.legends
    for legend in legends:
        names = [text.get_text().strip("\N{ZERO WIDTH SPACE}") for text in legend.get_texts()]
        assert len([text for text in names if text.startswith("_x")]) == 1


def test_a_terminal_is_told_nothing_but_text(capsys):
    console.tell(InputError("no class \x1b[2J\x07 in \udcff"))
    console.print_all([Path("a\x1b]0;b\x07.png"), Path("\udcfe.png")])
    console.show(pd.DataFrame({"class": ODD[:6], "value": 1}).to_string())
    captured = capsys.readouterr()
    assert captured.err == "error: no class \\x1b[2J\\x07 in \\udcff\n"
    assert captured.out.startswith("a\\x1b]0;b\\x07.png\n\\udcfe.png\n")
    assert captured.out.count("\n") == 2 + 7
    assert not {"\x1b", "\x07", "\u202e"} & set(captured.out)


def test_progress_is_told_nothing_but_text():
    file = io.StringIO()
    with Progress(
        Console(file=file, width=100, force_terminal=True, color_system=None)
    ) as progress:
        progress.begin(1)
        with progress.step("train \x1b[31m\x07") as report:
            report(0.5, {})
        progress.say("done \x1b]0;title\x07")
    assert "train \\x1b[31m\\x07" in file.getvalue()
    assert "done \\x1b]0;title\\x07" in file.getvalue()
    assert "\x07" not in file.getvalue()
    assert "\x1b[31m" not in file.getvalue()


def test_a_log_is_told_of_a_long_step_once_in_a_while(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    file = io.StringIO()
    with Progress(Console(file=file, width=100)) as shown, shown.step("train") as report:
        for share in (0.1, 0.2, 0.3, 0.4):
            clock.now += 40
            report(share, {"loss": 1 - share})
    lines = file.getvalue().splitlines()
    assert lines[:2] == ["train: 20%, loss 0.8", "train: 40%, loss 0.6"]
    assert len(lines) == 3
