"""List the pictures of a folder, or of a table of files, with their classes, without reading any.

A folder has train/<class>/ with test/<class>/ (or val/, valid/, validation/), or <class>/ alone; a
fifth is then held out. A table is a CSV file with the columns file and label.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cladec.data.held_out import check_parts, held_out
from cladec.data.picture_tables import is_table, read_rows
from cladec.errors import InputError
from cladec.text import printable

IMAGE_FILE = re.compile(r"\.(a?png|jpe?g|jpe|jfif|gif|bmp|dib|tiff?|webp|p[bgnp]m)$", re.IGNORECASE)
"""The file names of the formats that are read."""

UNREAD_FILE = re.compile(
    r"\.(hei[cf]|hif|avif|jp2|j2k|jp[fx]|jxl|svgz?|ps[bd]|xcf|icns|ico|tga|pcx|pict|eps|emf|wmf|exr|"
    r"hdr|pfm|dds|dcm|dicom|raw|dng|cr[23]|nef|arw|orf|rw2|raf|pef|srw)$",
    re.IGNORECASE,
)
"""The file names of other picture formats, which cause an error instead of being ignored."""

TEST_NAMES = ("test", "val", "valid", "validation")
"""The names of the folder with the test pictures; the first one that exists is used."""

PICTURES = "pictures (.png, .jpg, .webp, .gif, .tif, .bmp, .ppm)"

LAYOUT = (
    f"expected train/<class>/ and test/<class>/ (or val/), or <class>/ alone, with {PICTURES}, or "
    "a CSV file with the columns file and label"
)

Files = list[tuple[Path, int]]


UNLABELLED = ("",)
"""The class names of pictures without classes."""


class Listing(NamedTuple):
    """Pictures that were found, sorted by class and name: (file, label) of both splits."""

    class_names: tuple[str, ...]
    train: Files
    test: Files


def list_images(source: Path) -> Listing:
    """Return the class names and the (file, label) pairs of train and test, sorted by name.

    Raises:
        InputError: there is no picture, only one class, a class for testing alone, a picture of a
            format that cannot be read, or a table with a mistake; files and folders are named.
    """
    if is_table(source):
        return _of_table(source)
    if is_unlabelled(source):
        return _without_classes(source)
    if (source / "train").is_dir() or any((source / name).is_dir() for name in TEST_NAMES):
        return _of_splits(source)
    return _of_classes(source)


def is_unlabelled(source: Path) -> bool:
    """Return whether a folder, or its folder train, has pictures and no class folders."""
    folder = source / "train" if (source / "train").is_dir() else source
    if not folder.is_dir():
        return False
    entries = _visible(folder)
    names = (entry.name for entry in entries if not entry.is_dir())
    return not any(map(Path.is_dir, entries)) and any(map(IMAGE_FILE.search, names))


def _without_classes(folder: Path) -> Listing:
    """List train/ and test/, or a folder, of which a fifth is held out."""
    if not (folder / "train").is_dir():
        files = [(path, 0) for path in _pictures(folder, set())]
        return Listing(UNLABELLED, *_split(folder, files))
    train, test = (
        [(path, 0) for path in _pictures(part, set())] if part.is_dir() else []
        for part in (folder / "train", _test_folder(folder))
    )
    if not test:
        raise InputError(f"{_test_folder(folder)} has no {PICTURES}: move some from train")
    return Listing(UNLABELLED, train, test)


def check_labelled(source: object, class_names: tuple[str, ...]) -> None:
    """Raise InputError for pictures without classes."""
    if class_names == UNLABELLED:
        raise InputError(f"{source} has pictures without class folders: {LAYOUT}")


def has_layout(source: str | os.PathLike[str]) -> bool:
    """Return whether something looks like pictures that `list_images` takes, at a glance."""
    path = Path(source)
    if is_table(path) or not path.is_dir():
        return is_table(path)
    folders = {each.name for each in _visible(path) if each.is_dir()}
    if folders & {"train", *TEST_NAMES}:
        return "train" in folders
    return bool(folders) or is_unlabelled(path)


def fingerprint(source: Path) -> str:
    """Return the SHA-256 of the relative paths and the sizes of the training pictures.

    The lines of a table also have its labels, since they are not in the paths.

    Raises:
        InputError: as `list_images`.
    """
    names, files, _ = list_images(source)
    lines = [f"{relative(source, path)} {path.stat().st_size}" for path, _ in files]
    if is_table(source):
        lines = [f"{line} {names[label]}" for line, (_, label) in zip(lines, files, strict=True)]
    return hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest()


def relative(source: Path, path: Path) -> str:
    """Return the path of a picture relative to the folder of `source`, with "/" everywhere."""
    folder = source.parent if is_table(source) else source
    return Path(os.path.relpath(path, folder)).as_posix()


def _of_splits(folder: Path) -> Listing:
    """List train/<class>/ and test/<class>/."""
    test = _test_folder(folder)
    classes = _list_classes(folder / "train")
    names = list(classes)
    _check_several(folder / "train", names)
    test_classes = _list_classes(test)
    for name in test_classes:
        if name not in classes:
            raise InputError(
                f"{test / name} is a class that train does not have "
                f"(it has {len(names)}, for example {names[0]!r}): rename or remove it"
            )
    _check_full(folder / "train", classes)
    if not any(test_classes.values()):
        raise InputError(f"{test} has no image in any class: move some from train")
    train_files, test_files = (
        [(path, names.index(name)) for name, files in found.items() for path in files]
        for found in (classes, test_classes)
    )
    return Listing(_clean_names(names), train_files, test_files)


def _of_classes(folder: Path) -> Listing:
    """List <class>/, of which a fifth is held out."""
    if not folder.is_dir() or not any(each.is_dir() for each in _visible(folder)):
        raise InputError(
            f"{folder.absolute()} has no folder 'train' and no class folders: {LAYOUT}"
        )
    classes = _list_classes(folder)
    if not any(classes.values()):
        raise InputError(f"{folder} has no {PICTURES} in its folders: {LAYOUT}")
    names = list(classes)
    _check_several(folder, names)
    _check_full(folder, classes)
    files = [(path, label) for label, name in enumerate(names) for path in classes[name]]
    return Listing(_clean_names(names), *_split(folder, files))


def _of_table(table: Path) -> Listing:
    """List the files of a table, of which a fifth is held out if it has no column split."""
    rows = read_rows(table, TEST_NAMES)
    for row in rows:
        check_regular(row.file)
    names = _sorted_labels({row.label for row in rows})
    _check_several(table, names)
    number = {name: label for label, name in enumerate(names)}
    parts: list[Files] = [[], []]
    for row in rows:
        parts[bool(row.is_test)].append((row.file, number[row.label]))
    if rows[0].is_test is None:
        parts = list(_split(table, parts[0]))
    check_parts(table, names, *([label for _, label in part] for part in parts))
    return Listing(_clean_names(names), *parts)


def _sorted_labels(labels: set[str]) -> list[str]:
    """Return labels sorted by name, or by number where all are numbers."""
    numbers = all(re.fullmatch(r"\d{1,9}", label) for label in labels)
    return sorted(labels, key=(lambda label: (int(label), label)) if numbers else None)


def _split(source: Path, files: Files) -> tuple[Files, Files]:
    """Return the pictures for training and those that are held out."""
    labels = np.array([label for _, label in files])
    test = held_out([relative(source, path) for path, _ in files], labels, source)
    pairs = list(zip(files, test, strict=True))
    return [file for file, out in pairs if not out], [file for file, out in pairs if out]


def _check_several(place: Path, names: list[str]) -> None:
    if len(names) < 2:
        kind = "one class" if is_table(place) else "one class folder"
        raise InputError(
            f"{place} has {kind}, {names[0]!r}, expected at least two: add the images of another "
            "class"
        )


def _check_full(place: Path, classes: dict[str, list[Path]]) -> None:
    for name, files in classes.items():
        if not files:
            raise InputError(
                f"{place / name} has no {PICTURES}: add images of this class or remove the folder"
            )


def _test_folder(folder: Path) -> Path:
    """Return the folder with the test pictures, "test" if there is none of its names."""
    folders = [folder / name for name in TEST_NAMES]
    return next((path for path in folders if path.is_dir()), folders[0])


def _clean_names(names: list[str]) -> tuple[str, ...]:
    """Make the names of class folders printable and unique; invalid bytes are escaped: \\xe9."""
    clean: list[str] = []
    for name in names:
        text = printable(os.fsencode(name).decode("utf-8", "backslashreplace"))
        taken = {*clean, *names} - {name}
        numbered = itertools.chain([text], (f"{text} ({n})" for n in itertools.count(2)))
        clean.append(next(each for each in numbered if each not in taken))
    return tuple(clean)


def _list_classes(split: Path) -> dict[str, list[Path]]:
    """Return the pictures of every class folder, without hidden and other files."""
    if not split.is_dir():
        raise InputError(f"{split.parent.absolute()} has no folder {split.name!r}: {LAYOUT}")
    folders = [entry for entry in _visible(split) if entry.is_dir()]
    if not folders:
        raise InputError(f"{split} has no class folders: {LAYOUT}")
    return {folder.name: list(_pictures(folder, set())) for folder in folders}


def _pictures(folder: Path, above: set[str]) -> Iterator[Path]:
    """Yield the pictures of a folder and of those in it; a link back to one above is left out."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for path in _visible(folder):
        if path.is_dir():
            yield from _pictures(path, above | {real})
        elif _is_picture(path):
            yield path


def _is_picture(path: Path) -> bool:
    """Return whether a file is a picture, and raise InputError for one that cannot be read."""
    if UNREAD_FILE.search(path.name):
        raise InputError(
            f"{path} has a picture format that cannot be read: save it as .png, or move it away"
        )
    if IMAGE_FILE.search(path.name) is None:
        return False
    check_regular(path)
    return True


def check_regular(path: Path) -> None:
    """Raise InputError for a pipe, a socket or a device, whose content may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path} is a pipe, a socket or a device, expected a file: remove it")


def _visible(folder: Path) -> list[Path]:
    # Paths sort by different rules on Windows, so their names are compared.
    return sorted((p for p in folder.iterdir() if p.name[0] != "."), key=lambda path: path.name)
