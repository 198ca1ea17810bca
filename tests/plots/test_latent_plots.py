"""The latent plane: its points, what lies there, and the pictures of it."""

import keras
import numpy as np
import pytest
from drawing import assert_nothing_is_cut_off, drawn
from keras import layers
from scipy import stats

from cladec.models import cutting, latent_plane
from cladec.models.decoder import build_decoder
from cladec.models.variational import VariationalRefAE, build_posterior
from cladec.plots import latent as latent_plots

NAMES = ("cat", "dog", "owl")


def the_axes(figure):
    """The one pair of axes of a figure, once it has been drawn."""
    (axis,) = drawn(figure)
    return axis


def model_of(latent_dim: int, image_shape=(8, 8, 1)) -> VariationalRefAE:
    images = keras.Input(image_shape)
    encoder = keras.Model(images, layers.Flatten(name="flat")(images))
    return VariationalRefAE(
        encoder,
        build_decoder((latent_dim,), image_shape),
        posterior=build_posterior(encoder.output_shape[1:], latent_dim),
    )


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_points_are_quantiles_of_the_normal(count):
    points = latent_plane.latent_points(count)
    assert points.shape == (count**2, 2)
    assert points.dtype == np.float32
    shares = stats.norm.cdf(points.reshape(count, count, 2))
    middles = (np.arange(count) + 0.5) / count
    np.testing.assert_allclose(shares[..., 0], np.tile(middles, (count, 1)), rtol=1e-5)
    np.testing.assert_allclose(shares[..., 1], np.tile(middles[::-1, None], count), rtol=1e-5)


def test_row_0_of_the_plane_is_the_highest_z_2():
    points = latent_plane.plane_points(4, 2.0).reshape(4, 4, 2)
    np.testing.assert_allclose(points[0, :, 0], [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(points[:, 0, 1], [1.5, 0.5, -0.5, -1.5])


def test_dimensions_are_left_out_or_filled_with_zero():
    points = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(latent_plane.with_dimensions(points, 1), [[1], [3]])
    np.testing.assert_array_equal(
        latent_plane.with_dimensions(points, 4), [[1, 2, 0, 0], [3, 4, 0, 0]]
    )


def test_extent_holds_almost_all_codes():
    z = np.random.default_rng(0).normal(0, [3, 1, 50], (5000, 3))
    extent = latent_plane.extent_of(z)
    assert 0.99 <= (np.abs(z[:, :2]) < extent).all(axis=1).mean() < 0.999
    assert latent_plane.extent_of(z * 0.01) == 2.0
    assert latent_plane.extent_of(z[:, :1]) == extent


@pytest.mark.parametrize("latent_dim", [1, 2, 4])
def test_the_decoded_plane_is_what_each_point_decodes_to(latent_dim):
    model = model_of(latent_dim, (6, 9, 3))
    images = latent_plane.decoded_plane(model, 3).reshape(3, 3, 6, 9, 3)
    for row, z_2 in enumerate(latent_plane.quantiles(3)[::-1]):
        for column, z_1 in enumerate(latent_plane.quantiles(3)):
            point = np.zeros((1, latent_dim), np.float32)
            point[0, :2] = [z_1, z_2][:latent_dim]
            np.testing.assert_allclose(images[row, column], model.decode(point)[0], atol=1e-6)


def test_the_classified_plane_is_the_answer_to_the_decoded_image(classifier):
    model = model_of(3)
    plane = latent_plane.classified_plane(model, classifier, extent=2.0, size=7)
    assert plane.shape == (7, 7, 10)
    np.testing.assert_allclose(plane.sum(axis=-1), 1, rtol=1e-5)
    corner = np.array([[-12 / 7, 12 / 7, 0]], np.float32)
    scores = cutting.logits(classifier)(model.decode(corner))
    np.testing.assert_allclose(plane[0, 0], keras.ops.softmax(scores)[0], rtol=1e-4)
    expected = classifier.predict(model.decode(corner), verbose=0)[0]
    np.testing.assert_allclose(plane[0, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("shape", [(5, 5, 1), (4, 7, 3)])
def test_the_grid_shows_every_image_where_its_point_is(shape):
    images = np.random.default_rng(0).random((9, *shape))
    figure = latent_plots.latent_grid(images, title="dense")
    axis = the_axes(figure)
    picture = np.asarray(axis.images[0].get_array()).reshape(3 * shape[0], 3 * shape[1], shape[2])
    for place, image in enumerate(images):
        row, column = divmod(place, 3)
        rows = slice(row * shape[0], (row + 1) * shape[0])
        columns = slice(column * shape[1], (column + 1) * shape[1])
        np.testing.assert_array_equal(picture[rows, columns], image)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0.97", "0.00", "-0.97"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["-0.97", "0.00", "0.97"]
    np.testing.assert_allclose(axis.get_xticks(), (np.arange(3) + 0.5) * shape[1] - 0.5)
    assert axis.images[0].get_clim() == (0, 1)
    if shape[2] == 1:
        assert axis.images[0].get_cmap().name == "gray"
    assert_nothing_is_cut_off(figure)


def test_codes_have_the_colours_of_their_classes():
    z = np.array([[-1.0, 0.5, 9.0], [2.0, -2.0, 9.0], [0.0, 1.0, 9.0], [1.0, 1.0, 9.0]])
    labels = np.array([2, 0, 1, 2])
    figure = latent_plots.latent_codes(z, labels, NAMES, extent=2.5)
    axis = the_axes(figure)
    (scatter,) = axis.collections
    colours = latent_plots.class_colours(3)
    found = {
        tuple(place): tuple(colour[:3])
        for place, colour in zip(
            scatter.get_offsets().tolist(), scatter.get_facecolors().tolist(), strict=True
        )
    }
    expected = dict(zip(map(tuple, z[:, :2]), map(tuple, colours[labels]), strict=True))
    assert found == expected
    assert (axis.get_xlim(), axis.get_ylim()) == ((-2.5, 2.5), (-2.5, 2.5))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(NAMES)
    handles = [tuple(handle.get_color()) for handle in legend.legend_handles]
    assert handles == [tuple(colour) for colour in colours]
    assert_nothing_is_cut_off(figure)


def test_codes_of_one_dimension_lie_on_a_line_and_without_extent_all_are_seen():
    z = np.array([[-40.0], [3.0]])
    axis = the_axes(latent_plots.latent_codes(z, np.array([0, 1]), NAMES))
    assert axis.get_xlim()[0] < -40
    assert axis.get_xlim()[1] > 3
    np.testing.assert_array_equal(axis.collections[0].get_offsets()[:, 1], 0)


def test_classes_are_paler_where_the_classifier_is_less_certain():
    plane = np.zeros((2, 2, 3))
    plane[0, 0], plane[0, 1] = [1, 0, 0], [0.6, 0.2, 0.2]
    plane[1, 0], plane[1, 1] = [0, 0, 1], [0.5, 0.1, 0.4]
    figure = latent_plots.latent_classes(plane, 3.0, NAMES, title="dense")
    axis = the_axes(figure)
    first, _, third = latent_plots.class_colours(3)
    picture = np.asarray(axis.images[0].get_array())
    np.testing.assert_allclose(picture[0, 0], first)
    np.testing.assert_allclose(picture[1, 0], third)
    np.testing.assert_allclose(picture[0, 1], 0.6 * first + 0.4)
    np.testing.assert_allclose(picture[1, 1], 0.5 * first + 0.5)
    assert axis.images[0].get_extent() == [-3, 3, -3, 3]
    assert axis.images[0].origin == "upper"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["cat 75%", "dog 0%", "owl 25%"]
    assert_nothing_is_cut_off(figure)


def test_shares_are_those_of_the_prior():
    # z_1 above 1.5 out of -3 ... 3 is the last quarter of 8 columns.
    plane = np.tile(np.eye(3)[[0] * 6 + [2] * 2], (8, 1, 1))
    figure = latent_plots.latent_classes(plane, 3.0, NAMES)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    share = float(names[2].removeprefix("owl ").removesuffix("%")) / 100
    assert share == pytest.approx(stats.norm.sf(1.5), abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 10, 11, 20, 21, 100])
def test_all_classes_have_colours_of_their_own_and_fit_the_legend(count):
    colours = latent_plots.class_colours(count)
    assert colours.shape == (count, 3)
    assert 0 <= colours.min() <= colours.max() <= 1
    distances = np.linalg.norm(colours[:, None] - colours, axis=-1) + 2 * np.eye(count)
    assert distances.min() > (0.09 if count <= 20 else 0.02)
    names = [f"a longer name {number}" for number in range(count)]
    figure = latent_plots.latent_codes(np.zeros((count, 2)), np.arange(count), names)
    assert_nothing_is_cut_off(figure)
    plane = figure.axes[0].get_window_extent()
    assert plane.x1 < figure.legends[0].get_window_extent().x0
    assert plane.width > 0.85 * latent_plots.SIDE * figure.dpi
