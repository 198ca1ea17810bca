"""Rows of images with a line below each, alone and beside an erasure curve."""

import numpy as np
import pandas as pd

from cladec import plots

IMAGES = np.random.default_rng(0).random((3, 8, 8, 1))
ROWS = [plots.Row("first", IMAGES, ["a", "b", "c"], [False, True, False]), plots.Row("", IMAGES)]


def test_rows_have_their_names_titles_and_marked_texts():
    figure = plots.image_rows(ROWS, ["x", "y", "z"], title="what it is")
    axes = figure.axes
    assert len(axes) == 6
    assert [axis.get_title() for axis in axes] == ["x", "y", "z", "", "", ""]
    assert [axis.get_xlabel() for axis in axes] == ["a", "b", "c", "", "", ""]
    colours = [axis.xaxis.label.get_color() for axis in axes[:3]]
    assert colours == ["black", "firebrick", "black"]
    assert axes[0].get_ylabel() == "first"
    assert figure.texts[0].get_text() == "what it is"
    bottoms = [axis.get_position().y0 for axis in axes]
    assert 0 < bottoms[3] < bottoms[0] < 1


def test_an_erasure_curve_stands_beside_the_pictures_above_the_sentence():
    curve = pd.DataFrame({"alpha": [0.0, 0.99], "drawn": [0.9, 0.4]})
    curve = curve.assign(drawn_low=0.3, drawn_high=1.0)
    figure = plots.erasure(ROWS, curve, title="dense", sentence="word " * 60)
    chart = figure.axes[-1]
    line = chart.get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), [0.9, 0.4])
    assert [text.get_text() for text in chart.get_xticklabels()] == ["0", "0.99"]
    title, sentence = figure.texts
    assert title.get_text() == "dense"
    assert "\n" in sentence.get_text()
    figure.draw_without_rendering()
    boxes = [axis.get_window_extent() for axis in figure.axes[:-1]]
    assert max(box.x1 for box in boxes) < chart.get_window_extent().x0
    assert min(box.y0 for box in boxes) > sentence.get_window_extent().y1
