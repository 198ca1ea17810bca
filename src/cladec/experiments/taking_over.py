"""Take over a user's own classifier: make a copy of it that stands for a trained one."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cladec.data.stored_rows import GIB, in_words
from cladec.errors import InputError
from cladec.experiments import records
from cladec.experiments.given_data import read
from cladec.experiments.missing import reason_to_train
from cladec.experiments.planning import in_form
from cladec.experiments.plans import RECORD, Given
from cladec.experiments.runs import Run
from cladec.models import batches, cutting, loading
from cladec.progress import Progress
from cladec.storage import model_files


def take_over(run: Run, user: Given, models: Path, progress: Progress) -> str | None:
    """Copy a user's own classifier to the folder of models, unless its copy is there.

    Args:
        run: the run of the classifier.
        user: the classifier.
        models: the folder with the trained models.
        progress: the display that tells the size of the images.

    Returns:
        None if nothing was to be done, "" if there was no other copy, else why it was replaced.

    Raises:
        InputError: if the classifier cannot be loaded or saved, does not fit the dataset, or a file
            of another program is in the way.
    """
    path = run.path(models)
    reason = reason_to_train(run, models, None)
    if reason is None:
        return None

    def report(share: float, values: Mapping[str, float]) -> None:
        if not share:
            place = user.cache or "a temporary folder"
            progress.say(f"images of {run.name}: {in_words(values['GiB'] * GIB)} in {place}")

    loaded = loading.load_model(user.file)
    classifier = in_form(loaded, user)
    read(run.dataset, classifier, user, report)  # an error of the data comes before any work
    if reason and _is_of(user, path):  # only what evaluates it, or the pictures, changed
        record = model_files.verify(path) | _record(run, user, models)
        model_files.write_json(model_files.record_path(path), record)
        return ""
    is_as_it_was = classifier is loaded and user.file.endswith(".keras")
    writer = _copy(user) if is_as_it_was else _saver(classifier, user)
    model_files.save_with(writer, path, _record(run, user, models))
    return reason


def _record(run: Run, user: Given, models: Path) -> dict[str, Any]:
    record = {
        "run": asdict(run),
        "history": {},
        "seconds": 0.0,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        RECORD: asdict(user),
    }
    if (origin := records.origin(run.dataset, models)) is not None:
        record["pictures"] = asdict(origin)
    return record


def _is_of(user: Given, path: Path) -> bool:
    """Return whether a file is a whole copy of the classifier."""
    try:
        saved = Given.from_record(model_files.verify(path))
    except InputError:
        return False
    return saved is not None and saved.fingerprint == user.fingerprint


def _copy(user: Given) -> Callable[[Path], Any]:
    return lambda temporary: shutil.copyfile(user.file, temporary)


def _saver(classifier: keras.Model, user: Given) -> Callable[[Path], Any]:
    """Return the function that saves a classifier that was put in another form."""

    def save(temporary: Path) -> None:
        try:
            classifier.save(temporary)
            _check_same(classifier, loading.load_network(temporary))
        except OSError:  # the disk
            raise
        except Exception as error:  # Keras raises nearly anything
            raise InputError(
                f"{user.file} cannot be saved in the form that is decoded ({error}): save a model "
                "of one image and one output as a .keras file, all of it Keras layers"
            ) from error

    return save


def _check_same(classifier: keras.Model, copy: keras.Model) -> None:
    """Raise InputError if a saved classifier answers otherwise than the one that was saved."""
    shape = cutting.image_shape(classifier)
    noise = np.random.default_rng(0).random((2, *shape)).astype("float32")
    expected, found = (
        batches.predict(cutting.logits(model), noise) for model in (classifier, copy)
    )
    if not np.allclose(expected, found, rtol=1e-3, atol=1e-4):
        raise InputError("the copy gives other answers")
