"""Another Keras backend than TensorFlow trains, measures and explains the same models."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scripts
from PIL import Image

from cladec import load
from cladec.models import loading
from cladec.models.batches import predict

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax"
)


@pytest.fixture(scope="module")
def jax() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        yield patch


@pytest.fixture(scope="module")
def by_jax(jax, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("jax") / "saved-models"
    output, errors = scripts.run("create_models.py", *scripts.TINY, "--out", str(models))
    assert "alpha 0.99: " in output
    assert errors == ""
    return models


def test_the_same_models_and_table(by_jax: Path, trained: Path, evaluated: Path) -> None:
    out = by_jax.parent / "eval"
    scripts.run("eval.py", "--models", str(by_jax), "--out", str(out), *scripts.HERE)
    assert [path.name for path in sorted(by_jax.rglob("*.keras"))] == [
        path.name for path in sorted(trained.rglob("*.keras"))
    ]
    found, expected = (pd.read_csv(folder / "evaluation_result.csv") for folder in (out, evaluated))
    pd.testing.assert_frame_equal(found.iloc[:, :3], expected.iloc[:, :3])
    losses = found["eval"] == "reconstruction_loss"
    # The weights start from other numbers on another backend.
    np.testing.assert_allclose(found.loc[losses, "0"], expected.loc[losses, "0"], rtol=0.25)


def test_tensorflow_loads_them(by_jax: Path) -> None:
    images = load("digits").test.images
    (path,) = by_jax.rglob("cladec-alpha-0.keras")
    decoded = predict(loading.load_saved(path), images)
    assert decoded.shape == images.shape
    assert ((decoded - images) ** 2).mean() < ((images - images.mean()) ** 2).mean()


def test_images_are_explained_and_what_needs_tensorflow_says_so(by_jax: Path, tmp_path: Path):
    image, out = tmp_path / "image.png", tmp_path / "explanations"
    Image.fromarray((load("digits").test.images[0, :, :, 0] * 255).astype(np.uint8)).save(image)
    (classifier,) = by_jax.rglob("classifier.keras")
    command = [sys.executable, "-c", "from cladec.commands.main import main; main()", "explain"]
    command += ["--model", str(classifier), "--images", str(image), "--out", str(out)]
    command += ["--methods", "grad_cam", "shap_gradient", "shap_deep"]
    ended = subprocess.run(command, text=True, capture_output=True, timeout=300)
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "error: shap_deep: shap_deep needs TensorFlow, and Keras runs on"
    )
    assert ended.stderr.count("\n") == 1
    assert {"grad_cam", "shap_gradient"} <= set(np.load(next(out.glob("*.npz"))))


def test_important_units_are_decoded(jax, tmp_path: Path) -> None:
    chosen = ["--fractions", "0.5", "--units", "important", "--alphas", "0", "--workers", "0"]
    arguments = [*scripts.TINY, *chosen, "--out", str(tmp_path / "models")]
    _, errors = scripts.run("create_models.py", *arguments)
    assert errors == ""
    assert [path for path in tmp_path.rglob("*.keras") if "important" in str(path)]


def test_a_fitted_model_is_evaluated_and_trained_on(by_jax: Path) -> None:
    (classifier,) = by_jax.rglob("classifier.keras")
    done = subprocess.run(
        [sys.executable, "-c", FITTED, str(classifier)], text=True, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    before, after, refused = done.stdout.splitlines()
    assert float(after) < float(before)
    assert refused.startswith("the labels are missing: expected (N,)")


FITTED = """
import sys, cladec, keras
data = cladec.load("digits")
images, labels = data.test.images, data.test.labels
quick = cladec.Recipe(1, batch_size=120, learning_rate=1e-2, least_images=0, least_steps=0)
decoder = keras.Sequential([keras.layers.Dense(784, "sigmoid"), keras.layers.Reshape((28, 28, 1))])
given = {"decoder": decoder, "optimizer": "rmsprop", "recipe": quick}
model = cladec.fit_cladec(sys.argv[1], "dense", data, alpha=0.5, **given)
assert model.decoder is decoder
for _ in range(2):
    print(model.evaluate(images, labels, verbose=0)[0])
    model.fit(images, labels, epochs=3, verbose=0)
try:
    model.evaluate(images)
except cladec.InputError as error:
    print(error)
model.evaluate(images, labels, verbose=0)
"""
