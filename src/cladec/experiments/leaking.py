"""What somebody who sees the activations of a layer can draw of the pictures behind them."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
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
from cladec.data.stored_rows import room
from cladec.errors import InputError
from cladec.experiments import layer_pictures
from cladec.experiments.chosen_layers import ALL, Layers, chosen_layers
from cladec.experiments.layer_data import LayerData, layer_data
from cladec.experiments.layer_pictures import Facts, first_labels
from cladec.experiments.stages import Stage, stages
from cladec.experiments.yardstick import Yardstick
from cladec.metrics import likeness
from cladec.models import batches, cutting, predictions, recipes
from cladec.models.cladec import fit_cladec
from cladec.models.given import checked
from cladec.models.layer_codes import each_codes
from cladec.models.pixel_layers import with_pixels
from cladec.models.precision import fastest
from cladec.models.training import ReportProgress, seeded
from cladec.models.training_rows import Joined, Rows, varied_if_few
from cladec.progress import OnProgress
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

KNOWN = (100, 1_000, 10_000)
"""The numbers of pictures that the attacker has, unless the caller names others."""

NOISE = (0.0, 0.5, 1.0, 2.0)
"""The noise on the codes, in standard deviations of a channel, unless the caller names others."""

GALLERY = 1_000
"""The number of pictures among which the right one is looked for."""

LIMIT = 0.1
"""The share of pictures that may be found again where a layer counts as safe to hand out."""

NEARLY = 0.01
"""A cut whose accuracy is lower than the best by less than this share is as good."""

SHOWN = 8
"""The number of images in the figure."""

AT_ONCE = 64
"""The number of images whose codes are changed at once."""


@dataclass(frozen=True, eq=False)
class Leak:
    """What can be drawn of the pictures from each layer of a classifier, and where to cut it.

    `leak` returns it. Means over held-out images, with intervals of 95 % (`_low` and `_high`).

    Attributes:
        measures: layer; known, how many pictures the attacker had; noise, in standard deviations
            of each channel; psnr in dB; ssim; reidentified, the share of decoded pictures whose
            original is the nearest one of the gallery; and accuracy, that of the rest of the
            classifier on codes with this noise (NaN where a path goes past the layer). The first
            row, without a layer, is an attacker who has the mean picture alone.
        cuts: a row for each layer: layer, numbers (of an image's code); psnr, ssim, reidentified
            and accuracy without noise against the attacker with the most pictures; the least noise
            tried that brings reidentified to the limit (NaN if none did), and the accuracy_left.
        images: the images that are shown.
        decoded: layer -> what the attacker with the most pictures draws of them without noise.
        limit: the share of pictures that may be found again.
        gallery: the number of pictures that each is looked for among.
        facts: what this is about, see `Facts`.

    Examples:
        >>> few = {"known": [60], "noise": [0, 1], "epochs": 1}
        >>> found = cladec.leak(classifier, (images, labels), layers=["dense"], **few)
        [1/1] dense: ...
        >>> found.measures["noise"].tolist()
        [0.0, 0.0, 1.0]
        >>> figure = found.show()
    """

    measures: pd.DataFrame
    cuts: pd.DataFrame
    images: Split
    decoded: dict[str, np.ndarray]
    limit: float
    gallery: int
    facts: Facts

    @property
    def cut(self) -> tuple[str, float] | None:
        """The layer to cut at and the noise to add; None if nothing tried keeps to the limit.

        The first layer whose accuracy is within a hundredth of the best: less to compute where the
        pictures are.
        """
        safe = self.cuts.dropna(subset=["noise", "accuracy_left"])
        if safe.empty:
            return None
        best = safe[safe["accuracy_left"] >= (1 - NEARLY) * safe["accuracy_left"].max()].iloc[0]
        return str(best["layer"]), float(best["noise"])

    def in_words(self) -> str:
        """Return where to cut, in one line."""
        most = f"at most {100 * self.limit:g} % of {self.gallery} pictures are found again"
        if self.cut is None:
            return f"no layer and noise that were tried can be handed out so that {most}"
        layer, noise = self.cut
        row = self.cuts.set_index("layer").loc[layer]
        deviations = f"{noise:g} standard deviation{'s' * (noise != 1)}"
        added = f"with noise of {deviations}" if noise else "without noise"
        return f"cut at {layer} {added}: {most}, accuracy {row['accuracy_left']:.3f}"

    def caption(self) -> str:
        """Return what the measures are about, in one line."""
        return (
            f"{self.facts.classifier}, {self.facts.data}: drawn by an attacker with "
            f"{self.measures['known'].max()} pictures, looked for among {self.gallery}"
        )

    def show(self) -> Figure:
        """Return a figure: what the attacker draws from each layer, and the measures."""
        rows = {"original": self.images.images} | self.decoded
        title = f"{self.caption()}\n{self.in_words()}"
        return plots.leaked_by_layer(rows, self.measures, title=title)

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write leak.csv, cuts.csv and leak.png to a folder, and return their paths."""
        place = Path(folder)
        return [
            write_table(self.measures, place / "leak.csv"),
            write_table(self.cuts, place / "cuts.csv"),
            save_figure(self.show(), place / "leak.png"),
        ]

    def __repr__(self) -> str:
        return f"<Leak {self.caption()}; {self.in_words()}>"


@checked
def leak(
    classifier: keras.Model,
    data: Any,
    *,
    layers: Layers = ALL,
    known: Sequence[int] = KNOWN,
    noise: Sequence[float] = NOISE,
    gallery: int = GALLERY,
    limit: float = LIMIT,
    epochs: int | None = None,
    pixels: str = OWN,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> Leak:
    """Measure how much of the pictures the activations of each layer give away, and where to cut.

    The attacker has pictures of the same kind with their activations, and trains a decoder on them:
    a ClaDec at alpha 0. Noise is normal, of the standard deviation of each channel times a factor,
    drawn once for each picture; the attacker knows of it, and trains on activations with such
    noise. What no decoder of ours draws, another one may: the numbers are a lower bound of what
    leaks.

    Args:
        classifier: a trained Keras image classifier, which stays unchanged, or the path of its
            file; in any form that `explain` takes, with the same options.
        data: what `explain_layer` takes. The attacker's pictures are the training images.
        layers: the layers, by their names; "all" that can be decoded; or "auto", an early, a middle
            and the last one before the scores.
        known: the numbers of pictures that the attacker has; fewer where there are fewer.
        noise: the factors of the noise, tried on the attacker with the most pictures; 0 is always
            one of them.
        gallery: the most held-out pictures to draw, and to look for the right one among.
        limit: the share of them that may be found again.
        epochs: the passes over the attacker's pictures, instead of those of the recipe.
        pixels: the range of pixels that the classifier was trained on, see `with_pixels`.
        class_names: the names of the classes, where the data have none.
        seed: the seed of weights, order, choice and noise.
        report: is called with the share done; None shows a bar with the time left.

    Raises:
        InputError: a layer is unknown or cannot be decoded, the data do not fit the classifier, the
            codes do not fit the disk, or an option is out of range.

    Examples:
        >>> few = {"known": [30, 60], "noise": [0], "epochs": 1}
        >>> found = cladec.leak(classifier, (images, labels), layers=["conv", "dense"], **few)
        [1/2] conv: ...
        >>> list(found.decoded)
        ['conv', 'dense']
    """
    counts = sorted({checks.whole("known", count, 1) for count in _several("known", known)})
    factors = sorted({0.0, *map(_factor, _several("noise", noise))})
    checks.at_least(2, gallery=gallery)
    limit = float(checks.number("limit", limit, "a share in [0, 1]", lambda share: 0 <= share <= 1))
    classifier = with_pixels(classifier, pixels)
    chosen = [layer.path for layer in chosen_layers(classifier, layers)]
    given = layer_data(classifier, data, class_names=class_names, seed=seed)
    given = given.drawn(counts[-1], gallery, seed)
    attacks = _Attacks(classifier, given, counts, factors, epochs, seed)
    with stages(report, len(chosen)) as stage:
        return attacks.on_layers(chosen, limit, stage)


def _several(name: str, values: Any) -> list[Any]:
    found = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
    if not found:
        raise InputError(f"{name} is {values!r:.60}: expected several numbers, such as (100, 1000)")
    return found


def _factor(value: Any) -> float:
    expected = "a number of at least 0, in standard deviations"
    return float(checks.number("noise", value, expected, lambda factor: factor >= 0))


class _Attacks:
    """Attackers on the layers of a classifier, with more or fewer pictures, more or less noise."""

    def __init__(
        self,
        classifier: keras.Model,
        given: LayerData,
        counts: Sequence[int],
        factors: Sequence[float],
        epochs: int | None,
        seed: int,
    ):
        self.classifier, self.given, self.seed = classifier, given, seed
        recipe = recipes.CLADEC.with_changes(epochs, None)
        self.recipe = replace(recipe, precision=fastest())
        self.by = Yardstick(classifier, given.dataset, seed)
        most = len(given.dataset.train.images)
        counts = sorted({min(count, most) for count in counts})
        self.tried = [(count, 0.0) for count in counts]
        self.tried += [(counts[-1], factor) for factor in factors if factor]

    @property
    def data(self) -> Dataset:
        return self.given.dataset

    def on_layers(self, chosen: Sequence[str], limit: float, stage: Stage) -> Leak:
        """Attack one layer after the other, in every way that is tried."""
        labels, predicted = first_labels(self.data.test.labels), first_labels(self.by.predicted)
        shown = layer_pictures.choose(labels, predicted, SHOWN)
        rows, decoded, sizes = [self._of_mean_image()], {}, {}
        for layer, train, test in self._codes(chosen):
            with stage(layer) as told:
                of_layer, pictures = self._on_layer(layer, train, test, told)
            rows += of_layer
            decoded[layer], sizes[layer] = pictures[shown], math.prod(test.shape[1:])
        measures = pd.DataFrame(rows)
        return Leak(
            measures,
            _cuts(measures, sizes, limit),
            Split(self.by.images[shown], self.data.test.labels[shown]),
            decoded,
            limit,
            len(self.by.images),
            Facts.of(self.classifier.name, self.given, None),
        )

    def _on_layer(
        self, layer: str, train: np.ndarray, test: np.ndarray, told: OnProgress
    ) -> tuple[list[dict[str, Any]], np.ndarray]:
        """Return a row for each attack, and what is drawn from the most pictures without noise."""
        with seeded(0):  # the layers that are copied for it draw random numbers
            rest = cutting.rest_alone(self.classifier, layer)
        deviation = _deviation(test)
        rows, plain = [], np.empty(0)
        for number, (count, factor) in enumerate(self.tried):
            noise = _Noise(factor * deviation, self.seed)
            seen = noise.added(test, stream=0)
            part = batches.part_of(told, number, len(self.tried))
            pictures = self._drawn(layer, count, noise, train, seen, part)
            about = {"layer": layer, "known": count, "noise": factor}
            accuracy = {"accuracy": self._accuracy(rest, seen)}
            rows.append(about | self._measures(pictures) | accuracy)
            plain = plain if factor else pictures
        return rows, plain

    def _codes(self, chosen: Sequence[str]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield each layer with the codes of the attacker's pictures and of the gallery."""
        sets = self.data.train.images, self.by.images
        both = [each_codes(self.classifier, chosen, images) for images in sets]
        for (layer, train), (_, test) in zip(*both, strict=True):
            yield layer, train, test

    def _drawn(
        self,
        layer: str,
        count: int,
        noise: "_Noise",
        train: np.ndarray,
        seen: np.ndarray,
        told: OnProgress | None,
    ) -> np.ndarray:
        """Return what an attacker who has the first `count` pictures draws of the gallery."""
        rows = _first(len(train), count, self.seed)
        own = Split(np.asarray(self.data.train.images[rows]), self.data.train.labels[rows])
        codes = train[rows]
        if noise.deviation.any():
            codes = noise.added(self._with_copies(layer, own.images, codes), stream=1)
        model = fit_cladec(
            self.classifier,
            layer,
            replace(self.data, train=own),
            alpha=0.0,
            recipe=self.recipe,
            seed=self.seed,
            codes=codes,
            callbacks=[] if told is None else [ReportProgress(told)],
        )
        decoded: np.ndarray = batches.predict(model, {"codes": seen})
        return decoded

    def _with_copies(self, layer: str, images: np.ndarray, codes: np.ndarray) -> Any:
        """Return codes with those of the varied copies that few photographs are trained with."""
        varied = varied_if_few(images)
        if len(varied) == len(images):
            return codes
        copies = Rows(varied, np.arange(len(images), len(varied)))
        ((_, of_copies),) = each_codes(self.classifier, [layer], copies)
        return Joined(codes, of_copies)

    def _measures(self, decoded: np.ndarray) -> dict[str, float]:
        """Return the means of what is measured of drawn pictures, and their intervals."""
        images = self.by.images
        return {
            **self.by.with_interval("psnr", likeness.psnr(images, decoded)),
            **self.by.with_interval("ssim", likeness.ssim(images, decoded)),
            **self.by.with_interval("reidentified", likeness.reidentified(images, decoded)),
        }

    def _of_mean_image(self) -> dict[str, Any]:
        drawn = np.broadcast_to(self.by.mean, self.by.images.shape)
        about = {"layer": "", "known": len(self.data.train.images), "noise": 0.0}
        return about | self._measures(drawn) | {"accuracy": np.nan}

    def _accuracy(self, rest: keras.Model | None, codes: Any) -> float:
        """Return the share of right answers of the rest of the classifier; NaN without a rest."""
        if rest is None:
            return np.nan
        logits = batches.predict(rest, codes)
        several = cutting.is_multi_label(self.classifier)
        said, labels = predictions.predicted(logits, multi_label=several), self.data.test.labels
        return float(predictions.is_right(said, labels).mean())


@dataclass(frozen=True, eq=False)
class _Noise:
    """Normal noise of a standard deviation for each channel, (channels,)."""

    deviation: np.ndarray
    seed: int

    def added(self, codes: Any, *, stream: int) -> Any:
        """Return codes (N, ..., channels) with noise, in a file if they are large.

        Each stream of random numbers is another one; no deviation returns the codes themselves.
        """
        if not self.deviation.any():
            return codes
        random = np.random.default_rng([self.seed, stream])
        found: Any = room(codes.shape, codes.dtype)
        for rows in batches.batches(len(codes), AT_ONCE):
            part = np.asarray(codes[rows], np.float32)
            found[rows] = part + self.deviation * random.standard_normal(part.shape, np.float32)
        return found


def _deviation(codes: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each channel of codes (N, ..., channels), (channels,)."""
    total, squares = np.zeros((2, codes.shape[-1]))
    for rows in batches.batches(len(codes), AT_ONCE):
        part = np.asarray(codes[rows], np.float64).reshape(-1, codes.shape[-1])
        total += part.sum(axis=0)
        squares += np.square(part).sum(axis=0)
    count = math.prod(codes.shape[:-1])
    return np.sqrt(np.maximum(squares / count - np.square(total / count), 0.0))


def _first(total: int, count: int, seed: int) -> np.ndarray:
    """Return the rows of `count` pictures; those of fewer are among those of more."""
    return np.sort(np.random.default_rng(seed).permutation(total)[:count])


def _cuts(measures: pd.DataFrame, sizes: dict[str, int], limit: float) -> pd.DataFrame:
    """Return a row for each layer: what leaks without noise, and what noise would be enough."""
    most, rows = measures["known"].max(), []
    for layer, numbers in sizes.items():
        of_layer = measures[(measures["layer"] == layer) & (measures["known"] == most)]
        plain = of_layer[of_layer["noise"] == 0].iloc[0]
        enough = of_layer[of_layer["reidentified"] <= limit].sort_values("noise")
        least = enough.iloc[0] if len(enough) else {"noise": np.nan, "accuracy": np.nan}
        row = {name: plain[name] for name in ("psnr", "ssim", "reidentified", "accuracy")}
        left = {"noise": least["noise"], "accuracy_left": least["accuracy"]}
        rows.append({"layer": layer, "numbers": numbers} | row | left)
    return pd.DataFrame(rows)
