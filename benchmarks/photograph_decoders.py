"""How good the decoders of photographs are: layers of a real network at alpha 0 and beyond.

    python benchmarks/photograph_decoders.py --classifier network.keras --folder photographs/
    python benchmarks/photograph_decoders.py ... --layers block10_add --alphas 0.9

The network, trained on other classes, gets a linear head for those of the folder, on the features
before its scores. Each row of the CSV is a decoder: the error of test pictures and of training
pictures as a share of the mean image's, beside that of a thumbnail of the code's grid; the accuracy
of the classifier on what was decoded; the checkerboard at 2 and 4 pixels; the verdict; seconds and
processor seconds. Some decoded pictures are kept as a strip beside it. A layer takes some minutes.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import LogisticRegression

import cladec
from cladec.commands import main as command_line
from cladec.metrics import normalised
from cladec.metrics.checkerboard import checkerboard
from cladec.models import batches
from cladec.models.plateau import verdict
from cladec.models.precision import Precision, fastest
from cladec.models.recipes import CLADEC


@dataclass(frozen=True)
class Measurement:
    """Measure decoders of some layers of a network that was trained on other classes."""

    classifier: Path
    """A `.keras` file of a convolutional network that ends in features, scores."""
    folder: Path
    """A folder with train/<class> and test/<class>."""
    layers: tuple[str, ...] = ("block2_add", "block10_add", "head_relu")
    """Layers to decode."""
    features: str = "pool"
    """The layer of the features that get a linear head."""
    pixels: str = "-1-1"
    """The range of pixels that the network was trained on."""
    size: int = 96
    """Rows and columns of the enlarged pictures."""
    alphas: tuple[float, ...] = (0.0,)
    """Weights of the classification."""
    epochs: int | None = None
    """Passes over the training pictures and their copies; None for as many as the recipe says."""
    precision: Precision | None = None
    """The numbers that are computed with: by default bfloat16 where the processor has it."""
    seed: int = 0
    """The seed of the decoder's weights."""
    out: Path = Path("benchmarks/photograph_decoders.csv")
    """Where results are added."""


def pictures(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures of a folder of classes, enlarged bicubically, and their classes."""
    images, labels = [], []
    for number, of_class in enumerate(sorted(each for each in folder.iterdir() if each.is_dir())):
        for path in sorted(of_class.iterdir()):
            image = Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
            images.append(np.asarray(image, np.float32) / 255)
            labels.append(number)
    return np.stack(images), np.array(labels)


def with_head(settings: Measurement, images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """Return the network of `settings` for pictures of its size, with a head for these labels."""
    network = keras.models.load_model(settings.classifier)
    image = keras.Input((settings.size, settings.size, 3))
    body = keras.models.clone_model(network, input_tensors=image)
    body.set_weights(network.get_weights())
    features = body.get_layer(settings.features).output
    scores = keras.layers.Dense(int(labels.max()) + 1, name="scores")
    probabilities = keras.layers.Softmax(name="probabilities")(scores(features))
    encoder = cladec.with_pixels(keras.Model(image, probabilities), settings.pixels)
    codes = cladec.compute_codes(encoder, settings.features, images)
    head = LogisticRegression(C=0.01, max_iter=2_000).fit(codes.astype(np.float32), labels)
    scores.set_weights([head.coef_.T, head.intercept_])
    return encoder


def accuracy(classifier: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images that the classifier names rightly."""
    return float((batches.predict(classifier, images).argmax(axis=1) == labels).mean())


def keep_strip(path: Path, images: np.ndarray, decoded: np.ndarray) -> None:
    """Write the originals above what was decoded."""
    rows = [np.concatenate(list(each), axis=1) for each in (images, decoded)]
    pixels = (255 * np.concatenate(rows)).round().astype(np.uint8)
    Image.fromarray(pixels).save(path)


def measured(settings: Measurement, classifier, layer: str, alpha: float, train, test) -> dict:
    """Train a decoder and return its row of the table."""
    recipe = replace(
        CLADEC.with_changes(settings.epochs, None), precision=settings.precision or fastest()
    )
    start, processor = time.perf_counter(), time.process_time()
    options = {"alpha": alpha, "recipe": recipe, "seed": settings.seed}
    model = cladec.fit_cladec(classifier, layer, train, **options)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    (images, labels), mean = test, normalised.mean_image(train[0])
    decoded, learned = batches.predict(model, images), train[0][:: max(1, len(train[0]) // 500)]
    grid = normalised.grid_of(model.encoder.output_shape[1:], settings.size, settings.size)
    keep_strip(settings.out.with_name(f"{layer}-{alpha:g}.png"), images[::97], decoded[::97])
    history = model.history.history
    return {
        "layer": layer,
        "alpha": alpha,
        "size": settings.size,
        "seed": settings.seed,
        "precision": settings.precision or fastest(),
        "error": normalised.normalised_error(images, decoded, mean),
        "training_error": normalised.normalised_error(
            learned, batches.predict(model, learned), mean
        ),
        "thumbnail_error": normalised.thumbnail_error(images, grid, mean) if grid else None,
        "accuracy": accuracy(classifier, decoded, labels),
        "accuracy_on_originals": accuracy(classifier, images, labels),
        "checkerboard_2": checkerboard(decoded, images),
        "checkerboard_4": checkerboard(decoded, images, period=4),
        "verdict": verdict(history),
        "passes": len(history["loss"]),
        "seconds": round(seconds),
        "processor_seconds": round(processor),
    }


def run(settings: Measurement) -> None:
    """Measure each layer at each alpha, and add the rows to the table."""
    train, test = (pictures(settings.folder / part, settings.size) for part in ("train", "test"))
    classifier = with_head(settings, *train)
    for layer in settings.layers:
        for alpha in settings.alphas:
            row = measured(settings, classifier, layer, alpha, train, test)
            print(row, flush=True)
            known = [pd.read_csv(settings.out)] if settings.out.is_file() else []
            pd.concat([*known, pd.DataFrame([row])]).to_csv(settings.out, index=False)


if __name__ == "__main__":
    run(command_line.settings(Measurement, description=__doc__))
