"""Our explainers and those of other libraries: the same maps, side by side, and their seconds.

    python benchmarks/peers.py                     digits of 28x28 pixels and colour of 96x96
    python benchmarks/peers.py --images 2 --rounds 1

The peers pin other versions of TensorFlow than ours, so they go into an environment of their own:

    python -m venv peers
    peers/bin/pip install "tensorflow-cpu==2.20.*" lime tf-keras-vis -e .
    peers/bin/pip install --no-deps xplique "tf_keras==2.20.*" tensorflow_probability
    peers/bin/pip install deprecated einops opencv-python-headless

What is not installed is named and left out. Every library gets the same model, images, classes,
segments, number of samples and batch size, and is timed from the model to the maps, so that what
it builds or traces counts. Correlations are Pearson's between its maps and ours; the random masks
of RISE and the random samples of LIME differ from library to library.
"""

import importlib
import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tyro
from keras import layers
from rich.console import Console
from rich.table import Table

import cladec
from cladec.explainers.segments import segment
from cladec.models import recipes
from cladec.models.classifiers import build_classifier, fit_classifier

LIBRARIES = {"xplique": "xplique", "tf-keras-vis": "tf_keras_vis", "lime": "lime"}
"""The name to install each peer by, and the name to import it by."""

BATCH_SIZE = 100
MASKS = 2000
GRID = 8
SAMPLES = 1000
SEGMENTS = 40


@dataclass(frozen=True)
class Bench:
    """Compare our explainers with those of other libraries."""

    images: int = 4
    """Images to explain."""
    rounds: int = 6
    """How often each is timed; the least time counts."""
    methods: tuple[str, ...] = ("saliency", "grad_cam", "occlusion", "rise", "lime")
    """Which methods to compare."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A classifier with and without its softmax, and images with the classes to explain."""

    name: str
    probabilities: keras.Model
    logits: keras.Model
    layer: str
    images: np.ndarray
    patch: int

    @property
    def targets(self) -> np.ndarray:
        """The predicted classes."""
        return self.logits.predict_on_batch(self.images).argmax(axis=1)

    @property
    def one_hot(self) -> np.ndarray:
        """The predicted classes as rows of zeros and a one."""
        return np.eye(self.logits.output_shape[1], dtype=np.float32)[self.targets]


Maps = Callable[[Subject], np.ndarray]


def digits(images: int) -> Subject:
    """The classifier of this package on the embedded digits."""
    data = cladec.load("digits")
    model = build_classifier(data.image_shape, data.num_classes)
    fit_classifier(model, data, recipe=recipes.CLASSIFIER)
    logits = keras.Model(model.inputs, model.get_layer("logits").output)
    return Subject("digits 28x28", model, logits, "conv", data.test.images[:images], 4)


def colour(images: int) -> Subject:
    """MobileNetV2 without training, for time."""
    body = keras.applications.MobileNetV2(
        (96, 96, 3), weights=None, classes=10, classifier_activation=None
    )
    pixels = np.random.default_rng(0).random((max(images, 10), 12, 12, 3), dtype=np.float32)
    smooth = np.asarray(keras.ops.image.resize(pixels, (96, 96)))
    # Without training it gives all images almost the same scores: spread them.
    scores = body.predict_on_batch(smooth)
    kernel, bias = body.layers[-1].get_weights()
    spread = 1 / scores.std(axis=0).mean()
    body.layers[-1].set_weights([kernel * spread, bias - spread * scores.mean(axis=0)])
    model = keras.Model(body.inputs, layers.Softmax()(body.outputs[0]))
    return Subject("MobileNetV2 96x96", model, body, "out_relu", smooth[:images], 16)


def ours(method: str, **options) -> Maps:
    """The maps of `cladec.explain`."""

    def maps(subject: Subject) -> np.ndarray:
        extra = {name: value(subject) for name, value in options.items() if callable(value)}
        return cladec.explain(
            subject.probabilities, subject.images, method=method, **(options | extra)
        )

    return maps


def xplique(name: str, *, scores: str, **options) -> Maps:
    """The maps of an explainer of xplique, which is given the logits or the probabilities."""

    def maps(subject: Subject) -> np.ndarray:
        from xplique import attributions

        extra = {name: value(subject) for name, value in options.items() if callable(value)}
        explainer = getattr(attributions, name)(getattr(subject, scores), **(options | extra))
        found = np.asarray(explainer(subject.images, subject.one_hot))
        return found.reshape(subject.images.shape[:3])

    return maps


def xplique_lime(subject: Subject) -> np.ndarray:
    """LIME of xplique with our segments, kernel and penalty."""
    import tensorflow as tf
    from sklearn.linear_model import Ridge
    from xplique.attributions import Lime

    def nearness(image, kept, perturbed):
        cosine = tf.sqrt(tf.reduce_mean(tf.cast(kept, tf.float32), axis=1))
        return tf.exp(-((1 - cosine) ** 2) / (2 * 0.25**2))

    explainer = Lime(
        subject.probabilities,
        batch_size=BATCH_SIZE,
        interpretable_model=Ridge(alpha=1.0),
        similarity_kernel=nearness,
        map_to_interpret_space=lambda image: tf.constant(
            segment(image.numpy(), SEGMENTS), tf.int32
        ),
        ref_value=np.zeros(subject.images.shape[-1], np.float32),
        nb_samples=SAMPLES,
    )
    found = np.asarray(explainer(subject.images, subject.one_hot))
    return found.reshape(subject.images.shape[:3])


def lime_lime(subject: Subject) -> np.ndarray:
    """LIME of its authors, which takes colour only, with our segments."""
    from lime.lime_image import LimeImageExplainer

    channels = subject.images.shape[-1]

    def answer(images: np.ndarray) -> np.ndarray:
        return subject.probabilities.predict_on_batch(images[..., :channels].astype(np.float32))

    maps = []
    for image, target in zip(subject.images, subject.targets, strict=True):
        explanation = LimeImageExplainer(random_state=0).explain_instance(
            np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float64),
            answer,
            labels=(target,),
            top_labels=None,
            hide_color=0,
            num_samples=SAMPLES,
            batch_size=BATCH_SIZE,
            segmentation_fn=lambda _, image=image: segment(image, SEGMENTS),
        )
        weights = dict(explanation.local_exp[target])
        maps.append(np.vectorize(weights.get)(explanation.segments))
    return np.array(maps)


def tf_keras_vis(module: str, name: str, **options) -> Maps:
    """The maps of an explainer of tf-keras-vis on the logits."""

    def maps(subject: Subject) -> np.ndarray:
        from tf_keras_vis.utils.scores import CategoricalScore

        explainer = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)(subject.logits)
        extra = {name: value(subject) for name, value in options.items() if callable(value)}
        score = CategoricalScore(subject.targets.tolist())
        return np.asarray(explainer(score, subject.images, **(options | extra)))

    return maps


def patch(subject: Subject) -> int:
    """Pixels of the side of the occluding patch."""
    return subject.patch


def stride(subject: Subject) -> int:
    """Pixels from one patch to the next."""
    return subject.patch // 2


def layer(subject: Subject) -> str:
    """The layer of Grad-CAM."""
    return subject.layer


METHODS: dict[str, dict[str, Maps]] = {
    "saliency": {
        "cladec": ours("saliency"),
        "xplique": xplique("Saliency", scores="logits", batch_size=BATCH_SIZE),
        "tf-keras-vis": tf_keras_vis("saliency", "Saliency", normalize_map=False),
    },
    "grad_cam": {
        "cladec": ours("grad_cam", layer=layer),
        "xplique": xplique("GradCAM", scores="logits", batch_size=BATCH_SIZE, conv_layer=layer),
        "tf-keras-vis": tf_keras_vis(
            "gradcam", "Gradcam", penultimate_layer=layer, normalize_cam=False
        ),
    },
    "occlusion": {
        "cladec": ours("occlusion", patch=patch, stride=stride, fill=0.5, batch_size=BATCH_SIZE),
        "xplique": xplique(
            "Occlusion",
            scores="probabilities",
            batch_size=BATCH_SIZE,
            patch_size=patch,
            patch_stride=stride,
            occlusion_value=0.5,
        ),
    },
    "rise": {
        "cladec": ours("rise", masks=MASKS, grid=GRID, batch_size=BATCH_SIZE),
        "xplique": xplique(
            "Rise",
            scores="probabilities",
            batch_size=BATCH_SIZE,
            nb_samples=MASKS,
            grid_size=GRID,
        ),
    },
    "lime": {
        "cladec": ours("lime", samples=SAMPLES, segments=SEGMENTS, fill=0.0, batch_size=BATCH_SIZE),
        "xplique": xplique_lime,
        "lime": lime_lime,
    },
}
"""For every method, the maps of each library; ours come first."""


def timed(maps: Maps, subject: Subject, rounds: int) -> tuple[np.ndarray, float]:
    """The maps, and the least seconds of some rounds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = maps(subject)
        seconds.append(time.perf_counter() - start)
    return found, min(seconds)


def correlation(found: np.ndarray, expected: np.ndarray) -> float:
    """Pearson's correlation of two maps, averaged over the images."""
    pairs = zip(found, expected, strict=True)
    return float(np.mean([np.corrcoef(one.ravel(), two.ravel())[0, 1] for one, two in pairs]))


def main(bench: Bench) -> None:
    """Print seconds and correlations."""
    console = Console()
    missing = [name for name, module in LIBRARIES.items() if not importlib.util.find_spec(module)]
    for name in missing:
        console.print(f"{name} is not installed and left out: see the top of {__file__}")
    for subject in (digits(bench.images), colour(bench.images)):
        columns = ("method", "library", "seconds", "of ours", "correlation")
        table = Table(*columns, title=f"{subject.name}, {bench.images} images")
        for method in bench.methods:
            libraries = METHODS[method]
            own, own_seconds = timed(libraries["cladec"], subject, bench.rounds)
            table.add_row(method, "cladec", f"{own_seconds:.2f}", "", "")
            for library in sorted(libraries.keys() - {"cladec", *missing}):
                found, seconds = timed(libraries[library], subject, bench.rounds)
                ratio, alike = f"{seconds / own_seconds:.1f}x", correlation(found, own)
                table.add_row("", library, f"{seconds:.2f}", ratio, f"{alike:.3f}")
        console.print(table)


if __name__ == "__main__":
    main(tyro.cli(Bench, description=__doc__))
