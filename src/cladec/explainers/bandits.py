"""KL-LUCB: which of many arms pay best, in as few draws as that takes (Kaufmann & Kalyanakrishnan,
"Information Complexity in Bandit Subset Selection", 2013).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import numpy as np


@dataclass
class Arm:
    """Something that is a hit or not each time it is drawn; how often it was both."""

    samples: int = 0
    hits: int = 0

    @property
    def mean(self) -> float:
        """The share of hits, in [0, 1]; of an arm drawn at least once."""
        return self.hits / self.samples


AnyArm = TypeVar("AnyArm", bound=Arm)


def best_arms(
    arms: list[AnyArm],
    number: int,
    sample: Callable[[AnyArm], None],
    tolerance: float,
    delta: float,
) -> list[AnyArm]:
    """The `number` arms with the highest means, but for differences below `tolerance`.

    In each round, of the arms in the lead the one that may be worst and of the others the one that
    may be best are drawn, until even these are less than `tolerance` apart.

    Args:
        arms: each drawn at least once; all of them come back where they are no more than `number`.
        number: how many to find, at least 1.
        sample: draws an arm, once or more, and counts it.
        tolerance: in (0, 1).
        delta: the probability that an arm taken is worse than one left by more, in (0, 1).
    """
    for round_number in count(1):
        arms = sorted(arms, key=lambda arm: -arm.mean)
        taken, left = arms[:number], arms[number:]
        if not left:
            break
        level = exploration(len(arms), round_number, delta)
        low, high = bounds(*_counts(taken), level)[0], bounds(*_counts(left), level)[1]
        if high.max() - low.min() < tolerance:
            break
        sample(taken[int(low.argmin())])
        sample(left[int(high.argmax())])
    return taken


def _counts(arms: list[AnyArm]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([arm.hits for arm in arms]), np.array([arm.samples for arm in arms])


def exploration(arms: int, round_number: int, delta: float) -> float:
    """How certain the bounds of KL-LUCB are in a round: beta(t, delta) = log(k K t^a / delta), and
    the logarithm of that added, with K arms, k = 405.5 and a = 1.1 (Kaufmann & Kalyanakrishnan,
    2013, theorem 1).
    """
    level = np.log(405.5 * arms * round_number**1.1 / delta)
    return float(level + np.log(level))


def bounds(hits, samples, level):
    """The lowest and highest mean of Bernoulli draws that `hits` of `samples` leave plausible.

    Solves samples * KL(hits / samples, q) = level for q on both sides by bisection; KL is the
    divergence of two Bernoulli distributions.

    Args:
        hits: draws that were 1, a number or an array.
        samples: the number of samples behind it, likewise; at least 1.
        level: the level of certainty, above 0.

    Returns:
        (low, high), each of the shape of `hits`, in [0, 1].
    """
    mean = hits / np.asarray(samples, np.float64)
    return tuple(_furthest(mean, np.full_like(mean, end), level / samples) for end in (0.0, 1.0))


def _furthest(mean: np.ndarray, end: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The value between `mean` and `end` whose divergence from `mean` is `level`, or the end."""
    near, far = mean, end
    for _ in range(20):
        middle = (near + far) / 2
        inside = _divergence(mean, middle) <= level
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return near


def _divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(Bernoulli(p), Bernoulli(q))."""
    p, q = np.clip(p, 1e-12, 1 - 1e-12), np.clip(q, 1e-12, 1 - 1e-12)
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
