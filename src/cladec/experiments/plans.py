"""Define what a sweep knows of its classifiers before anything is trained, without Keras."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cladec.data.splits import artifact_name
from cladec.errors import InputError, check_types
from cladec.experiments.model_forms import ModelForm
from cladec.models.architectures import ARCHITECTURES
from cladec.storage import model_files
from cladec.text import printable

EVALUATION_NETWORK = "vgg"
"""The architecture that measures the evaluation accuracy of large classifiers of users."""

RECORD = "given"
"""The key of what is known of a user's classifier in the record of its copy."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """A classifier of the user, as it was when its copy was made.

    Attributes:
        file: the absolute path of its file.
        sha256: the checksum of its file.
        pixels, output, image_input, inputs, image_size: what was said of it, see `ModelForm`.
        class_names: the names of its outputs, in their order; empty if they were not given.
        fit, skip_unreadable: how pictures become images of its size, see `load`.
        cache: the absolute path of the folder that keeps these images; None for a temporary one.
    """

    file: str
    sha256: str
    pixels: str
    output: str | None
    image_input: str | None
    inputs: dict[str, Any]
    image_size: list[int] | None
    class_names: list[str]
    fit: str
    skip_unreadable: bool
    cache: str | None

    @classmethod
    def of(cls, file: Path, form: ModelForm, **others: Any) -> "Given":
        """Return a classifier in a file with what the settings of a command say of it.

        Args:
            file: the file of the classifier.
            form: what must be said of it.
            **others: the attributes that concern the dataset.

        Raises:
            InputError: if the file is missing or cannot be read.
        """
        said = form.form
        size = None if form.image_size is None else list(form.image_size)
        return cls(
            file=str(file.absolute()),
            sha256=model_files.checksum(file),
            pixels=form.pixels,
            output=form.output,
            image_input=form.image_input,
            inputs={name: value.tolist() for name, value in said["inputs"].items()},
            image_size=size,
            **others,
        )

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Given | None":
        """Return the user's classifier that a record describes; None for one of our own.

        Raises:
            InputError: if the record has an invalid one.
        """
        if record.get(RECORD) is None:
            return None
        names = {each.name for each in fields(cls)}
        try:
            given = cls(**{name: record[RECORD].get(name) for name in names})
        except (AttributeError, TypeError) as error:
            raise InputError(f"not the record of a classifier ({error})") from None
        check_types(given)
        return given

    @property
    def name(self) -> str:
        """The name of its folder of models: that of its file, made valid for a path."""
        name = artifact_name(Path(self.file).stem)
        return f"given-{name}" if name in ARCHITECTURES else name

    @property
    def fingerprint(self) -> str:
        """A checksum of all but the places of its file and of its images."""
        content = asdict(self) | {"file": "", "cache": ""}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The classifier of a sweep and the layers to decode.

    Attributes:
        architecture: the architecture of the classifier, or the name of a user's own.
        layers: the layers to decode.
        given: the user's own classifier; None for an architecture.
        evaluation_network: the architecture that is trained to measure the evaluation accuracy;
            None for that of the classifier.
        tuned: the layers whose RefAE begins with the weights of the classifier.
    """

    architecture: str
    layers: tuple[str, ...]
    given: Given | None = None
    evaluation_network: str | None = None
    tuned: frozenset[str] = frozenset()

    @property
    def recipe_of(self) -> str:
        """The architecture whose recipe trains the networks of the evaluation."""
        return self.architecture if self.given is None else EVALUATION_NETWORK

    @property
    def settings(self) -> dict[str, Any]:
        """The fields that all runs share."""
        return {
            "architecture": self.architecture,
            "given": None if self.given is None else self.given.fingerprint,
            "evaluation_network": self.evaluation_network,
        }


def names_in(file: Path | None) -> tuple[str, ...]:
    """Return the class names in a file, one a line; none for None.

    Raises:
        InputError: if the file is missing, or a name occurs twice.
    """
    if file is None:
        return ()
    names = lines_in(file)
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(
            f"--class-names {file} has {len(names)} lines, {len(set(names))} of them different: "
            "expected the name of each output of the classifier, one a line, in their order"
        )
    return names


def lines_in(file: Path) -> tuple[str, ...]:
    """Return the lines of a text file that are not empty, without control characters.

    Raises:
        InputError: if the file is missing.
    """
    text = model_files.read_file(file, lambda content: content.read().decode("utf-8-sig"))
    return tuple(printable(line.strip()) for line in text.splitlines() if line.strip())
