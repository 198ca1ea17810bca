"""Figures of layers: what is drawn, read back from the figures, and where it stands."""

import numpy as np
import pandas as pd
import pytest
from drawing import assert_nothing_is_cut_off, row
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cladec import plots
from cladec.plots.layers import DEPTH_MEASURES

NAMES = ["T-shirt/top", "Trouser", "Ankle boot"]
TITLES = ["Ankle boot - Sandal", "Bag - Bag"]


def images(count: int = 2, shape: tuple[int, int, int] = (6, 8, 1), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, *shape))


def classes(values: list[float]) -> pd.DataFrame:
    rows = zip(["all", *NAMES], values, strict=True)
    return pd.DataFrame(
        [{"class": n, "images": 9, "lost": v, "low": v - 1, "high": v + 2} for n, v in rows]
    )


def draw_lost(maps: np.ndarray) -> Figure:
    rows = {"original": images(), "RefAE": images(seed=1), "ClaDec 0": images(seed=2)}
    table = classes([3.0, 5.0, -2.0, 4.0])
    return plots.lost_by_layer(rows, maps, TITLES, table, marked=[True, False], title="t")


def test_lost_maps_share_one_scale_centred_at_zero():
    maps = np.zeros((2, 6, 8))
    maps[0, 1, 2], maps[1, 3, 3] = -4.0, 1.0
    figure = draw_lost(maps)
    drawn = [axis.images[0] for axis in figure.axes[6:8]]
    for image, expected in zip(drawn, maps, strict=True):
        np.testing.assert_array_equal(image.get_array(), expected)
        assert image.get_clim() == (-4.0, 4.0)
        red, green, blue, _ = image.cmap(image.norm(0.0))
        assert min(red, green, blue) > 0.95
        red, _, blue, _ = image.cmap(image.norm(4.0))
        assert red > blue, "red is what was lost"
    assert figure.axes[8].get_ylim() == (-4.0, 4.0), "the colour bar"
    sums = [axis.get_xlabel().replace("\N{MINUS SIGN}", "-") for axis in figure.axes[6:8]]
    assert sums == ["-4", "1"]
    assert figure.axes[6].texts[0].get_text().startswith("squared error")


def test_lost_draws_every_image_and_class():
    figure = draw_lost(np.ones((2, 6, 8)))
    for number, seed in enumerate((0, 1, 2)):
        for axis, image in zip(figure.axes[2 * number :], images(seed=seed), strict=False):
            np.testing.assert_array_equal(axis.images[0].get_array(), image[..., 0])
    chart = figure.axes[-1]
    assert [bar.get_height() for bar in chart.patches[:3]] == [5.0, -2.0, 4.0]
    assert [label.get_text() for label in chart.get_xticklabels()] == NAMES
    intervals = [segment[:, 1].tolist() for segment in chart.collections[0].get_segments()]
    assert intervals == [[4.0, 7.0], [-3.0, 0.0], [3.0, 6.0]]
    assert chart.lines[0].get_ydata()[0] == 3.0
    assert_nothing_is_cut_off(figure)


def test_lost_where_nothing_was_lost():
    figure = draw_lost(np.zeros((2, 6, 8)))
    assert figure.axes[6].images[0].get_clim() == (-1.0, 1.0)
    assert_nothing_is_cut_off(figure)


def start_of(layer: str, model: str, tuned: tuple[str, ...]) -> str | None:
    if model != "refae":
        return None
    return "tuned" if layer in tuned else "fresh"


LAYERS = ["convolution_1", "block2/batch_normalization", "flat", "logits"]


def depth_figure(shape: tuple[int, int, int], tuned: tuple[str, ...] = ()) -> Figure:
    shown = images(3, shape)
    decoded = {
        layer: {"refae": shown / (2 + depth), "cladec": shown / (12 + depth)}
        for depth, layer in enumerate(LAYERS)
    }
    del decoded["flat"]["refae"]
    table = [
        row(layer=layer, model=model, eval=metric, value=depth + 1 + (model == "cladec"))
        | {"reference": start_of(layer, model, tuned)}
        for metric in plots.LABELS
        for depth, layer in enumerate(LAYERS)
        for model in decoded[layer]
    ]
    table.append(row(layer=None, model="classifier", eval="evaluation_accuracy", value=0.9))
    # The rows of the table are in no order.
    return plots.layers_by_depth(shown, decoded, pd.DataFrame(table[::-1]), title="t")


@pytest.mark.parametrize("shape", [(6, 6, 1), (4, 8, 3)])
def test_layers_stand_above_their_measures(shape):
    figure = depth_figure(shape)
    assert_nothing_is_cut_off(figure)
    pictures = np.array(figure.axes[3:27]).reshape(6, 4)
    curves = figure.axes[27:]
    assert len(curves) == len(DEPTH_MEASURES)
    for axis in curves:
        for depth in range(len(LAYERS)):
            box = pictures[0, depth].get_window_extent()
            place = axis.transData.transform((depth, 1.0))[0]
            assert place == pytest.approx((box.x0 + box.x1) / 2, abs=0.01)
        lines = {line.get_label(): line.get_ydata() for line in axis.lines}
        np.testing.assert_array_equal(lines["ClaDec"], [2, 3, 4, 5])
        np.testing.assert_array_equal(lines["RefAE"], [1, 2, np.nan, 4])
    assert [axis.get_title() for axis in pictures[0]] == LAYERS
    assert [label.get_text() for label in curves[-1].get_xticklabels()] == LAYERS
    assert "classifier" in [text.get_text() for text in curves[-1].get_legend().get_texts()]


def test_a_tuned_refae_is_named_so_and_layers_say_it_where_they_differ():
    tuned = depth_figure((6, 6, 1), tuned=tuple(LAYERS))
    assert {line.get_label() for line in tuned.axes[-1].lines} >= {"RefAE (tuned)", "ClaDec"}
    pictures = np.array(tuned.axes[3:27]).reshape(6, 4)
    assert pictures[0, 0].get_ylabel() == "RefAE\n(tuned)"
    assert [axis.get_title() for axis in pictures[0]] == LAYERS
    mixed = depth_figure((6, 6, 1), tuned=("logits",))
    titles = [axis.get_title() for axis in mixed.axes[3:7]]
    assert titles == [*LAYERS[:3], "logits, RefAE (tuned)"]
    assert mixed.axes[3].get_ylabel() == "RefAE"
    assert "RefAE (fresh, tuned)" in {line.get_label() for line in mixed.axes[-1].lines}
    for figure in (tuned, mixed):
        assert_nothing_is_cut_off(figure)


def test_layers_draw_refae_above_cladec():
    shown = images(3, (6, 6, 1))
    pictures = np.array(depth_figure((6, 6, 1)).axes[3:27]).reshape(6, 4)
    assert [axis.get_ylabel() for axis in pictures[:, 0]] == ["RefAE", "ClaDec"] * 3
    for place, image in enumerate(shown):
        for depth, layer in enumerate(LAYERS):
            above, below = pictures[2 * place : 2 * place + 2, depth]
            assert bool(above.images) == (layer != "flat")
            for axis, divisor in ((above, 2 + depth), (below, 12 + depth)):
                if axis.images:
                    expected = image[..., 0] / divisor
                    np.testing.assert_allclose(axis.images[0].get_array(), expected)


@pytest.mark.parametrize("alphas", [[0.0, 0.9999, 1.0], [0.5]])
def test_one_network_beside_a_decoder_for_each_alpha(alphas):
    shown = images()
    separate = {alpha: images(seed=10 + number) for number, alpha in enumerate(alphas)}
    one = {alpha: images(seed=20 + number) for number, alpha in enumerate(alphas)}
    table = [
        row(alpha=alpha, decoder=decoder, eval=metric, value=value + alpha + repeat)
        for metric in plots.LABELS
        for alpha in alphas
        for decoder, value in (("plain", 3.0), ("conditional", 2.0))
        for repeat in (-0.5, 0.5)
    ]
    table += [
        row(model="refae", reference="tuned", eval=metric, value=1.0) for metric in plots.LABELS
    ]
    figure = plots.conditional_beside_separate(
        shown, separate, one, pd.DataFrame(table), TITLES, marked=[False, True], title="digits"
    )
    assert_nothing_is_cut_off(figure)
    rows = 1 + len(alphas)
    pictures = np.array(figure.axes[: 4 * rows]).reshape(2, rows, 2)
    for block, decoded in zip(pictures, (separate, one), strict=True):
        for axes, expected in zip(block, [shown, *decoded.values()], strict=True):
            for axis, image in zip(axes, expected, strict=True):
                np.testing.assert_array_equal(axis.images[0].get_array(), image[..., 0])
        colours = [to_hex(axis.title.get_color()) for axis in block[0]]
        assert colours == [to_hex("black"), to_hex("firebrick")]
    names = [axis.get_ylabel() for axis in pictures[0, :, 0]]
    assert names == ["original", *(f"alpha {alpha:.12g}" for alpha in alphas)]
    curves = figure.axes[4 * rows :]
    assert [axis.get_title() for axis in curves] == [
        plots.LABELS[metric] for metric in ("reconstruction_loss", "fidelity")
    ]
    for axis in curves:
        alone, network, reference = axis.lines
        np.testing.assert_allclose(alone.get_ydata(), 3 + np.array(alphas))
        np.testing.assert_allclose(network.get_ydata(), 2 + np.array(alphas))
        np.testing.assert_allclose(reference.get_ydata(), 1)
        assert reference.get_label() == "RefAE (tuned)"
        labels = [label.get_text() for label in axis.get_xticklabels()]
        assert labels == [f"{alpha:.12g}" for alpha in alphas]
