"""Find the names of a classifier's classes: in a file, in its dataset, or those of ImageNet."""

import json
import os
from pathlib import Path

from cladec.errors import InputError
from cladec.experiments.plans import lines_in
from cladec.experiments.saved_models import SavedClassifier
from cladec.models import cutting
from cladec.progress import Progress
from cladec.text import printable

IMAGENET = 1000
"""The number of classes of the networks of `keras.applications`."""


def find_class_names(
    saved: SavedClassifier, file: Path | None, *, named: bool, progress: Progress
) -> tuple[str, ...]:
    """Return a name for each class of a classifier, its number if nothing names it.

    Args:
        saved: the classifier.
        file: a text file with a name in each line, in the order of the outputs; None for no file.
        named: whether the dataset of the classifier names the classes.
        progress: the display that tells where names are from, or why there are none.

    Raises:
        InputError: if the file is missing, or has not one line for each class.
    """
    count = cutting.num_classes(saved.classifier)
    if file is not None:
        return _names_in(file, count)
    if named:
        return saved.class_names
    if count == IMAGENET and (names := _names_of_imagenet()):
        progress.say("1,000 classes are taken for those of ImageNet; --class-names gives others")
        return names
    download = "; Keras has no list of ImageNet's here" if count == IMAGENET else ""
    progress.say(f"classes have no names, only numbers{download}: give --class-names FILE")
    return saved.class_names


def _names_in(file: Path, count: int) -> tuple[str, ...]:
    names = lines_in(file)
    if len(names) != count:
        raise InputError(
            f"--class-names {file} has {len(names)} names and the classifier {count} classes: "
            "expected the name of each output of the classifier, one a line, in their order"
        )
    return names


def _names_of_imagenet() -> tuple[str, ...]:
    """Return ImageNet's names if Keras has fetched them before; it is not asked to."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    try:
        index = json.loads((home / "models" / "imagenet_class_index.json").read_text("utf-8"))
        return tuple(printable(index[str(place)][1]) for place in range(IMAGENET))
    except (OSError, ValueError, LookupError, TypeError):
        return ()
