"""Anchors: the fewest segments of an image that hold the prediction, whatever the rest shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from cladec.checks import at_least
from cladec.errors import InputError
from cladec.explainers.bandits import Arm, best_arms, bounds
from cladec.explainers.inputs import Fill, Targets, check_images, prepare
from cladec.explainers.scores import LogitsModel
from cladec.explainers.segments import Segments, keep, segmentations, without_detail
from cladec.models.given import checked
from cladec.progress import OnProgress


@dataclass(frozen=True, eq=False)
class Anchor:
    """A rule for one image: where these segments show, the class is almost always predicted.

    Attributes:
        segments: the segment of every pixel, (H, W) int64, from 0 to K - 1.
        chosen: the segments of the anchor, in order. Empty where the class is predicted whatever
            is hidden, or is not the class predicted for the image.
        precision: the share of perturbed images with the anchor that are given the class.
        coverage: the share that has the anchor when each segment is kept with probability 1/2,
            2 ** -len(chosen).
    """

    segments: np.ndarray
    chosen: tuple[int, ...]
    precision: float
    coverage: float

    @property
    def map(self) -> np.ndarray:
        """1 in the anchor, 0 outside, (H, W) float32."""
        return np.isin(self.segments, self.chosen).astype(np.float32)


@checked
def anchors(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    threshold: float = 0.95,
    segments: Segments = 15,
    fill: Fill | None = None,
    backgrounds: np.ndarray | None = None,
    hide: float = 0.5,
    tolerance: float = 0.25,
    margin: float = 0.05,
    delta: float = 0.05,
    beam: int = 4,
    batch_size: int = 50,
    seed: int = 0,
    report: OnProgress | None = None,
) -> np.ndarray:
    """The maps of `find_anchors`, (N, H, W) float32: 1 in the anchor, 0 outside."""
    found = find_anchors(
        model,
        images,
        targets,
        threshold=threshold,
        segments=segments,
        fill=fill,
        backgrounds=backgrounds,
        hide=hide,
        tolerance=tolerance,
        margin=margin,
        delta=delta,
        beam=beam,
        batch_size=batch_size,
        seed=seed,
        report=report,
    )
    return np.stack([anchor.map for anchor in found])


@checked
def find_anchors(
    model: keras.Model,
    images: np.ndarray,
    targets: Targets = None,
    *,
    threshold: float = 0.95,
    segments: Segments = 15,
    fill: Fill | None = None,
    backgrounds: np.ndarray | None = None,
    hide: float = 0.5,
    tolerance: float = 0.25,
    margin: float = 0.05,
    delta: float = 0.05,
    beam: int = 4,
    batch_size: int = 50,
    seed: int = 0,
    report: OnProgress | None = None,
) -> list[Anchor]:
    """Search the smallest anchor of each image with a beam search that samples by KL-LUCB.

    A perturbed image keeps the anchor's segments and hides each other one with probability `hide`;
    all of them, behind one of `backgrounds`, where these are given. Anchors grow by a segment a
    round from the empty one: KL-LUCB picks the `beam` most precise candidates, and the search ends
    at the first size at which the precision of one is above `threshold`. Ribeiro, Singh & Guestrin,
    "Anchors: High-Precision Model-Agnostic Explanations", 2018, algorithms 1 and 2.

    Grey images of few pixels are often recognised whatever segments are hidden behind their mean
    colour: the anchor is then empty. Images of other classes as `backgrounds` tell more.

    Args:
        model: any built Keras classifier.
        images: (N, H, W, C) in [0, 1].
        targets: class numbers; the predicted ones by default. An image that is given another class
            has no anchor.
        threshold: the precision wanted, in (0, 1).
        segments: about how many to cut each image into, or the labels of the pixels, (H, W) for
            all images or (N, H, W).
        fill: what hidden segments show, a number, a colour (C,) or an image (H, W, C), in [0, 1];
            each segment's mean colour by default.
        backgrounds: images (M, H, W, C) that show, one at random, in place of all other segments.
        hide: the probability that a segment outside the anchor is hidden, in (0, 1].
        tolerance: candidates whose precisions are nearer to each other than this are taken for
            equally good; in (0, 1). Smaller takes more samples.
        margin: how far below the threshold the precision of an anchor may be, when its estimate is
            above; in (0, 1). Smaller takes more samples.
        delta: the probability that a round picks wrongly, in (0, 1).
        beam: candidates kept from round to round.
        batch_size: the step in which samples grow, in perturbed images.
        seed: the seed of the perturbed images.
        report: a function that is called with the share done.

    Returns:
        An anchor for each image.

    Raises:
        InputError: the images, targets, backgrounds or options are not as above.
    """
    logits, images, targets = prepare(model, images, targets)
    at_least(1, beam=beam, batch_size=batch_size)
    _check_shares(threshold=threshold, tolerance=tolerance, margin=margin, delta=delta)
    if not 0 < hide <= 1:
        raise InputError(f"hide is {hide}: expected a probability above 0, at most 1")
    if backgrounds is not None:
        backgrounds, hide = check_images(model, backgrounds), 1.0
    predicted = logits.predict(images).argmax(axis=1)
    found = []
    labels = segmentations(images, segments)
    for i, (image, image_labels) in enumerate(zip(images, labels, strict=True)):
        shown = without_detail(image, image_labels, fill)[None]
        shown = shown if backgrounds is None else backgrounds
        generator = np.random.default_rng(seed)
        sampler = _Sampler(
            logits, image, int(targets[i]), image_labels, shown, hide, batch_size, generator
        )
        search = _Search(sampler, threshold, tolerance, margin, delta, beam)
        found.append(search.run() if targets[i] == predicted[i] else search.nothing())
        if report is not None:
            report(len(found) / len(images), {})
    return found


def _check_shares(**options: float) -> None:
    for name, value in options.items():
        if not 0 < value < 1:
            raise InputError(f"{name} is {value}: expected a value between 0 and 1")


@dataclass
class _Candidate(Arm):
    """A set of segments; a hit is an image with these kept that is given the class."""

    chosen: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Sampler:
    """Perturbed images of one image, and whether they are given its class."""

    logits: LogitsModel
    image: np.ndarray
    target: int
    segments: np.ndarray
    hidden: np.ndarray
    hide: float
    batch_size: int
    generator: np.random.Generator

    @property
    def count(self) -> int:
        """How many segments there are."""
        return int(self.segments.max()) + 1

    def sample(self, candidate: _Candidate) -> None:
        """Add a batch of perturbed images to the candidate's counts."""
        kept = self.generator.random((self.batch_size, self.count)) >= self.hide
        kept[:, list(candidate.chosen)] = True
        behind = self.generator.integers(len(self.hidden), size=self.batch_size)
        perturbed = keep(self.image, self.hidden[behind], self.segments, kept)
        answers = self.logits.predict(perturbed).argmax(axis=1)
        candidate.hits += int((answers == self.target).sum())
        candidate.samples += self.batch_size


@dataclass(frozen=True)
class _Search:
    """The beam search for the anchor of one image."""

    sampler: _Sampler
    threshold: float
    tolerance: float
    margin: float
    delta: float
    beam: int

    def run(self) -> Anchor:
        """The most precise of the smallest anchors that reach the threshold.

        The anchor of all segments hides nothing, so one does unless the class is a near tie.
        """
        beam = [self.sampled(frozenset())]
        for _ in range(self.sampler.count):
            if valid := [candidate for candidate in beam if self.reaches(candidate)]:
                beam = valid
                break
            beam = best_arms(
                self.grown(beam), self.beam, self.sampler.sample, self.tolerance, self.delta
            )
        return self.anchor(max(beam, key=lambda candidate: candidate.mean))

    def nothing(self) -> Anchor:
        """The empty anchor."""
        return self.anchor(self.sampled(frozenset()))

    def anchor(self, candidate: _Candidate) -> Anchor:
        chosen = tuple(sorted(candidate.chosen))
        return Anchor(self.sampler.segments, chosen, candidate.mean, 0.5 ** len(chosen))

    def sampled(self, chosen: frozenset[int]) -> _Candidate:
        candidate = _Candidate(chosen=chosen)
        self.sampler.sample(candidate)
        return candidate

    def grown(self, beam: Sequence[_Candidate]) -> list[_Candidate]:
        """All candidates with one segment more than one of the beam, each sampled once."""
        larger = {
            candidate.chosen | {segment}
            for candidate in beam
            for segment in range(self.sampler.count)
            if segment not in candidate.chosen
        }
        return [self.sampled(chosen) for chosen in sorted(larger, key=sorted)]

    def reaches(self, candidate: _Candidate) -> bool:
        """Whether the precision is above the threshold, sampled until that is certain."""
        # Certain for all candidates of all rounds together.
        level = np.log(self.beam * self.sampler.count / self.delta)
        while True:
            above = candidate.mean >= self.threshold
            low, high = bounds(candidate.hits, candidate.samples, level)
            if above and low > self.threshold - self.margin:
                return True
            if not above and high < self.threshold + self.margin:
                return False
            self.sampler.sample(candidate)
