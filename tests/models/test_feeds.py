"""The feeds that the benchmark of photographs compares: each gives every row once, in batches."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from cladec.models.batches import Batches

FEEDS = ("cladec", "tf.data", "PyDataset", "grain")


@pytest.mark.parametrize("name", FEEDS)
def test_every_row_comes_once_with_its_target(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "grain" and importlib.util.find_spec("grain") is None:
        pytest.skip("grain is not installed")
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from feeds import FEEDS

    codes = np.arange(10, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    targets = {"images": 2 * codes, "labels": np.arange(10)}
    batches = Batches(({"codes": codes}, targets), 4, shuffle_seed=0)
    given = FEEDS[name](batches)["x"]
    if isinstance(given, keras.utils.PyDataset):
        given = list(map(given.__getitem__, range(len(given))))
    found = []
    for inputs, compared in given:
        rows = np.asarray(compared["labels"])
        assert len(rows) == 4
        np.testing.assert_array_equal(np.asarray(inputs["codes"]), codes[rows])
        np.testing.assert_array_equal(np.asarray(compared["images"]), 2 * codes[rows])
        found += rows.tolist()
    assert len(found) == len(set(found)) == 8, "an incomplete batch is left out"
