"""Many comparisons of the same things: Holm's correction, and groups of what was not told apart."""

from string import ascii_letters

import numpy as np


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p values for the number of tests, so that one false finding in all of them is rare.

    The i-th smallest of P values is multiplied by P - i + 1, is at most 1, and is never below one
    before it (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979).

    Args:
        p_values: (P,) in [0, 1].

    Returns:
        (P,) in [0, 1], to be compared with the level of all tests together.

    Examples:
        >>> holm(np.array([0.01, 0.04, 0.03]))
        array([0.03, 0.06, 0.06])
    """
    order, count = np.argsort(p_values), len(p_values)
    grown = np.maximum.accumulate(p_values[order] * (count - np.arange(count)))
    corrected = np.empty(count)
    corrected[order] = np.minimum(grown, 1)
    return corrected


def letters(apart: np.ndarray) -> list[str]:
    """Name the groups of things that were not told apart: two share a letter if they were not.

    Every letter stands for a largest group of things none of which was told apart from another
    (Piepho, "An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons", 2004:
    insert and absorb).

    Args:
        apart: (M, M), symmetric booleans, whether two things were told apart; things in the order
            in which letters are given out, the best first.

    Returns:
        M texts of one or more letters, in the order of the alphabet.

    Examples:
        >>> apart = np.zeros((3, 3), bool)
        >>> apart[0, 2] = apart[2, 0] = True
        >>> letters(apart)
        ['a', 'ab', 'b']
    """
    groups = [frozenset(range(len(apart)))]
    for pair in zip(*np.nonzero(np.triu(apart)), strict=True):
        split = [group - {one} if group >= set(pair) else group for group in groups for one in pair]
        groups = [group for group in set(split) if not any(group < other for other in split)]
    groups.sort(key=sorted)
    names = [_letter(number) for number in range(len(groups))]
    return [
        "".join(name for name, group in zip(names, groups, strict=True) if thing in group)
        for thing in range(len(apart))
    ]


def _letter(number: int) -> str:
    """a to z, A to Z, and then a2, b2, ..."""
    round_, place = divmod(number, len(ascii_letters))
    return ascii_letters[place] + (str(round_ + 1) if round_ else "")
