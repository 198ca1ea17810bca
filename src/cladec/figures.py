"""Saved models -> the pictures of a first look, one grid and one set of curves per dataset."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import artifacts, batches, plots
from cladec.recipes import alpha_text
from cladec.sweep import Material, Run

COLUMNS = 5
"""Correctly classified images of a grid, and as many wrongly classified ones."""


def save_figures(runs: list[Run], table: pd.DataFrame, models: Path, folder: Path) -> list[Path]:
    """Draw and save every figure of a first look.

    Args:
        runs: the saved runs, from `saved_runs`.
        table: the tidy table of their measures.
        models: folder of the trained models.
        folder: where the PNG files go.

    Returns:
        The files written.
    """
    files = []
    for dataset in dict.fromkeys(run.dataset for run in runs):
        of_dataset = [run for run in runs if run.dataset == dataset and run.repeat == 0]
        material = Material(of_dataset[0], models)
        images, titles, wrong = choose_images(material)
        for layer in dict.fromkeys(run.layer for run in of_dataset if run.layer):
            of_layer = [run for run in of_dataset if run.layer == layer]
            rows = decoded_rows(of_layer, models, images)
            figure = plots.image_grid(rows, titles, marked=wrong)
            name = f"{material.data.name}-{layer.replace('/', '.')}-reconstructions.png"
            files.append(save(figure, folder / name))
        measures = table[table["dataset"] == material.data.name]
        figure = plots.measures_over_alpha(measures, title=material.data.name)
        files.append(save(figure, folder / f"{material.data.name}-measures.png"))
    return files


def choose_images(material: Material) -> tuple[np.ndarray, list[str], list[bool]]:
    """Test images that the classifier gets right, then some that it gets wrong.

    Returns:
        The images, their titles "true - predicted", and which are wrong.
    """
    test, names = material.data.test, material.data.class_names
    predicted = batches.predict(material.classifier, test.images).argmax(axis=1)
    right = _of_each_class(np.flatnonzero(predicted == test.labels), test.labels)
    wrong = _of_each_class(np.flatnonzero(predicted != test.labels), test.labels)
    chosen = [*right[:COLUMNS], *wrong[:COLUMNS]]
    titles = [f"{names[test.labels[i]]} - {names[predicted[i]]}" for i in chosen]
    return test.images[chosen], titles, [bool(predicted[i] != test.labels[i]) for i in chosen]


def _of_each_class(indices: np.ndarray, labels: np.ndarray) -> list[int]:
    """The indices in their order, but first the first of every class."""
    _, firsts = np.unique(labels[indices], return_index=True)
    return [*indices[firsts], *np.delete(indices, firsts)]


def decoded_rows(runs: list[Run], models: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of a grid: the originals, then what each model of a layer makes of them."""
    rows = {"original": images}
    for run in runs:
        name = "RefAE" if run.alpha is None else f"ClaDec {alpha_text(run.alpha)}"
        rows[name] = batches.predict(artifacts.load(run.path(models)), images)
    return rows


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all, and return `path`."""
    artifacts.write(path, lambda file: figure.savefig(file))
    return path
