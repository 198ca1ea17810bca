"""`cladec explain`: save a figure of all methods, and their arrays, for each image file."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cladec import data, plots
from cladec.commands.class_names import find_class_names
from cladec.commands.classifier import explain_all, load_classifier
from cladec.commands.console import Complain, complaints, print_all, suggest
from cladec.commands.settings import Explanation
from cladec.data.image_folder import read_image, read_pixels
from cladec.errors import InputError
from cladec.experiments.saved_models import SavedClassifier
from cladec.explainers.inputs import resolve_targets
from cladec.metrics import effects_of_methods
from cladec.models import cutting
from cladec.progress import Progress
from cladec.storage.outputs import save_arrays, save_figure
from cladec.text import LONGEST_NAME, shortened

TOLD = 3
"""The number of classes of each image that are printed."""


def run(settings: Explanation) -> None:
    """Explain image files and print the files written."""
    with complaints() as complain:
        with Progress() as progress:
            files = explain_files(settings, progress, complain)
        print_all(files)
        if not files:
            return
        model = shlex.quote(str(settings.model))
        dataset = shlex.quote(settings.dataset or "FOLDER")
        suggest(f"cladec compare --model {model} --dataset {dataset}")


def explain_files(settings: Explanation, progress: Progress, complain: Complain) -> list[Path]:
    """Explain the images, and save a figure (.png) and the arrays (.npz) of each.

    Args:
        settings: the images to explain, and how to explain them.
        progress: the display that shows each method.
        complain: is called for an image or a method that cannot be used; the others are still done.

    Returns:
        The files written.

    Raises:
        InputError: if the settings, the model or the class are wrong.
    """
    settings.check()
    dataset = None if settings.dataset is None else data.load(settings.dataset)
    decoded, shape = "cladec" in settings.methods, _first_shape(settings.images)
    saved = load_classifier(settings, dataset, progress, decoded=decoded, shape=shape)
    images = _read(settings, cutting.image_shape(saved.classifier), complain)
    if not images:
        return []
    stack = np.stack(list(images.values()))
    has_data = dataset is not None
    names = find_class_names(saved, settings.class_names, named=has_data, progress=progress)
    _tell_predictions(list(images), saved.probabilities(stack), names, progress)
    targets, titles = _targets(saved, stack, settings.target, names)
    maps = explain_all(saved, settings, stack, targets, progress, complain)
    effects = effects_of_methods(saved.classifier, stack, maps, targets) if maps else {}
    files = []
    for i, name in enumerate(images if maps else ()):
        figure = plots.side_by_side(
            stack[i],
            {method: arrays[i] for method, arrays in maps.items()},
            titles[i],
            effects={method: of_method.of_image(i) for method, of_method in effects.items()},
        )
        arrays = {"image": stack[i], "target": np.array(targets[i])}
        arrays |= {method: of_method[i] for method, of_method in maps.items()}
        try:
            files += _save(settings.out / name, figure, arrays)
        except InputError as error:
            complain(error)
    return files


def _first_shape(paths: tuple[Path, ...]) -> tuple[int, ...] | None:
    """Return the shape of the first image that can be read, None if none can."""
    for path in paths:
        with suppress(InputError):
            return read_pixels(path).shape
    return None


def _read(
    settings: Explanation, shape: tuple[int, int, int], complain: Complain
) -> dict[str, np.ndarray]:
    """Read the images that can be read, by the names of their output files."""
    images = {}
    for path, name in zip(settings.images, _names(settings.images), strict=True):
        try:
            images[name] = read_image(path, shape, resize=settings.resize)
        except InputError as error:
            complain(error)
    return images


def _tell_predictions(
    images: Sequence[str],
    probabilities: np.ndarray,
    names: Sequence[str],
    progress: Progress,
) -> None:
    """Print the most probable classes of each image with their probabilities."""
    for image, of_image in zip(images, probabilities, strict=True):
        best = np.argsort(-of_image, kind="stable")[:TOLD]
        classes = ", ".join(f"{names[k]} {of_image[k]:.1%}" for k in best)
        progress.say(f"{image}: {classes}")


def _targets(
    saved: SavedClassifier, images: np.ndarray, target: int | None, names: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Return the class to explain in each image, and titles, the class and its probability."""
    targets = resolve_targets(saved.scores, images, target)
    shares = saved.probabilities(images)[np.arange(len(images)), targets]
    titles = [f"{names[k]}\n{share:.0%}" for k, share in zip(targets, shares, strict=True)]
    return targets, titles


def _save(path: Path, figure: Figure, arrays: dict[str, np.ndarray]) -> list[Path]:
    return [
        save_figure(figure, path.with_name(f"{path.name}.png")),
        save_arrays(path.with_name(f"{path.name}.npz"), arrays),
    ]


def _names(paths: tuple[Path, ...]) -> list[str]:
    """Name the output files of each image after it, with a number if the name occurred before."""
    names: list[str] = []
    for path in paths:
        name, number = shortened(path.stem, LONGEST_NAME - len(".png")), 1
        while name in names:
            number += 1
            name = shortened(f"{path.stem}-{number}", LONGEST_NAME - len(".png"))
        names.append(name)
    return names
