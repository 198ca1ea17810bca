"""Does a classifier use a shortcut? The answers that a feature flips, and how far it is drawn.

That a decoder draws a feature says that the layer holds it, not that the answer depends on it. The
sign of use is the answers that change when the feature is pasted in. The erasure curve, what is
drawn of it by alpha, shows what the layer makes of it; planted shortcuts do not fade with alpha
(`benchmarks/shortcuts.py`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import checks, plots
from cladec.data.arrays import drawn_rows
from cladec.data.pixel_ranges import OWN
from cladec.errors import InputError
from cladec.experiments.features import Feature, Patch, Region
from cladec.experiments.layer_data import LayerData, layer_data
from cladec.experiments.layer_measures import answers
from cladec.experiments.layer_pictures import first_labels
from cladec.experiments.recurring import LEAST, Recurring, find_recurring
from cladec.experiments.stages import stages
from cladec.metrics import bootstrap
from cladec.models import batches, cutting, layer_choice, recipes
from cladec.models.code_space import check_space_for_codes
from cladec.models.conditional import ConditionalClaDec, fit_conditional
from cladec.models.fitting import encode
from cladec.models.given import checked
from cladec.models.pixel_layers import with_pixels
from cladec.models.precision import fastest
from cladec.models.predictions import differ, named
from cladec.models.recipes import alpha_text
from cladec.models.training import ReportProgress
from cladec.progress import OnProgress
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

ALPHAS = (0.0, 0.5, 0.9, 0.97, 0.99, 0.997, 0.999)
"""The alphas of the erasure curve."""

JUDGED_AT = 0.999
"""The alpha at which a picture need hold little but what the answer needs."""

PRESENT = 0.3
"""The least share drawn at alpha 0 by which a feature counts as drawn."""

USED, SOME = 0.3, 0.1
"""Above the first share of flipped answers a feature is used, above the second by some of them.

In `benchmarks/shortcuts.py`, planted shortcuts flip 0.65 to 0.97 and other marks at most 0.25.
"""

SHOWN = 6
"""The number of images of which pictures are kept."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit of one feature of one classifier found.

    `audit` returns it.

    Attributes:
        classifier: the name of the classifier.
        layer: the name of the layer that was decoded.
        feature: the name of the feature.
        curve: a row for each alpha: alpha and drawn, the share of the feature that ClaDec draws,
            mean over the images, with its interval of 95 % (`_low`, `_high`).
        flips: the share of the answers that change when the feature is pasted in, and its interval.
        images: some images without the feature, (n, H, W, C), and `pasted`, the same with it.
        pasted: see `images`.
        decoded: alpha -> what ClaDec shows of `pasted`, (n, H, W, C).
        said: what the classifier says of `images` and `pasted`, two lists of n.
        recurring: the regions found where no feature was named, the strongest first.

    Examples:
        >>> found = cladec.audit(classifier, (images[:80], labels[:80]), patch="frame", epochs=1)
        [1/1] ClaDec of dense...
        >>> found.feature, found.pasted.shape
        ('frame', (6, 28, 28, 1))
        >>> figure = found.show()
    """

    classifier: str
    layer: str
    feature: str
    curve: pd.DataFrame
    flips: tuple[float, float, float]
    images: np.ndarray = field(repr=False)
    pasted: np.ndarray = field(repr=False)
    decoded: dict[float, np.ndarray] = field(repr=False)
    said: tuple[list[str], list[str]] = field(repr=False)
    recurring: tuple[Recurring, ...] = field(default=(), repr=False)

    @property
    def kept(self) -> float:
        """What is drawn at alpha 0.999, as a share of what is drawn at alpha 0; NaN for nothing."""
        first, last = (self._drawn(alpha) for alpha in (0.0, JUDGED_AT))
        return last / first if first > 0 else np.nan

    @property
    def sentence(self) -> str:
        """What the answers that flip mean, and what is drawn of the feature."""
        share, low, high = self.flips
        use = "the classifier uses it" if low > USED else "some answers depend on it"
        use = use if low > SOME else "it is hardly used"
        pasted = (
            f"Pasting in the {self.feature} changes {share:.0%} ({low:.0%} to {high:.0%}) of the "
            f"answers: {use}."
        )
        first = self._drawn(0.0)
        if not first >= PRESENT:
            return (
                f"{pasted} ClaDec draws {first:.2f} of it even at alpha 0: the layer lost it, or "
                "the pictures hold too few of it to be learned."
            )
        return (
            f"{pasted} ClaDec draws {first:.2f} of it at alpha 0, where pictures hold what is "
            f"there, and {self._drawn(JUDGED_AT):.2f} at {JUDGED_AT}, where they hold what the "
            "answer needs."
        )

    def _drawn(self, alpha: float) -> float:
        return float(self.curve.loc[self.curve["alpha"] == alpha, "drawn"].iloc[0])

    def show(self) -> Figure:
        """Return a figure: the images with the feature at each alpha, and the erasure curve."""
        before, after = self.said
        changed = [one != other for one, other in zip(before, after, strict=True)]
        rows = [
            plots.Row("without", self.images, before),
            plots.Row(f"with {self.feature}", self.pasted, after, changed),
        ]
        rows += [
            plots.Row(f"ClaDec {alpha_text(alpha)}", decoded)
            for alpha, decoded in self.decoded.items()
        ]
        title = f"{self.layer} of {self.classifier}"
        return plots.erasure(rows, self.curve, title=title, sentence=self.sentence)

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write audit.csv and audit.png to a folder, and return their paths."""
        place, flips = Path(folder), ("flips", "flips_low", "flips_high")
        about = {"layer": self.layer, "feature": self.feature}
        table = self.curve.assign(**about, **dict(zip(flips, self.flips, strict=True)))
        written = write_table(table, place / "audit.csv")
        return [written, save_figure(self.show(), place / "audit.png")]


@checked
def audit(
    classifier: keras.Model,
    data: Any,
    *,
    patch: str | None = None,
    mask: np.ndarray | None = None,
    layer: str | None = None,
    alphas: Sequence[float] = ALPHAS,
    images: int = 200,
    epochs: int | None = None,
    pixels: str = OWN,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    report: OnProgress | None = None,
) -> Audit:
    """Ask whether a classifier uses a feature as a shortcut, and return what was found.

    A ClaDec for every alpha is trained. With x an image without the feature, x' the same with it,
    and D what ClaDec draws, the share of the feature that is drawn is

        <D(x') - D(x), x' - x> / |x' - x|^2

    which is 1 for all of it and 0 for none. A decoder draws only what pictures like those that it
    was trained on hold, so the feature has to occur in the data.

    Args:
        classifier: a trained Keras image classifier, which stays unchanged, or the path of its
            file; in any form that `explain` takes, with the same options.
        data: what `explain_layer` takes.
        patch: the feature "corner", "frame", "tint" or "blur", which is drawn into images.
        mask: where the feature is, in [0, 1]: (H, W) for all images, or one for each image to test
            on, (N, H, W), of zeros where it is not; it is pasted into images of other classes. With
            neither `patch` nor `mask`, regions are sought that recur at one place in the images of
            a class and on which its answer depends, and the strongest is the feature.
        layer: the layer to decode; None for the last one before the scores.
        alphas: the alphas of the curve; 0 and 0.999 are always among them.
        images: the number of images into which the feature is pasted.
        epochs: the passes over the training images, instead of those of the recipe.
        pixels: the range of pixels that the classifier was trained on, see `with_pixels`.
        class_names: the names of the classes, where the data have none.
        seed: the seed of weights, order and choice.
        report: is called with the share done; None shows a bar with the time left.

    Raises:
        InputError: patch and mask are both given, one does not fit, no region can be sought, the
            layer is unknown, or the data do not fit the classifier.

    Examples:
        >>> found = cladec.audit(classifier, (images[:80], labels[:80]), patch="corner", epochs=1)
        [1/1] ClaDec of dense...
        >>> found.curve.columns.tolist()
        ['alpha', 'drawn', 'drawn_low', 'drawn_high']
    """
    if patch is not None and mask is not None:
        raise InputError("patch and mask are both given: name one feature")
    named_patch = None if patch is None else Patch(patch)
    shown = sorted({0.0, JUDGED_AT, *map(recipes.check_alpha, alphas)})
    count = checks.whole("images", images, 1)
    classifier = with_pixels(classifier, pixels)
    given = layer_data(classifier, data, class_names=class_names, seed=seed)
    layer = layer_choice.three_layers(classifier)[-1] if layer is None else layer
    check_space_for_codes(classifier, [layer], given.dataset.train.images)
    sample = _Sample(given, count, seed)
    feature, regions = sample.feature(classifier, named_patch, mask)
    recipe = replace(recipes.CONDITIONAL.with_changes(epochs, None), precision=fastest())
    with stages(report, 1) as stage, stage(f"ClaDec of {layer}") as told:
        options: dict[str, Any] = {"recipe": recipe, "callbacks": [ReportProgress(told)]}
        decoder = fit_conditional(classifier, layer, given.dataset, seed=seed, **options)
    measured = sample.measured(decoder, feature, shown)
    return Audit(classifier.name, layer, feature.name, **measured, recurring=regions)


@checked
def recurring_regions(
    classifier: keras.Model,
    data: Any,
    *,
    images: int = 200,
    pixels: str = OWN,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[Recurring, ...]:
    """Return the region of each class that recurs and that its answers depend on, strongest first.

    `audit` takes the first of them as the feature where none is named. Nothing is trained, so this
    takes seconds. Each cell of a grid is replaced by that of images of other classes; it counts by
    the share of answers that change, times the share of its variance that is between classes.

    Args:
        classifier: as for `audit`.
        data: as for `audit`; the images to test on are looked at.
        images: the number of images that are looked at.
        pixels: the range of pixels that the classifier was trained on, see `with_pixels`.
        class_names: the names of the classes, where the data have none.
        seed: the seed of the choice.

    Raises:
        InputError: no class has enough images that the classifier is right about, or the data do
            not fit the classifier.

    Examples:
        >>> regions = cladec.recurring_regions(classifier, (images[:800], labels[:800]))
        >>> regions[0].mask.shape
        (28, 28)
    """
    count = checks.whole("images", images, 1)
    classifier = with_pixels(classifier, pixels)
    given = layer_data(classifier, data, class_names=class_names, seed=seed)
    return _Sample(given, count, seed).regions(classifier)


class _Sample:
    """The images into which a feature is pasted, drawn from those to test on.

    Attributes:
        images: (N, H, W, C).
        labels: their classes, (N,).
    """

    def __init__(self, given: LayerData, count: int, seed: int):
        self.given, self.seed = given, seed
        test = given.dataset.test
        rows = drawn_rows(len(test.images), count, seed)
        self.images = np.asarray(test.images[rows])
        self.labels = first_labels(test.labels[rows])

    def feature(
        self, classifier: keras.Model, patch: Patch | None, mask: Any
    ) -> tuple[Feature, tuple[Recurring, ...]]:
        """Return the feature that was named, or the strongest region found, and all regions."""
        if patch is not None:
            return patch, ()
        if mask is not None:
            return _masked(self.given, mask), ()
        regions = self.regions(classifier)
        name = f"region of {self.given.class_names[regions[0].label]}"
        return regions[0].feature(name), regions

    def regions(self, classifier: keras.Model) -> tuple[Recurring, ...]:
        """Return the region of each class, the strongest first."""
        model = cutting.logits(classifier)
        found = find_recurring(
            lambda shown: batches.predict(model, shown).argmax(axis=1),
            self.images,
            self.labels,
            seed=self.seed,
        )
        if not found:
            raise InputError(
                f"no class has {LEAST} of {len(self.images)} images that the classifier is right "
                "about, so no region can be sought: take more images, or name a patch or a mask"
            )
        return tuple(found)

    def measured(
        self, decoder: ConditionalClaDec, feature: Feature, alphas: Sequence[float]
    ) -> dict[str, Any]:
        """Paste the feature in, and return what a decoder and the classifier make of it."""
        pasted = feature.paste(self.images, self.labels, self.seed)
        drawn, decoded = share_drawn(decoder, self.images, pasted, alphas)
        curve = [
            {"alpha": alpha} | bootstrap.with_interval("drawn", shares, seed=self.seed)
            for alpha, shares in drawn.items()
        ]
        before, after = answers(decoder, self.images), answers(decoder, pasted)
        changed = differ(after, before).astype(float)
        flips = bootstrap.with_interval("flips", changed, seed=self.seed)
        names = self.given.class_names
        said = ([named(answer, names) for answer in part[:SHOWN]] for part in (before, after))
        return {
            "curve": pd.DataFrame(curve),
            "flips": tuple(flips.values()),
            "images": self.images[:SHOWN],
            "pasted": pasted[:SHOWN],
            "decoded": decoded,
            "said": tuple(said),
        }


def _masked(given: LayerData, mask: Any) -> Region:
    """Return the feature under a mask, or one for each test image, as part of these images."""
    test = given.dataset.test
    masks = checks.array("mask", mask)
    height, width = given.dataset.image_shape[:2]
    if masks.shape not in ((height, width), (len(test.images), height, width)):
        raise InputError(
            f"mask of shape {masks.shape}: expected ({height}, {width}), or one for each of the "
            f"{len(test.images)} images to test on"
        )
    masks = np.broadcast_to(masks, (len(test.images), height, width)).astype(np.float32)
    rows = np.flatnonzero(masks.any(axis=(1, 2)))
    if not len(rows):
        raise InputError("mask is zero everywhere: expected 1 where the feature is")
    images, labels = np.asarray(test.images[rows]), first_labels(test.labels[rows])
    return Region("masked region", images, labels, np.clip(masks[rows], 0, 1))


def share_drawn(
    decoder: ConditionalClaDec, images: np.ndarray, pasted: np.ndarray, alphas: Sequence[float]
) -> tuple[dict[float, np.ndarray], dict[float, np.ndarray]]:
    """Return the share of a feature that is drawn of each image, (N,), by alpha; and some pictures.

    Images that already had the feature are left out; the pictures are of the first `SHOWN`.

    Raises:
        InputError: all of them had it.
    """
    feature = pasted - images
    size = np.square(feature).sum(axis=(1, 2, 3), dtype=np.float64)
    there = size > 0
    if not there.any():
        raise InputError("the feature changes none of the images: all have it already")
    codes = [encode(decoder.encoder, part) for part in (images, pasted)]
    drawn, shown = {}, {}
    for alpha in alphas:
        without, with_it = (decoder.predict({"codes": part}, alpha=alpha) for part in codes)
        along = ((with_it - without) * feature).sum(axis=(1, 2, 3), dtype=np.float64)
        drawn[alpha] = along[there] / size[there]
        shown[alpha] = with_it[:SHOWN]
    return drawn, shown
