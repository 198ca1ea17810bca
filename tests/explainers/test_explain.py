"""The contract that every explainer keeps on every form of model, and the one function for all."""

import subprocess
import sys
from functools import partial

import explained
import keras
import naive
import numpy as np
import pytest
import zoo

import cladec
from cladec.errors import InputError
from cladec.explainers import EXPLAINERS, Explainer, explain, find_explainer
from cladec.explainers.inputs import check_images, resolve_targets
from cladec.explainers.scores import LogitsModel, logits_model
from cladec.models import cutting
from cladec.models.cladec import ClaDec
from cladec.models.decoder import build_decoder
from cladec.models.predictions import softmax
from cladec.models.refae import RefAE

FORMS = (
    "sequential",
    "functional_in_sequential",
    "softmax_layer",
    "compiled_with_a_loss_of_its_own",
    "logits_end",
    "nested_twice",
    "shared_layer",
    "residual_add",
    "functions_in_the_graph",
    "rescaling",
    "oblong",
)

SMALL = explained.OPTIONS | {"activation_maximization": {"steps": 3, "jitter": 1}}
"""Options that make an explainer quick, and draw something where it can."""


def build(form):
    """A classifier of the zoo, or one of images in colour that are no square."""
    if form != "oblong":
        return zoo.build(form)
    inputs = keras.Input((6, 9, 3))
    hidden = keras.layers.Conv2D(4, 3, 2, activation="relu", name="conv")(inputs)
    return naive.drawn(keras.Model(inputs, zoo.scored(hidden)))


def options_for(method, model, images):
    if method in ("shap_deep", "shap_gradient"):
        backgrounds = np.random.default_rng(2).random((4, *images.shape[1:]), dtype=np.float32)
        return SMALL.get(method, {}) | {"backgrounds": backgrounds}
    if method == "cladec":
        layer = next(iter(cutting.layer_shapes(model)))
        network = cutting.cut(model, layer)
        shapes = network.output["codes"].shape[1:], images.shape[1:]
        encoder = cutting.fresh_encoder(model, layer)
        decoder = ClaDec(network, build_decoder(*shapes), alpha=0.5)
        return {"decoder": decoder, "reference": RefAE(encoder, build_decoder(*shapes))}
    return SMALL.get(method, {})


def check_contract(method, model, images):
    """Shape, type and values; a row is what its image alone gives; nothing given is changed."""
    weights = [weight.copy() for weight in model.get_weights()]
    state = training_state(model)
    given, answers = images.copy(), model.predict_on_batch(images)
    run = partial(explain, model, method=method, seed=3, **options_for(method, model, images))
    found = run(images)
    expected = images.shape if EXPLAINERS[method].makes_images else images.shape[:3]
    assert (found.shape, found.dtype) == (expected, np.float32)
    assert np.isfinite(found).all()
    if not EXPLAINERS[method].signed:
        assert found.min() >= 0.0
    alone = run(images[1:2])[0]
    np.testing.assert_allclose(alone, found[1], rtol=1e-3, atol=1e-5 + 1e-4 * np.abs(alone).max())
    np.testing.assert_array_equal(images, given)
    for weight, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, before)
    assert training_state(model) == state
    np.testing.assert_array_equal(model.predict_on_batch(images), answers)


untrained_says_nothing = pytest.mark.filterwarnings("ignore:.* gave a map of zeros alone")


def training_state(model):
    """What a later `fit` of the model depends on beside its weights."""
    layers = [layer for _, layer in zoo.operations(model) if isinstance(layer, keras.Layer)]
    frozen = [layer.trainable for layer in (model, *layers)]
    return frozen, model.compiled, getattr(model, "optimizer", None)


@untrained_says_nothing
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", EXPLAINERS)
def test_every_explainer_keeps_the_contract(method, form):
    model = build(form)
    check_contract(method, model, zoo.images(3, model.input_shape[1:]))


@pytest.mark.parametrize("method", EXPLAINERS)
def test_the_same_seed_gives_the_same_result(method):
    model, images = zoo.build("sequential"), zoo.images(2)
    options = options_for(method, model, images)
    first, second = (explain(model, images, method=method, seed=7, **options) for _ in range(2))
    np.testing.assert_array_equal(first, second)


REPORTING = [
    *("saliency", "lrp", "rise", "sobol", "hsic", "lime", "kernel_shap", "anchors"),
    *("shap_gradient", "deep_dream"),
]


@pytest.mark.parametrize("method", REPORTING)
def test_the_slow_ones_tell_how_far_they_are(method):
    model, images, told = zoo.build("sequential"), zoo.images(2), []
    options = options_for(method, model, images) | {"batch_size": 5 if method == "anchors" else 1}
    explain(
        model, images, method=method, report=lambda share, values: told.append(share), **options
    )
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("saliency", SMALL["saliency"]),
        ("rise", SMALL["rise"]),
        ("sobol", SMALL["sobol"]),
        ("hsic", SMALL["hsic"]),
        ("lime", SMALL["lime"]),
        ("kernel_shap", SMALL["kernel_shap"]),
        ("activation_maximization", SMALL["activation_maximization"]),
    ],
)
def test_another_seed_gives_another_result(method, options):
    model, images = zoo.build("sequential"), zoo.images(2)
    first, second = (explain(model, images, method=method, seed=seed, **options) for seed in (0, 1))
    assert not np.array_equal(first, second)


@untrained_says_nothing
@pytest.mark.parametrize("method", EXPLAINERS)
def test_a_reloaded_sequential_with_a_model_in_it_is_explained_alike(method, tmp_path):
    model, images = zoo.build("functional_in_sequential"), zoo.images(2)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    options = options_for(method, model, images)
    found = explain(reloaded, images, method=method, **options)
    expected = explain(model, images, method=method, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@untrained_says_nothing
@pytest.mark.parametrize("method", ["saliency", "guided_backpropagation", "grad_cam", "occlusion"])
@pytest.mark.parametrize(
    "architecture",
    [
        partial(keras.applications.MobileNetV2, input_shape=(32, 32, 3)),
        partial(keras.applications.Xception, input_shape=(71, 71, 3)),
    ],
)
def test_keras_applications_are_explained(architecture, method):
    model = architecture(weights=None, classes=4)
    images = zoo.images(1, model.input_shape[1:])
    options = {"patch": 40, "stride": 40} if method == "occlusion" else {}
    options = {name: min(size, images.shape[1]) for name, size in options.items()}
    found = explain(model, images, method=method, **options)
    assert found.shape == images.shape[:3]
    assert np.isfinite(found).all()


def test_the_table_has_every_method_of_its_function():
    for name, explainer in EXPLAINERS.items():
        assert isinstance(explainer, Explainer)
        assert name == explainer.name == explainer.function.__name__
        parameters = list(explainer.parameters.values())
        assert [parameter.name for parameter in parameters[:2]] == ["model", "images"]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[3:])


def test_the_table_is_read_without_tensorflow():
    code = "import sys, cladec; list(cladec.EXPLAINERS); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert cladec.EXPLAINERS is EXPLAINERS
    assert cladec.explain is explain


def test_an_explainer_of_the_table_can_be_called_itself():
    model, images = zoo.build("sequential"), zoo.images(2)
    expected = explain(model, images, method="saliency", targets=3)
    np.testing.assert_array_equal(EXPLAINERS["saliency"](model, images, 3), expected)


def test_options_and_layer_reach_the_function():
    from cladec.explainers.cams import grad_cam

    model, images = zoo.build("residual_add"), zoo.images(2)
    found = explain(model, images, method="grad_cam", layer="conv", targets=2, batch_size=1)
    np.testing.assert_allclose(found, grad_cam(model, images, 2, layer="conv"), rtol=1e-5)
    assert not np.allclose(found, grad_cam(model, images, 2, layer="sum"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "grad_cm"}, r"unknown method 'grad_cm' \(did you mean 'grad_cam'\?\): choose"),
        ({"method": "zzz"}, "unknown method 'zzz': choose from saliency, "),
        ({"method": "grad_cam", "steps": 3}, "takes no 'steps'; it takes layer, grid, batch_size"),
        ({"method": "saliency", "layer": "conv"}, "'saliency' takes no 'layer'; it takes smooth"),
        ({"method": "cladec"}, "method 'cladec' needs the option 'decoder'"),
        ({"method": "saliency", "targets": 10}, "class 10 is out of range: expected 0 to 9"),
        ({"method": "saliency", "targets": -1}, "class -1 is out of range"),
        ({"method": "saliency", "targets": [1, 2, 3]}, r"\[1, 2, 3\] is no class: expected"),
        ({"method": "saliency", "targets": 1.5}, r"1.5 is no class"),
        ({"method": "saliency", "targets": [[0, 1], [1, 0]]}, r"is no class"),
        ({"method": "saliency", "targets": np.ones((2, 10))}, r"is no class"),
        ({"method": "saliency", "targets": True}, r"True is no class"),
    ],
)
def test_a_mistake_in_the_call_is_one_clear_line(arguments, message):
    with pytest.raises(InputError, match=message):
        explain(zoo.build("sequential"), zoo.images(2), **arguments)


def with_pixel(value):
    images = zoo.images(2)
    images[1, 2, 3] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (zoo.images(2, (9, 8, 1)), r"shape \(2, 9, 8, 1\): the model takes \(N, 8, 8, 1\)"),
        (zoo.images(2, (8, 8, 3)), r"shape \(2, 8, 8, 3\): the model takes \(N, 8, 8, 1\)"),
        (zoo.images(1)[0, 0], r"shape \(8, 1\): the model takes \(N, 8, 8, 1\)"),
        (zoo.images(0), "images is empty"),
        (with_pixel(np.nan), "a pixel of the images is NaN"),
        (with_pixel(np.inf), "to inf: expected values in"),
        (with_pixel(255.0), r"to 255: expected values in \[0, 1\]; divide bytes by 255"),
        (with_pixel(-0.5), r"pixels from -0.5 to"),
        ([[1.0], [1.0, 2.0]], "images is a list, not an array"),
        (["x", "y"], "x cannot be read as an image"),
        ("cat.png", "cat.png cannot be read as an image"),
        (None, r"shape \(\): the model takes"),
        (zoo.images(2).astype(np.uint8) + 1, "uint8 array with values up to 1"),
    ],
)
@pytest.mark.parametrize("method", ["saliency", "lime", "deep_dream"])
def test_images_that_do_not_fit_are_one_clear_line(images, message, method):
    with pytest.raises(InputError, match=message):
        explain(zoo.build("sequential"), images, method=method)


def test_a_model_that_cannot_be_cut_is_one_clear_line():
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(InputError, match="is not built"):
        explain(model, zoo.images(1), method="saliency")


def test_a_model_gone_to_nan_is_one_clear_line():
    model = zoo.build("sequential")
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    with pytest.raises(InputError, match="saliency gave values that are NaN"):
        explain(model, zoo.images(1), method="saliency")


def test_images_are_not_copied_when_they_fit_and_converted_when_they_do_not():
    model, images = zoo.build("sequential"), zoo.images(2)
    assert check_images(model, images) is images
    assert check_images(model, images > 0.5).dtype == np.float32


def test_the_scores_are_those_of_the_model_whatever_the_batch():
    model, images = zoo.build("rescaling"), zoo.images(23)
    logits = LogitsModel(model)
    expected = model.predict_on_batch(images)
    for batch_size in (1, 3, 23, 100):
        found = logits.probabilities(images, batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(resolve_targets(logits, images, None), expected.argmax(axis=1))
    np.testing.assert_array_equal(resolve_targets(logits, images, 4), np.full(23, 4))


def test_a_classifier_is_copied_once_until_its_weights_change():
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    images = np.random.default_rng(0).random((2, 6, 6, 1), dtype=np.float32)
    kept = logits_model(model)
    before = explain(model, images, method="saliency", targets=0)
    assert logits_model(model) is kept
    model.layers[-1].kernel.assign(2 * model.layers[-1].kernel)
    assert logits_model(model) is not kept
    after = explain(model, images, method="saliency", targets=0)
    np.testing.assert_allclose(after, 2 * before, rtol=1e-6)


def test_what_guided_backpropagation_changes_is_seen_by_no_other():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    images = np.random.default_rng(0).random((2, 6, 6, 1), dtype=np.float32)
    before = explain(model, images, method="saliency")
    guided = explain(model, images, method="guided_backpropagation")
    np.testing.assert_array_equal(explain(model, images, method="saliency"), before)
    assert not np.allclose(guided, before)


def test_softmax_takes_scores_of_any_size():
    scores = np.array([[1e4, 0.0], [-1e4, -1e4]], np.float32)
    np.testing.assert_array_equal(softmax(scores), [[1.0, 0.0], [0.5, 0.5]])


def test_find_explainer_finds_the_row():
    assert find_explainer("rise") is EXPLAINERS["rise"]
