"""Hold out a fifth of pictures for testing, the same on every machine and at every time."""

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np

from cladec.errors import InputError

SHARE = 0.2
"""The share of the pictures that is held out where nobody says which."""


def held_out(names: Sequence[str], labels: np.ndarray, where: object) -> np.ndarray:
    """Return which pictures are for testing, (N,) bool, by a hash of the name of each.

    A picture that is added or removed changes nothing about the others, except in a class that
    would have no training picture, whose last one by its hash is then kept for training.

    Args:
        names: the name of each picture, relative to the folder.
        labels: the class of each, (N,).
        where: the place of the pictures, for the error.

    Raises:
        InputError: every class has one picture alone.
    """
    hashes = np.array([_hash(name) for name in names])
    labels = np.asarray(labels)
    test = hashes < SHARE
    of_class = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    for places in of_class.values():
        if test[places].all():
            test[places[hashes[places].argmax()]] = False
    if not test.any():
        several = [places for places in of_class.values() if len(places) > 1]
        if not several:
            raise InputError(
                f"{where} has one picture of each class, and none can be held out for testing: "
                "add more"
            )
        candidates = np.concatenate(several)
        test[candidates[hashes[candidates].argmin()]] = True
    return test


def _hash(name: str) -> float:
    """Return a number in [0, 1) that follows from the name alone."""
    # macOS writes letters with accents as two characters.
    text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(text).digest()[:6]) / 2**48


def check_parts(where: object, class_names: Sequence[str], train: object, test: object) -> None:
    """Raise InputError if a class has no training picture, or there is no test picture.

    Args:
        where: the place of the pictures.
        class_names: the names of the classes.
        train, test: the labels of both splits.
    """
    missing = sorted(set(range(len(class_names))) - {int(label) for label in np.asarray(train)})
    if missing:
        raise InputError(
            f"{where} has no training picture of {class_names[missing[0]]!r} that can be used: add "
            "some, or take the class out"
        )
    if not len(np.asarray(test)):
        raise InputError(f"{where} has no test picture that can be used: move some from training")
