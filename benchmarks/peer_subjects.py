"""What our explainers and those of other libraries are compared on: networks and images."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

import cladec
from cladec.models import recipes
from cladec.models.classifiers import build_classifier, fit_classifier

BATCH_SIZE = 100
BATCHES = (8, 16, 32, 64)
"""The batches of which the fastest is taken where speed is compared."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A classifier with and without its softmax, also in PyTorch, and images to explain.

    Attributes:
        torch: the same network in PyTorch, images (N, C, H, W) -> logits; None without PyTorch.
        layer: the one that class activation maps look at.
        patch: pixels of each side of an occluding patch.
        batches: how many images the calls of a library's explainers take.
        masks: of RISE.
        samples: of LIME and Kernel SHAP.
    """

    name: str
    probabilities: keras.Model
    logits: keras.Model
    torch: Any
    layer: str
    images: np.ndarray
    patch: int
    batches: dict[str, int] = field(default_factory=dict)
    masks: int = 20_000
    samples: int = 10_000

    @property
    def targets(self) -> np.ndarray:
        """The predicted classes."""
        return self.logits.predict_on_batch(self.images).argmax(axis=1)

    @property
    def one_hot(self) -> np.ndarray:
        """The predicted classes as rows of zeros and a one."""
        return np.eye(self.logits.output_shape[1], dtype=np.float32)[self.targets]

    def batch(self, library: str) -> int:
        """How many images a call of this library takes."""
        return self.batches.get(library, BATCH_SIZE)


Maps = Callable[[Subject], np.ndarray]
"""Attribution maps (N, H, W) of the images of a subject for their predicted classes."""


def digits(images: int, with_torch: bool) -> Subject:
    """The classifier of this package on the embedded digits, 28x28."""
    data = cladec.load("digits")
    model = build_classifier(data.image_shape, data.num_classes)
    fit_classifier(model, data, recipe=recipes.CLASSIFIER)
    return _subject("VGG, digits 28x28", model, "conv", data.test.images[:images], 4, with_torch)


def photographs(images: int, with_torch: bool) -> Subject:
    """A small residual network that tells crops of five photographs from each other, 48x48."""
    train, test = (_crops(count, seed) for count, seed in ((1500, 0), (max(images, 50), 1)))
    data = cladec.Dataset("photographs", train, test, PHOTOGRAPHS)
    model = _residual(train.images.shape[1:], len(PHOTOGRAPHS))
    recipe = recipes.Recipe(epochs=4, batch_size=32, learning_rate=5e-3)
    fit_classifier(model, data, recipe=recipe)
    shown = test.images[:images]
    return _subject("residual, photographs 48x48", model, "out_2", shown, 8, with_torch)


PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "retina")
"""Names in skimage.data."""


def _crops(count: int, seed: int) -> cladec.Split:
    from skimage import data

    generator = np.random.default_rng(seed)
    labels = generator.integers(len(PHOTOGRAPHS), size=count)
    pictures = [getattr(data, name)() for name in PHOTOGRAPHS]
    images = np.empty((count, 48, 48, 3), np.float32)
    for image, label in zip(images, labels, strict=True):
        picture = pictures[label]
        top, left = (generator.integers(size - 96) for size in picture.shape[:2])
        image[:] = picture[top : top + 96 : 2, left : left + 96 : 2] / 255
    return cladec.Split(images, labels)


def _residual(shape: tuple[int, ...], classes: int) -> keras.Model:
    images = keras.Input(shape, name="images")
    hidden = layers.Conv2D(24, 3, 2, "same", name="stem")(images)
    hidden = layers.BatchNormalization(name="stem_normalised")(hidden)
    hidden = layers.ReLU(name="stem_relu")(hidden)
    for number in (1, 2):
        branch = layers.Conv2D(24, 3, padding="same", name=f"conv_{number}")(hidden)
        branch = layers.BatchNormalization(name=f"normalised_{number}")(branch)
        branch = layers.ReLU(name=f"relu_{number}")(branch)
        branch = layers.Conv2D(24, 3, padding="same", name=f"second_conv_{number}")(branch)
        hidden = layers.Add(name=f"sum_{number}")([hidden, branch])
        hidden = layers.ReLU(name=f"out_{number}")(hidden)
        hidden = layers.MaxPooling2D(name=f"pooling_{number}")(hidden)
    hidden = layers.GlobalAveragePooling2D(name="mean")(hidden)
    scores = layers.Dense(classes, name="logits")(hidden)
    return keras.Model(images, layers.Softmax(name="probabilities")(scores))


def _subject(
    name: str, model: keras.Model, layer: str, images: np.ndarray, patch: int, with_torch: bool
) -> Subject:
    logits = keras.Model(model.inputs, model.get_layer("logits").output)
    network = None
    if with_torch:
        from carry_over import carry_over

        network = carry_over(logits)
    return Subject(name, model, logits, network, layer, images, patch)


def large(family: str, with_torch: bool) -> Subject:
    """A network of keras.applications and that of torchvision, and one image of 224x224.

    They are not trained and have other weights, so that only their seconds can be compared.
    """
    body = getattr(keras.applications, family)(weights=None, classifier_activation=None)
    model = keras.Model(body.inputs, layers.Softmax()(body.outputs[0]))
    picture = _photograph((224, 224))
    batches = {"xplique": fastest(model.predict_on_batch, picture)}
    network = None
    if with_torch:
        import torch
        from torchvision import models

        network = getattr(models, TORCHVISION[family])(weights=None).eval()

        def answer(images: np.ndarray) -> None:
            with torch.no_grad():
                network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))

        batches["captum"] = fastest(answer, picture)
    size = {"batches": batches, "masks": 256, "samples": 256}
    return Subject(f"{family} 224x224", model, body, network, "", picture, 28, **size)


TORCHVISION = {"MobileNetV2": "mobilenet_v2", "ResNet50": "resnet50"}
"""The names in torchvision of networks in keras.applications."""


def _photograph(size: tuple[int, int]) -> np.ndarray:
    from PIL import Image
    from skimage import data

    picture = Image.fromarray(data.astronaut()).resize(size)
    return np.asarray(picture, np.float32)[None] / 255


def fastest(answer: Callable[[np.ndarray], Any], image: np.ndarray) -> int:
    """The batch of `BATCHES` that takes the least time for each image."""
    seconds = {}
    for size in BATCHES:
        images = np.repeat(image, size, axis=0)
        answer(images)
        start = time.perf_counter()
        for _ in range(2):
            answer(images)
        seconds[size] = (time.perf_counter() - start) / size
    return min(seconds, key=seconds.__getitem__)
