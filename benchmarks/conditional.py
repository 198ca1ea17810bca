"""One decoder for every alpha beside one for each alpha: how good, and at what cost.

    python benchmarks/conditional.py
    python benchmarks/conditional.py --datasets mnist --layers dense --alphas 1 --seeds 0 1 2 3 4 5

Trains both with each seed on the frozen classifiers that create_models.py left in `--models`, and
prints the mean total loss on the test images at each alpha. Both kinds must be in `--models`,
whose records say how often they saw the training images. Results are kept as those of
`quality.py`, so a run that was stopped goes on. Then some steps of each kind are timed, in turn, in
processor time, which other programs on the machine disturb little. Three seeds take an hour.
"""

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import quality
import sweep

from cladec import models
from cladec.commands import main as command_line
from cladec.models import classifiers, recipes
from cladec.models.conditional import fit_conditional
from cladec.parallel.processes import Workers, default_workers
from cladec.progress import OnProgress, Progress


@dataclass(frozen=True)
class Comparison:
    """Compare one decoder for every alpha with one for each."""

    datasets: tuple[str, ...] = ("mnist", "fashion_mnist")
    """What to train on."""
    layers: tuple[str, ...] = ("dense", "conv")
    """Layers to decode."""
    alphas: tuple[float, ...] = recipes.ALPHAS
    """Alphas at which both are measured."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One training of each for each seed."""
    models: Path = Path("saved-models")
    """Folder of trained models: the frozen classifiers are those there."""
    results: Path = Path("benchmarks/conditional.csv")
    """Where results are kept."""
    workers: int = field(default_factory=default_workers)
    """How many models are trained at once."""
    images: int = 12_800
    """Training images of each timed fit."""
    rounds: int = 3
    """How often the steps of each kind are timed, in turn; the least time counts."""


@dataclass(frozen=True)
class Timed:
    """A kind of decoder whose steps are timed; alpha None is the one for every alpha."""

    layer: str
    alpha: float | None
    images: int
    passes: float

    @property
    def title(self) -> str:
        """As progress shows it."""
        return f"{self.layer} alpha {'every' if self.alpha is None else self.alpha}"


def time_of(timed: Timed, report: OnProgress) -> float:
    """Microseconds of processor time that a training image takes in all epochs of the recipe."""
    data, timer = sweep.random_data(timed.images), sweep.StepTimer(time.process_time)
    kind = "conditional" if timed.alpha is None else "cladec"
    recipe = quality.our_recipe(kind).with_changes(1, sweep.RECIPES[kind].batch_size)
    options = {"recipe": recipe, "callbacks": [timer]}
    own = classifiers.build_classifier((28, 28, 1), 10)
    if timed.alpha is None:
        fit_conditional(own, timed.layer, data, **options)
    else:
        models.fit_cladec(own, timed.layer, data, alpha=timed.alpha, **options)
    return timer.microseconds(recipe.batch_size) * timed.passes


def passes_of(layer: str, alpha: float | None, saved: Path) -> float:
    """How often such a decoder saw the training images, by the records of create_models.py."""
    wanted = {"layer": layer, "fraction": 1.0, "model": "cladec"}
    wanted |= {"decoder": "plain", "alpha": alpha}
    if alpha is None:
        wanted |= {"decoder": "conditional"}
    return sweep.passes(saved, lambda run: (run | wanted) == run)


def costs(comparison: Comparison, progress: Progress) -> pd.DataFrame:
    """The least times of each layer, and what one decoder for every alpha costs.

    `one` is a decoder for a single alpha, the mean over the alphas; alpha 0 takes less time, since
    its loss does not ask the classifier.
    """
    kinds = (None, 0.0, 0.5)
    todo = [
        Timed(layer, alpha, comparison.images, passes_of(layer, alpha, comparison.models))
        for layer, _, alpha in itertools.product(comparison.layers, range(comparison.rounds), kinds)
    ]
    times: dict[tuple, float] = {}
    progress.begin(len(todo))
    with Workers(time_of, comparison.workers, progress) as workers:
        for timed, value in workers.run(todo):
            kind = timed.layer, timed.alpha
            times[kind] = min(value, times.get(kind, np.inf))
    rows = []
    for layer in comparison.layers:
        one = np.mean([times[layer, 0.5 if alpha else 0.0] for alpha in comparison.alphas])
        every = times[layer, None]
        rows.append({"layer": layer, "one": one, "every": every, "ratio": every / one})
    return pd.DataFrame(rows).set_index("layer")


def measured(comparison: Comparison, progress: Progress) -> pd.DataFrame:
    """The results of both kinds on all datasets, those missing being trained."""
    shared = {
        name: getattr(comparison, name)
        for name in ("layers", "alphas", "seeds", "models", "results", "workers")
    }
    tables = [
        quality.compare(
            quality.Quality(dataset, recipes=("ours", "conditional"), **shared), progress
        )
        for dataset in comparison.datasets
    ]
    table = pd.concat(tables)
    asked = {"layer": comparison.layers, "alpha": comparison.alphas, "seed": comparison.seeds}
    for name, values in asked.items():  # the file may hold others as well
        table = table[table[name].isin(values)]
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean losses over seeds of both kinds, and by how much the total of one for every differs."""
    by = ["dataset", "layer", "alpha"]
    table = table.replace({"recipe": {"ours": "one", "conditional": "every"}})
    means = table.pivot_table(index=by, columns="recipe", values=list(quality.MEASURES))
    result = means.reindex(columns=itertools.product(quality.MEASURES, ("one", "every")))
    result.columns = [f"{measure.removesuffix('_loss')} {kind}" for measure, kind in result.columns]
    seeds = table[table["recipe"] == "every"].groupby(by)["seed"].nunique()
    difference = result["total every"] / result["total one"] - 1.0
    return result.assign(difference=100.0 * difference, seeds=seeds)


if __name__ == "__main__":
    settings = command_line.settings(Comparison, description=__doc__)
    with Progress() as progress:
        table = measured(settings, progress)
        times = costs(settings, progress)
    print(summary(table).to_string(float_format=lambda value: f"{value:.4g}"))
    print(times.to_string(float_format=lambda value: f"{value:.3g}"))
