"""The classifiers that this package trains itself; any other Keras classifier works as well."""

from collections.abc import Sequence

import keras
from keras import layers

from cladec import checks
from cladec.data.dataset import Data, Split
from cladec.errors import InputError
from cladec.models import batches, recipes
from cladec.models.architectures import find_architecture
from cladec.models.fitting import check_data
from cladec.models.given import checked
from cladec.models.precision import keras_defaults
from cladec.models.recipes import Recipe
from cladec.models.training import fit, seeded

Shape = tuple[int, int, int]


def vgg(image_shape: Shape, num_classes: int) -> keras.Model:
    """Build two blocks of convolution, pooling and normalisation (the second ends in the layer
    `conv`), then a layer `dense` of 128 units.
    """
    images = keras.Input(image_shape, name="images")
    hidden = _block(images, 1, 32, pooling="valid")
    hidden = _block(hidden, 2, 64, pooling="valid", output="conv")
    hidden = layers.Flatten(name="flatten")(hidden)
    hidden = layers.Dropout(0.1, name="dropout")(hidden)
    hidden = layers.Dense(128, activation="relu", name="dense")(hidden)
    scores = layers.Dense(num_classes, name="logits")(hidden)
    return _classifier(images, scores, "vgg")


def diff_ae(image_shape: Shape, num_classes: int) -> keras.Model:
    """Build two blocks whose convolutions have stride 2, flattened to the layer `conv` (256 numbers
    for a 28x28 image), directly followed by the scores, the layer `dense`.
    """
    images = keras.Input(image_shape, name="images")
    hidden = _block(images, 1, 32, strides=2, pooling="same")
    hidden = _block(hidden, 2, 64, strides=2, pooling="same")
    hidden = layers.Flatten(name="conv")(hidden)
    hidden = layers.Dropout(0.1, name="dropout")(hidden)
    scores = layers.Dense(num_classes, name="dense")(hidden)
    return _classifier(images, scores, "diff_ae")


def vgg11(image_shape: Shape, num_classes: int) -> keras.Model:
    """Build the eight convolutions of VGG-11 with batch normalisation (the last block ends in the
    layer `conv`, 1x1x512 for a 32x32 image), then the 512 units each of `dense_1` and `dense`.

    This is configuration A of Simonyan & Zisserman, arXiv 1409.1556, with the usual smaller head
    for images of this size.
    """
    hidden = images = keras.Input(image_shape, name="images")
    widths = (64, 128, 256, 256, 512, 512, 512, 512)
    for number, filters in enumerate(widths, start=1):
        pooling = "same" if number in (1, 2, 4, 6, 8) else None
        output = "conv" if number == len(widths) else None
        hidden = _block(hidden, number, filters, pooling=pooling, output=output)
    hidden = layers.Flatten(name="flatten")(hidden)
    for name in ("dense_1", "dense"):
        hidden = layers.Dense(512, activation="relu", name=name)(hidden)
    hidden = layers.Dropout(0.1, name="dropout")(hidden)
    scores = layers.Dense(num_classes, name="logits")(hidden)
    return _classifier(images, scores, "vgg11")


def _block(
    hidden: keras.KerasTensor,
    number: int,
    filters: int,
    *,
    strides: int = 1,
    pooling: str | None,
    output: str | None = None,
) -> keras.KerasTensor:
    """Build a convolution, pooling (with this padding; no pooling for None), ReLU, normalisation.

    Pooling before the ReLU gives the same values and leaves a quarter of the activations to the
    ReLU and the normalisation: a third of the time, at the same accuracy.
    """
    convolution = layers.Conv2D(filters, 3, strides, "same", name=f"convolution_{number}")
    hidden = convolution(hidden)
    if pooling is not None:
        hidden = layers.MaxPooling2D(padding=pooling, name=f"pooling_{number}")(hidden)
    hidden = layers.ReLU(name=f"relu_{number}")(hidden)
    return layers.BatchNormalization(momentum=0.95, name=output or f"block_{number}")(hidden)


def _classifier(images: keras.KerasTensor, scores: keras.KerasTensor, name: str) -> keras.Model:
    probabilities = layers.Softmax(dtype="float32", name=PROBABILITIES)(scores)
    return keras.Model(images, probabilities, name=name)


PROBABILITIES = "probabilities"
"""The name of the softmax layer that ends every architecture."""


@keras_defaults()
@checked
def build_classifier(
    image_shape: Shape,
    num_classes: int,
    architecture: str = "vgg",
    *,
    seed: int = 0,
) -> keras.Model:
    """Build an untrained classifier, images (N, H, W, C) in [0, 1] -> probabilities (N, classes).

    Raises:
        InputError: the architecture is unknown, or the images are too small for it.

    Examples:
        >>> cladec.build_classifier((32, 32, 3), 10, "vgg11").output_shape
        (None, 10)
    """
    build = find_architecture(architecture).build
    height, width, channels = checks.shape("images", image_shape, (3,), "(height, width, channels)")
    if num_classes < 2:
        raise InputError(f"num_classes is {num_classes}: expected two classes or more")
    try:
        with seeded(seed):
            return build((height, width, channels), num_classes)
    except ValueError as error:
        raise InputError(
            f"architecture {architecture!r} cannot be built for images of shape {image_shape}: "
            "expected larger images"
        ) from error


@keras_defaults()
def fit_classifier(
    classifier: keras.Model,
    data: Data,
    *,
    recipe: Recipe = recipes.CLASSIFIER,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, list[float]]:
    """Train a classifier from `build_classifier` in place and return its history per epoch.

    The cross-entropy is computed from the logits, which loses no precision.

    Examples:
        >>> untrained = cladec.build_classifier(data.image_shape, data.num_classes)
        >>> sorted(cladec.fit_classifier(untrained, data, recipe=quick))
        ['accuracy', 'loss']
    """
    names = [layer.name for layer in getattr(classifier, "layers", ())]
    if PROBABILITIES not in names:
        raise InputError(
            f"the classifier {classifier!r:.60} is not from build_classifier: expected one that "
            "is, or train it with its own fit"
        )
    data = check_data(classifier, data)
    logits = keras.Model(classifier.inputs, classifier.get_layer(PROBABILITIES).input)
    return fit(
        logits,
        data.train.images,
        data.train.labels,
        recipe,
        seed=seed,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        callbacks=callbacks,
    )


def accuracy(classifier: keras.Model, split: Split) -> float:
    """Return the share of the images of `split` that are classified correctly, in [0, 1].

    Raises:
        InputError: the labels are names, or several of an image.
    """
    if split.is_multi_label:
        raise InputError("the images have several labels each: expected one class for each image")
    if split.has_names:
        raise InputError("the labels are names: put them into a Dataset, which has their order")
    answers = batches.predict(classifier, split.images).argmax(axis=1)
    return float((answers == split.labels).mean())
