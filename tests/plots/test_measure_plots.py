"""Measures over alpha, over parts of a layer and of methods: what is drawn, read back."""

import io

import numpy as np
import pandas as pd
import pytest
from drawing import assert_nothing_is_cut_off, drawn, pixels, row
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

from cladec import plots
from cladec.plots.measures import scale_axis


def test_measures_over_alpha():
    values = {0.0: 3.0, 0.5: 2.0, 1.0: 9.0}
    runs = [
        {"layer": "conv", "model": "cladec", "alpha": alpha, "eval": metric, "value": value + shift}
        for metric in plots.LABELS
        for alpha, value in values.items()
        for shift in (-1.0, 1.0)
    ]
    runs += [
        {"layer": "conv", "model": "refae", "alpha": None, "eval": metric, "value": 1.5}
        for metric in plots.LABELS
    ]
    figure = plots.measures_over_alpha(pd.DataFrame(runs), title="digits")
    assert len(figure.axes) == len(plots.LABELS)
    for axis in figure.axes:
        line, reference = axis.lines
        np.testing.assert_allclose(line.get_ydata(), list(values.values()))
        np.testing.assert_allclose(reference.get_ydata(), 1.5)
        (bars,) = axis.collections
        reach = [segment[:, 1].tolist() for segment in bars.get_segments()]
        assert reach == [[value - 1, value + 1] for value in values.values()]
        assert axis.get_xlabel() == "alpha (evenly spaced, not to scale)"
        assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "0.5", "1"]
    assert figure.axes[0].get_yscale() == "log"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ClaDec conv", "RefAE conv", "smallest to largest of the repeats"]
    figure.savefig(io.BytesIO())


def test_repeats_of_a_refae_are_a_band_and_a_single_run_has_no_bar():
    table = pd.DataFrame(
        [row(alpha=alpha, eval="fidelity", value=0.5) for alpha in (0.0, 1.0)]
        + [row(model="refae", eval="fidelity", value=value) for value in (0.1, 0.4)]
    )
    axis = plots.measures_over_alpha(table).axes[list(plots.LABELS).index("fidelity")]
    assert axis.lines[1].get_ydata()[0] == pytest.approx(0.25)
    (band,) = axis.patches
    assert (band.get_y(), band.get_height()) == pytest.approx((0.1, 0.3))
    assert not axis.collections


def test_measures_over_alpha_draw_no_layer_of_one_alpha_beside_layers_of_more():
    runs = pd.DataFrame(
        [
            {"layer": None, "model": "classifier", "alpha": None, "value": 0.5},
            {"layer": "conv", "model": "cladec", "alpha": 0.0, "value": 3.0},
            {"layer": "conv", "model": "cladec", "alpha": 1.0, "value": 9.0},
            {"layer": "conv", "model": "refae", "alpha": None, "value": 1.5},
            {"layer": "logits", "model": "cladec", "alpha": 0.0, "value": 4.0},
            {"layer": "logits", "model": "refae", "alpha": None, "value": 2.5},
        ]
    ).assign(eval="fidelity")
    both = {"ClaDec conv", "RefAE conv", "classifier"}
    assert names_of_lines(plots.measures_over_alpha(runs)) == both
    one = runs[runs["alpha"] != 1]
    assert names_of_lines(plots.measures_over_alpha(one)) == both | {
        "ClaDec logits",
        "RefAE logits",
    }


def test_a_tuned_refae_is_named_so_in_every_chart_of_measures():
    runs = [
        row(layer=layer, model=model, alpha=alpha, fraction=fraction, eval=metric, value=1.0)
        | {"reference": start if model == "refae" else None}
        for metric in plots.LABELS
        for layer, start in (("early", "fresh"), ("late", "tuned"))
        for fraction in (0.5, 1.0)
        for model, alpha in (("refae", None), ("cladec", 0.0), ("cladec", 1.0))
    ]
    over_alpha = names_of_lines(plots.measures_over_alpha(pd.DataFrame(runs)))
    assert over_alpha == {"ClaDec early", "RefAE early", "ClaDec late", "RefAE (tuned) late"}
    over_fraction = plots.measures_over_fraction(pd.DataFrame(runs))
    assert names_of_lines(over_fraction) == {"ClaDec 0", "ClaDec 1", "RefAE", "RefAE (tuned)"}


def names_of_lines(figure: Figure) -> set[str]:
    return {line.get_label() for axis in figure.axes for line in axis.lines}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((4, 45), ["4", "6", "10", "20", "30", "40"]),
        ((0.05, 400), ["0.1", "1", "10", "100"]),
        ((12, 19), ["12", "13", "14", "15", "16", "17", "18", "19"]),
    ],
)
def test_numbers_on_a_logarithmic_axis_are_written_as_people_do(limits, expected):
    figure = Figure()
    axis = figure.subplots()
    axis.set_ylim(limits)
    scale_axis(axis, "reconstruction_loss")
    pixels(figure)
    lower, upper = axis.get_ylim()
    ticks = [*axis.yaxis.get_major_ticks(), *axis.yaxis.get_minor_ticks()]
    shown = {t.get_loc(): t.label1.get_text() for t in ticks if lower <= t.get_loc() <= upper}
    assert [shown[place] for place in sorted(shown) if shown[place]] == expected


def test_measures_over_fraction():
    table = []
    for metric in plots.LABELS:
        table.append(row(layer=None, model="classifier", eval=metric, value=0.5))
        for units, shift in (("first", 0.0), ("random", 10.0)):
            for fraction in (0.1, 0.5):
                part = {"fraction": fraction, "units": units, "eval": metric}
                table.append(row(model="refae", value=1 + fraction + shift, **part))
                for alpha in (0.0, 0.99):
                    for repeat in (-1.0, 1.0):
                        value = 5 + alpha + fraction + shift + repeat
                        table.append(row(alpha=alpha, value=value, **part))
        table.append(row(model="refae", eval=metric, value=2.0))
        table += [row(alpha=alpha, eval=metric, value=6 + alpha) for alpha in (0.0, 0.99)]
    figure = plots.measures_over_fraction(pd.DataFrame(table), title="digits")
    assert len(figure.axes) == len(plots.LABELS)
    for axis, label in zip(figure.axes, plots.LABELS.values(), strict=True):
        assert axis.get_title() == f"dense: {label}"
        lines = {(line.get_label(), line.get_linestyle()): line for line in axis.lines}
        models = ["RefAE", "ClaDec 0", "ClaDec 0.99"]
        assert list(lines)[:-1] == [(model, line) for model in models for line in ("-", "--")]
        assert list(lines)[-1] == ("classifier", ":")
        for line, shift in (("-", 0.0), ("--", 10.0)):
            cladec, refae = lines["ClaDec 0", line], lines["RefAE", line]
            np.testing.assert_allclose(cladec.get_xdata(), [0.1, 0.5, 1])
            np.testing.assert_allclose(cladec.get_ydata(), [5.1 + shift, 5.5 + shift, 6])
            np.testing.assert_allclose(refae.get_ydata(), [1.1 + shift, 1.5 + shift, 2])
            assert cladec.get_color() != refae.get_color()
        assert [label.get_text() for label in axis.get_xticklabels()] == ["0.1", "0.5", "1"]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [
        *("RefAE", "ClaDec 0", "ClaDec 0.99", "classifier", "first units", "random units"),
        "smallest to largest of the repeats",
    ]
    assert_nothing_is_cut_off(figure)


def test_fractions_of_several_layers_have_four_charts_each():
    table = pd.DataFrame(
        row(layer=layer, alpha=0.0, fraction=fraction, eval=metric, value=fraction)
        for layer in ("conv", "dense")
        for fraction in (0.5, 1.0)
        for metric in plots.LABELS
    )
    figure = plots.measures_over_fraction(table)
    labels = list(plots.LABELS.values())
    titles = [f"{layer}: {label}" for layer in ("conv", "dense") for label in labels]
    assert [axis.get_title() for axis in figure.axes] == titles


def test_ranking_puts_the_best_on_top_and_marks_the_floor():
    table = pd.DataFrame(
        {
            "question": ["faithfulness"] * 3 + ["randomisation"] * 3,
            "measure": ["deletion"] * 3 + ["randomisation"] * 3,
            "method": ["rise", "lime", "random", "lime", "rise", "random"],
            "mean": [0.1, 0.2, 0.5, 0.9, 0.3, 0.0],
            "group": ["a", "ab", "b"] * 2,
            "than_random": ["better", "not told apart", ""] * 2,
            "higher_is_better": [False] * 3 + [True] * 3,
        }
    )
    table["low"], table["high"] = table["mean"] - 0.1, table["mean"] + 0.2
    axes = drawn(plots.ranking(table, floor="random", title="digits"))
    titles = [axis.get_title() for axis in axes]
    assert titles == ["faithfulness: deletion", "randomisation"]
    for axis, best, second, floor in zip(
        axes, ("rise", "lime"), ("lime", "rise"), (0.5, 0), strict=True
    ):
        # The first place is the lowest on the page.
        names = [label.get_text() for label in axis.get_yticklabels()]
        assert names[::-1] == [f"{best}  a", f"{second}  ab", "random  b"]
        assert axis.lines[0].get_xdata()[0] == floor
        faces = axis.collections[1].get_facecolors()[::-1]
        np.testing.assert_array_equal(faces, to_rgba_array(["C0", "white", "grey"]))
    intervals = axes[0].collections[0].get_segments()
    np.testing.assert_allclose(intervals[-1][:, 0], [0.0, 0.3])
    assert [axis.get_xlabel() for axis in axes] == ["lower is better", "higher is better"]
