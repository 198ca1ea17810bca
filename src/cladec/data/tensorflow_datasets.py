"""Read image datasets of TensorFlow Datasets as arrays, without waiting for a dead network."""

import difflib
import os
import queue
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from cladec.data.held_out import held_out
from cladec.data.picture_cache import Collection, Picture
from cladec.data.picture_lists import TEST_NAMES
from cladec.errors import InputError, needing
from cladec.text import printable

Arrays = tuple[np.ndarray, np.ndarray]

CATALOG = "https://www.tensorflow.org/datasets/catalog/overview"
SOCKET_SECONDS = 5.0
PROBE_SECONDS = 10.0  # in total: the time limit of a socket does not cover a dead name server


def read(
    name: str, data_dir: str, *, choose: Callable[[int], np.ndarray] | None = None
) -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Read a dataset, fetched if necessary: (images, labels) of train and test, class names.

    Args:
        name: the name of the dataset.
        data_dir: the folder of TensorFlow Datasets.
        choose: the rows of the training images to read, by the number of all; None reads all, as is
            done where the test images are held out of the training images.

    Raises InputError if the dataset does not exist, is unsuitable, damaged or cannot be fetched.
    """
    builder = prepare(name, data_dir)
    keys = _image_and_label_keys(name, builder)
    splits = _used_splits(name, builder)
    if choose is not None and len(splits) == 2:
        rows = choose(builder.info.splits[splits[0]].num_examples)
        splits[0] = "+".join(f"{splits[0]}[{row}:{row + 1}]" for row in rows)
    with _naming_the_folder(name, builder):
        parts = [_read_split(builder, split, *keys) for split in splits]
    if len(parts) == 1:
        images, labels = parts[0]
        test = held_out(_names(len(labels)), labels, f"dataset {name!r}")
        parts = [(images[~test], labels[~test]), (images[test], labels[test])]
    return parts[0], parts[1], _class_names(builder, keys[1])


def collect(name: str, data_dir: str) -> Collection:
    """Return the pictures of a dataset, fetched if necessary and not decoded.

    Raises InputError as `read`, also while they are read.
    """
    builder = prepare(name, data_dir, any_size=True)
    keys = _image_and_label_keys(name, builder, any_size=True)
    splits = _used_splits(name, builder)
    counts = [builder.info.splits[split].num_examples for split in splits]
    where = f"dataset {name!r}"

    def pictures() -> Iterator[Picture]:
        with _naming_the_folder(name, builder):
            for split in splits:
                stored = _stored(builder, split, decoders={keys[0]: _as_it_is()})
                for place, (content, label) in enumerate(stored.as_numpy_iterator()):
                    yield Picture(f"{split} image {place} of {where}", int(label), content)

    def test(labels: np.ndarray) -> np.ndarray:
        if len(splits) == 2:
            return np.arange(len(labels)) >= counts[0]
        return held_out(_names(len(labels)), labels, where)

    key = f"{builder.info.full_name} {builder.data_path} {counts} {builder.info.dataset_size}"
    return Collection(where, _class_names(builder, keys[1]), key, sum(counts), pictures, test)


def _class_names(builder: Any, label_key: str) -> tuple[str, ...]:
    return tuple(map(printable, builder.info.features[label_key].names))


def _names(count: int) -> list[str]:
    """Return what stands for the names of the images of a dataset: their places in it."""
    return list(map(str, range(count)))


def _used_splits(name: str, builder: Any) -> list[str]:
    """Return the names of the splits for training and for testing, or of the first alone."""
    splits = sorted(builder.info.splits)
    if "train" not in splits:
        raise InputError(
            f"dataset {name!r} has the splits {splits}, expected 'train', and 'test' or "
            "'validation' (without them, a fifth is held out): choose another dataset, or prepare "
            f"it again if {builder.data_path} is incomplete"
        )
    return ["train", *[name for name in TEST_NAMES if name in splits][:1]]


@contextmanager
def _naming_the_folder(name: str, builder: Any) -> Iterator[None]:
    """Raise InputError, naming the folder of a dataset, for any error of reading it."""
    try:
        yield
    except Exception as error:  # TensorFlow's errors share no base class with those of TFDS
        raise InputError(
            f"dataset {name!r} cannot be read from {builder.data_path} ({_brief(error)}): "
            "the folder is damaged; remove it, then prepare or copy it again"
        ) from error


def prepare(name: str, data_dir: str, *, any_size: bool = False) -> Any:
    """Fetch a dataset if it is missing, without reading it, and return its builder.

    With `any_size` its images may be of several sizes.

    Raises InputError if the dataset does not exist, is unsuitable or cannot be fetched.
    """
    builder = check(name, data_dir, any_size=any_size)
    with needing("datasets", f"dataset {name!r}"):
        import tensorflow  # noqa: F401  (TFDS reads with it on any backend)
    if not builder.data_path.exists():
        _download(name, builder)
    return builder


def check(name: str, data_dir: str, *, any_size: bool = False) -> Any:
    """Return the builder of a dataset without fetching anything.

    Raises InputError for a name that `read` cannot use, or `collect` if `any_size` is true.
    """
    builder = _builder(name, data_dir)
    _image_and_label_keys(name, builder, any_size=any_size)
    if builder.info.splits:  # they may be known only when it is prepared
        _used_splits(name, builder)
    return builder


def folder(data_dir: str | os.PathLike[str] | None) -> str:
    """Return the folder of prepared datasets: `data_dir`, else TFDS_DATA_DIR, else the default."""
    # TFDS reads TFDS_DATA_DIR only when it is imported; reading it here lets it change later.
    folder = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return os.path.expanduser(os.fspath(folder))


def _builder(name: str, data_dir: str) -> Any:
    """Return the builder without going online, or raise InputError if TFDS has no such name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides TensorFlow's start-up messages
    with needing("datasets", f"dataset {name!r}"):
        import tensorflow_datasets as tfds

    base = re.split("[/:]", name)[0]
    known = tfds.list_builders(with_community_datasets=False)  # the community list is online
    if base not in known and not (base and os.path.isdir(os.path.join(data_dir, base))):
        near = difflib.get_close_matches(name.lower(), ["digits", *known], n=1)
        raise InputError(
            f"unknown dataset {name!r}{f' (did you mean {near[0]!r}?)' if near else ''}: use "
            "digits, mnist, fashion_mnist, cifar10 or another name of the TensorFlow Datasets "
            f"catalogue ({CATALOG}), or the path of a folder of images"
        )
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:
        raise InputError(
            f"dataset {name!r} cannot be opened in {data_dir} ({_brief(error)}): "
            f"check the name at {CATALOG}, or remove the damaged folder"
        ) from error


def _image_and_label_keys(name: str, builder: Any, *, any_size: bool = False) -> tuple[str, str]:
    """Return the keys of image and label, or raise InputError if they cannot be used."""
    from tensorflow_datasets import features

    found, keys = builder.info.features, builder.info.supervised_keys
    problem, way_out = "", "choose another dataset, or pass a folder of pictures"
    if not (keys and len(keys) == 2 and all(isinstance(key, str) for key in keys)):
        problem = f"supervised keys {keys}"
    elif not isinstance(found[keys[0]], features.Image):
        problem = f"{keys[0]!r} of type {type(found[keys[0]]).__name__}"
    elif not isinstance(found[keys[1]], features.ClassLabel):
        problem = f"{keys[1]!r} of type {type(found[keys[1]]).__name__}"
    elif None in found[keys[0]].shape and not any_size:
        problem = f"images of no fixed size, shape {found[keys[0]].shape}"
        way_out = "have them fitted with shape=(height, width, channels), or choose another dataset"
    elif np.dtype(found[keys[0]].np_dtype).kind != "u":
        problem = f"images of dtype {np.dtype(found[keys[0]].np_dtype)}"
    if problem:
        raise InputError(
            f"dataset {name!r} has {problem}, expected images of one size, in bytes, each with a "
            f"class label: {way_out}"
        )
    return keys[0], keys[1]


def _read_split(builder: Any, split: str, image_key: str, label_key: str) -> Arrays:
    stored = _stored(builder, split)
    feature, count = builder.info.features[image_key], builder.info.splits[split].num_examples
    largest = np.float32(np.iinfo(feature.np_dtype).max)
    images = np.empty((count, *feature.shape), np.float32)
    labels = np.empty(count, np.int64)
    start = 0
    for batch_images, batch_labels in stored.batch(256).as_numpy_iterator():
        stop = start + len(batch_labels)
        np.divide(batch_images, largest, out=images[start:stop])
        labels[start:stop] = batch_labels
        start = stop
    if start != count:  # the rest of the arrays would be uninitialised memory
        raise ValueError(f"{split} has {start} of {count} images")
    return images, labels


def _stored(builder: Any, split: str, decoders: Any = None) -> Any:
    """Return the pairs (image, label) of a split as a dataset of TensorFlow, in one order."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    options = tf.data.Options()
    options.autotune.enabled = False  # its thread would delay the end of reading by seconds
    config = tfds.ReadConfig(options=options, try_autocache=False)
    return builder.as_dataset(
        split=split, read_config=config, as_supervised=True, decoders=decoders
    )


def _as_it_is() -> Any:
    """Return the decoder of an image that gives the bytes of its file."""
    import tensorflow_datasets as tfds

    return tfds.decode.SkipDecoding()


def _download(name: str, builder: Any) -> None:
    """Let TFDS fetch and prepare the dataset if one of its servers answers.

    Without this check, and without a network, TFDS would repeat each request ten times with
    doubling pauses, and fail after 204 seconds with a long traceback.
    """
    ways_out = "set TFDS_DATA_DIR to a folder where it is prepared, or use --datasets digits"
    problem = _probe(_urls_to_fetch(builder))
    if problem:
        raise InputError(
            f"dataset {name!r} is not prepared in {builder.data_path} and {problem}: {ways_out}"
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"dataset {name!r} cannot be downloaded and prepared in {builder.data_path} "
            f"({_brief(error)}): try again, {ways_out}"
        ) from error


def _urls_to_fetch(builder: Any) -> list[str]:
    """Return a URL of each of the first four servers with files that are still missing.

    No public function of TFDS (4.9) tells the name of a file once it is fetched.
    """
    from tensorflow_datasets.core.download import resource

    downloads = Path(builder.data_dir_root) / "downloads"
    by_server: dict[str, str] = {}
    for url, info in (builder.url_infos or {}).items():
        kept = downloads / builder.name / resource.get_dl_fname(url, info.checksum)
        by_hand = downloads / "manual" / (info.filename or kept.name)
        if url.startswith("http") and not kept.exists() and not by_hand.exists():
            by_server.setdefault(urllib.parse.urlsplit(url).netloc, url)
    return list(by_server.values())[:4]


def _probe(urls: Sequence[str]) -> str:
    """Return "" if any URL answers or there is none, else the problem with one of them."""
    answers: queue.Queue[str] = queue.Queue()
    for url in urls:
        # Daemon threads, so that Python does not wait for a dead name server when it exits.
        threading.Thread(target=lambda url=url: answers.put(_ask(url)), daemon=True).start()
    deadline = time.monotonic() + PROBE_SECONDS
    problem = ""
    for url in urls:
        try:
            problem = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return problem or f"{url} does not answer within {PROBE_SECONDS:g} s"
        if not problem:
            return ""
    return problem


def _ask(url: str) -> str:
    """Return "" if the server answers, else the problem."""
    try:
        # urlopen is not used, because it keeps the proxies of its first call.
        with urllib.request.build_opener().open(url, timeout=SOCKET_SECONDS):
            return ""
    except urllib.error.HTTPError as error:  # TFDS reports these at once, except 5xx
        error.close()  # the error holds the connection
        return f"{url} answers HTTP {error.code}" if error.code >= 500 else ""
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ""  # TFDS brings its own certificates; Python's may be missing, as on macOS
        return f"{url} cannot be reached ({reason})"


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
