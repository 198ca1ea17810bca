"""`cladec compare`: which explanation to trust, in a table and a figure that rank the methods."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from cladec import data
from cladec.errors import InputError, InputWarning, check_at_least_one
from cladec.experiments import subject
from cladec.experiments.subject import Complain, Subject
from cladec.models import loading
from cladec.progress import OnProgress, Progress
from cladec.storage import model_files
from cladec.storage.tables import write_table

if TYPE_CHECKING:
    import pandas as pd

    from cladec.metrics.robustness import MapMaker

Measure = Literal["deletion", "insertion", "mu_fidelity", "stability", "randomisation"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
HIGHER_IS_BETTER = ("insertion", "mu_fidelity")

FLOOR = "random"
"""The name of the map of random numbers among the methods."""

RANK = "mean_rank"
"""The name of the mean rank among the measures."""

SHOWN = 6
"""Images whose maps are drawn beside the ranking."""


@dataclass(frozen=True)
class Comparison:
    """Measure how far the explanations of a classifier can be trusted, and rank the methods."""

    model: Path
    """The classifier, a .keras file. Code in it is never executed."""
    dataset: str
    """digits (built in), any TensorFlow Datasets name, or a folder with train/<class>/*.png and
    test/<class>/*.png."""
    methods: tuple[str, ...] = subject.METHODS
    """Names of explainers to compare; random maps are always among them, as the floor."""
    measures: tuple[Measure, ...] = MEASURES
    """What to rank by. Stability explains every image five times more, randomisation once more."""
    images: int = 100
    """Test images to explain, drawn at random."""
    layer: str | None = None
    """For methods that look at a layer; without it each chooses its own."""
    models: Path = Path("saved-models")
    """Folder of trained models. Where it has a ClaDec of --model, how its decoded images do on the
    classifier (fidelity) is told as well."""
    alpha: float | None = None
    """Which ClaDec the method cladec takes; without it that of the smallest alpha."""
    seed: int = 0
    """Of all random numbers."""
    out: Path = Path("comparison")
    """Folder for the tables and figures."""

    def check(self) -> None:
        """Find what is wrong with the settings, without TensorFlow.

        Raises:
            InputError: an unknown method or dataset, a number out of range, a folder that cannot be
                written.
        """
        subject.check_methods(self.methods, maps_only=True)
        check_at_least_one("images", self.images)
        if not self.measures:
            raise InputError("--measures is empty: name at least one")
        data.check_name(self.dataset)
        model_files.check_writable(self.out)


def compare(
    comparison: Comparison, progress: Progress, complain: Complain
) -> tuple["pd.DataFrame", list[Path]]:
    """Measure every method on the same test images, rank them, save tables and figures.

    Args:
        comparison: the settings.
        progress: told of each method.
        complain: called for a method that cannot be used; the others are still compared.

    Returns:
        The table of `rank`, and the files written.

    Raises:
        InputError: the settings, the model or the data are wrong.
    """
    from cladec import plots
    from cladec.experiments import figures

    comparison.check()
    dataset = data.load(comparison.dataset)
    compared = subject.load_subject(
        comparison.model,
        comparison.methods,
        layer=comparison.layer,
        seed=comparison.seed,
        data=dataset,
        models=comparison.models,
        alpha=comparison.alpha,
        progress=progress,
    )
    images = subject.choose(dataset.test.images, comparison.images, comparison.seed)
    targets = compared.probabilities(images).argmax(axis=1)
    bench = _Bench(compared, images, targets, comparison.measures)
    methods = (*subject.check_methods(comparison.methods), FLOOR)
    values, maps = bench.run(methods, progress, complain)
    table = rank(values, comparison.seed)
    out, title = comparison.out, f"{dataset.name}, {len(images)} images"
    figure = plots.ranking(table, floor=FLOOR, title=title)
    names = subject.class_names(compared.model, dataset)
    grid = plots.explanation_grid(
        images[:SHOWN],
        {method: of_method[:SHOWN] for method, of_method in maps.items()},
        [names[target] for target in targets[:SHOWN]],
    )
    checksum = model_files.checksum(comparison.model)
    files = [write_table(table.assign(classifier_sha256=checksum), out / "ranking.csv")]
    files.append(figures.save(figure, out / "ranking.png"))
    files.append(figures.save(grid, out / "explanations.png"))
    fidelity = decoded_fidelity(comparison, compared, images, targets)
    if len(fidelity):
        files.append(write_table(fidelity, out / "fidelity.csv"))
    return table, files


@dataclass(frozen=True, eq=False)
class _Bench:
    """The images on which every method is measured, and the class explained of each."""

    compared: Subject
    images: np.ndarray
    targets: np.ndarray
    wanted: tuple[Measure, ...]

    def run(
        self, methods: tuple[str, ...], progress: Progress, complain: Complain
    ) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
        """Values (N,) by method and measure, and maps by method, of what can be used."""
        values, maps = {}, {}
        progress.begin(len(methods))
        for method in methods:
            with progress.step(method) as report:
                make = self.map_maker(method)
                try:
                    of_method = make(self.compared.model, self.images, self.targets)
                    with warnings.catch_warnings():  # of these maps it is told already
                        warnings.simplefilter("ignore", InputWarning)
                        values[method] = self.measure(method, make, of_method, report)
                    maps[method] = of_method
                except InputError as error:
                    complain(error)
        return values, maps

    def map_maker(self, method: str) -> "MapMaker":
        """The method as a function of (model, images, targets)."""
        from cladec.metrics import robustness

        if method == FLOOR:
            return robustness.random_explainer(self.compared.seed)

        def make(model, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
            if model is self.compared.model:
                return self.compared.explain(method, images, targets)
            copied = replace(self.compared, model=model, layer=self.compared.layer_in_copy)
            return copied.explain(method, images, targets)

        return make

    def measure(
        self, method: str, make: "MapMaker", maps: np.ndarray, report: OnProgress
    ) -> dict[str, np.ndarray]:
        """Every measure wanted of one method, a value per image."""
        from cladec.metrics import faithfulness, robustness

        measures: dict[str, Callable[..., Any]] = {
            "deletion": lambda *given, seed: faithfulness.deletion(*given, seed=seed).auc,
            "insertion": lambda *given, seed: faithfulness.insertion(*given, seed=seed).auc,
            "mu_fidelity": faithfulness.mu_fidelity,
            "stability": partial(robustness.stability, make),
            "randomisation": partial(robustness.randomisation, make),
        }
        if method == "cladec":  # its decoder belongs to the classifier as it was trained
            del measures["randomisation"]
        wanted = [measure for measure in measures if measure in self.wanted]
        given = (self.compared.model, self.images, maps, self.targets)
        values: dict[str, np.ndarray] = {}
        for done, measure in enumerate(wanted, start=1):
            report(done / (len(wanted) + 1), {})
            values[measure] = measures[measure](*given, seed=self.compared.seed)
        return values


def rank(values: dict[str, dict[str, np.ndarray]], seed: int = 0) -> "pd.DataFrame":
    """Rank methods by every measure, and by the mean of these ranks.

    Args:
        values: by method and measure, a value for each image, (N,); a method may lack measures.
        seed: of the bootstrap over images.

    Returns:
        A row per measure and method: measure, method, mean, low and high (95 % confidence
        interval), rank (1 is the best), higher_is_better. The measure "mean_rank" is the mean over
        the others of the ranks.
    """
    import pandas as pd

    from cladec.metrics import bootstrap

    methods = [method for method in values if values[method]]
    measures = [
        name for name in MEASURES if any(name in of_method for of_method in values.values())
    ]
    count = len(next(iter(next(iter(values.values())).values())))
    missing = np.full(count, np.nan)
    array = np.array([[values[m].get(name, missing) for m in methods] for name in measures])
    signs = np.array([-1 if name in HIGHER_IS_BETTER else 1 for name in measures])[:, None]
    draws = bootstrap.resampled_means(array, seed=seed)
    ranks = _ranks(array.mean(axis=-1) * signs)
    mean_ranks = np.nanmean(ranks, axis=0)
    drawn_ranks = np.nanmean(_ranks(draws * signs[..., None]), axis=0)
    rows = []
    for name, means, drawn, places in (
        *zip(measures, array.mean(axis=-1), draws, ranks, strict=True),
        (RANK, mean_ranks, drawn_ranks, _ranks(mean_ranks[None])[0]),
    ):
        low, high = bootstrap.interval(drawn)
        columns = {"measure": name, "method": methods, "mean": means, "low": low, "high": high}
        rows.append(
            pd.DataFrame(columns | {"rank": places, "higher_is_better": name in HIGHER_IS_BETTER})
        )
    return pd.concat(rows, ignore_index=True).dropna().reset_index(drop=True)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the second axis, 1 for the lowest; NaN stays NaN."""
    from scipy.stats import rankdata

    return rankdata(values, axis=1, nan_policy="omit")


def decoded_fidelity(
    comparison: Comparison, compared: Subject, images: np.ndarray, targets: np.ndarray
) -> "pd.DataFrame":
    """How often the classifier sees the same class in an image that a ClaDec decoded.

    Returns:
        A row per ClaDec of this classifier in the folder of models: layer, alpha, fidelity (a share
        in [0, 1]), low and high (95 % confidence interval). Empty where there is none.
    """
    import pandas as pd

    from cladec.explainers.decoding import decoded_images
    from cladec.metrics import bootstrap

    rows = []
    for run in subject.decoders(comparison.model, comparison.models):
        decoder = loading.load_saved(run.path(comparison.models))
        decoded = decoded_images(compared.model, images, decoder=decoder)
        same = compared.probabilities(decoded).argmax(axis=1) == targets
        low, high = bootstrap.interval(
            bootstrap.resampled_means(same.astype(float), seed=comparison.seed)
        )
        rows.append(
            {
                "layer": run.layer,
                "alpha": run.alpha,
                "fidelity": same.mean(),
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)
