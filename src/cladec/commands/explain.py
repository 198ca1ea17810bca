"""`cladec explain`: image files -> a figure of all methods side by side, and their arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cladec import data
from cladec.data import image_folder
from cladec.errors import InputError
from cladec.experiments import subject
from cladec.experiments.subject import Complain, Subject
from cladec.progress import Progress
from cladec.storage import model_files
from cladec.text import LONGEST_NAME, shortened


@dataclass(frozen=True)
class Explanation:
    """Explain what a classifier answers to images: a figure of all methods for each of them."""

    model: Path
    """The classifier, a .keras file. Code in it is never executed."""
    images: tuple[Path, ...]
    """Image files, of the size that the model takes."""
    methods: tuple[str, ...] = subject.METHODS
    """Names of explainers; a wrong one is answered with a list of all."""
    target: int | None = None
    """The class to explain, a number from 0; without it the class predicted for each image."""
    layer: str | None = None
    """For methods that look at a layer; without it each chooses its own."""
    resize: bool = False
    """Resize images that are not of the model's size, proportions not kept."""
    dataset: str | None = None
    """What the model was trained on: gives class names, and training images to SHAP and Anchors
    for comparison."""
    models: Path = Path("saved-models")
    """Folder of trained models, for the method cladec: with a ClaDec and a RefAE of --model."""
    alpha: float | None = None
    """Which ClaDec to take; without it that of the smallest alpha."""
    seed: int = 0
    """Of all random numbers."""
    out: Path = Path("explanations")
    """Folder for a .png and an .npz of each image."""

    def check(self) -> None:
        """Find what is wrong with the settings, without TensorFlow.

        Raises:
            InputError: no image, an unknown method or dataset, a folder that cannot be written.
        """
        subject.check_methods(self.methods)
        if not self.images:
            raise InputError("--images is empty: name at least one file")
        if self.dataset is not None:
            data.check_name(self.dataset)
        model_files.check_writable(self.out)


def explain_files(explanation: Explanation, progress: Progress, complain: Complain) -> list[Path]:
    """Explain the images and save a figure (.png) and the arrays (.npz) of each.

    Args:
        explanation: the settings.
        progress: told of each method.
        complain: called for an image or a method that cannot be used; the others are still done.

    Returns:
        The files written.

    Raises:
        InputError: nothing can be done at all: the settings, the model or the class are wrong.
    """
    explanation.check()
    methods = subject.check_methods(explanation.methods)
    dataset = None if explanation.dataset is None else data.load(explanation.dataset)
    explained = subject.load_subject(
        explanation.model,
        methods,
        layer=explanation.layer,
        seed=explanation.seed,
        data=dataset,
        models=explanation.models,
        alpha=explanation.alpha,
        progress=progress,
    )
    shape = explained.image_shape
    images = {}
    for path, name in zip(explanation.images, _names(explanation.images), strict=True):
        try:
            images[name] = read_image(path, shape, resize=explanation.resize)
        except InputError as error:
            complain(error)
    if not images:
        return []
    stack = np.stack(list(images.values()))
    targets, titles = _targets(explained, stack, explanation.target, dataset)
    maps = explained.explain_all(methods, stack, targets, progress, complain)
    files = []
    for i, name in enumerate(images if maps else ()):
        of_image = {method: arrays[i] for method, arrays in maps.items()}
        try:
            files += _save(explanation.out / name, stack[i], of_image, titles[i], targets[i])
        except InputError as error:
            complain(error)
    return files


def _targets(
    explained: Subject, images: np.ndarray, target: int | None, dataset: data.Dataset | None
) -> tuple[np.ndarray, list[str]]:
    """The class to explain of each image, and a title that names it and its probability."""
    from cladec.explainers.inputs import resolve_targets
    from cladec.explainers.scores import logits_model

    logits = logits_model(explained.model)
    targets = resolve_targets(logits, images, target)
    probabilities = logits.probabilities(images)
    names = subject.class_names(explained.model, dataset)
    shares = probabilities[np.arange(len(images)), targets]
    titles = [f"{names[k]} ({share:.0%})" for k, share in zip(targets, shares, strict=True)]
    return targets, titles


def _save(
    path: Path, image: np.ndarray, explanations: dict[str, np.ndarray], title: str, target: int
) -> list[Path]:
    from cladec import plots
    from cladec.experiments import figures

    figure = plots.side_by_side(image, explanations, title)
    arrays = {"image": image, "target": np.array(target), **explanations}
    return [
        figures.save(figure, path.with_name(f"{path.name}.png")),
        save_arrays(path.with_name(f"{path.name}.npz"), arrays),
    ]


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays as `.npz`, whole or not at all, and return `path`."""

    def writer(file: Path) -> None:
        with file.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    model_files.write(path, writer)
    return path


def _names(paths: tuple[Path, ...]) -> list[str]:
    """A name for the files of each image: its own, with a number where it was there before."""
    names: list[str] = []
    for path in paths:
        name, number = shortened(path.stem, LONGEST_NAME - len(".png")), 1
        while name in names:
            number += 1
            name = shortened(f"{path.stem}-{number}", LONGEST_NAME - len(".png"))
        names.append(name)
    return names


def read_image(path: Path, shape: tuple[int, int, int], *, resize: bool = False) -> np.ndarray:
    """Read an image as a model takes it, turned as EXIF says.

    Grey becomes colour where the model takes colour; colour becomes grey only where it is grey.

    Args:
        path: of the file.
        shape: (H, W, C) that the model takes.
        resize: to this height and width, proportions not kept; else another size is an error.

    Returns:
        (H, W, C) float32 in [0, 1].

    Raises:
        InputError: no single opaque image, of another size, colour for a grey model, or a picture
            of floats with values that are NaN or outside [0, 1]; the file is named.
    """
    pixels = image_folder.fractions(image_folder.read_pixels(path))
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN fails both comparisons
        raise InputError(
            f"{path} holds values from {pixels.min():g} to {pixels.max():g}: expected 0 to 1"
        )
    pixels = _convert(path, pixels, shape[2])
    if pixels.shape == tuple(shape):
        return pixels
    if not resize:
        raise InputError(
            f"{path} is {pixels.shape[1]} wide and {pixels.shape[0]} high, the model takes "
            f"{shape[1]} x {shape[0]}: resize it, or let --resize do it"
        )
    return _resized(pixels, shape[1], shape[0])


def _convert(path: Path, pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels with the channels that a model takes, where no colour is lost."""
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] == 1 and channels == 3:
        return np.repeat(pixels, 3, axis=2)
    if channels == 1 and (pixels == pixels[..., :1]).all():
        return pixels[..., :1]
    raise InputError(
        f"{path} has {pixels.shape[2]} channels, the model takes {channels}: convert it as the "
        "training images were"
    )


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    from PIL import Image

    # Bilinear stays in range, and Pillow averages over the area where it reduces.
    planes = [
        Image.fromarray(pixels[..., c]).resize((width, height), Image.Resampling.BILINEAR)
        for c in range(pixels.shape[2])
    ]
    return np.clip(np.stack([np.asarray(plane) for plane in planes], axis=-1), 0, 1)
