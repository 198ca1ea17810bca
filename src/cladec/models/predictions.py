"""What the scores of a classifier mean: probabilities, and the classes or labels predicted.

A classifier either gives an image one of several classes, by a softmax, or answers for each of
several labels whether the image has it, by a sigmoid: "multi-label".
"""

from collections.abc import Sequence

import numpy as np


def probabilities(logits: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Return the probabilities of the classes, or of each label, (..., K) like the logits."""
    return sigmoid(logits) if multi_label else softmax(logits)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of the shape of the logits (..., K), which sum to 1 over K."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-logits)) without an overflow."""
    return np.exp(-np.logaddexp(0.0, -logits))


def predicted(logits: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Return the predicted class of each image, (N,) int64, or its labels, (N, K) bool.

    A label is predicted where its probability exceeds 1/2.
    """
    return logits > 0.0 if multi_label else logits.argmax(axis=1)


def named(answer: np.ndarray, names: Sequence[str]) -> str:
    """Return the name of a class, or those of all labels that are 1 in a row (K,)."""
    if np.ndim(answer) == 0:
        return names[int(answer)]
    return ", ".join(names[place] for place in np.flatnonzero(answer).tolist()) or "none"


def agreement(predicted: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of the images whose class is the expected one, in [0, 1].

    With several labels, it is the share of all decisions on a label, as Keras's BinaryAccuracy.
    """
    return float(np.mean(predicted == expected))


def agreements(predicted: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return for each image whether its class is the expected one, (N,) float64: 1 or 0.

    With several labels, it is the share of the labels that are decided as expected.
    """
    same = predicted == expected
    return same.reshape(len(same), -1).mean(axis=1)


def differ(predicted: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return for each image whether its class, or any of its labels, is another one, (N,) bool."""
    return agreements(predicted, expected) < 1.0


def is_right(predicted: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return whether each image is predicted as expected, (N,) bool.

    Args:
        predicted: the result of `predicted`: classes (N,), or labels (N, K).
        expected: the classes (N,), or the labels (N, K); a class is the only label of its image.
    """
    if predicted.ndim == 1:
        return predicted == expected
    if expected.ndim == 1:
        expected = expected[:, None] == np.arange(predicted.shape[1])
    return (predicted == expected).all(axis=1)
