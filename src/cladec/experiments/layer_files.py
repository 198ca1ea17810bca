"""An explained layer on the disk: its models with their records, images and numbers."""

from dataclasses import asdict
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cladec.data.dataset import Split
from cladec.errors import InputError, check_types
from cladec.experiments.layer_pictures import Facts
from cladec.experiments.records import LAYER_RECORD
from cladec.models import loading
from cladec.models.conditional import ConditionalClaDec
from cladec.models.refae import RefAE
from cladec.storage import model_files
from cladec.storage.locks import locked
from cladec.storage.outputs import save_arrays

if TYPE_CHECKING:
    from cladec.experiments.layer_explanation import LayerExplanation

SCHEMA = 1
"""The version of the record; a later one may hold what this package does not know."""

IMAGES = "images.npz"

MODELS = {"decoder": ("cladec.keras", ConditionalClaDec), "reference": ("refae.keras", RefAE)}
"""The file and the class of each model, by its name in the explanation."""

SPLITS = ("examples", "most_lost")

TABLES = {
    "measures": {"model", "alpha", "squared_error", "normalised_error", "fidelity"},
    "lost_by_class": {"class", "images", "lost", "low", "high"},
}
"""The columns that each table must have."""


def save(layer: "LayerExplanation", folder: Path) -> Path:
    """Write everything, the record last, and return the folder.

    Raises:
        InputError: the folder cannot be written, or another process writes it.
    """
    model_files.check_writable(folder)
    with locked(folder):
        for name, (file, _) in MODELS.items():
            model_files.save(getattr(layer, name), folder / file, {"layer": layer.layer})
        arrays = {
            f"{name}_{part}": getattr(getattr(layer, name), part)
            for name in SPLITS
            for part in ("images", "labels")
        }
        save_arrays(folder / IMAGES, arrays)
        record = {"schema": SCHEMA, "layer": layer.layer, "facts": asdict(layer.facts)}
        record |= {name: _plain(getattr(layer, name)) for name in TABLES}
        record["sha256"] = {name: model_files.checksum(folder / name) for name in _files()}
        model_files.write_json(folder / LAYER_RECORD, record)
    return folder


def load(folder: Path) -> dict[str, Any]:
    """Return the parts of an explanation that `save` wrote.

    Raises:
        InputError: a file is missing or damaged, belongs to another explanation, or was written by
            a later version.
    """
    path = folder / LAYER_RECORD
    record = model_files.read_json(path)
    if record.get("schema") != SCHEMA:
        raise InputError(
            f"{path} has the schema {record.get('schema')!r:.20}: expected {SCHEMA}; load it with "
            "the version of cladec that saved it"
        )
    sums = record.get("sha256")
    for name in _files():
        if not isinstance(sums, dict) or model_files.checksum(folder / name) != sums.get(name):
            raise InputError(
                f"{folder / name} is not the one that {path} describes: save the explanation again"
            )
    try:
        parts: dict[str, Any] = {"layer": str(record["layer"]), "facts": _facts(record["facts"])}
        parts |= {name: _table(record[name], columns) for name, columns in TABLES.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: no record of an explanation ({error})") from None
    return parts | _models(folder) | _splits(folder / IMAGES)


def _files() -> list[str]:
    return [file for file, _ in MODELS.values()] + [IMAGES]


def _plain(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows of a table as JSON knows them, null where a number is missing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _facts(record: dict[str, Any]) -> Facts:
    facts = Facts(**record | {"class_names": tuple(record["class_names"])})
    check_types(facts)
    return facts


def _table(rows: Any, columns: set[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    if not len(table) or not columns <= set(table):
        raise ValueError(f"a table without {', '.join(sorted(columns - set(table))) or 'rows'}")
    numbers = dict.fromkeys(table.columns.difference(["model", "class"]), float)
    return table.astype(numbers | ({"images": int} if "images" in numbers else {}))


def _models(folder: Path) -> dict[str, Any]:
    models = {}
    for name, (file, kind) in MODELS.items():
        models[name] = loading.load_saved(folder / file)
        if not isinstance(models[name], kind):
            raise InputError(
                f"{folder / file} holds no {kind.__name__}: save the explanation again"
            )
    return models


def _splits(path: Path) -> dict[str, Split]:
    def read(file: BufferedReader) -> dict[str, Split]:
        with np.load(file) as arrays:
            return {
                name: Split(arrays[f"{name}_images"], arrays[f"{name}_labels"]) for name in SPLITS
            }

    return model_files.read_file(path, read)
