"""`cladec compare`: rank explanation methods by how far they can be trusted."""

import shlex
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import data, plots
from cladec.commands.classifier import load_classifier
from cladec.commands.console import Complain, complaints, print_all, show, suggest
from cladec.commands.settings import Comparison
from cladec.data.arrays import drawn_rows
from cladec.errors import InputError, InputWarning
from cladec.experiments.saved_models import SavedClassifier
from cladec.metrics import bootstrap, effects_of_methods, robustness
from cladec.metrics.measures import MEASURES
from cladec.metrics.ranking import FLOOR, rank
from cladec.metrics.robustness import MapMaker
from cladec.models.predictions import named
from cladec.progress import OnProgress, Progress, in_words
from cladec.storage import model_files
from cladec.storage.outputs import save_figure
from cladec.storage.tables import write_table

SHOWN = 6
"""The number of images whose maps are drawn in addition to the ranking."""

FIRST = 4
"""The number of images by which the time of the others is measured, after as many to warm up."""


def run(settings: Comparison) -> None:
    """Rank explainers, and print the ranks and the files written."""
    with complaints() as complain:
        with Progress() as progress:
            table, files = compare(settings, progress, complain)
        show(ranking_text(table))
        print_all(files)
        ranking = shlex.quote(str(settings.out / "ranking.csv"))
        suggest(f"cladec report --models {shlex.quote(str(settings.models))} --ranking {ranking}")


def ranking_text(table: pd.DataFrame) -> str:
    """Return the ranking of every measure as text of at most 80 columns, with what it means."""
    width = max(map(len, table["method"]))
    lines = []
    for (question, measure), rows in table.groupby(["question", "measure"], sort=False):
        better = "higher" if rows["higher_is_better"].iloc[0] else "lower"
        subject = question if question == measure else f"{question}: {measure}"
        lines += [f"{subject} ({better} is better)"]
        letters = max(5, *map(len, rows["group"]))
        head = f"rank  {'group':<{letters}}  {'method':<{width}}  {'mean':>6}  95 % interval"
        lines += [f"{head:<{36 + letters + width}}than random"]
        for row in rows.itertuples():
            interval = f"{row.low:.3f} to {row.high:.3f}"
            lines += [
                f"{row.rank:>4}  {row.group:<{letters}}  {row.method:<{width}}  {row.mean:>6.3f}"
                f"  {interval:<16}  {row.than_random}".rstrip()
            ]
        lines += [""]
    count = table["images"].iloc[0]
    meaning = (
        f"Methods that share a letter are not told apart by these {count} images (paired tests, "
        "bootstrap over images, Holm's correction, 5 %). The rank is 1 and the number of methods "
        f"that are shown to be better. {FLOOR} is a map of random numbers. The three questions are "
        "ranked apart: faithfulness, robustness, and dependence on the trained classifier "
        "(randomisation)."
    )
    return "\n".join([*lines, *wrap(meaning, 80)])


def compare(
    settings: Comparison, progress: Progress, complain: Complain
) -> tuple[pd.DataFrame, list[Path]]:
    """Measure all methods on the same test images, rank them, and save tables and figures.

    Args:
        settings: the methods and images to compare.
        progress: the display that shows each method.
        complain: is called for a method that cannot be used; the others are still compared.

    Returns:
        The ranking, the first table of `rank`, and the files written.

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
    table, pairs = rank(values, settings.seed)
    figure = plots.ranking(table, floor=FLOOR, title=f"{saved.data.name}, {len(images)} images")
    grid = _explanations(saved, rows[:SHOWN], maps, targets)
    checksum = model_files.checksum(settings.model)
    files = [write_table(table.assign(classifier_sha256=checksum), out / "ranking.csv")]
    files.append(write_table(pairs, out / "pairs.csv"))
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
        """Return the values (N,) by method and measure, and the maps by method, where possible.

        Of many images the time that they will take is announced first.
        """
        values, maps = {}, {}
        if len(self.images) >= 5 * FIRST:
            self.announce(progress)
        progress.begin(len(self.methods))
        for method in self.methods:
            with progress.step(method) as report:
                try:
                    maps[method], values[method] = self.one_method(method, report)
                except InputError as error:
                    complain(error)
        return values, maps

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods to compare, and the random map."""
        return (*self.settings.distinct_methods, FLOOR)

    def announce(self, progress: Progress) -> None:
        """Measure every method on the first images, and say how long all of them will take."""
        progress.begin(1)
        seconds = 0.0
        with progress.step(f"the first {2 * FIRST} images, to tell the time") as report:
            for done, method in enumerate(self.methods):
                report(done / len(self.methods), {})
                seconds += self.seconds(method) / FIRST * len(self.images)
        progress.say(
            f"{len(self.images)} images will take at most about {in_words(seconds)}; fewer with "
            "--images, and fewer --measures or --methods, take less"
        )

    def seconds(self, method: str) -> float:
        """Return the seconds that a method takes for `FIRST` images once graphs are compiled.

        None for a method that cannot be used, which is told when it has its turn.
        """
        taken = 0.0
        for begin in (0, FIRST):
            few = slice(begin, begin + FIRST)
            part = replace(self, images=self.images[few], targets=self.targets[few])
            start = time.perf_counter()
            with suppress(InputError), warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)
                part.one_method(method, lambda share, values: None)
            taken = time.perf_counter() - start
        return taken

    def one_method(
        self, method: str, report: OnProgress
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the maps of a method, and its values (N,) by measure."""
        make = self.map_maker(method)
        maps = make(self.saved.classifier, self.images, self.targets)
        with warnings.catch_warnings():  # these maps caused the same warnings
            warnings.simplefilter("ignore", InputWarning)
            return maps, self.measure(method, make, maps, report)

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
