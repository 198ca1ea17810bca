"""LRP against the rules written out over every contribution, and what its maps sum to."""

import keras
import naive
import numpy as np
import pytest
import zoo
from keras import layers, ops

from cladec.errors import InputError
from cladec.explainers.gradients import saliency
from cladec.explainers.relevance import lrp
from cladec.explainers.scores import LogitsModel

SHAPE = (4, 5, 2)
IMAGES = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
TARGETS = np.array([2, 0, 1])


def functional(body, use_bias=True):
    """A classifier whose layers `body` lead from the images to the last layer, drawn at random."""
    inputs = keras.Input(SHAPE)
    scores = layers.Dense(3, use_bias=use_bias)(layers.Flatten()(body(inputs)))
    return zoo.randomised(keras.Model(inputs, scores))


def matrix(layer, shape, bias):
    """The weights of a linear layer from every input to every output, (J, K), one by one."""
    units = np.eye(np.prod(shape), dtype=np.float32).reshape(-1, *shape)
    outputs = ops.convert_to_numpy(layer(units)) - bias
    return outputs.reshape(len(units), -1).astype(np.float64)


def handed_back(values, weights, bias, relevance, epsilon, gamma):
    """The relevance of the inputs (J,) of a linear layer, from that of its outputs (K,)."""
    contributions = values[:, None] * weights
    outputs = contributions.sum(axis=0) + bias
    sign = np.where(outputs > 0, 1, -1)
    favoured = np.where(contributions * sign > 0, contributions, 0)
    favoured_bias = np.where(bias * sign > 0, bias, 0)
    shares = contributions + gamma * favoured
    sums = shares.sum(axis=0) + bias + gamma * favoured_bias
    return (shares / (sums + epsilon * np.where(sums < 0, -1, 1)) * relevance).sum(axis=1)


def replicated(steps, image, target, epsilon, gamma):
    """The relevance of every pixel and channel through layers that follow each other.

    Args:
        steps: (layer, normalisation or None, function, gamma or None for the epsilon rule).
    """
    passed = []
    values, shape = image.ravel().astype(np.float64), image.shape
    for layer, normalization, function, follows_gamma in steps:
        bias = np.broadcast_to(
            ops.convert_to_numpy(layer.bias), layer.compute_output_shape((1, *shape))
        ).ravel()
        weights = matrix(layer, shape, bias.reshape(layer.compute_output_shape((1, *shape))))
        shape = layer.compute_output_shape((1, *shape))[1:]
        if normalization is not None:
            scale, shift, mean, variance = normalization.get_weights()
            factor = scale / np.sqrt(variance + normalization.epsilon)
            channels = np.resize(np.arange(len(factor)), len(bias))
            weights = weights * factor[channels]
            bias = ((bias.reshape(-1, len(factor)) - mean) * factor + shift).ravel()
        passed.append((values, weights, bias, gamma if follows_gamma else 0.0))
        values = function(values @ weights + bias)
    relevance = np.where(np.arange(len(values)) == target, values, 0)
    for values, weights, bias, favour in reversed(passed):
        stabilizer = 0.0 if favour else epsilon
        relevance = handed_back(values, weights, bias, relevance, stabilizer, favour)
    return relevance.reshape(image.shape).sum(axis=-1)


def relu(values):
    return np.maximum(values, 0)


def swish(values):
    return values / (1 + np.exp(-values))


def same(values):
    return values


@pytest.mark.parametrize("rule", ["epsilon", "gamma_epsilon"])
@pytest.mark.parametrize("epsilon", [1e-6, 0.3])
def test_relevance_is_that_of_every_contribution(rule, epsilon):
    """A convolution with its normalisation, a depthwise one without, of both signs, and two dense
    layers.
    """
    conv = layers.Conv2D(3, 3, padding="same")
    normalization = layers.BatchNormalization()
    depthwise = layers.DepthwiseConv2D(2, strides=2, depth_multiplier=2, activation="silu")
    hidden, last = layers.Dense(6, activation="relu"), layers.Dense(3)
    inputs = keras.Input(SHAPE)
    values = depthwise(normalization(conv(inputs)))
    model = keras.Model(inputs, last(hidden(layers.Flatten()(values))))
    zoo.randomised(model)
    found = lrp(model, IMAGES, TARGETS, rule=rule, epsilon=epsilon, gamma=0.4)
    depthwise.activation = hidden.activation = None
    gamma = 0.4 if rule == "gamma_epsilon" else 0.0
    steps = [
        (conv, normalization, same, True),
        (depthwise, None, swish, True),
        (Flat(hidden), None, relu, False),
        (last, None, same, False),
    ]
    for image, target, map_ in zip(IMAGES, TARGETS, found, strict=True):
        expected = replicated(steps, image, target, epsilon, gamma)
        np.testing.assert_allclose(map_, expected, atol=2e-4 * np.abs(expected).max())


class Flat:
    """A dense layer that takes values of any shape."""

    def __init__(self, dense):
        self.dense, self.bias = dense, dense.bias

    def __call__(self, values):
        return self.dense(values.reshape(len(values), -1))

    def compute_output_shape(self, shape):
        return (shape[0], self.dense.units)


def squeeze_excite(values):
    gate = layers.GlobalAveragePooling2D(keepdims=True)(values)
    return layers.Multiply()([values, layers.Conv2D(2, 1, activation="sigmoid")(gate)])


def residual(values):
    inner = layers.Conv2D(2, 3, padding="same", use_bias=False)(values)
    inner = layers.ReLU()(layers.BatchNormalization(center=False)(inner))
    return layers.Add()(
        [values, layers.SeparableConv2D(2, 3, padding="same", use_bias=False)(inner)]
    )


BODIES = {
    "convolution": layers.Conv2D(3, 3, use_bias=False, activation="relu"),
    "separable": layers.SeparableConv2D(3, 3, use_bias=False, activation="gelu"),
    "residual": residual,
    "dense": lambda x: layers.Dense(5, use_bias=False, activation="leaky_relu")(
        layers.Flatten()(x)
    ),
    "average": layers.AveragePooling2D(2),
    "maximum": layers.MaxPooling2D(2),
    "global_average": layers.GlobalAveragePooling2D(),
    "global_maximum": layers.GlobalMaxPooling2D(),
    "padding": lambda x: layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x)),
    "concatenate": lambda x: layers.Concatenate()([x, layers.Activation("elu")(x)]),
    "squeeze_excite": squeeze_excite,
    "own_gate": lambda x: x * ops.sigmoid(x),
    "reshape": lambda x: layers.Dropout(0.5)(
        layers.Reshape((5, 4, 2))(layers.Permute((2, 1, 3))(x))
    ),
    "layer_normalization": lambda x: layers.LayerNormalization(center=False)(x),
    "relu6": lambda x: layers.ReLU(6.0)(x * 2.0),
}


@pytest.mark.parametrize("rule", ["epsilon", "gamma_epsilon"])
@pytest.mark.parametrize("body", BODIES)
def test_relevance_sums_to_the_score_where_there_are_no_biases(body, rule):
    model = functional(BODIES[body], use_bias=False)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(np.zeros(2))
    found = lrp(model, IMAGES, TARGETS, rule=rule, epsilon=1e-9)
    scores = model.predict_on_batch(IMAGES)[range(3), TARGETS]
    np.testing.assert_allclose(found.sum(axis=(1, 2)), scores, rtol=2e-3, atol=2e-3)


def test_without_biases_and_with_relus_the_epsilon_rule_is_gradient_times_input():
    model = functional(residual, use_bias=False)
    found = lrp(model, IMAGES, TARGETS, rule="epsilon", epsilon=0)
    gradients = LogitsModel(model).gradients(IMAGES, TARGETS)
    np.testing.assert_allclose(found, (gradients * IMAGES).sum(axis=-1), rtol=1e-3, atol=1e-4)


def test_gates_have_no_relevance_and_factors_of_one_size_share_it():
    both = [layers.Conv2D(2, 1, use_bias=False) for _ in range(2)]
    model = functional(lambda x: layers.Multiply()([layer(x) for layer in both]))
    model.layers[-1].bias.assign(np.zeros(3))
    scores = model.predict_on_batch(IMAGES)[range(3), TARGETS]
    found = lrp(model, IMAGES, TARGETS, epsilon=1e-9)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), scores, rtol=1e-3, atol=1e-4)
    gated = functional(squeeze_excite)
    gate = next(layer for layer in gated.layers if isinstance(layer, layers.Conv2D))
    weights = gated.layers[-1].kernel.numpy()[:, 2].reshape(SHAPE)
    signal = keras.Model(gated.inputs, gate.output).predict_on_batch(IMAGES)
    found = lrp(gated, IMAGES, 2)
    np.testing.assert_allclose(
        found, (IMAGES * signal * weights).sum(axis=-1), rtol=1e-3, atol=1e-5
    )


def test_scaling_at_the_start_hands_all_relevance_to_the_pixels():
    scaled = functional(lambda x: layers.Conv2D(3, 3)(layers.Rescaling(2.0, offset=-1.0)(x)))
    plain = functional(layers.Conv2D(3, 3))
    relevance = lrp(scaled, IMAGES, TARGETS)
    assert np.abs(relevance).max() > 0
    halves = np.full_like(IMAGES, 0.5)
    np.testing.assert_allclose(lrp(scaled, halves, TARGETS), 0, atol=1e-6)
    np.testing.assert_allclose(
        lrp(scaled, (IMAGES + 1) / 2, TARGETS), lrp(plain, IMAGES, TARGETS), rtol=1e-3, atol=1e-5
    )


def test_functions_that_scale_at_the_start_are_scaling_too():
    with_layer = functional(lambda x: layers.Conv2D(3, 3)(layers.Rescaling(2.0, offset=-1.0)(x)))
    with_functions = functional(lambda x: layers.Conv2D(3, 3)(x * 2.0 - 1.0))
    np.testing.assert_allclose(
        lrp(with_functions, IMAGES, TARGETS), lrp(with_layer, IMAGES, TARGETS), rtol=1e-4, atol=1e-6
    )


def test_a_normalisation_that_is_not_alone_behind_its_layer_is_a_layer_of_its_own():
    def body(values):
        values = layers.Conv2D(2, 3, use_bias=False, name="conv")(values)
        return layers.Add()([values, layers.BatchNormalization(name="own")(values)])

    model = functional(body, use_bias=False)
    found = lrp(model, IMAGES, TARGETS, rule="epsilon", epsilon=0)
    gradients = LogitsModel(model).gradients(IMAGES, TARGETS)
    np.testing.assert_allclose(found, (gradients * IMAGES).sum(axis=-1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (lambda x: layers.GroupNormalization(2, name="groups")(x), r"'groups' \(GroupNormal"),
        (lambda x: layers.Activation("softmax", name="soft")(x), r"'soft' \(Activation\)"),
        (lambda x: layers.Conv2D(3, 3, activation="softmax", name="conv")(x), r"'conv' \(Conv2D\)"),
        (
            lambda x: zoo.small_sequential("inner")(layers.UnitNormalization(name="unit")(x)),
            "'unit'",
        ),
        (lambda x: keras.Sequential([layers.UnitNormalization(name="u")], name="in")(x), "'in/u'"),
    ],
)
def test_a_layer_without_a_rule_is_named(body, named):
    with pytest.raises(InputError, match=f"lrp has no rule for layer {named}"):
        lrp(functional(body), IMAGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "alpha"}, "unknown rule 'alpha': choose from epsilon, gamma_epsilon"),
        ({"epsilon": -1.0}, "epsilon is -1.0: expected 0 or more"),
        ({"gamma": -0.1}, "gamma is -0.1: expected 0 or more"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(InputError, match=message):
        lrp(naive.linear((4, 4, 1)), np.zeros((1, 4, 4, 1)), **options)


def test_no_other_explainer_notices():
    model = functional(residual)
    before = saliency(model, IMAGES)
    lrp(model, IMAGES)
    np.testing.assert_array_equal(saliency(model, IMAGES), before)
