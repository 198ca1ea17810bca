"""What was done to each layer between two states of a classifier, against the noise of training."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import checks, plots
from cladec.data.dataset import Dataset, Split
from cladec.data.pixel_ranges import OWN
from cladec.errors import InputError
from cladec.experiments import layer_pictures, two_models_page
from cladec.experiments.by_depth import MEASURED_ON, TRAINED_ON
from cladec.experiments.chosen_layers import ALL, AUTO, Layers, chosen_layers
from cladec.experiments.layer_data import LayerData, layer_data
from cladec.experiments.layer_pictures import Facts, first_labels
from cladec.experiments.stages import Stage, stages
from cladec.experiments.yardstick import Yardstick
from cladec.metrics import lost_information
from cladec.models import batches, cutting, layers, predictions, recipes
from cladec.models.batches import part_of
from cladec.models.cladec import fit_cladec
from cladec.models.given import checked
from cladec.models.layer_codes import each_codes
from cladec.models.pixel_layers import with_pixels
from cladec.models.precision import fastest
from cladec.models.recipes import Recipe, Start
from cladec.models.refae import fit_refae
from cladec.models.training import ReportProgress
from cladec.models.training_rows import varied_if_few
from cladec.progress import OnProgress
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

SHOWN = 8
"""The number of images in the figure, and in each part of the page."""

REFAE = "RefAE"

DECODED = (REFAE, "before", "after")
"""What is shown of every layer."""

ANSWERS = ("same answer", "another answer")
"""The groups of images by whether both models say the same of them."""

LESS, MORE = "keeps less", "keeps more"
SAME, NOISE = "the same numbers", "within the noise"
"""What can be said of a layer."""


@dataclass(frozen=True, eq=False)
class ModelDiff:
    """What each layer of one model keeps beside the same layer of another.

    `diff` returns it. Errors are normalised: squared errors as shares of that of the mean image.

    Attributes:
        layers: a row for each layer that was decoded: layer; the errors of RefAE and of ClaDec of
            each model at alpha 0 (reference, before, after); difference, after less before, with
            the interval of 95 % of its paired mean (`_low`, `_high`); floor, the same of a decoder
            of the first model with another seed; noise, the largest floor of all layers as a share
            of before, times before; and the verdict.
        classes: layer, class, images, and the difference with its interval, for all images and for
            those of each class.
        answers: the same for the images of which both models say the same, and for the others.
        codes: the layers of both models in their order, each with the change of its numbers on
            held-out images: |after - before| / |before - mean|, NaN where the shapes differ.
        examples: images of every class.
        changed: images of which the answers differ; None if there are none.
        said: what each of the two models says of those, (N,) or (N, K) of several labels.
        pictures: layer -> "RefAE", "before", "after" -> what is decoded of the examples, then of
            the changed ones, (N, H, W, C).
        facts: what this is about, see `Facts`.
        names: what the two models are called.

    Examples:
        >>> few = images[:80], labels[:80]
        >>> found = cladec.diff(classifier, classifier, few, layers=["dense"], epochs=1)
        [1/1] dense: ...
        >>> found.layers["verdict"].tolist(), found.first_change
        (['the same numbers'], None)
        >>> found.report("diff.html").name
        'diff.html'
    """

    layers: pd.DataFrame
    classes: pd.DataFrame
    answers: pd.DataFrame
    codes: pd.DataFrame
    examples: Split
    changed: Split | None
    said: tuple[np.ndarray, np.ndarray]
    pictures: dict[str, dict[str, np.ndarray]]
    facts: Facts
    names: tuple[str, str]

    @property
    def first_change(self) -> str | None:
        """The first layer of both models whose numbers differ; None if no layer's do."""
        changed = self.codes[self.codes["change"] != 0]
        return None if changed.empty else str(changed["layer"].iloc[0])

    @property
    def differing(self) -> list[str]:
        """The decoded layers of which any number differs, in their order."""
        return self.layers[self.layers["verdict"] != SAME]["layer"].tolist()

    def show(self) -> Figure:
        """Return a figure: some images as both models keep them, and the differences by layer."""
        count = len(self.examples.images)
        decoded = {
            layer: {self.title(name): images[:count] for name, images in of_layer.items()}
            for layer, of_layer in self.pictures.items()
        }
        return plots.changed_by_layer(
            self.examples.images, decoded, self.layers, title="\n".join(self.caption())
        )

    def title(self, name: str) -> str:
        """Return what "before" or "after" is called; other names stay."""
        return dict(zip(("before", "after"), self.names, strict=True)).get(name, name)

    def caption(self) -> list[str]:
        """Return what was compared, and what came out, a line each."""
        facts, rows = self.facts, self.answers.set_index(["layer", "class"])["images"]
        differ = rows.loc[self.layers["layer"].iloc[0], ANSWERS[1]]
        first = self.first_change
        changed = "no layer" if first is None else first
        return [
            f"{facts.classifier}, {facts.data}: decoders trained on {facts.trained_on} images, "
            f"measured on {facts.measured_on}",
            f"another answer to {differ} of {facts.measured_on} images; the first layer with other "
            f"numbers: {changed}",
        ]

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one HTML page, which needs no network, and return its path."""
        return two_models_page.write(self, Path(path))

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the page, the figure and the tables to a folder, and return their paths."""
        place = Path(folder)
        tables = {name: getattr(self, name) for name in ("layers", "classes", "answers", "codes")}
        files = [write_table(table, place / f"{name}.csv") for name, table in tables.items()]
        return [
            self.report(place / "diff.html"),
            save_figure(self.show(), place / "diff.png"),
            *files,
        ]

    def __repr__(self) -> str:
        return f"<ModelDiff {'; '.join(self.caption())}>"


@checked
def diff(
    before: keras.Model,
    after: keras.Model,
    data: Any,
    *,
    layers: Layers = AUTO,
    trained_on: int = TRAINED_ON,
    measured_on: int = MEASURED_ON,
    epochs: int | None = None,
    reference: Start = "auto",
    names: Sequence[str] = ("before", "after"),
    pixels: str = OWN,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> ModelDiff:
    """Compare what the layers of two models keep: pruned, quantised, fine-tuned, or trained anew.

    Each layer gets one RefAE and a ClaDec of each model at alpha 0, with the same seed, recipe and
    images, and one more ClaDec of the first model with another seed: how much that one differs is
    the noise floor, below which a difference says nothing. Where the numbers of a layer are the
    same in both models, so is what is decoded of them, and nothing is trained twice.

    Args:
        before: a trained Keras image classifier, or the path of its file; neither is changed.
        after: another one of the same images and classes, or the path of its file. Layers are
            compared by their names.
        data: what `explain_layer` takes; without labels the answers of `before` stand for them.
        layers: the layers, by their names; "all" that both have; or "auto", an early, a middle and
            the last one before the scores.
        trained_on: the most images to train decoders on, drawn at random.
        measured_on: the most held-out images to measure on.
        epochs: the passes over the training images, instead of those of the recipes.
        reference: where the encoder of RefAE starts, see `fit_refae`.
        names: what the two are called in figures and on the page; they differ.
        pixels: the range of pixels that both were trained on, see `with_pixels`.
        class_names: the names of the classes, where the data have none.
        seed: the seed of weights, order and choice.
        report: is called with the share done; None shows a bar with the time left.

    Raises:
        InputError: the models take other images or classes, a layer is missing in one of them, the
            data do not fit, or an option is out of range.

    Examples:
        >>> pruned = keras.models.clone_model(classifier)
        >>> kernel, bias = classifier.get_layer("dense").get_weights()
        >>> pruned.set_weights(classifier.get_weights())
        >>> pruned.get_layer("dense").set_weights([np.where(abs(kernel) > 0.1, kernel, 0), bias])
        >>> few = images[:80], labels[:80]
        >>> found = cladec.diff(classifier, pruned, few, layers=["conv", "dense"], epochs=1)
        [1/2] conv: ...
        >>> found.first_change
        'dense'
    """
    checks.at_least(1, trained_on=trained_on, measured_on=measured_on)
    names = _two(names)
    before, after = (with_pixels(model, pixels) for model in (before, after))
    _check_alike(before, after)
    chosen = _in_both(before, after, layers)
    given = layer_data(before, data, class_names=class_names, seed=seed)
    given = given.drawn(trained_on, measured_on, seed)
    comparison = _Comparison(before, after, given, _Settings(epochs, reference, seed))
    with stages(report, len(chosen)) as stage:
        return comparison.of_layers(chosen, names, stage)


def _check_alike(before: keras.Model, after: keras.Model) -> None:
    """Raise InputError unless both models take the same images and have as many classes."""
    about = [
        (cutting.image_shape(model), cutting.num_classes(model), cutting.is_multi_label(model))
        for model in (before, after)
    ]
    if about[0] != about[1]:
        texts = [
            f"images {shape} and has {count} {'labels' if several else 'classes'}"
            for shape, count, several in about
        ]
        raise InputError(
            f"the first model takes {texts[0]}, the second {texts[1]}: compare models of the same "
            "images and classes"
        )


def _two(names: Any) -> tuple[str, str]:
    """Return two names that differ from each other and from RefAE, which stands beside them."""
    found = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(found) != 2 or len({*found, REFAE}) != 3:
        raise InputError(
            f"names is {names!r:.60}: expected two that differ, such as ('before', 'after')"
        )
    return found[0], found[1]


def _in_both(before: keras.Model, after: keras.Model, given: Layers) -> list[str]:
    """Return the layers that are meant; of "all" and "auto" those that both models have."""
    chosen = [layer.path for layer in chosen_layers(before, given)]
    known = {layer.path for layer in layers.decodable_layers(after)}
    words = given if isinstance(given, str) else " ".join(given)
    if words in (ALL, AUTO):
        chosen = [layer for layer in chosen if layer in known]
    missing = [layer for layer in chosen if layer not in known]
    if missing or not chosen:
        what = f"no layer {missing[0]!r}" if missing else "none of the first model's layers"
        raise InputError(f"the second model has {what}: its layers are {', '.join(known)}")
    return chosen


@dataclass(frozen=True)
class _Settings:
    """How all decoders of a comparison are trained."""

    epochs: int | None
    reference: Start
    seed: int

    def options(self, recipe: Recipe, seed: int, told: OnProgress | None) -> dict[str, Any]:
        """Return the options of a training that tells its progress."""
        recipe = replace(recipe.with_changes(self.epochs, None), precision=fastest())
        callbacks = [] if told is None else [ReportProgress(told)]
        return {"recipe": recipe, "seed": seed, "callbacks": callbacks}


class _Comparison:
    """The decoders of the layers of two models, trained and measured on the same images."""

    def __init__(
        self, before: keras.Model, after: keras.Model, given: LayerData, settings: _Settings
    ):
        self.models, self.given, self.settings = (before, after), given, settings
        self.by = Yardstick(before, given.dataset, settings.seed)
        self.said = self.by.predicted, Yardstick(after, given.dataset, settings.seed).predicted
        self.differs = predictions.differ(*self.said)
        self.labels = first_labels(given.dataset.test.labels)
        predicted = first_labels(self.by.predicted)
        self.examples = layer_pictures.choose(self.labels, predicted, SHOWN)
        self.changed = np.flatnonzero(self.differs)[:SHOWN]

    @property
    def data(self) -> Dataset:
        return self.given.dataset

    def of_layers(self, chosen: Sequence[str], names: tuple[str, str], stage: Stage) -> ModelDiff:
        """Train, decode and measure one layer after the other."""
        rows, classes, answers, pictures = [], [], [], {}
        shown = np.concatenate([self.examples, self.changed])
        for layer, codes in self._codes(chosen):
            with stage(layer) as told:
                decoded = self._decoded(layer, codes, told)
            errors = {name: self.by.errors(images) for name, images in decoded.items()}
            rows.append({"layer": layer} | self._row(errors, codes))
            difference = errors["after"] - errors["before"]
            groups = self.given.class_names
            classes.append(self._by_group(layer, difference, self.labels, groups))
            answers.append(self._by_group(layer, difference, self.differs.astype(int), ANSWERS))
            pictures[layer] = {name: decoded[name][shown] for name in DECODED}
        return ModelDiff(
            _with_verdicts(pd.DataFrame(rows)),
            pd.concat(classes, ignore_index=True),
            pd.concat(answers, ignore_index=True),
            self._changes(),
            self._split(self.examples),
            self._split(self.changed) if len(self.changed) else None,
            (self.said[0][self.changed], self.said[1][self.changed]),
            pictures,
            Facts.of(" and ".join(names), self.given, None),
            names,
        )

    def _split(self, rows: np.ndarray) -> Split:
        return Split(self.by.images[rows], self.data.test.labels[rows])

    def _codes(self, chosen: Sequence[str]) -> Iterator[tuple[str, "_Codes"]]:
        """Yield each layer with the codes of both models."""
        sets = varied_if_few(self.data.train.images), self.by.images
        found = [each_codes(model, chosen, images) for model in self.models for images in sets]
        for layer, *of_layer in zip(chosen, *found, strict=True):
            yield layer, _Codes(*(codes for _, codes in of_layer))

    def _decoded(self, layer: str, codes: "_Codes", told: OnProgress) -> dict[str, np.ndarray]:
        """Return what RefAE and every ClaDec of a layer make of the held-out images."""
        (before, after), seed = self.models, self.settings.seed
        tried = {
            "before": (before, codes.train, codes.test, seed),
            "another seed": (before, codes.train, codes.test, seed + 1),
        }
        if not codes.are_the_same:
            tried["after"] = (after, codes.train_after, codes.test_after, seed)
        count = 1 + len(tried)
        decoded = {REFAE: self._refae(layer, part_of(told, 0, count))}
        for number, (name, of_name) in enumerate(tried.items(), 1):
            decoded[name] = self._cladec(layer, *of_name, part_of(told, number, count))
        return {"after": decoded["before"]} | decoded

    def _refae(self, layer: str, told: OnProgress | None) -> np.ndarray:
        """Train the RefAE of a layer of the first model, and return what it makes of the images."""
        options = self.settings.options(recipes.REFAE, self.settings.seed, told)
        start = self.settings.reference
        refae = fit_refae(self.models[0], layer, self.data, start=start, **options)
        decoded: np.ndarray = batches.predict(refae, self.by.images)
        return decoded

    def _cladec(
        self,
        layer: str,
        model: keras.Model,
        train: np.ndarray,
        test: np.ndarray,
        seed: int,
        told: OnProgress | None,
    ) -> np.ndarray:
        """Train a ClaDec at alpha 0 and return what it makes of the held-out images."""
        options = self.settings.options(recipes.CLADEC, seed, told)
        cladec = fit_cladec(model, layer, self.data, alpha=0.0, codes=train, **options)
        decoded: np.ndarray = batches.predict(cladec, {"codes": test})
        return decoded

    def _row(self, errors: dict[str, np.ndarray], codes: "_Codes") -> dict[str, Any]:
        before = errors["before"]
        return {
            "same_numbers": codes.are_the_same,
            "reference": errors[REFAE].mean(),
            "before": before.mean(),
            "after": errors["after"].mean(),
            **self.by.with_interval("difference", errors["after"] - before),
            **self.by.with_interval("floor", errors["another seed"] - before),
        }

    def _by_group(
        self, layer: str, difference: np.ndarray, groups: np.ndarray, names: Sequence[str]
    ) -> pd.DataFrame:
        """Return the mean difference, with its interval, of all images and of every group."""
        seed = self.settings.seed
        found = lost_information.summarize(difference, groups, groups, tuple(names), seed=seed)
        table = found.classes.rename(columns={"lost": "difference"})
        table.insert(0, "layer", layer)
        return table

    def _changes(self) -> pd.DataFrame:
        """Return how far the numbers of every layer of both models differ."""
        names = _in_both(*self.models, ALL)
        pairs = zip(
            *(each_codes(model, names, self.by.images) for model in self.models), strict=True
        )
        rows = [{"layer": layer, "change": _change(old, new)} for (layer, old), (_, new) in pairs]
        return pd.DataFrame(rows)


@dataclass(frozen=True, eq=False)
class _Codes:
    """The codes of one layer of both models, of the training and of the held-out images."""

    train: np.ndarray
    test: np.ndarray
    train_after: np.ndarray
    test_after: np.ndarray

    @cached_property
    def are_the_same(self) -> bool:
        """Whether every number is the same in both models."""
        return not _change(self.test, self.test_after) and not _change(self.train, self.train_after)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    """Return |after - before| / |before - mean| over all codes; NaN for different shapes."""
    if before.shape != after.shape:
        return math.nan
    mean = sum(_rows(before, part).sum(axis=0) for part in _parts(before)) / len(before)
    changed = spread = 0.0
    for part in _parts(before):
        old = _rows(before, part)
        changed += float(np.square(_rows(after, part) - old).sum())
        spread += float(np.square(old - mean).sum())
    if not changed:
        return 0.0
    return math.sqrt(changed / spread) if spread else math.inf


def _parts(codes: np.ndarray) -> Iterator[slice]:
    return batches.batches(len(codes), batches.PREDICTION_BATCH)


def _rows(codes: np.ndarray, rows: slice) -> np.ndarray:
    return np.asarray(codes[rows], np.float64)


def _with_verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the noise of each layer, and what can be said of it.

    One decoder with another seed tells little of the noise of its layer; the largest floor of all
    layers, relative to their errors, tells more.
    """
    floor = rows[["floor_low", "floor_high"]].abs().max(axis=1)
    noise = (floor / rows["before"]).max() * rows["before"]
    is_clear = (rows["difference_low"] > 0) | (rows["difference_high"] < 0)
    is_clear &= rows["difference"].abs() > noise
    said = np.where(rows["difference"] > 0, LESS, MORE)
    verdict = np.where(rows["same_numbers"], SAME, np.where(is_clear, said, NOISE))
    return rows.drop(columns="same_numbers").assign(noise=noise, verdict=verdict)
