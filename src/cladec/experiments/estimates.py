"""How long the models of a sweep will take to train, and how much memory, before it begins."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from cladec.errors import InputError
from cladec.experiments.runs import Run
from cladec.models import plateau
from cladec.progress import in_words
from cladec.storage import model_files

IMAGES = {"digits": (1_437, 360), "mnist": (60_000, 10_000), "fashion_mnist": (60_000, 10_000)}
"""The training and test images of the datasets whose size is known before they are read."""

SECONDS = 230e-6
"""What a 28x28 grey image takes in one pass on one of two cores: 761 s for the 6.6 million of the
whole sweep with two workers, on 2026-11-21."""

START = 3.0
"""The seconds of a model that do not depend on the number of images: its graph is compiled."""

GIB = 2**30

PROCESS = 1.0 * GIB
"""The memory of a process that trains a small network on few images."""

OF_A_PIXEL = 16
"""The bytes for each pixel of a dataset: 3.8 GiB for two workers with 70,000 images of 28x28."""


def plan_line(todo: Collection[Run], runs: Sequence[Run], models: Path, workers: int | None) -> str:
    """Return what is to come: models to train, those that are skipped, time and memory.

    Args:
        todo: the runs to train.
        runs: all runs of the sweep that are trained here.
        models: the folder of models; how long those in it took tells how long others will.
        workers: the models trained at once; 0 stands for one, None for a number that is not known.
    """
    parts, kept = [], len(runs) - len(todo)
    if todo:
        many = 0 if workers is None else max(1, min(workers, len(todo)))
        told = " and ".join(_told(todo, runs, models, many)) if many else ""
        about = f"about {told}" if told else "the time left is shown as it goes"
        parts.append(f"{len(todo)} {'model' if len(todo) == 1 else 'models'} to train, {about}")
    if kept:
        parts.append(f"{kept} of {len(runs)} models are trained already and are skipped")
    return "; ".join(parts)


def _told(todo: Collection[Run], runs: Sequence[Run], models: Path, workers: int) -> Iterator[str]:
    """Yield the time and the memory in words, where they can be told."""
    if (seconds := _seconds(todo, runs, models)) is not None:
        yield in_words(seconds / workers)
    if (memory := _memory(todo, workers)) is not None:
        yield f"{memory / GIB:.1f} GiB of memory"


def _seconds(todo: Collection[Run], runs: Sequence[Run], models: Path) -> float | None:
    """Estimate the seconds of training, one model after the other; None if nothing tells them."""
    known = _recorded(runs, todo, models)
    total = 0.0
    for run in todo:
        if _kind(run) in known:
            total += float(np.mean(known[_kind(run)]))
        elif run.given is None and run.dataset in IMAGES:
            count = IMAGES[run.dataset][0]
            total += START + SECONDS * _images_seen(run, count)
        else:
            return None
    return total


def _images_seen(run: Run, count: int) -> float:
    """Return how many images a model sees; until a plateau, usually twice the least."""
    most = count * run.recipe.epochs_for(count)
    if not run.recipe.tolerance:
        return most
    rounds = 2 * plateau.WINDOW * (1 + plateau.DECAY)
    return min(most, 2 * rounds * plateau.images_a_round(count))


def _recorded(
    runs: Sequence[Run], todo: Collection[Run], models: Path
) -> dict[tuple[str, str, str | None, int], list[float]]:
    """Return the seconds that trained models took, by what they have in common with others."""
    known = defaultdict(list)
    for run in (run for run in runs if run not in todo):
        try:
            record = model_files.read_json(model_files.record_path(run.path(models)))
        except InputError:  # it is verified elsewhere
            continue
        if isinstance(seconds := record.get("seconds"), (int, float)):
            known[_kind(run)].append(float(seconds))
    return known


def _kind(run: Run) -> tuple[str, str, str | None, int]:
    return run.dataset, run.model, run.layer, run.recipe.epochs


def _memory(todo: Collection[Run], workers: int) -> float | None:
    """Estimate the bytes of all processes; None where the images are of an unknown size."""
    if any(run.given is not None or run.dataset not in IMAGES for run in todo):
        return None
    most = max(sum(IMAGES[run.dataset]) for run in todo)
    return workers * (PROCESS + OF_A_PIXEL * 784 * most)
