"""Every explainer and every measure on classifiers that were trained elsewhere, on real pictures.

They lie beside the repository, in `../shared/models`, and are no part of it.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import cladec
from cladec.commands import main
from cladec.explainers import EXPLAINERS
from cladec.metrics.measures import MEASURES
from cladec.models.recipes import Recipe

MODELS = Path(__file__).parents[2].parent / "shared/models"
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CATS = (281, 282, 285)
"""Tabby, tiger cat and Egyptian cat among the classes of ImageNet."""

EARLY = "activation_2"
"""Training a RefAE of the layers behind it crashes TensorFlow 2.21 (a 1x1 convolution)."""

FEW = {"samples": 64, "masks": 100, "steps": 3, "max_steps": 9, "segments": 12, "smooth_samples": 3}
"""Options of explainers, so that they are quick."""

REFUSED = {"shap_deep": "has no rule that fits layer '.*' .SeparableConv2D"}
"""What cannot explain the classifier of emotions, and says why."""


def model_file(name: str) -> Path:
    path = MODELS / name
    if not path.exists():
        pytest.skip(f"there is no {path}")
    return path


def loaded(name: str) -> keras.Model:
    """A classifier of pixels in [-1, 1], as one of pixels in [0, 1]."""
    return cladec.with_pixels(cladec.load_model(model_file(name)), "-1-1")


@pytest.fixture(scope="module")
def emotion() -> keras.Model:
    return loaded("emotion_mini_xception.h5")


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """A smiling face; mirrored; and closer crops of it."""
    whole = Image.open(model_file("face.png")).convert("L")
    generator = np.random.default_rng(0)
    pictures = [whole, whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    for left, top in generator.integers(0, 8, (6, 2)):
        pictures.append(whole.crop((left, top, left + 57, top + 57)).resize(whole.size))
    return np.stack([np.asarray(picture, np.float32)[..., None] / 255 for picture in pictures])


@pytest.fixture(scope="module")
def decoders(emotion, faces) -> dict[str, keras.Model]:
    """A ClaDec and a RefAE of an early layer, hardly trained."""
    data = cladec.Split(faces, np.full(len(faces), EMOTIONS.index("happy")))
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=1e-2, least_images=0, least_steps=8)
    return {
        "decoder": cladec.fit_cladec(emotion, EARLY, data, alpha=0.5, recipe=recipe),
        "reference": cladec.fit_refae(emotion, EARLY, data, recipe=recipe),
    }


@pytest.fixture(scope="module")
def saliency(emotion, faces) -> np.ndarray:
    return cladec.explain(emotion, faces, method="saliency")


def test_the_layers_are_listed(emotion, tmp_path, capsys):
    emotion.save(tmp_path / "emotion.keras")
    main.main(["layers", "--model", str(tmp_path / "emotion.keras")])
    listed = capsys.readouterr().out
    assert EARLY in listed
    assert "60x60x8" in listed.replace(" ", "")


def test_every_face_smiles(emotion, faces):
    found = emotion.predict(faces, verbose=0)
    assert {EMOTIONS[number] for number in found.argmax(axis=1)} == {"happy"}
    assert found.max(axis=1).min() > 0.8


@pytest.mark.parametrize("method", EXPLAINERS)
def test_every_explainer_explains_faces(method, emotion, faces, request):
    explainer = EXPLAINERS[method]
    options = {name: value for name, value in FEW.items() if name in explainer.options}
    if "decoder" in explainer.options:
        options = request.getfixturevalue("decoders")
    if method in REFUSED:
        with pytest.raises(cladec.InputError, match=REFUSED[method]):
            cladec.explain(emotion, faces[:2], method=method, **options)
        return
    found = cladec.explain(emotion, faces[:2], method=method, **options)
    assert found.shape == (faces[:2].shape if explainer.makes_images else (2, 64, 64))
    assert np.isfinite(found).all()
    assert (np.ptp(found, axis=(1, 2)) > 0).all()
    if not explainer.signed:
        assert found.min() >= 0


def test_a_few_pixels_hold_most_of_the_saliency(saliency):
    strongest = np.sort(saliency.reshape(len(saliency), -1), axis=1)[:, -64 * 64 // 10 :]
    assert (strongest.sum(axis=1) > 0.25 * saliency.sum(axis=(1, 2))).all()


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_knows_saliency_from_noise(name, emotion, faces, saliency):
    measure, explainer = MEASURES[name], EXPLAINERS["saliency"]
    targets = np.full(len(faces), EMOTIONS.index("happy"))
    noise = np.random.default_rng(0).random(saliency.shape, dtype=np.float32)
    found, of_noise = (
        measure(explainer, emotion, faces, maps, targets, seed=0) for maps in (saliency, noise)
    )
    assert found.shape == (len(faces),)
    assert np.isfinite(found).all()
    if name == "randomisation":
        assert np.abs(found).max() < 0.5
    elif measure.higher_is_better:
        assert found.mean() > of_noise.mean() + 0.05
    else:
        assert found.mean() < of_noise.mean() - 0.05


@pytest.fixture(scope="module")
def imagenet() -> keras.Model:
    return loaded("efficientnet_lite0.keras")


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    """The face of a cat in the lower left quarter of a grey picture, (1, 224, 224, 3)."""
    from skimage import data

    face = Image.fromarray(data.chelsea()).crop((60, 0, 360, 300)).resize((112, 112))
    picture = np.full((1, 224, 224, 3), 0.5, np.float32)
    picture[0, 112:, :112] = np.asarray(face, np.float32) / 255
    return picture


@pytest.mark.parametrize("method", ["saliency", "grad_cam", "guided_backpropagation", "occlusion"])
def test_a_network_of_imagenet_sees_the_cat_where_it_is(method, imagenet, cat):
    assert imagenet.predict(cat, verbose=0).argmax() in CATS
    options = {"patch": 56, "stride": 28} if method == "occlusion" else {}
    found = np.abs(cladec.explain(imagenet, cat, method=method, **options))[0]
    assert found[112:, :112].sum() > 0.5 * found.sum()
