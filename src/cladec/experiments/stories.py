"""What a layer keeps, told with five test images: a picture, and an animation over alpha."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from cladec import plots
from cladec.experiments.runs import Run
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics import lost_information
from cladec.models import predictions
from cladec.models.titles import cladec_title

IMAGES = 5
"""The number of images in a story."""

HIGH = 0.99
"""The alpha at which what is left is what the answer needs."""

MEASURED = 1000
"""The number of test images from which the curves of an animation are measured."""


def story(saved: SavedClassifier, layer: str) -> Figure | None:
    """Draw what a layer keeps of five images, with a ClaDec of alpha 0 and one of a high alpha.

    Returns:
        The figure; None if the layer has no RefAE, no ClaDec at alpha 0, or none of another alpha.
    """
    faithful = _faithful(saved, layer)
    if layer not in saved.lost or faithful is None:
        return None
    run, alpha = faithful
    shown = saved.show(telling_images(saved.lost[layer], saved.data.test.labels, saved.is_right))
    reference, plain = saved.pair(layer, 0.0)
    rows = {
        "original": ("original", shown.images),
        "refae": (reference.short_title, saved.decode(reference, shown.images)),
        "cladec": (plain.short_title, saved.decode(plain, shown.images)),
        "faithful": (cladec_title(alpha), saved.decode(run, shown.images, alpha)),
    }
    maps = lost_information.lost_maps(shown.images, rows["cladec"][1], rows["refae"][1])
    title = f"What the layer {layer} of a classifier of {saved.data.name} keeps"
    return plots.layer_story(rows, maps, shown.titles, marked=shown.wrong, title=title)


def _faithful(saved: SavedClassifier, layer: str) -> tuple[Run, float] | None:
    """Return a ClaDec whose alpha is `HIGH`, or else the highest below 1, and that alpha."""
    alphas = {run.alpha: run for run in saved.plain(layer) if run.alpha and run.alpha < 1}
    for run in saved.runs:
        if run.layer == layer and run.kind.every_alpha and run.fraction == 1:
            alphas.setdefault(HIGH, run)
    if not alphas:
        return None
    alpha = HIGH if HIGH in alphas else max(alphas)
    return alphas[alpha], alpha


def telling_images(lost: np.ndarray, labels: np.ndarray, is_right: np.ndarray) -> list[int]:
    """Choose test images that show what a layer loses, from those that lost most to the least.

    Args:
        lost: what was lost of each image, (N,).
        labels: the classes, (N,), or the labels of each image, (N, K).
        is_right: whether each image is classified correctly, (N,).

    Returns:
        Up to `IMAGES` numbers of images: three right ones of different classes and a wrong one of
        which most was lost, and a right one of which least was lost.
    """
    order = np.argsort(-lost, kind="stable")
    right, wrong = order[is_right[order]], order[~is_right[order]]
    _, firsts = np.unique(labels[right], axis=0, return_index=True)
    different = right[np.sort(firsts)]
    chosen = [*different[: IMAGES - 2], *wrong[:1], *right[-1:]]
    chosen += [number for number in different if number not in chosen][: IMAGES - len(chosen)]
    return sorted(map(int, set(chosen)), key=lambda number: -lost[number])


def animation(saved: SavedClassifier, run: Run) -> Iterator[Figure]:
    """Yield what a decoder of every alpha makes of five images, at one alpha after the other.

    The curves below are the shares of test images with the same answer, and the squared error as a
    share of the largest.

    Args:
        saved: the classifier with its decoders.
        run: that of a decoder of every alpha.
    """
    layer = str(run.layer)
    lost = saved.lost.get(layer, -saved.probabilities(saved.data.test.images).max(axis=1))
    shown = saved.show(telling_images(lost, saved.data.test.labels, saved.is_right))
    test, predicted = saved.data.test.images[:MEASURED], saved.predicted[:MEASURED]
    decoded, answers, same, errors = {}, {}, [], []
    for alpha in plots.slider_alphas():
        decoded[alpha] = saved.decode(run, shown.images, alpha)
        said = saved.predictions(saved.logits(decoded[alpha]))
        answers[alpha] = [predictions.named(answer, saved.class_names) for answer in said]
        of_test = saved.decode(run, test, alpha)
        agrees = predictions.is_right(saved.predictions(saved.logits(of_test)), predicted)
        same.append(float(agrees.mean()))
        errors.append(float(np.square(of_test - test).sum(axis=(1, 2, 3)).mean()))
    largest = max(errors) or 1.0
    curves = {
        "share of test images with the same answer": same,
        f"squared error, of {largest:.3g}": [error / largest for error in errors],
    }
    title = f"{saved.data.name}, layer {layer}: one decoder for every alpha"
    yield from plots.alpha_frames(
        shown.images, decoded, answers, curves, shown.titles, marked=shown.wrong, title=title
    )
