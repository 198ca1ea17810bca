"""One photograph fits the memory of a laptop, whatever the network and the method."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import zoo

from cladec.errors import InputError
from cladec.explainers.scores import logits_model
from cladec.models import batches, memory

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "families.py"


@pytest.mark.parametrize("method", ["integrated_gradients", "score_cam"])
def test_a_photograph_takes_less_than_two_gibibytes_above_the_network(method):
    command = [sys.executable, BENCHMARK, "--cell", "--samples", "0", "--families", "MobileNetV2"]
    done = subprocess.run(
        [*command, "--methods", method], capture_output=True, text=True, timeout=300, check=True
    )
    cell = json.loads(done.stdout.splitlines()[-1].partition("cell: ")[2])
    assert cell["result"] == "works"
    assert 0 <= cell["gib"] < 2


def of_size(side: int) -> keras.Model:
    """A network whose activations take 4 * 8 * side^2 bytes, and those of its images besides."""
    images = keras.Input((side, side, 1))
    return keras.Model(images, keras.layers.Conv2D(8, 1)(images))


def test_fewer_images_are_taken_at_once_the_larger_they_are():
    counts = [memory.images_per_call(of_size(side)) for side in (8, 1000, 4000, 20_000)]
    assert counts[0] == memory.MOST
    assert counts == sorted(counts, reverse=True)
    assert 1 < counts[1] < memory.MOST
    assert counts[-1] == 1
    with_gradients = memory.images_per_call(of_size(1000), gradients=True)
    assert 1 <= with_gradients < counts[1]


def test_the_predictions_do_not_depend_on_how_many_are_taken_at_once(monkeypatch):
    model, images = zoo.build("sequential"), zoo.images(11)
    expected = batches.predict(model, images)
    monkeypatch.setattr(memory, "BUDGET", 10_000)
    assert memory.images_per_call(model, most=batches.PREDICTION_BATCH) < 11
    np.testing.assert_allclose(batches.predict(model, images), expected, rtol=1e-5)


def test_the_number_that_is_asked_for_is_taken():
    scores = logits_model(zoo.build("sequential"))
    assert scores.images_per_call(1000) == 1000
    with pytest.raises(InputError, match="batch_size is 0"):
        scores.images_per_call(0)
