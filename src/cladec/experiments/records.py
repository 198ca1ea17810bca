"""Read the records of saved models: their runs, and the present place of their pictures."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cladec.data.dataset import check_name, is_folder
from cladec.data.picture_lists import fingerprint, has_layout
from cladec.data.sources import USUAL_NAMES
from cladec.errors import InputError, check_types
from cladec.experiments.runs import Run
from cladec.storage import model_files
from cladec.storage.remote import is_remote

LAYER_RECORD = "explanation.json"
"""The record of a layer that was explained and saved by itself, which is no part of a sweep."""


@dataclass(frozen=True)
class Origin:
    """The folder of pictures that a model was trained on, according to its record.

    Attributes:
        folder: the absolute path of the folder.
        from_models: its path relative to the folder of models; None if there is no such path.
        fingerprint: the fingerprint of the training pictures.
    """

    folder: str
    from_models: str | None
    fingerprint: str

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Origin | None":
        """Return the folder in a record; None for other datasets and for older records.

        Raises:
            InputError: if the record has an invalid folder.
        """
        if record.get("pictures") is None:
            return None
        try:
            origin = cls(**record["pictures"])
        except TypeError as error:
            raise InputError(f"not the record of a run ({error})") from None
        check_types(origin)
        return origin


def origin(dataset: str, models: Path) -> Origin | None:
    """Return the folder to record for a dataset; None if the dataset is not a folder."""
    if not is_folder(dataset):
        return None
    way = None
    if not is_remote(models):
        with suppress(ValueError):  # Windows: no relative path leads to another drive
            way = os.path.relpath(dataset, models)
    return Origin(os.path.abspath(dataset), way, fingerprint(Path(dataset)))


def recognised(saved: Run, record: dict[str, Any], dataset: str) -> Run:
    """Return the run of a record, with `dataset` as its dataset if the pictures are the same.

    Raises:
        InputError: if the record is invalid.
    """
    origin = Origin.from_record(record)
    if origin is None:
        both_are_there = os.path.isdir(saved.dataset) and os.path.isdir(dataset)
        is_same = both_are_there and os.path.samefile(saved.dataset, dataset)
    else:
        is_same = _holds(os.path.abspath(dataset), origin)
        saved = replace(saved, dataset=origin.folder)
    return replace(saved, dataset=dataset) if is_same else saved


def check_within(folder: Path | None) -> None:
    """Raise InputError if --data is not a folder."""
    if folder is not None and not folder.is_dir():
        raise InputError(
            f"--data {folder} is not a folder: name a folder of pictures, or the one that holds it"
        )


def located(runs: Sequence[Run], models: Path, within: Path | None = None) -> list[Run]:
    """Return the runs with the present folders of their pictures as their datasets.

    The pictures are looked for in `within` and its folders, in their old place, and in the same
    place relative to the models or to the current folder. A new place must have the training
    pictures of the record.

    Args:
        runs: the runs from `saved_runs`.
        models: the folder with their models.
        within: the folder to search first.

    Raises:
        InputError: if pictures cannot be found; the message names their place in the record.
    """
    alone = len({run.name for run in runs}) == 1
    first = {(run.name, run.dataset): run for run in reversed(runs)}
    found = {key: _find(run, models, within, alone=alone) for key, run in first.items()}
    return [replace(run, dataset=found[run.name, run.dataset]) for run in runs]


def _find(run: Run, models: Path, within: Path | None, *, alone: bool) -> str:
    record = model_files.read_json(model_files.record_path(run.path(models)))
    origin = Origin.from_record(record)
    if origin is None and not is_folder(run.dataset):
        with suppress(InputError):  # an unknown name was a folder
            check_name(run.dataset)
            return run.dataset
    places = _places(run.dataset, origin, models)
    was = places[0]
    if within is not None:
        names = {os.path.basename(os.path.abspath(place)) for place in places} | {run.name}
        places = [*(str(within / name) for name in sorted(names)), *places]
        if origin is not None or alone or within.resolve().name in names:
            places.insert(0, str(within))
    for place in places:
        if _holds(place, origin):
            return run.dataset if os.path.abspath(run.dataset) == os.path.abspath(place) else place
    others = [place for place in places if _holds(place, None)]
    raise InputError(
        f"the pictures of {run.name} are not where they were when {run.title} was trained, {was}"
        + (f" ({others[0]} holds other training pictures)" if others else "")
        + ": name their folder, or the one that holds it, with --data"
    )


def _places(dataset: str, origin: Origin | None, models: Path) -> list[str]:
    """Return the possible places of pictures that were not moved, or moved with the models."""
    places = [dataset] if origin is None else [origin.folder, dataset]
    if not is_remote(models):
        ways = (f"../{dataset}", dataset) if origin is None else (origin.from_models or ".",)
        places += [os.path.join(os.path.abspath(models), way) for way in ways]
    return [os.path.normpath(place) for place in places]


def _holds(place: str, origin: Origin | None) -> bool:
    """Return whether a folder may hold the pictures of a record."""
    if origin is None:
        return os.path.isdir(os.path.join(place, "train"))
    if place == origin.folder:
        return has_layout(place)
    with suppress(InputError, OSError):
        return fingerprint(Path(place)) == origin.fingerprint
    return False


def saved_runs(models: Path) -> list[Run]:
    """Return the runs of all models in a folder, each classifier before its decoders.

    Raises:
        InputError: if there are none, or one is damaged or in a wrong place; the file is named.
    """
    runs = []
    for record in sorted(models.rglob("*.json")):
        other = record.name.startswith(".") or record.name.endswith(".evaluation.json")
        if not other and not (record.parent / LAYER_RECORD).exists():
            runs.append(_saved_run(record.with_suffix(".keras"), models))
    if not runs:
        raise InputError(f"no trained models in {models}: run create_models.py first")
    return sorted(runs, key=_order)


def _saved_run(path: Path, models: Path) -> Run:
    try:
        record = model_files.verify(path)
        run = Run.from_record(record)
        Origin.from_record(record)
    except model_files.Unreadable:
        raise
    except InputError as error:
        raise InputError(
            f"{error}: run create_models.py again to train it anew, or delete "
            f"{model_files.record_path(path)}"
        ) from None
    if "name" not in record["run"] and run.dataset not in ("digits", *USUAL_NAMES):
        # Old records have no name, and the name of a folder that is gone is no longer known.
        run = replace(run, name=path.parts[len(models.parts)])
    if run.path(models) != path:
        raise InputError(
            f"{path} holds {run.title}, which belongs in {run.path(models)}: move it and its "
            "record there, or out of this folder"
        )
    return run


def _order(run: Run) -> tuple:
    kinds = ("classifier", "refae", "cladec")
    return (
        run.name,
        run.architecture,
        run.layer or "",
        kinds.index(run.model),
        -1.0 if run.alpha is None else run.alpha,
        run.repeat,
    )
