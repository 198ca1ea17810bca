"""`cladec compare`: rank explanation methods by how far they can be trusted."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import data, plots
from cladec.commands.classifier import load_classifier
from cladec.commands.console import Complain, complaints, print_all, show
from cladec.commands.settings import Comparison
from cladec.data.arrays import drawn_rows
from cladec.errors import InputError, InputWarning
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics import bootstrap, effects_of_methods, robustness
from cladec.metrics.measures import MEASURES
from cladec.metrics.ranking import rank
from cladec.metrics.robustness import MapMaker
from cladec.models.predictions import named
from cladec.progress import OnProgress, Progress
from cladec.storage import model_files
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

FLOOR = "random"
"""The method whose map consists of random numbers."""

SHOWN = 6
"""The number of images whose maps are drawn in addition to the ranking."""


def run(settings: Comparison) -> None:
    """Rank explainers, and print the ranks and the files written."""
    with complaints() as complain:
        with Progress() as progress:
            table, files = compare(settings, progress, complain)
        measures = table["measure"].unique()
        wide = table.pivot(index="method", columns="measure", values="mean")[measures]
        show(wide.sort_values("mean_rank").to_string(float_format=lambda value: f"{value:.3f}"))
        print_all(files)


def compare(
    settings: Comparison, progress: Progress, complain: Complain
) -> tuple[pd.DataFrame, list[Path]]:
    """Measure all methods on the same test images, rank them, and save tables and figures.

    Args:
        settings: the methods and images to compare.
        progress: the display that shows each method.
        complain: is called for a method that cannot be used; the others are still compared.

    Returns:
        The table of `rank`, and the files written.

    Raises:
        InputError: if the settings, the model or the data are wrong.
    """
    settings.check()
    saved = load_classifier(settings, data.load(settings.dataset), progress, decoded=True)
    test, out = saved.data.test, settings.out
    rows = drawn_rows(len(test.images), settings.images, settings.seed)
    images = test.images[rows]
    targets = saved.logits(images).argmax(axis=1)
    measured = _Comparing(settings, saved, images, targets)
    values, maps = measured.all_methods(progress, complain)
    table = rank(values, settings.seed)
    figure = plots.ranking(table, floor=FLOOR, title=f"{saved.data.name}, {len(images)} images")
    grid = _explanations(saved, rows[:SHOWN], maps, targets)
    checksum = model_files.checksum(settings.model)
    files = [write_table(table.assign(classifier_sha256=checksum), out / "ranking.csv")]
    files.append(save_figure(figure, out / "ranking.png"))
    files.append(save_figure(grid, out / "explanations.png"))
    fidelity = decoded_fidelity(saved, images, settings.seed)
    if len(fidelity):
        files.append(write_table(fidelity, out / "fidelity.csv"))
    return table, files


def _explanations(
    saved: SavedClassifier, rows: np.ndarray, maps: dict[str, np.ndarray], targets: np.ndarray
) -> Figure:
    """Draw the maps of the first test images that were compared."""
    count, names = len(rows), saved.class_names
    images, labels = saved.data.test.images[rows], saved.data.test.labels[rows]
    first = {method: of_method[:count] for method, of_method in maps.items()}
    true = [named(label, names) for label in labels]
    predicted = [names[target] for target in targets[:count]]
    return plots.explanation_grid(
        images,
        first,
        [" - ".join(pair) for pair in zip(true, predicted, strict=True)],
        effects=effects_of_methods(saved.classifier, images, first, targets[:count]),
        marked=[one != other for one, other in zip(true, predicted, strict=True)],
    )


@dataclass(frozen=True, eq=False)
class _Comparing:
    """The images on which every method is measured, and the class to explain in each."""

    settings: Comparison
    saved: SavedClassifier
    images: np.ndarray
    targets: np.ndarray

    def all_methods(
        self, progress: Progress, complain: Complain
    ) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
        """Return the values (N,) by method and measure, and the maps by method, where possible."""
        values, maps = {}, {}
        methods = (*self.settings.distinct_methods, FLOOR)
        progress.begin(len(methods))
        for method in methods:
            with progress.step(method) as report:
                make = self.map_maker(method)
                try:
                    of_method = make(self.saved.classifier, self.images, self.targets)
                    with warnings.catch_warnings():  # these maps caused the same warnings
                        warnings.simplefilter("ignore", InputWarning)
                        values[method] = self.measure(method, make, of_method, report)
                    maps[method] = of_method
                except InputError as error:
                    complain(error)
        return values, maps

    def map_maker(self, method: str) -> MapMaker:
        """Return the method as a function of (model, images, targets)."""
        if method == FLOOR:
            return robustness.random_explainer(self.settings.seed)

        def make(model, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
            return self.saved.explain(
                images,
                method=method,
                targets=targets,
                layer=self.settings.layer,
                grid=self.settings.grid,
                alpha=self.settings.alpha,
                seed=self.settings.seed,
                model=None if model is self.saved.classifier else model,
            )

        return make

    def measure(
        self, method: str, make: MapMaker, maps: np.ndarray, report: OnProgress
    ) -> dict[str, np.ndarray]:
        """Compute the chosen measures of one method, with one value per image."""
        wanted = {name: row for name, row in MEASURES.items() if name in self.settings.measures}
        if method == "cladec":  # its decoder fits only the trained classifier
            wanted = {name: row for name, row in wanted.items() if not row.changes_model}
        given = (make, self.saved.classifier, self.images, maps, self.targets)
        values: dict[str, np.ndarray] = {}
        for done, (name, row) in enumerate(wanted.items(), start=1):
            report(done / (len(wanted) + 1), {})
            values[name] = row(*given, seed=self.settings.seed)
        return values


def decoded_fidelity(saved: SavedClassifier, images: np.ndarray, seed: int) -> pd.DataFrame:
    """Measure how often the classifier sees the same class in an image that a ClaDec decoded.

    Of a classifier that answers for labels, each label counts.

    Returns:
        One row per ClaDec of this classifier in the folder of models: layer, alpha, fidelity (a
        share in [0, 1]), low and high (95 % confidence interval). Without a ClaDec, no row.
    """
    rows, answers = [], saved.predictions(saved.logits(images))
    for run in saved.decoders:
        same = saved.predictions(saved.logits(saved.decode(run, images))) == answers
        same = same.reshape(len(images), -1).mean(axis=1)
        drawn = bootstrap.resampled_means(same, seed=seed)
        low, high = bootstrap.interval(drawn)
        about = {"layer": run.layer, "alpha": run.alpha}
        rows.append(about | {"fidelity": same.mean(), "low": low, "high": high})
    return pd.DataFrame(rows)
