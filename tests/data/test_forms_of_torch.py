"""Images and labels as PyTorch has them, gathered into the same arrays."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from test_dataset import message_of
from test_forms_of_data import IMAGES, LABELS, SHAPE

from cladec.data.dataset import Split, as_dataset
from cladec.data.forms import as_images

torch = pytest.importorskip("torch")


class Pairs(torch.utils.data.Dataset):
    """Single pairs, with the channels of a picture first, as torchvision has them."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        return torch.tensor(IMAGES[place]).permute(2, 0, 1), int(LABELS[place])


class Streamed(torch.utils.data.IterableDataset):
    """Pairs whose number is not known."""

    def __iter__(self) -> Iterator[Any]:
        return zip(IMAGES, LABELS, strict=True)


@pytest.mark.parametrize("data", [Pairs(), torch.utils.data.DataLoader(Pairs(), batch_size=3)])
def test_labelled_images_are_gathered_in_order(data: Any) -> None:
    dataset = as_dataset(data, 3, shape=SHAPE)
    np.testing.assert_array_equal(dataset.train.images, IMAGES)
    np.testing.assert_array_equal(dataset.train.labels, LABELS)
    np.testing.assert_array_equal(as_images(data, SHAPE), IMAGES)


def test_tensors_become_arrays() -> None:
    for form in (
        [torch.tensor(image) for image in IMAGES],
        torch.tensor(IMAGES, requires_grad=True),
        torch.tensor(IMAGES).permute(0, 3, 1, 2),
    ):
        np.testing.assert_array_equal(as_images(form, SHAPE), IMAGES)
    split = Split(torch.tensor(IMAGES), torch.tensor(LABELS))
    np.testing.assert_array_equal(split.labels, LABELS)


def test_a_loader_without_a_length_is_refused() -> None:
    data = torch.utils.data.DataLoader(Streamed())
    assert "the DataLoader has no known end" in message_of(as_dataset, data, 3)
