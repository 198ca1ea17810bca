"""Which of thousands of test images are worth a look."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

TURNS = (0, 1, 0, 2)
"""Of the wrong, the right and the most lost: how they are mixed."""


def choose_images(
    labels: np.ndarray,
    predicted: np.ndarray,
    losses: Sequence[np.ndarray],
    count: int,
    seed: int = 0,
) -> np.ndarray:
    """Test images worth a look: of every class, of every confusion, and the most lost.

    Half of them are wrongly classified, each confusion in its turn; a quarter are those of which
    some layer lost most; the rest are right, each class in its turn. Where one kind runs out the
    others take its place.

    Args:
        labels: true classes, (N,).
        predicted: the classifier's answers, (N,).
        losses: what was lost of each image, (N,), a row for each layer.
        count: how many to choose.
        seed: of the choice within a class or confusion.

    Returns:
        At most `count` different places, the kinds mixed.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    wrong = order[predicted[order] != labels[order]]
    right = order[predicted[order] == labels[order]]
    confusions = list(zip(labels[wrong], predicted[wrong], strict=True))
    most_lost = [np.argsort(-lost, kind="stable")[:count] for lost in losses]
    kinds: list[list[int]] = [
        _in_turns(wrong, confusions),
        _in_turns(right, list(labels[right])),
        [int(place) for place in np.array(most_lost).T.ravel()],
    ]
    queues = [iter(kind) for kind in kinds]
    chosen: dict[int, None] = {}
    for turn in itertools.islice(itertools.cycle(TURNS), 4 * len(labels)):
        place = next((place for place in queues[turn] if place not in chosen), None)
        if place is not None and len(chosen) < count:
            chosen[place] = None
    return np.array(list(chosen))


def _in_turns(places: np.ndarray, kinds: Sequence[Any]) -> list[int]:
    """The places in such an order that each kind has its turn, the largest kind first."""
    by_kind: dict[Any, list[int]] = {}
    for place, kind in zip(places, kinds, strict=True):
        by_kind.setdefault(kind, []).append(int(place))
    ordered = sorted(by_kind.values(), key=len, reverse=True)
    longest = max(map(len, ordered), default=0)
    return [of_kind[turn] for turn in range(longest) for of_kind in ordered if turn < len(of_kind)]
