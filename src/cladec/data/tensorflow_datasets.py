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
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from cladec.data.image_folder import TEST_NAMES
from cladec.errors import InputError, needing
from cladec.text import printable

Arrays = tuple[np.ndarray, np.ndarray]

CATALOG = "https://www.tensorflow.org/datasets/catalog/overview"
SOCKET_SECONDS = 5.0
PROBE_SECONDS = 10.0  # in total: the time limit of a socket does not cover a dead name server


def read(name: str, data_dir: str) -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Read a dataset, fetched if necessary: (images, labels) of train and test, class names.

    Raises InputError if the dataset does not exist, is unsuitable, damaged or cannot be fetched.
    """
    builder = prepare(name, data_dir)
    image_key, label_key = _image_and_label_keys(name, builder)
    splits = sorted(builder.info.splits)
    test_name = next((name for name in TEST_NAMES if name in splits), None)
    if "train" not in splits or test_name is None:
        raise InputError(
            f"dataset {name!r} has the splits {splits}, expected 'train' and 'test': choose "
            f"another dataset, or prepare it again if {builder.data_path} is incomplete"
        )
    try:
        train = _read_split(builder, "train", image_key, label_key)
        test = _read_split(builder, test_name, image_key, label_key)
    except Exception as error:  # TensorFlow's errors share no base class with those of TFDS
        raise InputError(
            f"dataset {name!r} cannot be read from {builder.data_path} ({_brief(error)}): "
            "the folder is damaged; remove it, then prepare or copy it again"
        ) from error
    return train, test, tuple(map(printable, builder.info.features[label_key].names))


def prepare(name: str, data_dir: str) -> Any:
    """Fetch a dataset if it is missing, without reading it, and return its builder.

    Raises InputError if the dataset does not exist, is unsuitable or cannot be fetched.
    """
    builder = _builder(name, data_dir)
    _image_and_label_keys(name, builder)
    with needing("datasets", f"dataset {name!r}"):
        import tensorflow  # noqa: F401  (TFDS reads with it on any backend)
    if not builder.data_path.exists():
        _download(name, builder)
    return builder


def check(name: str, data_dir: str) -> None:
    """Raise InputError, without fetching anything, for a name that `read` cannot use."""
    _image_and_label_keys(name, _builder(name, data_dir))


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


def _image_and_label_keys(name: str, builder: Any) -> tuple[str, str]:
    """Return the keys of image and label, or raise InputError if they cannot be used."""
    from tensorflow_datasets import features

    found, keys = builder.info.features, builder.info.supervised_keys
    problem = ""
    if not (keys and len(keys) == 2 and all(isinstance(key, str) for key in keys)):
        problem = f"supervised keys {keys}"
    elif not isinstance(found[keys[0]], features.Image):
        problem = f"{keys[0]!r} of type {type(found[keys[0]]).__name__}"
    elif not isinstance(found[keys[1]], features.ClassLabel):
        problem = f"{keys[1]!r} of type {type(found[keys[1]]).__name__}"
    elif None in found[keys[0]].shape:
        problem = f"images of no fixed size, shape {found[keys[0]].shape}"
    elif np.dtype(found[keys[0]].np_dtype).kind != "u":
        problem = f"images of dtype {np.dtype(found[keys[0]].np_dtype)}"
    if problem:
        raise InputError(
            f"dataset {name!r} has {problem}, expected images of one size, in bytes, each with a "
            "class label: choose another dataset, or pass a folder of resized images"
        )
    return keys[0], keys[1]


def _read_split(builder: Any, split: str, image_key: str, label_key: str) -> Arrays:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    options = tf.data.Options()
    options.autotune.enabled = False  # its thread would delay the end of reading by seconds
    config = tfds.ReadConfig(options=options, try_autocache=False)
    stored = builder.as_dataset(split=split, read_config=config, as_supervised=True)
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
