"""SavedModels as functions of images; what could do more than compute is refused before loading."""

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo
from keras import layers
from PIL import Image

import cladec
from cladec.commands import main
from cladec.errors import InputError, InputWarning
from cladec.models import loading
from cladec.models.saved_function import SavedFunction
from cladec.storage import saved_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[keras.Model, Path]:
    """A model and the folder that Keras exported."""
    body = [layers.Conv2D(4, 3, activation="relu"), layers.Dropout(0.5)]
    ends = [layers.BatchNormalization(), layers.Flatten(), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input(zoo.IMAGE_SHAPE), *body, *ends])
    folder = tmp_path_factory.mktemp("exported") / "model"
    model.export(folder, verbose=False)
    return model, folder


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        loading.load_model(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def saved(folder: Path, function: Callable, *shape: int | None, **signature: tf.TensorSpec) -> Path:
    """A SavedModel of a function of images of a shape, or with a signature."""
    module = tf.Module()
    signature = signature or {"images": tf.TensorSpec((None, *shape), tf.float32)}
    module.call = tf.function(function).get_concrete_function(**signature)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    return folder


def test_an_exported_model_answers_as_the_model(exported):
    model, folder = exported
    loaded = loading.load_model(folder)
    assert isinstance(loaded, SavedFunction)
    assert (loaded.name, loaded.image_shape) == ("model", zoo.IMAGE_SHAPE)
    images = zoo.images()
    np.testing.assert_allclose(loaded(images), model.predict(images, verbose=0), atol=1e-5)
    assert loaded(images.astype(float)).dtype == np.float32


def test_a_model_exported_as_if_to_be_trained_is_told(tmp_path):
    body = [layers.RandomFlip(), layers.Conv2D(4, 3), layers.BatchNormalization()]
    ends = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    model = keras.Sequential([keras.Input(zoo.IMAGE_SHAPE), *body, *ends])
    model.export(tmp_path / "model", verbose=False)
    with pytest.warns(InputWarning, match="its answers differ from call to call"):
        loaded = loading.load_model(tmp_path / "model")
    answers = [loaded(zoo.images()) for _ in range(30)]
    assert any(not np.array_equal(answers[0], other) for other in answers)


def test_methods_that_need_no_layers_explain_it_like_the_model(exported, tmp_path):
    model, folder = exported
    images = zoo.images(2)
    found = cladec.explain(folder, images, method="occlusion")
    np.testing.assert_allclose(
        found, cladec.explain(model, images, method="occlusion"), rtol=1e-3, atol=1e-6
    )
    with pytest.raises(InputError, match=r"no layers.*use a method that asks for answers alone"):
        cladec.explain(folder, images, method="saliency")
    Image.fromarray((images[0, ..., 0] * 255).astype(np.uint8)).save(tmp_path / "image.png")
    command = ["explain", "--model", str(folder), "--images", str(tmp_path / "image.png")]
    methods = ["--methods", "occlusion", "lime", "--pixels", "0-255"]
    main.main([*command, *methods, "--out", str(tmp_path / "out")])
    with np.load(tmp_path / "out" / "image.npz") as arrays:
        assert {"occlusion", "lime"} <= set(arrays)


def test_images_of_any_size(tmp_path):
    folder = saved(tmp_path / "any", lambda images: tf.reduce_mean(images, (1, 2)), None, None, 3)
    loaded = loading.load_model(folder)
    assert loaded.image_shape == (None, None, 3)
    assert loaded(np.ones((2, 5, 7, 3), np.float32)).shape == (2, 3)


def test_what_needs_layers_says_so(exported, capsys):
    with pytest.raises(InputError, match="a SavedModel, which has no layers: load the model that"):
        loading.load_network(exported[1])
    with pytest.raises(SystemExit):
        main.main(["layers", "--model", str(exported[1])])
    assert "which has no layers" in capsys.readouterr().err


IMAGE = tf.TensorSpec((None, 8, 8, 1), tf.float32)


@pytest.mark.parametrize(
    ("function", "signature", "words"),
    [
        (
            lambda images, more: images + more,
            {"images": IMAGE, "more": IMAGE},
            "2 inputs (images, more)",
        ),
        (lambda images: {"a": images, "b": images}, {"images": IMAGE}, "2 outputs (a, b)"),
        (lambda images: images, {"images": IMAGE}, "expected scores, (None, classes)"),
        (lambda images: images, {"images": tf.TensorSpec((None, 8), tf.float32)}, "(None, 8)"),
        (
            lambda images: images,
            {"images": tf.TensorSpec((None, 8, 8, 1), tf.uint8)},
            "uint8 (None, 8, 8, 1): expected images",
        ),
    ],
)
def test_other_functions_are_refused(tmp_path, function, signature, words):
    assert words in refused(saved(tmp_path / "other", function, **signature))


def test_several_signatures_are_named(tmp_path):
    module = tf.Module()
    module.call = tf.function(tf.identity).get_concrete_function(IMAGE)
    signatures = {"first": module.call, "second": module.call}
    tf.saved_model.save(module, str(tmp_path / "two"), signatures=signatures)
    assert "signatures first, second: expected serving_default" in refused(tmp_path / "two")


def python(path: str, images: tf.Tensor) -> tf.Tensor:
    def touch(values: np.ndarray) -> np.ndarray:
        Path(path).touch()
        return values

    return tf.numpy_function(touch, [images], tf.float32)


def inside(path: str, images: tf.Tensor) -> tf.Tensor:
    """Behind a condition, in a function that a function calls."""
    inner = tf.function(lambda: write(path, images))
    return tf.cond(tf.reduce_sum(images) > 0, inner, lambda: images)


def write(path: str, images: tf.Tensor) -> tf.Tensor:
    tf.io.write_file(path, "x")
    return images


def read(path: str, images: tf.Tensor) -> tf.Tensor:
    return images + tf.cast(tf.strings.length(tf.io.read_file(path)), tf.float32)


def find(path: str, images: tf.Tensor) -> tf.Tensor:
    return images + tf.cast(tf.size(tf.io.matching_files(path)), tf.float32)


def tell(path: str, images: tf.Tensor) -> tf.Tensor:
    tf.print("x", output_stream=f"file://{path}")
    return images


def store(path: str, images: tf.Tensor) -> tf.Tensor:
    tf.raw_ops.SaveV2(prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[images])
    return images


def restore(path: str, images: tf.Tensor) -> tf.Tensor:
    (found,) = tf.raw_ops.RestoreV2(
        prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )
    return images + found


def debug(path: str, images: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.DebugIdentityV2(input=images, debug_urls=[f"file://{path}"])


def data(path: str, images: tf.Tensor) -> tf.Tensor:
    for _ in tf.data.TextLineDataset(path):
        images += 1.0
    return images


OPERATIONS = {
    python: "PyFunc",
    inside: "WriteFile",
    write: "WriteFile",
    read: "ReadFile",
    find: "MatchingFiles",
    tell: "PrintV2",
    store: "SaveV2",
    restore: "RestoreV2",
    debug: "DebugIdentityV2",
    data: "Dataset",
}


@pytest.mark.parametrize("trick", OPERATIONS)
def test_programs_are_refused(tmp_path, trick):
    canary = tmp_path / "canary"
    folder = saved(
        tmp_path / "program",
        lambda images: tf.reduce_mean(trick(str(canary), images), (1, 2)),
        *(8, 8, 1),
    )
    assert f"{OPERATIONS[trick]}" in refused(folder).partition("holds the operation ")[2]
    assert not canary.exists()


def test_what_is_run_when_a_table_is_made_is_looked_at(tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\n")
    module = tf.Module()
    names = tf.lookup.TextFileInitializer(
        *(str(tmp_path / "names.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
        *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
    )
    module.table = tf.lookup.StaticHashTable(names, -1)
    module.call = tf.function(lambda images: tf.reduce_mean(images, (1, 2)), [IMAGE])
    tf.saved_model.save(module, str(tmp_path / "table"), signatures=module.call)
    assert "holds the operation " in refused(tmp_path / "table")


def test_the_functions_that_save_and_restore_a_model_are_not_run(exported):
    """So they may be there; if the function to serve were one of them, they could not."""
    graph = saved_model.read(exported[1])
    names = [function.signature.name for function in graph.graph_def.library.function]
    restoring = next(name for name in names if "traced_restore" in name)
    assert "RestoreV2" not in {node.op for node in saved_model.nodes(graph)}
    for thing in graph.object_graph_def.nodes:
        if thing.bare_concrete_function.concrete_function_name:
            thing.bare_concrete_function.concrete_function_name = restoring
    assert "RestoreV2" in {node.op for node in saved_model.nodes(graph)}


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_damaged_folders_are_refused(exported, tmp_path, size):
    (tmp_path / "broken").mkdir()
    content = (exported[1] / saved_model.FILE).read_bytes()[:size]
    (tmp_path / "broken" / saved_model.FILE).write_bytes(content)
    assert "cannot be loaded" in refused(tmp_path / "broken")


def test_missing_weights_are_told(exported, tmp_path):
    (tmp_path / "broken").mkdir()
    os.link(exported[1] / saved_model.FILE, tmp_path / "broken" / saved_model.FILE)
    assert "cannot be loaded" in refused(tmp_path / "broken")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_on_other_backends_it_is_refused(exported, monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    assert f"Keras runs on {backend} here; set KERAS_BACKEND=tensorflow" in refused(exported[1])
