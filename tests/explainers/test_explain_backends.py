"""Explainers give the same maps on whatever backend Keras runs."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import explained
import numpy as np
import pytest
import zoo

from cladec.models import cutting
from cladec.models.cladec import ClaDec
from cladec.models.decoder import build_decoder
from cladec.models.refae import RefAE
from cladec.storage import model_files


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `explained` takes."""
    folder = tmp_path_factory.mktemp("explained")
    for name in (*explained.MODELS, explained.TRANSFORMER):
        zoo.build(name).save(folder / f"{name}.keras")
    model = zoo.build(explained.MODELS[0])
    network = cutting.cut(model, "dense")
    decoders = [zoo.randomised(build_decoder((6,), zoo.IMAGE_SHAPE)) for _ in range(2)]
    model_files.save(ClaDec(network, decoders[0], alpha=0.5), folder / "decoder.keras", {})
    encoder = zoo.randomised(cutting.fresh_encoder(model, "dense"))
    model_files.save(RefAE(encoder, decoders[1]), folder / "reference.keras", {})
    return folder


@pytest.fixture(scope="module")
def expected(models: Path) -> dict[str, np.ndarray]:
    """On the backend of the tests, TensorFlow."""
    return explained.explained(models)


@pytest.mark.filterwarnings("ignore:.* gave a map of zeros alone")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_maps_and_units_are_those_of_tensorflow(backend, models, expected, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    command = [sys.executable, explained.__file__, models, tmp_path / "found.npz"]
    environment = os.environ | {"KERAS_BACKEND": backend}
    subprocess.run(command, env=environment, check=True, timeout=300)
    with np.load(tmp_path / "found.npz") as found:
        assert set(found) == set(expected)
        for name, array in expected.items():
            limit = 1e-4 * np.abs(array).max()
            np.testing.assert_allclose(found[name], array, rtol=0, atol=limit, err_msg=name)
