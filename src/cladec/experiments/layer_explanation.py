"""One layer of one classifier, explained: from a model and images to the picture in three lines."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec.data.dataset import Split
from cladec.data.pixel_ranges import OWN
from cladec.errors import InputError
from cladec.experiments import layer_edits, layer_files, layer_page, layer_pictures, layer_widget
from cladec.experiments.layer_data import LayerData, layer_data
from cladec.experiments.layer_edits import Edited
from cladec.experiments.layer_measures import LOST_AT, Measures, measure
from cladec.experiments.layer_pictures import Facts
from cladec.experiments.stages import stages
from cladec.metrics import lost_information
from cladec.models import batches, cutting, given_images, recipes
from cladec.models.code_space import check_space_for_codes
from cladec.models.conditional import ConditionalClaDec, fit_conditional
from cladec.models.given import checked
from cladec.models.pixel_layers import with_pixels
from cladec.models.precision import fastest
from cladec.models.recipes import Recipe, Start
from cladec.models.refae import RefAE, fit_refae
from cladec.models.training import ReportProgress
from cladec.progress import OnProgress

if TYPE_CHECKING:
    import ipywidgets

ALPHAS = (0.0, 0.5, 0.99)
"""The alphas that are shown and measured unless the caller names others."""

SHOWN = 8
"""The number of images in the figure."""


@dataclass(frozen=True, eq=False)
class LayerExplanation:
    """What one layer of a classifier keeps and loses, with the models that show it.

    `explain_layer` returns it. In a notebook it shows itself, as a picture and five numbers.

    Attributes:
        layer: the name of the layer.
        decoder: the ClaDec for every alpha.
        reference: the RefAE; `reference.start` tells where its encoder started.
        measures: a row for RefAE and for ClaDec at every alpha shown, on held-out images: model,
            alpha, squared_error, normalised_error, fidelity, with intervals of 95 %.
        lost_by_class: what was lost on average, of all images and of each class: class, images,
            lost, low, high.
        examples: images of every class, of which the last ones are wrongly classified.
        most_lost: the images of which most was lost, the most first.
        facts: what the explanation is about, see `Facts`.

    Examples:
        >>> few = images[:40], labels[:40]
        >>> layer = cladec.explain_layer(classifier, "dense", few, epochs=1)
        [1/3] RefAE: ...
        >>> layer.decode(images, alpha=0.97).shape, layer.lost(images).shape
        ((360, 28, 28, 1), (360,))
        >>> sorted(layer.fidelity())
        [0.0, 0.5, 0.99]
        >>> layer.report("layer.html").name
        'layer.html'
    """

    layer: str
    decoder: ConditionalClaDec
    reference: RefAE
    measures: pd.DataFrame
    lost_by_class: pd.DataFrame
    examples: Split
    most_lost: Split
    facts: Facts

    def decode(self, images: Any, alpha: float = LOST_AT) -> np.ndarray:
        """Return what ClaDec shows of images at any alpha, (N, H, W, C) float32 in [0, 1].

        Args:
            images: images in any form that `explain` takes.
            alpha: the weight of the classification, in [0, 1]: near 0 the pictures are as close to
                the originals as the layer allows, near 1 they show what the classifier needs.

        Raises:
            InputError: the images do not fit the classifier, or alpha is out of range.
        """
        return self.decoder.predict(self._checked(images), alpha=recipes.check_alpha(alpha))

    def lost_maps(self, images: Any) -> np.ndarray:
        """Return what the layer lost in each pixel, (N, H, W) float32; see `cladec.lost_maps`."""
        images = self._checked(images)
        decoded, reference = self.decode(images), batches.predict(self.reference, images)
        return lost_information.lost_maps(images, decoded, reference)

    def lost(self, images: Any) -> np.ndarray:
        """Return what the layer lost of each image, (N,): error of ClaDec less that of RefAE."""
        return lost_information.lost_per_image(self.lost_maps(images))

    @cached_property
    def rest_of_network(self) -> keras.Model:
        """The classifier behind the layer, [images, codes] -> logits (N, K).

        The images matter only for paths that bypass the layer.
        """
        return cutting.rest(self.decoder.network)

    def edit(self, images: Any, factors: Any, alpha: float = LOST_AT) -> Edited:
        """Multiply units of the layer by a factor, and return what comes of it.

        Args:
            images: images in any form that `explain` takes.
            factors: {unit: factor}; units, or channels, are counted from 0 on the last axis of
                the codes. 0 switches one off, 2 doubles it; all others stay.
            alpha: the alpha to decode at, as in `decode`.

        Raises:
            InputError: the images do not fit the classifier, a unit is not there, or a factor or
                alpha is out of range.

        Examples:
            >>> layer = cladec.explain_layer(classifier, "dense", images[:40], epochs=1)
            [1/3] RefAE: ...
            >>> layer.edit(images[:2], {17: 0}).decoded.shape
            (2, 28, 28, 1)
        """
        images, alpha = self._checked(images), recipes.check_alpha(alpha)
        codes = layer_edits.scaled(layer_edits.codes_of(self, images), factors)
        return layer_edits.of_codes(self, codes, images, alpha)

    def blend(self, a: Any, b: Any, share: float = 0.5, alpha: float = LOST_AT) -> Edited:
        """Mix the codes of two images, or of pairs of images, and return what comes of it.

            codes = (1 - share) * codes of a + share * codes of b

        Args:
            a: an image or several, in any form that `explain` takes.
            b: as many; or one of the two is a single image.
            share: how much of `b` there is, in [0, 1].
            alpha: the alpha to decode at, as in `decode`.

        Raises:
            InputError: the images do not fit the classifier or each other, or a number is out of
                range.

        Examples:
            >>> layer = cladec.explain_layer(classifier, "dense", images[:40], epochs=1)
            [1/3] RefAE: ...
            >>> layer.blend(images[0], images[1:4], share=0.3).probabilities.shape
            (3, 10)
        """
        a, b, alpha = self._checked(a), self._checked(b), recipes.check_alpha(alpha)
        first, second = layer_edits.codes_of(self, a), layer_edits.codes_of(self, b)
        codes = layer_edits.blended(first, second, share)
        return layer_edits.of_codes(self, codes, layer_edits.blended(a, b, share), alpha)

    def widget(self, images: Any = None) -> "ipywidgets.VBox":
        """Return controls for a notebook: image, alpha, units off or scaled, a blend of two.

        Decoded picture, probabilities and what changed follow at once. `report` has a static
        export of it for a handful of images.

        Args:
            images: the images to choose from; None for those of `show`.

        Raises:
            InputError: ipywidgets is not installed, or the images do not fit the classifier.

        Examples:
            >>> layer = cladec.explain_layer(classifier, "dense", images[:40], epochs=1)
            [1/3] RefAE: ...
            >>> type(layer.widget()).__name__
            'VBox'
        """
        if images is None:
            return layer_widget.widget(self, self.examples.images, self.examples.labels)
        return layer_widget.widget(self, self._checked(images))

    def fidelity(self) -> dict[float, float]:
        """Return alpha -> the share of held-out images whose answer survives the decoding."""
        return self._over_alpha("fidelity")

    def normalised_error(self) -> dict[float, float]:
        """Return alpha -> the squared error as a share of that of the mean image.

        0 is a perfect copy and 1 means that nothing was kept.
        """
        return self._over_alpha("normalised_error")

    def _over_alpha(self, measure: str) -> dict[float, float]:
        rows = self.measures[self.measures["model"] == "ClaDec"]
        return dict(zip(rows["alpha"].tolist(), rows[measure].tolist(), strict=True))

    def _checked(self, images: Any) -> np.ndarray:
        return np.asarray(given_images.check_images(self.decoder.classifier, images))

    def show(self, images: Any = None) -> Figure:
        """Return a figure: originals, RefAE, ClaDec at each alpha, what was lost, the numbers.

        Below each picture stands what the classifier says of it, in red where that is another
        answer than for the original. The numbers are those of all held-out images.

        Args:
            images: the images to show; None for some of the held-out ones.
        """
        if images is not None:
            return layer_pictures.figure(self, self._checked(images))
        return layer_pictures.figure(self, self.examples.images, self.examples.labels)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one HTML page with a slider over alpha, which needs no network; return its path."""
        return layer_page.write(self, Path(path))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the models, the images shown and the numbers for `load_explanation`."""
        return layer_files.save(self, Path(folder))

    def __repr__(self) -> str:
        return f"<LayerExplanation {layer_pictures.one_line(self)}>"

    def _repr_html_(self) -> str:
        return layer_page.inline(self)


@checked
def explain_layer(
    classifier: keras.Model,
    layer: str,
    data: Any,
    *,
    alphas: Sequence[float] = ALPHAS,
    reference: Start = "auto",
    epochs: int | None = None,
    pixels: str = OWN,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> LayerExplanation:
    """Train RefAE and a ClaDec for every alpha, measure them, and return what the layer keeps.

    Args:
        classifier: a trained Keras image classifier, which stays unchanged, or the path of its
            file; in any form that `explain` takes, with the same options.
        layer: the layer to explain: its name, its place or the layer itself.
        data: a Dataset, or the name or folder of one; arrays (images, labels) or a `tf.data`,
            `PyDataset` or `DataLoader` of both; or images alone: then the classifier's own answers
            are the labels, and all texts say so. Without test images, a fifth is held out.
        alphas: the alphas to show and to measure; 0 is always one. `decode` takes every other.
        reference: where the encoder of RefAE starts, "fresh", "tuned" or "auto": see `fit_refae`.
        epochs: the passes over the training images, instead of those of the recipes.
        pixels: the range of pixels that the classifier was trained on, see `with_pixels`; images
            are given in [0, 1] whatever it is.
        class_names: the names of the classes, where the data have none.
        seed: the seed of weights, order and choice.
        report: is called with the share done; None shows a bar with the time left.

    Raises:
        InputError: the layer or the range of pixels is unknown, the data do not fit the
            classifier, the codes of the layer do not fit the disk, or an option is out of range.

    Examples:
        >>> few = images[:40], labels[:40]
        >>> layer = cladec.explain_layer(classifier, "dense", few, alphas=[0, 0.9], epochs=1)
        [1/3] RefAE: ...
        >>> figure = layer.show()
        >>> layer
        <LayerExplanation dense of ...>
    """
    shown = tuple(sorted({LOST_AT, *map(recipes.check_alpha, _several(alphas))}))
    classifier = with_pixels(classifier, pixels)
    given = layer_data(classifier, data, class_names=class_names, seed=seed)
    parts = classifier, layer, given.dataset
    check_space_for_codes(classifier, [layer], given.dataset.train.images)

    def options(recipe: Recipe, told: OnProgress) -> dict[str, Any]:
        recipe = replace(recipe.with_changes(epochs, None), precision=fastest())
        return {"recipe": recipe, "seed": seed, "callbacks": [ReportProgress(told)]}

    with stages(report, 3) as stage:
        with stage("RefAE") as told:
            refae = fit_refae(*parts, start=reference, **options(recipes.REFAE, told))
        with stage("ClaDec") as told:
            decoder = fit_conditional(*parts, **options(recipes.CONDITIONAL, told))
        with stage("measures") as told:
            measures = measure(decoder, refae, given.dataset, shown, seed=seed, report=told)
    return _explained(layer, classifier.name, given, decoder, refae, measures, seed)


def load_explanation(folder: str | os.PathLike[str]) -> LayerExplanation:
    """Load what `LayerExplanation.save` wrote, without executing any code in it.

    Raises:
        InputError: a file is missing, damaged, or of another explanation.

    Examples:
        >>> layer = cladec.explain_layer(classifier, "dense", images[:40], epochs=1)
        [1/3] RefAE: ...
        >>> folder = layer.save("explained")
        >>> cladec.load_explanation(folder).show()
        <Figure size ... with ... Axes>
    """
    return LayerExplanation(**layer_files.load(Path(folder)))


def _several(alphas: Any) -> Sequence[Any]:
    if isinstance(alphas, str) or not hasattr(alphas, "__iter__"):
        raise InputError(f"alphas is {alphas!r:.60}: expected several numbers, such as (0, 0.99)")
    return list(alphas)


def _explained(
    layer: str,
    classifier: str,
    given: LayerData,
    decoder: ConditionalClaDec,
    reference: RefAE,
    measures: Measures,
    seed: int,
) -> LayerExplanation:
    """Return the explanation, with images worth showing of those that were measured."""
    test, names = given.dataset.test, given.class_names
    labels = layer_pictures.first_labels(test.labels)
    predicted = layer_pictures.first_labels(measures.predicted)
    summary = lost_information.summarize(
        measures.lost, labels, predicted, names, most=SHOWN, seed=seed
    )
    chosen = layer_pictures.choose(labels, predicted, SHOWN)
    return LayerExplanation(
        layer,
        decoder,
        reference,
        measures.table,
        summary.classes,
        _rows(test, chosen),
        _rows(test, summary.most_lost),
        Facts.of(classifier, given, measures.thumbnail_error),
    )


def _rows(split: Split, rows: np.ndarray) -> Split:
    return Split(np.asarray(split.images[rows]), split.labels[rows])
