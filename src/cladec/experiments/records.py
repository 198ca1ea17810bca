"""What the records of saved models tell: their runs, and where their pictures are after a move."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cladec.data.dataset import check_name, is_folder
from cladec.data.image_folder import fingerprint
from cladec.data.sources import USUAL_NAMES
from cladec.errors import InputError, check_types
from cladec.experiments.runs import Run
from cladec.storage import model_files
from cladec.storage.remote import is_remote


@dataclass(frozen=True)
class Origin:
    """The folder of pictures that a model was trained on, as its record tells.

    Attributes:
        folder: where it lay, absolute.
        from_models: the way to it from the folder of models; None where there is none.
        fingerprint: of its training pictures.
    """

    folder: str
    from_models: str | None
    fingerprint: str

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Origin | None":
        """What a record tells; None for other datasets, and in records older than this.

        Raises:
            InputError: it tells something else.
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
    """What a record is to tell of a dataset; None for one that is no folder."""
    if not is_folder(dataset):
        return None
    way = None
    if not is_remote(models):
        with suppress(ValueError):  # Windows: there is no way to another drive
            way = os.path.relpath(dataset, models)
    return Origin(os.path.abspath(dataset), way, fingerprint(Path(dataset)))


def recognised(saved: Run, record: dict[str, Any], dataset: str) -> Run:
    """The run of a record, trained on `dataset` where that holds the pictures it was trained on.

    Raises:
        InputError: the record is none.
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
    """Raises InputError for a --data that is no folder."""
    if folder is not None and not folder.is_dir():
        raise InputError(f"--data {folder} is no folder: name one that is, or holds, pictures")


def located(runs: Sequence[Run], models: Path, within: Path | None = None) -> list[Run]:
    """The runs, with the folders where their pictures are now as their datasets.

    That is `within` or a folder in it, where they were, the same way from the models, or the same
    way from here. A folder elsewhere with other training pictures than the record tells is not
    taken.

    Args:
        runs: from `saved_runs`.
        models: their folder.
        within: where to look first.

    Raises:
        InputError: pictures are nowhere; the message names the place in the record.
    """
    alone = len({run.name for run in runs}) == 1
    first = {(run.name, run.dataset): run for run in reversed(runs)}
    found = {key: _find(run, models, within, alone=alone) for key, run in first.items()}
    return [replace(run, dataset=found[run.name, run.dataset]) for run in runs]


def _find(run: Run, models: Path, within: Path | None, *, alone: bool) -> str:
    record = model_files.read_json(model_files.record_path(run.path(models)))
    origin = Origin.from_record(record)
    if origin is None and not is_folder(run.dataset):
        with suppress(InputError):  # then it was a folder
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
        + ": name their folder, or the one that it lies in, with --data"
    )


def _places(dataset: str, origin: Origin | None, models: Path) -> list[str]:
    """Where pictures may be that were not moved, or only together with the models."""
    places = [dataset] if origin is None else [origin.folder, dataset]
    if not is_remote(models):
        ways = (f"../{dataset}", dataset) if origin is None else (origin.from_models or ".",)
        places += [os.path.join(os.path.abspath(models), way) for way in ways]
    return [os.path.normpath(place) for place in places]


def _holds(place: str, origin: Origin | None) -> bool:
    """Whether the pictures of a record may be in a folder."""
    if origin is None or place == origin.folder:
        return os.path.isdir(os.path.join(place, "train"))
    with suppress(InputError, OSError):
        return fingerprint(Path(place)) == origin.fingerprint
    return False


def saved_runs(models: Path) -> list[Run]:
    """The runs whose models lie below a folder, each classifier before what decodes it.

    Raises:
        InputError: there are none, or one is damaged or of another place; the file is named.
    """
    runs = []
    for record in sorted(models.rglob("*.json")):
        if not record.name.startswith(".") and not record.name.endswith(".evaluation.json"):
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
        # Records had no name before, and that of a folder may be told no longer once it is gone.
        run = replace(run, name=path.parts[len(models.parts)])
    if run.path(models) != path:
        raise InputError(
            f"{path} holds {run.title}, which belongs into {run.path(models)}: move it and its "
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
