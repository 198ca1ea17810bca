"""Every kind of decoder trains on every backend, for classifiers of several forms."""

import importlib.util
import os
import subprocess
import sys

import decoded
import pytest


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_decoder_trains_and_is_loaded_again(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")
    command = [sys.executable, decoded.__file__, tmp_path]
    environment = os.environ | {"KERAS_BACKEND": backend}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert len(list(tmp_path.glob("*.keras"))) == len(decoded.FITS) + len(decoded.forms()) - 1
