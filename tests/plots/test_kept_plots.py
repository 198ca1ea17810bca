"""The figure of one layer: what stands in it, and on one scale."""

import numpy as np
import pytest

from cladec import plots

IMAGES = np.linspace(0, 1, 3 * 8 * 6 * 3).reshape(3, 8, 6, 3)
MAPS = np.stack([np.full((8, 6), value) for value in (-0.2, 0.0, 0.5)])
TABLE = [["", "error"], ["RefAE", "1.5"], ["a $x$", "2 (1 to 3)"]]


@pytest.fixture
def figure():
    rows = [
        plots.Row("original", IMAGES),
        plots.Row("RefAE", IMAGES / 2, ["cat", "_dog", "a rather long name"], [False, True, False]),
    ]
    return plots.kept_by_layer(rows, MAPS, ["a", "b", "c"], TABLE, marked=[True], title="one\ntwo")


def test_every_row_has_its_name_and_every_picture_its_text(figure):
    names = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert names == ["original", "RefAE", "lost"]
    assert figure.axes[6].texts[0].get_text().startswith("squared error")
    below = [(axis.xaxis.label.get_text(), axis.xaxis.label.get_color()) for axis in figure.axes]
    said = below[3:6]
    assert [text.lstrip("\N{ZERO WIDTH SPACE}") for text, _ in said] == [
        "cat",
        "_dog",
        "a rather long\N{HORIZONTAL ELLIPSIS}",
    ]
    assert [colour for _, colour in said] == ["black", "firebrick", "black"]
    sums = [text.replace("\N{MINUS SIGN}", "-") for text, _ in below[6:9]]
    assert sums == ["-9.6", "0", "24"]
    assert [axis.title.get_color() for axis in figure.axes[:3]] == ["firebrick", "black", "black"]


def test_what_was_lost_has_one_scale_around_zero(figure):
    limits = {axis.images[0].get_clim() for axis in figure.axes[6:9]}
    assert limits == {(-0.5, 0.5)}


def test_the_numbers_and_the_title_are_written_as_they_are(figure):
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["", "error", "RefAE", "1.5", r"a \$x\$", "2 (1 to 3)", "one\ntwo"]


def test_nothing_lies_over_anything_else_or_outside(figure):
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts if text.get_text()]
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 <= box.x1 <= width
        assert 0 <= box.y0 <= box.y1 <= height
        for other in boxes[:number]:
            assert min(box.x1, other.x1) - max(box.x0, other.x0) < 2 or (
                min(box.y1, other.y1) - max(box.y0, other.y0) < 2
            )


def test_nothing_lost_is_drawn_in_white():
    rows = [plots.Row("original", IMAGES)]
    figure = plots.kept_by_layer(rows, 0 * MAPS, ["a", "b", "c"], TABLE)
    assert figure.axes[3].images[0].get_clim() == (-1, 1)
