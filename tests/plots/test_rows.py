"""Rows of images with a line below each."""

import numpy as np

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
