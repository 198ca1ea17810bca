"""The classifiers that benchmarks look into, and what they are trained with."""

from collections.abc import Sequence

import keras
from keras import layers

import cladec
from cladec.models import accuracy


def trained(
    data: cladec.Dataset, images: int, *, architecture: str = "vgg", seed: int = 0
) -> keras.Model:
    """Return a classifier of the first training images, and print its accuracy."""
    train = data.train.images[:images], data.train.labels[:images]
    classifier = cladec.build_classifier(
        data.image_shape, data.num_classes, architecture, seed=seed
    )
    cladec.fit_classifier(classifier, train, seed=seed)
    print(f"accuracy of the classifier: {accuracy(classifier, data.test):.4f}")
    return classifier


def residual(
    shape: tuple[int, ...], classes: int, widths: Sequence[int], *, stem_stride: int = 1
) -> keras.Model:
    """A residual network with a block of each width, `out_1` and so on, half the size where wider.

    Three times 16, 32 and 64 are the ResNet-20 of He et al., "Deep Residual Learning for Image
    Recognition", CVPR 2016, section 4.2, with a 1x1 convolution where the size changes.
    """
    images = keras.Input(shape, name="images")
    width = widths[0]
    hidden = layers.Conv2D(width, 3, stem_stride, "same", use_bias=False, name="stem")(images)
    hidden = layers.ReLU(name="stem_relu")(normalisation("stem_norm")(hidden))
    for number, wider in enumerate(widths, 1):
        stride, width = (1 if wider == width else 2), wider
        branch = layers.Conv2D(width, 3, stride, "same", use_bias=False, name=f"a_{number}")(hidden)
        branch = normalisation(f"a_norm_{number}")(branch)
        branch = layers.ReLU(name=f"a_relu_{number}")(branch)
        branch = layers.Conv2D(width, 3, 1, "same", use_bias=False, name=f"b_{number}")(branch)
        branch = normalisation(f"b_norm_{number}")(branch)
        if stride > 1:
            hidden = layers.Conv2D(width, 1, stride, "same", name=f"short_{number}")(hidden)
        hidden = layers.Add(name=f"sum_{number}")([hidden, branch])
        hidden = layers.ReLU(name=f"out_{number}")(hidden)
    hidden = layers.GlobalAveragePooling2D(name="pool")(hidden)
    scores = layers.Dense(classes, name="logits")(hidden)
    return keras.Model(images, layers.Softmax(name="probabilities")(scores), name="residual")


def normalisation(name: str) -> keras.Layer:
    """Batch normalisation for a training of some hundred steps."""
    return layers.BatchNormalization(momentum=0.95, name=name)


def varying(network: keras.Model) -> keras.Model:
    """The network behind layers that flip, turn, move and zoom its images, to train it by."""
    changes = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(10 / 360),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomZoom(0.1),
    ]
    return keras.Sequential([keras.Input(network.input_shape[1:]), *changes, network])
