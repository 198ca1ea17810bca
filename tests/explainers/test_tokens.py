"""Class activation maps of transformers, against the tokens that are laid out by hand."""

import keras
import naive
import numpy as np
import pytest
import zoo

from cladec.errors import InputError
from cladec.explainers import EXPLAINERS, explain
from cladec.models import cutting
from cladec.models.predictions import softmax

pytestmark = pytest.mark.filterwarnings("ignore:.* gave a map of zeros alone")

SHAPE = (8, 12, 1)
"""Of the images: 4 x 6 patches."""

FORMS = {
    "a class token": ({}, {}, "norm_1"),
    "the mean of the patches": ({"first": 0, "pooled": True}, {}, "norm"),
    "registers": ({"first": 9}, {"grid": (4, 6)}, "norm_1"),
    "a named layer": ({}, {"layer": "block_0"}, "block_0"),
}
"""The options of the model and of the explainer, and the layer that is looked at."""

CAMS = {
    "grad_cam": lambda a, g: a * g.mean(axis=(0, 1)),
    "hires_cam": lambda a, g: a * g,
    "layer_cam": lambda a, g: a * np.maximum(g, 0),
    "grad_cam_plus_plus": lambda a, g: (
        a * (g**2 / (2 * g**2 + g**3 * a.sum(axis=(0, 1))) * np.maximum(g, 0)).sum(axis=(0, 1))
    ),
}


def on_grid(tokens) -> np.ndarray:
    """The last 24 of tokens (N, T, D), row by row, (N, 4, 6, D)."""
    array = np.asarray(tokens)
    start = array.shape[1] - 24
    cells = [[array[:, start + 6 * row + column] for column in range(6)] for row in range(4)]
    return np.moveaxis(np.array(cells), 2, 0)


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    """A model whose features are mostly positive, the options of the explainer, and the layer."""
    options, asked, layer = FORMS[request.param]
    model = zoo.transformer(SHAPE, **options)
    for each in model.layers:
        if isinstance(each, keras.layers.LayerNormalization):
            each.beta.assign_add(0.5 * keras.ops.ones_like(each.beta))
    return model, asked, layer


@pytest.mark.parametrize("method", CAMS)
def test_maps_of_gradients_are_those_of_the_patches(method, form):
    tf = pytest.importorskip("tensorflow")
    model, asked, layer = form
    images, targets = zoo.images(3, SHAPE), [1, 4, 7]
    found = explain(model, images, method=method, targets=targets, **asked)
    flat = cutting.flatten(model)
    encoder = keras.Function(flat.inputs, flat.find(layer))
    head = keras.Function([flat.inputs, flat.find(layer)], flat.logits)
    with tf.GradientTape() as tape:
        tokens = encoder(images)
        tape.watch(tokens)
        score = tf.gather(head([images, tokens]), targets, batch_dims=1)
    both = zip(on_grid(tokens), on_grid(tape.gradient(score, tokens)), strict=True)
    for map_found, (activations, gradients) in zip(found, both, strict=True):
        grid = np.maximum(CAMS[method](activations, gradients).sum(axis=-1), 0)
        limit = 1e-4 * max(1e-3, grid.max())
        np.testing.assert_allclose(map_found, naive.enlarged(grid, 8, 12), rtol=1e-3, atol=limit)
    assert found.max() > 0


def test_score_cam_shows_the_image_through_one_feature_after_the_other(form):
    model, asked, layer = form
    images = zoo.images(4, SHAPE)
    found = explain(model, images, method="score_cam", targets=3, **asked)
    codes = on_grid(cutting.cut(model, layer)(images)["codes"])
    for image, features, map_found in zip(images, codes, found, strict=True):
        masks = np.array([naive.enlarged(each, 8, 12) for each in np.moveaxis(features, -1, 0)])
        low, high = masks.min(axis=(1, 2), keepdims=True), masks.max(axis=(1, 2), keepdims=True)
        shown = image * ((masks - low) / (high - low))[..., None]
        weights = softmax(cutting.logits(model)(shown).numpy()[:, 3])
        expected = naive.enlarged(np.maximum(features @ weights, 0), 8, 12)
        np.testing.assert_allclose(map_found, expected, rtol=1e-3, atol=1e-4)
    assert found.max() > 0.01


def test_eigen_cam_projects_the_patches(form):
    model, asked, layer = form
    images = zoo.images(1, SHAPE)
    (features,) = on_grid(cutting.cut(model, layer)(images)["codes"])
    found = explain(model, images, method="eigen_cam", **asked)
    flat = features.reshape(24, -1)
    vector = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    projected = (flat @ vector).reshape(4, 6)
    projected *= np.sign(projected.sum())
    expected = naive.enlarged(np.maximum(projected, 0), 8, 12)
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.parametrize("grid", [3, (3,), (0, 2), ("a", 1), (2.5, 2)])
def test_what_is_no_grid_is_refused(grid):
    with pytest.raises(InputError, match=r"grid of shape .* expected \(rows, columns\)"):
        explain(zoo.transformer(), zoo.images(1), method="grad_cam", grid=grid)


def test_a_grid_of_a_convolution_may_be_said_if_it_is_the_right_one():
    model, images = zoo.build("sequential"), zoo.images(2)
    said = explain(model, images, method="hires_cam", targets=2, grid=(8, 8))
    named = explain(model, images, method="hires_cam", targets=2, layer=1)
    np.testing.assert_array_equal(said, named)
    with pytest.raises(InputError, match=r"'conv' gives \(8, 8, 3\), which has no grid \(7, 7\)"):
        explain(model, images, method="hires_cam", layer="conv", grid=(7, 7))


def test_the_layer_is_looked_for_once(monkeypatch):
    calls = []
    monkeypatch.setattr("cladec.explainers.scores.find_spatial", _counted(calls))
    model, images = zoo.transformer(), zoo.images(1)
    for method in ("grad_cam", "hires_cam", "grad_cam", "eigen_cam"):
        explain(model, images, method=method)
    assert len(calls) == 1


def _counted(calls: list):
    from cladec.models.places import find_spatial

    def find(*arguments):
        calls.append(arguments)
        return find_spatial(*arguments)

    return find


def test_deep_dream_raises_no_normalisation():
    model, images = zoo.transformer(), zoo.images(1)
    with pytest.raises(InputError, match="'norm_1', is a LayerNormalization"):
        explain(model, images, method="deep_dream", steps=1)
    assert (
        explain(model, images, method="deep_dream", layer="block_0", steps=1).shape == images.shape
    )


def test_every_method_of_a_spatial_layer_takes_a_grid():
    of_layers = {name for name, row in EXPLAINERS.items() if "layer" in row.options}
    with_grid = {name for name in of_layers if "grid" in EXPLAINERS[name].options}
    assert with_grid == {*CAMS, "score_cam", "eigen_cam"}
    assert of_layers - with_grid == {"activation_maximization", "deep_dream"}
