"""Images and labels in every form that people have them in, gathered into the same arrays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from test_dataset import message_of

from cladec.data.dataset import Dataset, Split, as_dataset
from cladec.data.forms import as_images, gathered, is_dataset

SHAPE = (6, 5, 3)
BYTES = np.random.default_rng(0).integers(0, 256, (7, *SHAPE), np.uint8)
IMAGES = (BYTES / 255).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2, 2])


class OfKeras(keras.utils.PyDataset):
    """Batches of three images."""

    def __init__(self, length: int | None = 3):
        super().__init__()
        self.length = length

    @property
    def num_batches(self) -> int | None:
        return self.length

    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(3 * place, 3 * place + 3)
        return IMAGES[rows], LABELS[rows]


class Pictures:
    """Single PIL images, in dicts, without an iterator of its own."""

    def __len__(self) -> int:
        return len(BYTES)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"image": Image.fromarray(BYTES[place]), "label": LABELS[place]}


def streamed() -> Iterator[Any]:
    """Pairs whose number is not known."""
    yield from zip(IMAGES, LABELS, strict=True)


def of_tensorflow(images: Any = IMAGES, labels: Any = LABELS) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images, labels))


PAIRS: dict[str, Callable[[], Any]] = {
    "tf.data": of_tensorflow,
    "tf.data in batches": lambda: of_tensorflow().batch(3),
    "tf.data of bytes": lambda: of_tensorflow(BYTES).batch(2),
    "tf.data of one-hot rows": lambda: of_tensorflow(labels=np.eye(3)[LABELS]).batch(7),
    "tf.data of single one-hot rows": lambda: of_tensorflow(labels=np.eye(3)[LABELS]),
    "tf.data of dicts": lambda: of_tensorflow().map(lambda x, y: {"image": x, "label": y}),
    "tf.data with weights": lambda: of_tensorflow().map(lambda x, y: (x, y, 1.0)).batch(4),
    "tf.data of unknown length": lambda: of_tensorflow().filter(lambda x, y: y < 9).batch(3),
    "PyDataset": OfKeras,
    "pictures": Pictures,
}


@pytest.mark.parametrize("form", PAIRS)
def test_labelled_images_of_a_dataset_are_gathered_in_order(form: str) -> None:
    data = PAIRS[form]()
    assert is_dataset(data)
    dataset = as_dataset(data, 3, shape=SHAPE)
    np.testing.assert_allclose(dataset.train.images, IMAGES, atol=1e-6)
    np.testing.assert_array_equal(dataset.train.labels, LABELS)
    np.testing.assert_allclose(as_dataset((data, data), 3, shape=SHAPE).test.images, IMAGES, 1e-5)
    dataset = Dataset("mine", data, (IMAGES[:2], LABELS[:2]), ("a", "b", "c"))
    np.testing.assert_array_equal(dataset.train.labels, LABELS)
    found = as_images(data, SHAPE)
    found = found / 255 if found.dtype == np.uint8 else found
    np.testing.assert_allclose(found, IMAGES, atol=1e-6)


def test_grey_images_of_a_dataset_get_their_channel() -> None:
    grey = IMAGES[..., 0]
    for data in (of_tensorflow(grey), of_tensorflow(grey).batch(3)):
        np.testing.assert_array_equal(gathered(data, (6, 5, 1))[0][..., 0], grey)
        np.testing.assert_array_equal(as_dataset(data, 3).train.images[..., 0], grey)
    alone = tf.data.Dataset.from_tensor_slices(grey)
    np.testing.assert_array_equal(as_images(alone.batch(2), (6, 5, 1))[..., 0], grey)
    np.testing.assert_array_equal(as_images(alone, (6, 5, 1))[..., 0], grey)


@pytest.mark.parametrize(
    "data",
    [
        of_tensorflow().repeat(),
        tf.data.Dataset.from_generator(streamed, output_signature=of_tensorflow().element_spec)
        .batch(2)
        .repeat(),
        OfKeras(None),
        streamed(),
    ],
)
def test_what_may_have_no_end_is_refused(data: Any) -> None:
    assert "has no known end: expected a dataset with a length" in message_of(as_dataset, data, 3)


def test_a_dataset_that_cannot_be_gathered_is_one_line() -> None:
    message = message_of(as_dataset, OfKeras(0), 3)
    assert message == "the OfKeras is empty: expected one image or more"
    message = message_of(as_dataset, tf.data.Dataset.from_tensor_slices(IMAGES), 3)
    assert "has images alone: expected pairs (images, labels)" in message
    sizes = tf.data.Dataset.from_generator(
        lambda: ((np.zeros((size, 5, 1)), 0) for size in (4, 6)),
        output_signature=(tf.TensorSpec((None, 5, 1)), tf.TensorSpec((), tf.int64)),
    )
    message = message_of(as_dataset, sizes, 3)
    assert "image 1 is of shape (6, 5, 1), and image 0 of (4, 5, 1): resize all" in message
    named = of_tensorflow().map(lambda x, y: {"picture": x, "label": y})
    assert "have the keys picture, label: expected 'image'" in message_of(as_dataset, named, 3)
    message = message_of(Dataset, "mine", IMAGES, IMAGES, ("a", "b"))
    assert "train is a ndarray, expected a Split" in message


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{place}.png" for place in range(len(BYTES))]
    for path, image in zip(paths, BYTES, strict=True):
        Image.fromarray(image).save(path)
    return paths


def test_pictures_and_lists_become_one_array(files: list[Path]) -> None:
    for form in (
        files,
        tuple(map(str, files)),
        [Image.fromarray(image) for image in BYTES],
        [Image.open(path) for path in files],
        list(IMAGES),
        [tf.constant(image) for image in IMAGES],
        IMAGES.tolist(),
        np.moveaxis(IMAGES, -1, 1),
        keras.ops.convert_to_tensor(IMAGES),
    ):
        np.testing.assert_allclose(as_images(form, SHAPE), IMAGES, atol=1e-6)
    np.testing.assert_allclose(Split(files, LABELS).images, IMAGES, atol=1e-6)
    for single in (files[0], str(files[0]), IMAGES[0], np.moveaxis(IMAGES[0], -1, 0)):
        np.testing.assert_allclose(as_images(single, SHAPE), IMAGES[:1], atol=1e-6)


def test_what_fits_is_not_copied() -> None:
    assert as_images(IMAGES, SHAPE) is IMAGES
    assert as_images(IMAGES) is IMAGES
    assert np.shares_memory(as_images(IMAGES[0], SHAPE), IMAGES)
    assert Split(IMAGES, LABELS).images is IMAGES
    assert as_dataset((IMAGES, LABELS), 3, shape=SHAPE, bytes_wanted=True).train.images is IMAGES


def test_pictures_get_the_channels_that_a_model_takes(files: list[Path]) -> None:
    grey = Image.fromarray(BYTES[0, ..., 0])
    np.testing.assert_allclose(as_images(grey, SHAPE)[0], IMAGES[0, ..., :1].repeat(3, 2))
    np.testing.assert_allclose(as_images(grey, (6, 5, 1))[0, ..., 0], IMAGES[0, ..., 0])
    opaque = Image.fromarray(BYTES[0]).convert("RGBA")
    np.testing.assert_allclose(as_images(opaque, SHAPE)[0], IMAGES[0])
    mixed = Split([Image.fromarray(BYTES[0]), grey], [0, 1])
    assert mixed.images.shape == (2, *SHAPE)
    for given, shape, words in (
        (Image.fromarray(BYTES[0]), (6, 5, 1), "image 0 has 3 channels, but the model takes 1"),
        ([grey, Image.fromarray(BYTES[0, 1:])], SHAPE, "image 1 is 5 wide and 5 high, but the"),
        (files[:1], (8, 8, 3), f"{files[0]} is 5 wide and 6 high, but the model takes 8 x 8"),
        (opaque.convert("LA").getchannel("A").convert("I"), (6, 6, 1), "image 0 is 5 wide"),
        (Image.fromarray(np.full((6, 5), 70000, np.int32)), (6, 5, 1), "do not fit into 16 bits"),
        ([*files, files[0].with_name("none.png")], SHAPE, "none.png cannot be read as an image"),
    ):
        assert words in message_of(as_images, given, shape)
    opaque.putalpha(9)
    assert "image 0 is transparent in places" in message_of(as_images, opaque, SHAPE)


def test_numbers_up_to_255_are_divided_only_where_they_are_wanted() -> None:
    for form in (BYTES, BYTES.astype(int), BYTES.astype(np.float32), BYTES.tolist()):
        data = as_dataset((form, LABELS), 3, bytes_wanted=True)
        np.testing.assert_allclose(data.train.images, IMAGES, atol=1e-6)
    assert "cladec.with_pixels(classifier, '0-255')" in message_of(
        as_dataset, (BYTES.astype(np.float32), LABELS), 3
    )
    dark = np.ones((2, *SHAPE), np.uint8)
    np.testing.assert_allclose(
        as_dataset((dark, [0, 1]), 2, bytes_wanted=True).train.images, 1 / 255
    )
    assert "pixels from 256 to 256" in message_of(
        as_dataset, (np.full((2, *SHAPE), 256.0), [0, 1]), 2, bytes_wanted=True
    )
