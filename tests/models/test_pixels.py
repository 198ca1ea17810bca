"""What range of pixels a classifier wants, by its first layers and by its answers; told once."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import zoo
from keras import layers, ops

from cladec import InputError, InputWarning, Split, explain, fit_cladec
from cladec.commands import main
from cladec.data import pixel_ranges
from cladec.models import loading, pixels
from cladec.models.recipes import Recipe

BYTES = np.random.default_rng(0).integers(0, 256, (20, *zoo.IMAGE_SHAPE)).astype(np.float32)


def adapted(images: np.ndarray, **options) -> layers.Layer:
    layer = layers.Normalization(**options)
    layer.adapt(images)
    return layer


def batch_normalization(mean: float, variance: float) -> layers.Layer:
    layer = layers.BatchNormalization()
    layer.build((None, *zoo.IMAGE_SHAPE))
    layer.moving_mean.assign([mean])
    layer.moving_variance.assign([variance])
    return layer


def bordered() -> np.ndarray:
    """Bytes with a border that is always black."""
    images = BYTES.copy()
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0
    return images


def standardised(images):
    """Of each image its own mean and deviation."""
    centered = images - ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return centered / (ops.std(images, axis=(1, 2, 3), keepdims=True) + 1e-3)


def chain(*steps):
    def apply(tensor):
        for step in steps:
            tensor = step(tensor)
        return tensor

    return apply


by_255, by_255_signed = layers.Rescaling(1 / 255), layers.Rescaling(1 / 127.5, offset=-1)


@pytest.mark.parametrize(
    ("front", "top"),
    [
        (lambda: chain(), 1),
        (lambda: by_255, 255),
        (lambda: by_255_signed, 255),
        (lambda: layers.Rescaling(2, offset=-1), 1),
        (lambda: chain(layers.Rescaling(255), by_255), 1),
        (lambda: chain(layers.Rescaling(255), by_255_signed), 1),
        (lambda: layers.Rescaling(1 / 4095), 4095),
        (lambda: layers.Rescaling(1 / 65535), 65535),
        (lambda: lambda x: x / 255.0, 255),
        (lambda: lambda x: ops.multiply(ops.subtract(x, 127.0), 1 / 128), 255),
        (lambda: lambda x: x - 117.0, 255),
        (lambda: lambda x: 1.0 - x, 1),
        (lambda: adapted(BYTES), 255),
        (lambda: adapted(bordered(), axis=(1, 2, 3)), 255),
        (lambda: adapted(BYTES / 255), 1),
        (lambda: adapted(bordered() / 255, axis=(1, 2, 3)), 1),
        (lambda: batch_normalization(100, 5000), 255),
        (lambda: batch_normalization(0.3, 0.1), 1),
        (lambda: keras.Sequential([by_255, adapted(BYTES / 255)], name="prepared"), 255),
        (lambda: chain(layers.RandomFlip(), by_255, layers.ZeroPadding2D(4)), 255),
        (lambda: chain(layers.Permute((2, 1, 3)), layers.Identity(), by_255), 255),
        (lambda: chain(by_255, layers.LayerNormalization(axis=(1, 2, 3))), 1),
        (lambda: chain(by_255, standardised), 1),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_the_range_is_seen_in_what_stands_in_front(front, top, nested):
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    model = keras.Model(inputs, zoo.scored(zoo.convolution()(front()(inputs))), name="mine")
    if nested:
        outer = keras.Input(zoo.IMAGE_SHAPE)
        model = keras.Model(outer, layers.Softmax()(model(outer)), name="mine")
    told = pixels.wanted(model)
    if top == 1:
        assert told is None
        return
    assert "model 'mine' makes " in told
    assert f"pixels from 0 to {top}, and cladec feeds 0 to 1" in told
    line = f"keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling({top}), model])"
    assert line in told
    assert pixels.wanted(eval(line, {"keras": keras, "model": model})) is None


def test_the_range_is_seen_in_integers_for_images():
    inputs = keras.Input(zoo.IMAGE_SHAPE, dtype="uint8")
    hidden = zoo.convolution()(layers.Rescaling(1 / 255)(inputs))
    assert "takes uint8" in pixels.wanted(keras.Model(inputs, zoo.scored(hidden)))


def test_the_range_is_seen_in_half_precision():
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    rescaled = layers.Rescaling(1 / 127.5, offset=-1, dtype="mixed_bfloat16")(inputs)
    assert "0 to 255" in pixels.wanted(keras.Model(inputs, zoo.scored(zoo.convolution()(rescaled))))


@pytest.mark.parametrize("name", zoo.CASES)
def test_ordinary_classifiers_are_not_told_of(name):
    assert pixels.wanted(zoo.build(name)) is None


RANGES = [pixel_ranges.up_to(255), pixel_ranges.SIGNED, pixel_ranges.IMAGENET, pixel_ranges.CAFFE]


@pytest.mark.parametrize("kind", RANGES, ids=lambda kind: kind.name)
def test_the_line_puts_a_range_in_front_of_a_model(kind, tmp_path):
    """What the line makes can be saved and loaded, as our commands load models."""
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, zoo.scored(zoo.convolution()(inputs)))
    line = kind.in_front((8, 8, 3))
    eval(line, {"keras": keras, "model": model}).save(tmp_path / "m.keras")
    wrapped = loading.load_model(tmp_path / "m.keras")
    images = zoo.images(4, (8, 8, 3))
    np.testing.assert_allclose(
        wrapped(images), model(kind.of(images)), rtol=1e-3, atol=1e-4, err_msg=line
    )


def test_the_ranges_are_those_of_the_literature():
    """As `keras.applications.imagenet_utils.preprocess_input` makes them of bytes."""
    images = zoo.images(2, (8, 8, 3))
    for kind, mode in zip(RANGES[1:], ("tf", "torch", "caffe"), strict=True):
        expected = keras.applications.imagenet_utils.preprocess_input(images * 255, mode=mode)
        np.testing.assert_allclose(kind.of(images), expected, rtol=1e-3, atol=1e-3)


def trained_on(kind: pixel_ranges.Range, classifier) -> keras.Model:
    """A classifier of colour images that is as good as `classifier` if fed pixels of `kind`."""
    inputs = keras.Input((8, 8, 3))
    pixel = ops.flip(inputs, axis=-1) if kind.bgr else inputs
    pixel = (pixel - np.float32(kind.offset)) / np.float32(kind.scale)
    return keras.Model(inputs, classifier(ops.mean(pixel, axis=-1, keepdims=True)))


def doubt(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> str | None:
    def classify(images: np.ndarray) -> np.ndarray:
        return model.predict_on_batch(images).argmax(axis=1)

    return pixels.doubt(classify, images, labels, classify(images), 10)


def colour(images: np.ndarray) -> np.ndarray:
    return np.repeat(images, 3, axis=-1)


@pytest.mark.parametrize("kind", RANGES, ids=lambda kind: kind.name)
def test_the_range_that_does_better_is_named(kind, classifier, tiny):
    told = doubt(trained_on(kind, classifier), colour(tiny.train.images), tiny.train.labels)
    assert f"with {kind.name}: " in told
    assert kind.in_front((8, 8, 3)) in told


def test_a_good_classifier_is_not_doubted(classifier, tiny):
    assert doubt(classifier, tiny.train.images, tiny.train.labels) is None
    assert doubt(classifier, tiny.test.images, tiny.test.labels) is None
    assert doubt(classifier, tiny.train.images[:3], tiny.train.labels[:3]) is None


def test_no_better_than_chance_is_said(classifier, tiny):
    moved = (tiny.train.labels + 1) % 10
    assert "no better than chance, 0." in doubt(classifier, tiny.train.images, moved)
    always = np.zeros_like(tiny.train.labels)
    always[:40] = 1  # one class may be so frequent that a good share says nothing
    assert "than chance, 0.58" in doubt(
        keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)]),
        np.zeros_like(tiny.train.images),
        always,
    )


def of_bytes(classifier, name: str = "of_bytes") -> keras.Model:
    """The classifier with its own division by 255, as it would be trained on bytes."""
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, classifier(layers.Rescaling(1 / 255)(inputs)), name=name)


def test_a_user_is_warned_once_of_each_model(classifier, tiny):
    first, second = of_bytes(classifier), of_bytes(classifier, "another")
    images = tiny.test.images[:2]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit_cladec(first, "tiny_classifier/dense", tiny, alpha=0, recipe=Recipe(1, 96, 1e-2))
        for method in ("saliency", "guided_backpropagation"):
            explain(first, images, method=method)
        explain(second, images, method="saliency")
    assert [warning.category for warning in told] == [InputWarning] * 2
    assert ["'of_bytes'" in str(told[0].message), "'another'" in str(told[1].message)] == [True] * 2
    assert issubclass(InputWarning, UserWarning)


def run(capsys, *arguments) -> tuple[list[str], list[str]]:
    main.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err.splitlines()


@pytest.fixture
def digits_folder(tiny, tmp_path) -> Path:
    from PIL import Image

    for name, split in (("train", tiny.train), ("test", tiny.test)):
        for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = tmp_path / "tiny" / name / str(label) / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image[..., 0] * 255).round().astype(np.uint8)).save(path)
    return tmp_path / "tiny"


def test_commands_say_the_accuracy_and_the_range(classifier, tiny, digits_folder, tmp_path, capsys):
    of_bytes(classifier).save(tmp_path / "bytes.keras")
    model = ["--model", tmp_path / "bytes.keras"]
    given = [*model, "--dataset", digits_folder, "--out", tmp_path / "out", "--methods", "saliency"]
    image = next(digits_folder.rglob("*.png"))
    for command in (
        ("compare", *given, "--images", 4, "--measures", "deletion"),
        ("explain", *given, "--images", image),
    ):
        output, errors = run(capsys, *command)
        assert output[0].startswith("accuracy on 40 test images of tiny: 0.")
        assert len(errors) == 2
        assert all(line.startswith("warning: ") for line in errors)
        assert "keras.layers.Rescaling(255), model])" in errors[0]
        assert "0 to 255: if it was trained on these" in errors[1]
    _, errors = run(capsys, "layers", *model)
    assert len(errors) == 1
    assert errors[0].startswith("warning: model 'of_bytes' makes ")


def test_a_map_of_zeros_is_told(tmp_path, tiny, digits_folder, capsys):
    """Grad-CAM shows what speaks for a class, and here every channel speaks against it."""
    model = zoo.build("sequential_built_by_a_call")
    scores = model.get_layer("scores")
    scores.set_weights([-np.abs(weight) for weight in scores.get_weights()])
    images = tiny.test.images[:3]
    with pytest.warns(InputWarning) as told:
        assert not explain(model, images, method="grad_cam", layer="conv").any()
    assert str(told[0].message) == (
        "grad_cam gave a map of zeros alone for 3 of 3 images, which says nothing of them: try "
        "another layer, or another method such as hires_cam or integrated_gradients"
    )
    assert explain(model, images, method="integrated_gradients").any()
    model.save(tmp_path / "m.keras")
    given = ["--model", tmp_path / "m.keras", "--dataset", digits_folder, "--images", 4]
    methods = ["--methods", "grad_cam", "saliency", "--layer", "conv", "--out", tmp_path / "out"]
    _, errors = run(capsys, "compare", *given, *methods, "--measures", "stability", "randomisation")
    assert [line for line in errors if "zeros" in line] == [
        line for line in errors if line.startswith("warning: grad_cam gave a map of zeros alone")
    ]
    assert sum("zeros" in line for line in errors) == 1


def test_images_out_of_range_are_told_the_way_out():
    images = zoo.images(2) * 255
    for use in (
        lambda: Split(images, np.zeros(2, np.int64)),
        lambda: explain(zoo.build("sequential"), images, method="saliency"),
    ):
        with pytest.raises(InputError, match=r"divide bytes by 255; cladec feeds 0 to 1") as caught:
            use()
        line = "keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(255), model])"
        assert line in str(caught.value)
        assert "-1 to 1 needs keras.layers.Rescaling(2, offset=-1)" in str(caught.value)
