"""The table of the README: what was measured, beside the published figures.

    python benchmarks/readme_table.py

Reads eval/evaluation_runs.csv and writes the table into README.md, in the place of the one there.
"""

import re
from pathlib import Path

import pandas as pd

from cladec.errors import InputError
from cladec.experiments.results import published
from cladec.experiments.runs import VARIANTS
from cladec.models.recipes import ALPHAS, alpha_text
from cladec.storage.tables import read_table

ROOT = Path(__file__).parent.parent
README, RUNS = ROOT / "README.md", ROOT / "eval" / "evaluation_runs.csv"
HEAD = "| dataset, layer | measure | of |"
MEASURES = ("total_loss", "reconstruction_loss", "classification_loss", "evaluation_accuracy")
MODELS = ("classifier", "refae", *ALPHAS)
"""Of each column: a kind of model, or a ClaDec's alpha."""


def table() -> str:
    """Markdown: ours and the published figures below each other."""
    names = ["classifier", "refAE", *map(alpha_text, ALPHAS)]
    lines = [f"{HEAD} {' | '.join(names)} |", "| --- " * (3 + len(names)) + "|"]
    tables = {"ours": ours(), "published": published()}
    for dataset in ("mnist", "fashion_mnist"):
        for layer in ("dense", "conv"):
            for measure in MEASURES:
                for source, rows in tables.items():
                    cells = [cell(rows, dataset, layer, measure, model) for model in MODELS]
                    title = f"{dataset} {layer} | {measure}" if source == "ours" else "|"
                    lines.append(f"| {title} | {source} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ours() -> pd.DataFrame:
    """The whole layers of `vgg`, decoded by plain decoders."""
    rows = read_table(RUNS, ("dataset", "layer", "model", "alpha", "eval", "value"))
    if rows is None:
        raise InputError(f"{RUNS} is missing: run eval.py first")
    # A table of before a setting existed has its usual value.
    rows = rows.assign(**{name: usual for name, usual in VARIANTS.items() if name not in rows})
    return rows[(rows[list(VARIANTS)].fillna(VARIANTS) == pd.Series(VARIANTS)).all(axis=1)]


def cell(rows: pd.DataFrame, dataset: str, layer: str, measure: str, model: str | float) -> str:
    """One number as it is printed, nothing where there is none."""
    rows = rows[(rows["dataset"] == dataset) & (rows["eval"] == measure)]
    rows = rows[rows["layer"].isna() | (rows["layer"] == layer)]
    kind = rows["alpha"] if isinstance(model, float) else rows["model"]
    rows = rows[kind == model]
    if rows.empty:
        return ""
    value = rows["value"].mean()
    return f"{value:.4f}" if measure == "evaluation_accuracy" else f"{value:.3g}"


def replaced(text: str) -> str:
    """The README with the table of now."""
    return re.sub(rf"^{re.escape(HEAD)}(?:.*\n)+?(?=\n)", table() + "\n", text, count=1, flags=re.M)


if __name__ == "__main__":
    README.write_text(replaced(README.read_text()))
