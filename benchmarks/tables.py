"""What README and docs say in numbers of the trained models: tables, and sentences with them.

    python benchmarks/tables.py

Reads eval/evaluation_runs.csv, eval/fashion_mnist-ranking.csv of `cladec compare`, and the CSV
files of the benchmarks, and writes each text into its page, between the comments
`<!-- benchmarks/tables.py: name -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any

import pandas as pd
import question_tables
import telling

from cladec.errors import InputError
from cladec.experiments.results import published
from cladec.experiments.runs import VARIANTS
from cladec.metrics.ranking import BETTER, EQUAL, FLOOR, WORSE
from cladec.models import plateau, recipes
from cladec.models.recipes import ALPHAS, alpha_text
from cladec.storage.tables import read_table

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "eval" / "evaluation_runs.csv"
RANKING = ROOT / "eval" / "fashion_mnist-ranking.csv"
CIFAR10 = ROOT / "benchmarks" / "cifar10.csv"
TESTED = 1_000
"""The test images of that table."""
SHORTCUTS = ROOT / "benchmarks" / "shortcuts.csv"
MEASURES = ("total_loss", "reconstruction_loss", "classification_loss", "evaluation_accuracy")
SHARES = ("evaluation_accuracy", "fidelity")
MODELS = ("classifier", "refae", *ALPHAS)
"""Of each column: a kind of model, or a ClaDec's alpha."""

FEW = ("classifier", "refae", 0.0, 0.5, 0.99, 1.0)
"""The columns that the README shows."""

CELLS = [(dataset, layer) for dataset in ("mnist", "fashion_mnist") for layer in ("dense", "conv")]


@cache
def ours() -> pd.DataFrame:
    """The whole layers of `vgg`, decoded by plain decoders."""
    rows = read_table(RUNS, ("dataset", "layer", "model", "alpha", "eval", "value"))
    if rows is None:
        raise InputError(f"{RUNS} is missing: run eval.py first")
    # A table of before a setting existed has its usual value.
    rows = rows.assign(**{name: usual for name, usual in VARIANTS.items() if name not in rows})
    return rows[(rows[list(VARIANTS)].fillna(VARIANTS) == pd.Series(VARIANTS)).all(axis=1)]


def number(
    rows: pd.DataFrame, dataset: str, layer: str, measure: str, model: str | float
) -> float | None:
    """The mean of a measure over repeats, None where there is none."""
    rows = rows[(rows["dataset"] == dataset) & (rows["eval"] == measure)]
    rows = rows[rows["layer"].isna() | (rows["layer"] == layer)]
    kind = rows["alpha"] if isinstance(model, float) else rows["model"]
    rows = rows[kind == model]
    return None if rows.empty else float(rows["value"].mean())


def cell(rows: pd.DataFrame, dataset: str, layer: str, measure: str, model: str | float) -> str:
    """One number as it is printed, nothing where there is none."""
    value = number(rows, dataset, layer, measure, model)
    if value is None:
        return ""
    return f"{value:.4f}" if measure in SHARES else f"{value:.3g}"


def title(model: str | float) -> str:
    """The head of a column."""
    return alpha_text(model) if isinstance(model, float) else {"refae": "refAE"}.get(model, model)


def table(head: str, rows: list[list[str]], models: tuple[str | float, ...]) -> str:
    """Markdown: a head, and rows with a column for each model."""
    return question_tables.grid([*head.split(" | "), *map(title, models)], rows)


@cache
def measures() -> str:
    """Everything beside the figures of cladec-mnist, a table for each layer."""
    sources = {"ours": ours(), "cladec-mnist": published()}
    parts = []
    for dataset, layer in CELLS:
        rows = [
            [
                f"`{measure}`" if source == "ours" else "",
                source,
                *(cell(numbers, dataset, layer, measure, model) for model in MODELS),
            ]
            for measure in MEASURES
            for source, numbers in sources.items()
        ]
        parts.append(f"### {dataset}, {layer}\n\n{table('measure | of', rows, MODELS)}")
    return "\n\n".join(parts)


@cache
def compared() -> str:
    """In how many cells our total loss is the lower one, and which are the others."""
    higher = {of: more for of in CELLS if (more := _higher(*of))}
    count = len(CELLS) * len(ALPHAS)
    lower = count - sum(map(len, higher.values()))
    others = "; ".join(
        f"{dataset} {layer} at {', '.join(map(alpha_text, more))}"
        f" (by at most {100 * max(more.values()):.1f} %)"
        for (dataset, layer), more in higher.items()
    )
    return (
        f"The total loss of ClaDec is below that of cladec-mnist in {lower} of {count} cells"
        f"{', above it on ' + others if others else ''}."
    )


def _higher(dataset: str, layer: str) -> dict[float, float]:
    """By how much our total loss is above that of cladec-mnist, at the alphas where it is."""
    more = {
        alpha: number(ours(), dataset, layer, "total_loss", alpha)
        / number(published(), dataset, layer, "total_loss", alpha)
        - 1
        for alpha in ALPHAS
    }
    return {alpha: share for alpha, share in more.items() if share > 0}


@cache
def claim() -> str:
    """On which layers ClaDec's pictures teach a classifier more than RefAE's, as the paper says."""

    def holding(rows: pd.DataFrame) -> str:
        found = [
            f"{dataset} `{layer}`"
            for dataset, layer in CELLS
            if number(rows, dataset, layer, "evaluation_accuracy", 0.0)
            > number(rows, dataset, layer, "evaluation_accuracy", "refae")
        ]
        return f"{len(found)} of {len(CELLS)} layers ({', '.join(found)})" if found else "no layer"

    return (
        f"Here it is so on {holding(ours())}, in the figures of cladec-mnist on "
        f"{holding(published())}."
    )


def on_cifar10() -> str:
    """Layer by layer, what two networks of CIFAR-10 keep, and how well their pictures teach."""
    runs = read_table(CIFAR10, ("architecture", "layer", "model", "alpha", "eval", "value"))
    assert runs is not None
    whole = runs[runs["fraction"] == 1.0]
    references = whole.dropna(subset="reference").drop_duplicates(["architecture", "layer"])
    lines, taught = [], []
    for row in references.itertuples():
        of = "cifar10", str(row.layer)
        errors = [number(whole, *of, "normalised_error", model) for model in ("refae", 0.0)]
        same = [number(whole, *of, "fidelity", model) for model in ("refae", 0.0, 0.99)]
        teach = [number(whole, *of, SHARES[0], model) for model in ("refae", 0.0, 0.99, 1.0)]
        told = [*(f"{value:.3f}" for value in errors), *(f"{value:.2f}" for value in same)]
        told += [f"{value:.3f}" for value in teach]
        lines.append([f"{row.architecture} `{row.layer}`", row.reference, *told])
        taught.append(teach)
    heads = (
        *("layer", "RefAE", "error of RefAE", "of ClaDec 0", "same answer RefAE", "0", "0.99"),
        *("teaches RefAE", "0", "0.99", "1"),
    )
    more = [sum(teach[place] > teach[0] for teach in taught) for place in (1, 2)]
    surely = [sum(_surely_more(teach[place], teach[0]) for teach in taught) for place in (1, 2)]
    sentence = (
        f"A classifier learns more from ClaDec's pictures than from RefAE's on {more[0]} of "
        f"{len(taught)} layers at alpha 0 and on {more[1]} at 0.99; on {surely[0]} and "
        f"{surely[1]} by more than the interval of {TESTED:,} images."
    )
    return f"{question_tables.grid(heads, lines)}\n\n{fill(sentence, 100)}"


def _surely_more(accuracy: float, other: float) -> bool:
    """Whether an accuracy is higher beyond the interval of 95 % of the difference."""
    mean = (accuracy + other) / 2
    return accuracy > other + 1.96 * (2 * mean * (1 - mean) / TESTED) ** 0.5


def parts_on_cifar10() -> str:
    """The middle of the ResNet-20 at ten alphas, and parts of its channels at alpha 0."""
    runs = read_table(CIFAR10, ("architecture", "layer", "model", "alpha", "eval", "value"))
    assert runs is not None
    of_layer = runs[(runs["layer"] == "out_6") & (runs["model"] == "cladec")]
    measures = ("normalised_error", "fidelity", "evaluation_accuracy")
    values = of_layer.pivot_table("value", ["fraction", "alpha"], "eval")[[*measures]]
    lines = [
        [
            "all" if fraction == 1.0 else f"{fraction:.0%}",
            alpha_text(alpha),
            *(f"{value:.3f}" for value in row),
        ]
        for (fraction, alpha), row in zip(values.index, values.to_numpy(), strict=True)
    ]
    heads = ("channels of `out_6`", "alpha", "error", "same answer", "teaches")
    return question_tables.grid(heads, lines)


@cache
def reading() -> str:
    """Four rows of evaluation_result.csv, and the first things to read in them."""
    of = "fashion_mnist", "dense"
    wanted = ("reconstruction_loss", "classification_loss", "evaluation_accuracy", "fidelity")
    rows = [[f"`{name}`", *(cell(ours(), *of, name, model) for model in FEW)] for name in wanted]
    could, kept = (number(ours(), *of, wanted[0], model) for model in ("refae", 0.0))
    before, after = (number(ours(), *of, "fidelity", alpha) for alpha in (0.0, 0.5))
    sentences = (
        f"RefAE comes to an error of {could:.3g}, ClaDec at alpha 0 to {kept:.3g}: the layer lost "
        f"{kept - could:.3g}. The classifier answers the same for {100 * before:.0f} % of the "
        f"images decoded at alpha 0, and for {100 * after:.0f} % at 0.5."
    )
    return table("Fashion-MNIST, `dense`", rows, FEW) + "\n\n" + sentences


@cache
def passes() -> str:
    """How often a recipe sees the training images."""
    least = 2 * plateau.WINDOW * (1 + plateau.DECAY) * plateau.ROUND
    most, of_classifiers = recipes.CLADEC.epochs, recipes.CLASSIFIER.epochs
    return (
        f"The recipe of cladec-mnist makes 10 passes for every model; ours {of_classifiers} for "
        f"classifiers, and for ClaDec and RefAE {least:g} to {most}, until a plateau."
    )


@cache
def lost() -> str:
    """What the layers of Fashion-MNIST lost, and what a little weight on the answer brings."""
    values = {
        (layer, model): number(ours(), "fashion_mnist", layer, "reconstruction_loss", model)
        for layer in ("dense", "conv")
        for model in ("refae", 0.0, 0.5)
    }
    before, after = (
        number(ours(), "fashion_mnist", "dense", "fidelity", alpha) for alpha in (0.0, 0.5)
    )
    sentences = [
        f"Of Fashion-MNIST the {layer} layer gives {values[layer, 0.0]:.3g} where its RefAE gets "
        f"to {values[layer, 'refae']:.3g}: it lost "
        f"{values[layer, 0.0] - values[layer, 'refae']:.3g}."
        for layer in ("dense", "conv")
    ]
    more = values["dense", 0.5] - values["dense", 0.0]
    sentences.append(
        f"A little weight on the classifier's answer (alpha 0.5) changes the error of the dense "
        f"layer by {more:+.2g}, and its fidelity from {before:.2f} to {after:.2f}."
    )
    return "\n".join(sentences)


@cache
def trusted() -> str:
    """What the ranking of the explainers shows, and what it does not."""
    rows = read_table(RANKING, ("measure", "method", "mean", "low", "high", "group", "than_random"))
    if rows is None:
        raise InputError(f"{RANKING} is missing: run benchmarks/figures.py first")
    measures, others = list(dict.fromkeys(rows["measure"])), rows[rows["method"] != FLOOR]
    sentences = [f"On {rows['images'].iloc[0]} test images of Fashion-MNIST:", ""]
    for measure in measures:
        of_measure = others[others["measure"] == measure]
        told = [_methods_that_are(of_measure, word) for word in (BETTER, EQUAL, WORSE)]
        sentences.append(f"- by `{measure}` {'; '.join(filter(None, told))}.")
    cells = {(row.method, row.measure): _mean(row) for row in rows.itertuples()}
    methods = list(dict.fromkeys(rows["method"]))
    lines = [[f"`{m}`", *(cells.get((m, name), "") for name in measures)] for m in methods]
    better = dict(zip(rows["measure"], rows["higher_is_better"], strict=True))
    heads = tuple(f"`{name}` ({'higher' if better[name] else 'lower'})" for name in measures)
    return "\n".join(sentences) + "\n\n" + table("method", lines, heads)


def _methods_that_are(rows: pd.DataFrame, word: str) -> str:
    """Name the methods that are better or worse than the random map, or not told apart."""
    names = [f"`{name}`" for name in rows.loc[rows["than_random"] == word, "method"]]
    verb = "is" if len(names) == 1 else "are"
    what = {
        BETTER: f"{verb} shown to be better than a random map",
        EQUAL: f"{verb} not told apart from it",
        WORSE: f"{verb} shown to be worse",
    }
    return f"{', '.join(names)} {what[word]}" if names else ""


@cache
def shortcuts() -> str:
    """Which method tells that a planted shortcut is used, and where it is."""
    told = telling.summary(pd.read_csv(SHORTCUTS))
    datasets = list(dict.fromkeys(told["dataset"]))[::-1]
    cells = {(row.dataset, row.method): row for row in told.itertuples()}
    best = told.groupby("method")["tells"].mean().sort_values(ascending=False, kind="stable")
    lines = []
    for method in best.index:
        rows = [cells[dataset, method] for dataset in datasets]
        tells = [f"{row.tells:.2f} ({row.tells_low:.2f} to {row.tells_high:.2f})" for row in rows]
        places = ["" if pd.isna(row.points) else f"{row.points:.2f}" for row in rows]
        places += ["" if pd.isna(row.precision) else f"{row.precision:.2f}" for row in rows]
        lines.append([method.replace("_", " "), *tells, *places])
    heads = tuple(
        f"{what}, {dataset}" for what in ("tells", "points", "precision") for dataset in datasets
    )
    counts = "; ".join(
        f"{dataset}: {cells[dataset, 'random'].used} that use it, "
        f"{cells[dataset, 'random'].unused} that do not"
        for dataset in datasets
    )
    return f"Classifiers, {counts}.\n\n" + table("method", lines, heads)


def _mean(row: Any) -> str:
    """A mean with the letters of its groups."""
    return f"{row.mean:.3f} {row.group}"


TEXTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"reading": reading},
    "docs/trust.md": {"trusted": trusted},
    "docs/audit.md": {"shortcuts": shortcuts},
    "docs/counterfactuals.md": {"sought": question_tables.sought},
    "docs/depth.md": {"depths": question_tables.depths},
    "docs/diff.md": {"differences": question_tables.differences},
    "docs/editing-a-layer.md": {"edited": question_tables.edited},
    "docs/leak.md": {"leaked": question_tables.leaked, "inverted": question_tables.inverted},
    "docs/photographs.md": {"photographed": question_tables.photographed},
    "docs/watching-a-layer.md": {"watched": question_tables.watched},
    "docs/research.md": {
        "measures": measures,
        "compared": compared,
        "claim": claim,
        "passes": passes,
        "lost": lost,
        "on_cifar10": on_cifar10,
        "parts_on_cifar10": parts_on_cifar10,
        "checkerboards": question_tables.checkerboards,
    },
}
"""The functions that write each text, by page and name."""


def _wrapped(line: str) -> str:
    return line if line.startswith("|") else fill(line, 100)


def filled(page: str, text: str) -> str:
    """The text of a page with the numbers of now."""
    for name, write in TEXTS[page].items():
        begin, end = f"<!-- benchmarks/tables.py: {name} -->", "<!-- end -->"
        pattern = rf"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})"
        written = "\n".join(map(_wrapped, write().splitlines()))
        text, count = re.subn(
            pattern, lambda _, new=written: f"\n{new}\n\n", text, count=1, flags=re.S
        )
        if not count:
            raise InputError(f"{page} has no place for {name!r}: expected {begin} and {end}")
    return text


if __name__ == "__main__":
    for page in TEXTS:
        path = ROOT / page
        path.write_text(filled(page, path.read_text("utf-8")), "utf-8")
