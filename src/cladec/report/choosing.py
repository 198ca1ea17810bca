"""Choose the test images that are worth showing."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

TURNS = (2, 0, 1)
"""The order in which the most lost images (2), wrong images (0) and right images (1) are mixed."""


def choose_images(
    labels: np.ndarray,
    predicted: np.ndarray,
    losses: Sequence[np.ndarray],
    count: int,
    seed: int = 0,
) -> np.ndarray:
    """Choose test images of every class and of every confusion, and those that lost most.

    A third of them lost most in some layer; a third are wrongly classified, with all confusions in
    turn; a third are correctly classified, with all classes in turn. If one kind runs out, the
    others replace it.

    Args:
        labels: the true classes, (N,).
        predicted: the predicted classes, (N,).
        losses: for each layer, how much was lost from each image, (N,).
        count: the number of images to choose.
        seed: the seed of the choice within a class or confusion.

    Returns:
        At most `count` different indices, with the kinds mixed.
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
    for turn in itertools.islice(itertools.cycle(TURNS), len(TURNS) * len(labels)):
        place = next((place for place in queues[turn] if place not in chosen), None)
        if place is not None and len(chosen) < count:
            chosen[place] = None
    return np.array(list(chosen))


def _in_turns(places: np.ndarray, kinds: Sequence[Any]) -> list[int]:
    """Order the indices so that the kinds take turns, the largest kind first."""
    by_kind: dict[Any, list[int]] = {}
    for place, kind in zip(places, kinds, strict=True):
        by_kind.setdefault(kind, []).append(int(place))
    ordered = sorted(by_kind.values(), key=len, reverse=True)
    longest = max(map(len, ordered), default=0)
    return [of_kind[turn] for turn in range(longest) for of_kind in ordered if turn < len(of_kind)]
