"""All layers of a classifier side by side: how much each keeps of the pictures."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import checks, plots
from cladec.data.dataset import Dataset, Split
from cladec.data.pixel_ranges import OWN
from cladec.experiments import layer_pictures
from cladec.experiments.chosen_layers import ALL, Layers, chosen_layers
from cladec.experiments.layer_data import LayerData, layer_data
from cladec.experiments.layer_pictures import Facts, first_labels
from cladec.experiments.stages import Stage, stages
from cladec.experiments.yardstick import Yardstick
from cladec.metrics import normalised
from cladec.models import batches, predictions, recipes
from cladec.models.cladec import ClaDec, fit_cladec
from cladec.models.given import checked
from cladec.models.layer_codes import each_codes
from cladec.models.layers import ListedLayer
from cladec.models.pixel_layers import with_pixels
from cladec.models.precision import fastest
from cladec.models.training import ReportProgress
from cladec.models.training_rows import varied_if_few
from cladec.progress import OnProgress
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

TRAINED_ON = 10_000
"""The most images that decoders are trained on, unless the caller says how many."""

SHORT = replace(recipes.CLADEC, epochs=2, least_images=8_000, least_photographs=20_000)
"""The most passes over the training images, or as many as make that many images seen: enough to put
the layers in order, but for pairs that differ little (benchmarks/depth.py)."""

MEASURED_ON = 2_000
"""The most images that the errors are means of."""

SHOWN = 4
"""The number of images in the figure."""

LEARNED = 500
"""The most training images whose error tells whether a decoder knows them by heart."""


@dataclass(frozen=True, eq=False)
class Depth:
    """How much each layer of a classifier keeps, in the order from input to output.

    `depth` returns it.

    Attributes:
        measures: a row for each layer: layer, type, shape, numbers (activations of an image),
            normalised_error and fidelity on held-out images with intervals of 95 % (`_low` and
            `_high`), training_error (normalised, far below the other where the decoder knows its
            pictures by heart), thumbnail_error (of a picture of the code's grid, NaN for flat
            codes), and the seconds that it took.
        images: the images that are shown, with their labels.
        predicted: what the classifier says of them, (N,), or (N, K) of several labels.
        decoded: layer -> what its decoder makes of them, (N, H, W, C).
        facts: what this is about, see `Facts`.

    Examples:
        >>> few = images[:80], labels[:80]
        >>> found = cladec.depth(classifier, few, layers="auto", epochs=1)
        [1/3] ...
        >>> found.measures["layer"].tolist()
        ['pooling_1', 'pooling_2', 'dense']
        >>> figure = found.show()
    """

    measures: pd.DataFrame
    images: Split
    predicted: np.ndarray
    decoded: dict[str, np.ndarray]
    facts: Facts

    def show(self) -> Figure:
        """Return a figure: a column for each layer, its pictures and below them its measures."""
        return plots.kept_by_depth(
            self.images.images,
            self.decoded,
            self.measures,
            self._said(),
            title=f"{self.caption()}\n{self.in_words()}",
        )

    def caption(self) -> str:
        """Return what the measures are about, in one line."""
        facts = self.facts
        labels = ", without labels" if facts.own_answers else ""
        return (
            f"{facts.classifier}, {facts.data}{labels}: decoders trained on {facts.trained_on} "
            f"images, measured on {facts.measured_on}"
        )

    def in_words(self) -> str:
        """Return the first and the last error, and where most is lost, in one line."""
        errors, names = self.measures["normalised_error"], self.measures["layer"]
        text = f"normalised error {errors.iloc[0]:.3f} ({names.iloc[0]})"
        if len(errors) == 1:
            return text
        place = int(np.argmax(np.diff(errors))) + 1
        step = f"{errors.iloc[place - 1]:.3f} to {errors.iloc[place]:.3f}"
        return (
            f"{text} to {errors.iloc[-1]:.3f} ({names.iloc[-1]}); the largest step, {step}, is "
            f"that to {names.iloc[place]}"
        )

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write depth.csv and depth.png to a folder, and return their paths."""
        place = Path(folder)
        table = write_table(self.measures, place / "depth.csv")
        return [table, save_figure(self.show(), place / "depth.png")]

    def _said(self) -> list[str]:
        names = self.facts.class_names
        answers = [predictions.named(answer, names) for answer in self.predicted]
        if self.facts.own_answers:
            return answers
        true = [predictions.named(label, names) for label in self.images.labels]
        return [" - ".join(pair) for pair in zip(true, answers, strict=True)]

    def __repr__(self) -> str:
        return f"<Depth {self.caption()}; {self.in_words()}>"


@checked
def depth(
    classifier: keras.Model,
    data: Any,
    *,
    layers: Layers = ALL,
    trained_on: int = TRAINED_ON,
    measured_on: int = MEASURED_ON,
    epochs: int | None = None,
    pixels: str = OWN,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> Depth:
    """Decode all layers of a classifier at alpha 0, and return how much each of them keeps.

    The codes of all layers come from one pass over the images as far as they fit into 1 GiB.

    Args:
        classifier: a trained Keras image classifier, which stays unchanged, or the path of its
            file; in any form that `explain` takes, with the same options.
        data: what `explain_layer` takes.
        layers: the layers, by their names; "all" that can be decoded; or "auto", an early, a middle
            and the last one before the scores.
        trained_on: the most images to train decoders on, drawn at random.
        measured_on: the most held-out images to measure on.
        epochs: the passes over the training images; None for at most two, or more of few images,
            and fewer where held-out images say that it is enough.
        pixels: the range of pixels that the classifier was trained on, see `with_pixels`.
        class_names: the names of the classes, where the data have none.
        seed: the seed of weights, order and choice.
        report: is called with the share done; None shows a bar with the time left.

    Raises:
        InputError: a layer is unknown or cannot be decoded, the data do not fit the classifier, the
            codes do not fit the disk, or an option is out of range.

    Examples:
        >>> few = images[:80], labels[:80]
        >>> found = cladec.depth(classifier, few, layers=["conv", "dense"], epochs=1)
        [1/2] conv: ...
        >>> found
        <Depth vgg, data: decoders trained on 64 images, measured on 16; normalised error ...>
    """
    checks.at_least(1, trained_on=trained_on, measured_on=measured_on)
    classifier = with_pixels(classifier, pixels)
    chosen = chosen_layers(classifier, layers)
    given = layer_data(classifier, data, class_names=class_names, seed=seed)
    given = given.drawn(trained_on, measured_on, seed)
    with stages(report, len(chosen)) as stage:
        return _Decoding(classifier, given, epochs, seed).all_layers(chosen, stage)


class _Decoding:
    """The decoders of one classifier after the other, trained and measured on the same images."""

    def __init__(self, classifier: keras.Model, given: LayerData, epochs: int | None, seed: int):
        self.classifier, self.given, self.seed = classifier, given, seed
        self.recipe = replace(SHORT.with_changes(epochs, None), precision=fastest())
        self.yardstick = Yardstick(classifier, given.dataset, seed)

    @property
    def data(self) -> Dataset:
        return self.given.dataset

    def all_layers(self, chosen: Sequence[ListedLayer], stage: Stage) -> Depth:
        """Train and measure a decoder for each layer."""
        test = self.data.test
        predicted = self.yardstick.predicted
        shown = layer_pictures.choose(first_labels(test.labels), first_labels(predicted), SHOWN)
        rows, decoded = [], {}
        for layer, train_codes, test_codes in self._codes(chosen):
            start = time.perf_counter()
            with stage(layer.path) as told:
                model = self._trained(layer.path, train_codes, told)
                pictures = batches.predict(model, {"codes": test_codes})
            measured = self._measured(model, train_codes, pictures, layer)
            seconds = {"seconds": time.perf_counter() - start}
            rows.append(_about(layer) | measured | seconds)
            decoded[layer.path] = pictures[shown]
        images = Split(self.yardstick.images[shown], test.labels[shown])
        facts = Facts.of(self.classifier.name, self.given, None)
        return Depth(pd.DataFrame(rows), images, predicted[shown], decoded, facts)

    def _codes(
        self, chosen: Sequence[ListedLayer]
    ) -> Iterator[tuple[ListedLayer, np.ndarray, np.ndarray]]:
        """Yield each layer with the codes of the training and of the test images."""
        names = [layer.path for layer in chosen]
        sets = varied_if_few(self.data.train.images), self.data.test.images
        both = [each_codes(self.classifier, names, images) for images in sets]
        for layer, (_, train), (_, test) in zip(chosen, *both, strict=True):
            yield layer, train, test

    def _trained(self, layer: str, codes: np.ndarray, told: OnProgress) -> ClaDec:
        return fit_cladec(
            self.classifier,
            layer,
            self.data,
            alpha=0.0,
            recipe=self.recipe,
            seed=self.seed,
            codes=codes,
            callbacks=[ReportProgress(told)],
        )

    def _measured(
        self, model: ClaDec, codes: np.ndarray, decoded: np.ndarray, layer: ListedLayer
    ) -> dict[str, float]:
        """Return the measures of a layer by their names."""
        known = self.data.train.images[:LEARNED]
        again = batches.predict(model, {"codes": codes[: len(known)]})
        by = self.yardstick
        return {
            **by.with_interval("normalised_error", by.errors(decoded)),
            **by.with_interval("fidelity", by.same(decoded)),
            "training_error": normalised.normalised_error(known, again, by.mean),
            "thumbnail_error": self._thumbnail_error(layer),
        }

    def _thumbnail_error(self, layer: ListedLayer) -> float:
        shape = tuple(size for size in layer.shape if size is not None)
        grid = normalised.grid_of(shape, *self.data.image_shape[:2])
        if grid is None:
            return np.nan
        return normalised.thumbnail_error(self.yardstick.images, grid, self.yardstick.mean)


def _about(layer: ListedLayer) -> dict[str, Any]:
    shape = "x".join(map(str, layer.shape))
    return {"layer": layer.path, "type": layer.type, "shape": shape, "numbers": layer.numbers}
