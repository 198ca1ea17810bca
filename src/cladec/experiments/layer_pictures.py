"""The picture of an explained layer, and its numbers in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import plots
from cladec.experiments.layer_data import LayerData
from cladec.experiments.layer_measures import answers
from cladec.metrics import lost_information
from cladec.models import batches
from cladec.models.predictions import differ, named
from cladec.models.recipes import alpha_text
from cladec.models.titles import cladec_title, refae_title

if TYPE_CHECKING:
    from cladec.experiments.layer_explanation import LayerExplanation

WRONG = 3
"""One of so many images shown is wrongly classified, if there are any."""


@dataclass(frozen=True)
class Facts:
    """What an explanation is about.

    Attributes:
        classifier: the name of the classifier.
        data: the name of the data.
        class_names: the names of the classifier's classes.
        trained_on: the number of images that the decoders were trained on.
        measured_on: the number of images that the numbers are means of.
        own_answers: whether the classifier's answers stood for missing labels.
        held_out: whether the images to measure on were held out of those given.
        thumbnail_error: the normalised error of a picture shrunk to the grid of the code and
            enlarged again; None for flat codes.
    """

    classifier: str
    data: str
    class_names: tuple[str, ...]
    trained_on: int
    measured_on: int
    own_answers: bool
    held_out: bool
    thumbnail_error: float | None

    @classmethod
    def of(cls, classifier: str, given: LayerData, thumbnail_error: float | None) -> "Facts":
        data = given.dataset
        return cls(
            classifier,
            data.name,
            given.class_names,
            len(data.train.images),
            len(data.test.images),
            given.own_answers,
            given.held_out,
            thumbnail_error,
        )


def figure(
    layer: "LayerExplanation", images: np.ndarray, labels: np.ndarray | None = None
) -> Figure:
    """Return the figure of `LayerExplanation.show` for checked images."""
    pictures = Pictures(layer, images)
    rows = [plots.Row("original", images)]
    for name, decoded in pictures.decoded.items():
        texts, changed = pictures.said_of(decoded)
        rows.append(plots.Row(name, decoded, texts, changed))
    titles, wrong = pictures.titles(labels)
    table = table_of(layer)
    return plots.kept_by_layer(
        rows, pictures.lost, titles, table, marked=wrong, title="\n".join(caption(layer))
    )


class Pictures:
    """Images as an explained layer shows them.

    Attributes:
        decoded: the titles of RefAE and of ClaDec at each alpha -> images (N, H, W, C).
        lost: what was lost of them, (N, H, W).
        predicted: what the classifier says of the originals.
    """

    def __init__(
        self, layer: "LayerExplanation", images: np.ndarray, alphas: Sequence[float] | None = None
    ):
        self.layer = layer
        reference = batches.predict(layer.reference, images)
        alphas = list(layer.fidelity()) if alphas is None else alphas
        at = {alpha: layer.decode(images, alpha) for alpha in alphas}
        self.decoded = {reference_title(layer): reference}
        self.decoded |= {cladec_title(alpha): decoded for alpha, decoded in at.items()}
        self.lost = lost_information.lost_maps(images, at[0.0], reference)
        self.predicted = answers(layer.decoder, images)

    def said_of(self, decoded: np.ndarray) -> tuple[list[str], list[bool]]:
        """Return the answer to each decoded image, and whether it differs from the original's."""
        found = answers(self.layer.decoder, decoded)
        changed = differ(found, self.predicted)
        return [named(answer, self.layer.facts.class_names) for answer in found], changed.tolist()

    def titles(self, labels: np.ndarray | None) -> tuple[list[str], list[bool]]:
        """Return "true - predicted" of each original, and whether that is wrong."""
        names = self.layer.facts.class_names
        predicted = [named(answer, names) for answer in self.predicted]
        if labels is None or self.layer.facts.own_answers:
            return predicted, [False] * len(predicted)
        true = [named(label, names) for label in labels]
        pairs = list(zip(true, predicted, strict=True))
        return [" - ".join(pair) for pair in pairs], [first != second for first, second in pairs]


def reference_title(layer: "LayerExplanation") -> str:
    """Return "RefAE", with where its encoder started if that is not from scratch."""
    return refae_title([layer.reference.start])


def first_labels(labels: np.ndarray) -> np.ndarray:
    """Return classes (N,); of rows of labels (N, K) the first that is 1."""
    return labels if labels.ndim == 1 else labels.argmax(axis=1)


def choose(labels: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Return rows of images of all classes in turn, first right ones and then wrong ones."""
    turn = pd.Series(labels).groupby(labels).cumcount().to_numpy()
    order = np.lexsort((labels, turn))
    right = predicted[order] == labels[order]
    wrong = order[~right][: max(count // WRONG, count - int(right.sum()))]
    return np.concatenate([order[right][: count - len(wrong)], wrong])


def caption(layer: "LayerExplanation") -> list[str]:
    """Return what is shown, on which images, and what to keep in mind, a line each."""
    facts = layer.facts
    of = f"{facts.measured_on} images" + (" held out" if facts.held_out else "")
    lines = [
        f"{layer.layer} of {facts.classifier}, {facts.data}: decoders trained on "
        f"{facts.trained_on} images, measured on {of}"
    ]
    if facts.own_answers:
        lines.append("without labels: the classifier's own answers are the targets")
    if layer.reference.start == "tuned":
        lines.append("the encoder of RefAE started from the classifier's own weights")
    lines.append(lost_in_words(layer))
    return lines


def lost_in_words(layer: "LayerExplanation") -> str:
    """Return what was lost, with a warning where that cannot be."""
    text, overall = f"lost per image: {lost_interval(layer)}", layer.lost_by_class.iloc[0]
    warning = lost_information.remark(overall["low"], overall["high"])
    return f"{text}; {warning}" if warning else text


def lost_interval(layer: "LayerExplanation") -> str:
    """Return the mean of what was lost of an image, with its interval of 95 %."""
    mean = layer.lost_by_class.iloc[0]
    return f"{mean['lost']:.3g} ({mean['low']:.3g} to {mean['high']:.3g})"


def table_of(layer: "LayerExplanation") -> list[list[str]]:
    """Return the numbers of RefAE, of ClaDec at every alpha and of a thumbnail as text."""
    lines = [["", "squared error", "normalised error", "same answer"]]
    for row in layer.measures.itertuples():
        alpha = cast(float, row.alpha)
        name = reference_title(layer) if np.isnan(alpha) else cladec_title(alpha)
        error = (
            f"{row.squared_error:.4g} ({row.squared_error_low:.4g} to {row.squared_error_high:.4g})"
        )
        same = f"{row.fidelity:.3f} ({row.fidelity_low:.3f} to {row.fidelity_high:.3f})"
        lines.append([name, error, f"{row.normalised_error:.3f}", same])
    if layer.facts.thumbnail_error is not None:
        lines.append(["thumbnail", "", f"{layer.facts.thumbnail_error:.3f}", ""])
    return lines


def five_numbers(layer: "LayerExplanation") -> dict[str, str]:
    """Return the five numbers that say most, by their names."""
    reference, errors, same = layer.measures.iloc[0], layer.normalised_error(), layer.fidelity()
    return {
        "lost per image": lost_interval(layer),
        f"normalised error of {cladec_title(0.0)}": f"{errors[0.0]:.3f}",
        f"normalised error of {reference_title(layer)}": f"{reference['normalised_error']:.3f}",
        **{
            f"same answer at alpha {alpha_text(alpha)}": f"{same[alpha]:.3f}"
            for alpha in (min(same), max(same))
        },
    }


def one_line(layer: "LayerExplanation") -> str:
    """Return the layer and its most important numbers in one line."""
    facts, error = layer.facts, layer.normalised_error()[0.0]
    said = ", the classifier's own answers as labels" if facts.own_answers else ""
    return (
        f"{layer.layer} of {facts.classifier}: {lost_in_words(layer)}, normalised error "
        f"{error:.3f}, {facts.measured_on} images of {facts.data}{said}"
    )
