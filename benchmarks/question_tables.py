"""The tables of the pages about questions to a layer, from the CSV files of their benchmarks.

`tables.py` writes them into the pages.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import kendalltau, pearsonr

HERE = Path(__file__).parent

DIFF_TEXTS = ("layer", "verdict", "compared_with", "first_change")
"""The columns of diff.csv that hold words."""

EDITS = {"low": "agreement_low", "high": "agreement_high"}
"""Columns of edits.csv under names that say whose interval they are."""

CHANGES = {
    "none": "none",
    "strongest off": "the strongest unit off",
    "ten strongest doubled": "the ten strongest doubled",
    "blend 0.25": "a quarter of another image",
    "blend 0.5": "half of another image",
    "ten strongest off": "the ten strongest units off",
}
"""What edits.csv calls each change, in words."""

RANDOM = ("random", "a random class")
"""What counterfactuals.csv calls a class drawn at random, in words."""

WAYS = {
    "decoded as it is": "those of the image: what can be reached",
    "default": "**counterfactual**",
    "without smoothness": "without smoothness",
    "nearest codes": "nearest codes, without likeness",
    "nearest real image": "those of the nearest real image of the class",
    "half way to a real image": "half way to it",
}
"""What counterfactuals.csv calls each way to codes, in words."""

CROPS = {
    "ClaDec 0": "cladec",
    "RefAE": "refae",
    "same answer at 0": "first",
    "same answer at the last alpha": "last",
}
"""Columns of crops.csv under names of one word."""


def grid(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Markdown: heads and rows."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def interval(row: Any, name: str, digits: int = 2) -> str:
    """A number with its interval."""
    values = (getattr(row, name + end) for end in ("", "_low", "_high"))
    value, low, high = (f"{round(each, digits) + 0.0:.{digits}f}" for each in values)
    return f"{value} ({low} to {high})"


def once(values: Iterable[str]) -> list[str]:
    """Nothing where a value repeats the one above."""
    told, last = [], None
    for value in values:
        told.append("" if value == last else value)
        last = value
    return told


def watched() -> str:
    """Each epoch of a layer that is watched, beside decoders trained in full."""
    table = pd.read_csv(HERE / "watching.csv")
    labels = once(f"{name}" for name in table["labels"])
    rows = [
        [
            of,
            row.epoch,
            f"{row.accuracy:.2f}",
            interval(row, "normalised_error", digits=3),
            f"{row.full_error:.3f}",
            interval(row, "fidelity"),
            f"{row.full_fidelity:.2f}",
        ]
        for of, row in zip(labels, table.itertuples(), strict=True)
    ]
    heads = (
        *("labels", "epoch", "accuracy in training"),
        *("error watched", "error in full", "fidelity watched", "in full"),
    )
    together = [
        f"from {name} labels {_together(part, 'normalised_error', 'full_error')} for the error and "
        f"{_together(part, 'fidelity', 'full_fidelity')} for the fidelity"
        for name, part in table.groupby("labels", sort=False)
    ]
    return f"{grid(heads, rows)}\n\nCorrelation (Pearson) over the epochs: {'; '.join(together)}."


def _together(table: pd.DataFrame, one: str, other: str) -> str:
    return f"{pearsonr(table[one], table[other]).statistic:.2f}"


def differences() -> str:
    """Models whose change is known, layer by layer."""
    table = pd.read_csv(HERE / "diff.csv", keep_default_na=False)
    numbers = [name for name in table.columns if name not in DIFF_TEXTS]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    first = once(table["compared_with"])
    rows = [
        [
            of,
            *((row.first_change, f"{row.other_answers:,}") if of else ("", "")),
            f"`{row.layer}`",
            f"{row.before:.4f}",
            interval(row, "difference", digits=4),
            f"{row.noise:.4f}",
            row.verdict,
        ]
        for of, row in zip(first, table.itertuples(), strict=True)
    ]
    heads = (
        *("compared with", "first layer with other numbers", "other answers", "layer"),
        *("before", "difference", "noise", "verdict"),
    )
    return grid(heads, rows)


def leaked() -> str:
    """What can be drawn of each layer, by pictures known and noise."""
    table = pd.read_csv(HERE / "leak.csv")
    layers = once("the mean picture" if pd.isna(x) else f"`{x}`" for x in table["layer"])
    rows = [
        [
            of,
            "" if pd.isna(row.layer) else f"{row.known:,}",
            "" if pd.isna(row.layer) else f"{row.noise:g}",
            f"{row.psnr:.1f}",
            f"{row.ssim:.2f}",
            interval(row, "reidentified"),
            "" if pd.isna(row.accuracy) else f"{row.accuracy:.2f}",
        ]
        for of, row in zip(layers, table.itertuples(), strict=True)
    ]
    heads = (
        *("layer", "pictures known", "noise", "PSNR", "SSIM"),
        *("found again", "accuracy left"),
    )
    return grid(heads, rows)


def inverted() -> str:
    """What a published attack draws, in its paper and here, beside `cladec leak`."""
    rows = [
        [
            f"`{row.layer}`",
            *(f"{value:.1f}" for value in (row.psnr_published, row.psnr_theirs, row.psnr_cladec)),
            *(f"{value:.3f}" for value in (row.ssim_published, row.ssim_theirs, row.ssim_cladec)),
        ]
        for row in pd.read_csv(HERE / "inverters.csv").itertuples()
    ]
    heads = (
        *("layer", "PSNR published", "their network here", "cladec leak"),
        *("SSIM published", "their network here", "cladec leak"),
    )
    return grid(heads, rows)


def edited() -> str:
    """How often the picture of changed codes shows what the network makes of them."""
    table = pd.read_csv(HERE / "edits.csv").rename(columns=EDITS)
    dense: Any = table[table["layer"] == "dense"].set_index(["change", "alpha"])
    rows = [
        [
            words,
            f"{dense.loc[(change, 0.0), 'answer_changed']:.2f}",
            *(interval(dense.loc[(change, alpha)], "agreement") for alpha in (0.0, 0.99)),
        ]
        for change, words in CHANGES.items()
    ]
    heads = (
        *("change", "the network changes its answer"),
        *("picture and codes agree, alpha 0", "alpha 0.99"),
    )
    return grid(heads, rows)


def sought() -> str:
    """What two classifiers see in counterfactuals, and in what there is without a search."""
    table = pd.read_csv(HERE / "counterfactuals.csv")
    table = table[(table["layer"] == "dense") & (table["alpha"] == 0)]
    table = table.set_index(["to", "method"])
    rows = []
    for to, words in (("itself", "itself"), ("second choice", "its second choice"), RANDOM):
        ways = [way for way in WAYS if (to, way) in table.index]
        for first, way in zip(once([words] * len(ways)), ways, strict=True):
            row: Any = table.loc[(to, way)]
            agree = [interval(row, name) for name in ("classifier", "second")]
            rows.append([first, WAYS[way], f"{row['distance']:.2f}", *agree])
    heads = ("to", "codes", "distance", "classifier agrees", "second classifier agrees")
    return grid(heads, rows)


def photographed() -> str:
    """What three layers of a residual network keep of crops of photographs."""
    rows = [
        [
            f"`{row.layer}`",
            row.code,
            *(f"{value:.3f}" for value in (row.thumbnail, row.cladec, row.refae)),
            f"{row.lost:.1f}",
            *(f"{value:.3f}" for value in (row.first, row.last)),
        ]
        for row in pd.read_csv(HERE / "crops.csv").rename(columns=CROPS).itertuples()
    ]
    heads = (
        *("layer", "numbers", "error of a thumbnail", "of ClaDec at 0", "of RefAE"),
        *("lost per image", "same answer at 0", "same answer at 0.99"),
    )
    return grid(heads, rows)


def checkerboards() -> str:
    """The energy at the stride of a decoder against that of the originals, by layer and alpha."""
    table = pd.read_csv(HERE / "checkerboards.csv")
    table = table[table["alpha"].isin([0.0, 0.99, 1.0])]
    values = table.pivot_table(["at_2", "at_4"], ["architecture", "layer"], "alpha")
    rows = [
        [f"{architecture} `{layer}`", *(f"{value:.2f}" for value in row)]
        for (architecture, layer), row in zip(values.index, values.to_numpy(), strict=True)
    ]
    heads = ("layer", "2 pixels, alpha 0", "0.99", "1", "4 pixels, alpha 0", "0.99", "1")
    return grid(heads, rows)


def depths() -> str:
    """What depth costs on the layers of `vgg`."""
    return costs_of_depth(HERE / "depth.csv")


def costs_of_depth(file: Path) -> str:
    """What each cost of `cladec.depth` finds, beside the most expensive one."""
    table = pd.read_csv(file).convert_dtypes()
    table["epochs"] = table["epochs"].astype(object).fillna("by default")
    costs = dict(list(table.groupby(["images", "epochs"], sort=False)))
    most = list(costs.values())[-1].set_index("layer")["normalised_error"]
    rows = []
    for (images, epochs), part in costs.items():
        errors = part.set_index("layer")["normalised_error"]
        apart = (errors - most).abs().max()
        order = kendalltau(errors, most).statistic
        agree = ["", ""] if errors.equals(most) else [f"{order:.3f}", f"{apart:.3f}"]
        rows.append([f"{images:,}", epochs, f"{part['all_seconds'].iloc[0]:.0f}", *agree])
    heads = (
        *("training images", "passes", "seconds"),
        *("Kendall's tau of the order", "largest difference of an error"),
    )
    return grid(heads, rows)
