"""The architectures of the package: their shapes, their training, and every layer of them."""

import inspect
from functools import cache

import numpy as np
import pytest

from cladec.data.dataset import Dataset, Split
from cladec.errors import InputError
from cladec.experiments.sweep import Sweep
from cladec.models import cutting
from cladec.models.architectures import ARCHITECTURES
from cladec.models.cladec import ClaDec
from cladec.models.classifiers import build_classifier, fit_classifier
from cladec.models.decoder import build_decoder
from cladec.models.layers import decodable_layers
from cladec.models.recipes import Recipe
from cladec.models.refae import RefAE

SHAPE, CLASSES = (8, 8, 1), 3
DISTINCT = sorted(set(ARCHITECTURES) - {"perfect_ae"})


@cache
def built(architecture):
    """A classifier of tiny images; no test may change it."""
    return build_classifier(SHAPE, CLASSES, architecture)


EVERY_LAYER = [
    (architecture, layer.path)
    for architecture in DISTINCT
    for layer in decodable_layers(built(architecture))
    if layer.reason is None
]


@pytest.mark.parametrize(
    ("architecture", "image_shape", "expected"),
    [
        ("vgg", (28, 28, 1), {"conv": (7, 7, 64), "dense": (128,), "logits": (7,)}),
        ("vgg", (9, 12, 3), {"conv": (2, 3, 64), "dense": (128,), "logits": (7,)}),
        ("diff_ae", (28, 28, 1), {"block_2": (2, 2, 64), "conv": (256,), "dense": (7,)}),
        ("diff_ae", (9, 12, 3), {"conv": (64,), "dense": (7,)}),
        ("vgg11", (32, 32, 3), {"conv": (1, 1, 512), "dense": (512,), "logits": (7,)}),
        ("vgg11", (28, 28, 1), {"block_1": (14, 14, 64), "block_5": (4, 4, 512)}),
    ],
)
def test_shapes_of_the_named_layers(architecture, image_shape, expected):
    shapes = cutting.layer_shapes(build_classifier(image_shape, 7, architecture))
    assert expected.items() <= shapes.items()
    assert shapes["probabilities"] == (7,)


def test_vgg11_has_eight_convolutions_of_its_widths_each_normalised():
    shapes = cutting.layer_shapes(build_classifier((32, 32, 3), 10, "vgg11"))
    widths = [shapes[f"convolution_{number}"][-1] for number in range(1, 9)]
    assert widths == [64, 128, 256, 256, 512, 512, 512, 512]
    sides = [shapes[f"relu_{number}"][0] for number in range(1, 9)]
    assert sides == [16, 8, 8, 4, 4, 2, 2, 1]
    types = [type(layer).__name__ for layer in build_classifier((32, 32, 3), 10, "vgg11").layers]
    assert types.count("BatchNormalization") == types.count("Conv2D") == 8
    assert types.count("Dense") == 3


def test_whoever_names_architectures_names_those_there_are(tmp_path):
    for name in ARCHITECTURES:
        assert name in inspect.getsource(Sweep)
        Sweep(datasets=("digits",), architecture=name, out=tmp_path).check()
    with pytest.raises(InputError, match="unknown architecture 'resnet': choose from vgg"):
        Sweep(datasets=("digits",), architecture="resnet", out=tmp_path).check()


def test_perfect_ae_is_another_name_of_vgg():
    first, second = (build_classifier(SHAPE, 4, name, seed=2) for name in ("vgg", "perfect_ae"))
    assert all(map(np.array_equal, first.get_weights(), second.get_weights()))


def quadrants() -> Dataset:
    """Images whose bright corner is their class: what any classifier learns at once."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 192)
    images = generator.uniform(0, 0.4, (192, 8, 8, 1)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 0.6
    train, test = Split(images[:128], labels[:128]), Split(images[128:], labels[128:])
    return Dataset("quadrants", train, test, tuple("abcd"))


@pytest.mark.parametrize("architecture", DISTINCT)
def test_every_architecture_learns(architecture):
    data = quadrants()
    classifier = build_classifier(data.image_shape, data.num_classes, architecture)
    history = fit_classifier(classifier, data, recipe=Recipe(6, 16, 4e-3, 0, 0))
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["accuracy"][-1] > 0.8


@pytest.mark.parametrize(("architecture", "layer"), EVERY_LAYER)
def test_any_layer_can_be_explained(architecture, layer):
    generator = np.random.default_rng(0)
    images = generator.random((4, *SHAPE), dtype=np.float32)
    labels = np.arange(4) % CLASSES
    network = cutting.cut(built(architecture), layer)
    encoder = cutting.fresh_encoder(built(architecture), layer)
    code_shape = network.output["codes"].shape[1:]
    assert encoder.output_shape[1:] == code_shape
    cladec = ClaDec(network, build_decoder(code_shape, SHAPE), alpha=0.5)
    refae = RefAE(encoder, build_decoder(code_shape, SHAPE))
    for model, targets in ((cladec, {"images": images, "labels": labels}), (refae, images)):
        before = [weight.copy() for weight in model.decoder.get_weights()]
        model.compile(optimizer="sgd", run_eagerly=True)
        losses = model.train_on_batch(images, targets, return_dict=True)
        assert all(np.isfinite(float(loss)) for loss in losses.values())
        changed = map(np.array_equal, model.decoder.get_weights(), before)
        assert not all(changed)
        assert model(images).shape == images.shape
