"""Trainings in bfloat16: what changes, and that nothing of it stays."""

from pathlib import Path

import keras
import numpy as np
import pytest

from cladec import models
from cladec.models import classifiers, cutting, losses, precision
from cladec.models.decoder import build_decoder
from cladec.models.precision import computing_in
from cladec.models.recipes import Recipe


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx512f avx512_bf16 sse", "mixed_bfloat16"),
        ("flags : fpu amx_tile amx_bf16", "mixed_bfloat16"),
        ("flags : fpu avx512f avx512_vnni sse", "float32"),
        ("flags : avx512_bf16x", "float32"),
    ],
)
def test_what_is_fastest_is_read_from_the_processor(
    flags: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"processor : 0\n{flags}\n")
    monkeypatch.setattr(precision, "PROCESSOR", processor)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert precision.fastest() == expected
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert precision.fastest() == "float32"


def test_float32_where_the_processor_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "PROCESSOR", tmp_path / "none")
    assert precision.fastest() == "float32"


def test_the_layers_compute_in_bfloat16_and_only_there(tiny) -> None:
    model = build_decoder((12,), (8, 8, 1))
    codes = np.ones((1, 12), np.float32)
    hidden = keras.Model(model.inputs[0], model.get_layer("spread").output)
    before = model.get_weights()
    with computing_in(model, "mixed_bfloat16"):
        assert model.get_layer("spread")(codes).dtype == "bfloat16"
        assert model(codes).dtype == "float32"
        assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert hidden(codes).dtype == "float32"
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_layers_with_a_precision_of_their_own_keep_it() -> None:
    inputs = keras.Input((4,))
    half = keras.layers.Dense(3, dtype="mixed_float16", name="half")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(half))
    with computing_in(model, "mixed_bfloat16"):
        assert model.get_layer("half").dtype_policy.name == "mixed_float16"
    assert model.get_layer("half").dtype_policy.name == "mixed_float16"
    assert model.layers[-1].dtype_policy.name == "float32"


def test_a_cladec_trained_in_bfloat16_is_as_good(classifier, tiny) -> None:
    totals = {}
    for name in ("float32", "mixed_bfloat16"):
        recipe = Recipe(12, 32, 1e-2, 0, 0, precision=name)
        cladec = models.fit_cladec(classifier, "conv", tiny, alpha=0.5, recipe=recipe)
        assert {layer.dtype_policy.name for layer in cladec._flatten_layers()} == {"float32"}
        decoded = cladec.predict(tiny.train.images, verbose=0)
        assert decoded.dtype == np.float32
        logits = cutting.logits(classifier)(decoded)
        totals[name] = losses.mix(
            0.5,
            float(losses.reconstruction(tiny.train.images, decoded)),
            float(losses.classification(tiny.train.labels, logits)),
        )
    assert totals["mixed_bfloat16"] != totals["float32"]
    assert totals["mixed_bfloat16"] == pytest.approx(totals["float32"], rel=0.1)


def test_a_classifier_and_a_refae_train_in_bfloat16(tiny) -> None:
    recipe = Recipe(50, 32, 1e-2, 0, 0, precision="mixed_bfloat16")
    trained = classifier_of(tiny)
    history = classifiers.fit_classifier(trained, tiny, recipe=recipe)
    assert history["accuracy"][-1] > 0.9
    assert classifiers.accuracy(trained, tiny.train) > 0.9
    refae = models.fit_refae(trained, "conv", tiny, recipe=recipe)
    assert refae.history.history["loss"][-1] < 0.5 * refae.history.history["loss"][0]


def classifier_of(data) -> keras.Model:
    return classifiers.build_classifier(data.image_shape, data.num_classes)
