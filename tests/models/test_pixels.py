"""What range of pixels a classifier wants, by its first layers and by its answers; told once."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import zoo
from keras import layers, ops

from cladec import InputError, InputWarning, Split, explain, fit_cladec, load_model, with_pixels
from cladec.commands import main
from cladec.data.pixel_ranges import PIXELS, Range
from cladec.explainers.scores import LogitsModel
from cladec.models import pixels
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
    if top != 255:
        assert told.endswith(f"put keras.layers.Rescaling({top}) in front of it")
        return
    assert told.endswith(
        "say so with cladec.with_pixels(classifier, '0-255'), or --pixels 0-255 in a command"
    )
    assert pixels.wanted(with_pixels(model, "0-255")) is None


def test_the_range_is_seen_in_half_precision():
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    rescaled = layers.Rescaling(1 / 127.5, offset=-1, dtype="mixed_bfloat16")(inputs)
    assert "0 to 255" in pixels.wanted(keras.Model(inputs, zoo.scored(zoo.convolution()(rescaled))))


@pytest.mark.parametrize("name", zoo.CASES)
def test_ordinary_classifiers_are_not_told_of(name):
    assert pixels.wanted(zoo.build(name)) is None


RANGES = [row for row in PIXELS.values() if row.name != "0-1"]

of_every_range = pytest.mark.parametrize("kind", RANGES, ids=lambda kind: kind.name)


def test_the_ranges_are_those_of_the_literature():
    """As `keras.applications.imagenet_utils.preprocess_input` makes them of bytes."""
    images = zoo.images(2, (8, 8, 3))
    for kind, mode in zip(RANGES[1:], ("tf", "torch", "caffe"), strict=True):
        expected = keras.applications.imagenet_utils.preprocess_input(images * 255, mode=mode)
        np.testing.assert_allclose(kind.of(images), expected, rtol=1e-3, atol=1e-3)
    for kind in PIXELS.values():
        np.testing.assert_allclose(kind.back(kind.of(images)), images, atol=1e-6)


def colour_classifier(**given) -> keras.Model:
    inputs = keras.Input((8, 8, 3), **given)
    return keras.Model(inputs, zoo.scored(zoo.convolution()(inputs)), name="mine")


def channels_first_classifier() -> keras.Model:
    zoo.need_channels_first()
    inputs = keras.Input((3, 8, 8))
    hidden = layers.Conv2D(2, 3, strides=2, data_format="channels_first")(inputs)
    return keras.Model(inputs, zoo.scored(hidden), name="mine")


def any_size_classifier() -> keras.Model:
    inputs = keras.Input((None, None, 3))
    hidden = layers.GlobalAveragePooling2D()(zoo.convolution()(inputs))
    return keras.Model(inputs, layers.Dense(10, name="scores")(hidden), name="mine")


def packed_classifier() -> keras.Model:
    model = colour_classifier(name="image")
    return keras.Model({"image": model.inputs[0]}, [model.outputs[0]], name="mine")


def sequential_classifier() -> keras.Model:
    stack = [keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(10)]
    return keras.Sequential(stack, name="mine")


@of_every_range
@pytest.mark.parametrize(
    "build",
    [colour_classifier, channels_first_classifier, any_size_classifier, sequential_classifier],
)
def test_the_layers_in_front_convert_to_the_range(kind, build, tmp_path):
    """What they are put in front of stays as it is, and they can be saved and loaded."""
    model, images = build(), zoo.images(4, (8, 8, 3))
    model.save(tmp_path / "model.keras")
    front = with_pixels(tmp_path / "model.keras", kind.name)
    assert front.name == "mine"
    front.save(tmp_path / "front.keras")
    turned = (lambda x: np.moveaxis(x, -1, 1)) if model.inputs[0].shape[1] == 3 else (lambda x: x)
    expected = ops.convert_to_numpy(model(turned(kind.of(images))))
    for found in (front, with_pixels(model, kind.name), load_model(tmp_path / "front.keras")):
        np.testing.assert_allclose(found(turned(images)), expected, rtol=1e-3, atol=1e-4)
    if None not in front.inputs[0].shape[1:]:
        np.testing.assert_allclose(
            LogitsModel(front).probabilities(images),
            LogitsModel(model).probabilities(kind.of(images)),
            rtol=1e-3,
            atol=1e-5,
        )


def test_the_layers_in_front_share_the_weights_and_keep_the_forms():
    model = packed_classifier()
    front, images = with_pixels(model, "-1-1"), zoo.images(2, (8, 8, 3))
    assert with_pixels(model, "0-1") is model
    model.set_weights([2 * weight for weight in model.get_weights()])
    np.testing.assert_allclose(
        front(images)[0], model({"image": 2 * images - 1})[0], rtol=1e-4, atol=1e-6
    )
    mixed = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    kept = keras.config.dtype_policy()
    keras.config.set_dtype_policy(mixed)
    try:
        rounded = with_pixels(colour_classifier(), "0-255").layers[1]
    finally:
        keras.config.set_dtype_policy(kept)
    assert rounded.compute_dtype == "float32"


@pytest.mark.parametrize(
    ("build", "name", "message"),
    [
        (colour_classifier, "0-100", "unknown range of pixels '0-100': choose from 0-1, 0-255, -1"),
        (colour_classifier, None, "unknown range of pixels None"),
        (lambda: zoo.build("sequential"), "imagenet-caffe", "takes 1: expected '0-1', '0-255' or"),
        (lambda: with_pixels(colour_classifier(), "0-255"), "-1-1", "pixels of 0-255 already"),
        (lambda: colour_classifier(dtype="uint8"), "-1-1", "takes uint8: expected pixels '0-255'"),
        (lambda: "missing.keras", "-1-1", "missing.keras"),
        (lambda: keras.Sequential([keras.Input((8,)), layers.Dense(2)]), "-1-1", "one image"),
    ],
)
def test_a_range_that_does_not_fit_is_one_line(build, name, message):
    with pytest.raises(InputError, match=message):
        with_pixels(build(), name)


def byte_classifier() -> keras.Model:
    """A classifier of uint8, as `image_dataset_from_directory` gives them."""
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    hidden = zoo.convolution()(layers.Rescaling(1 / 127.5, offset=-1)(inputs))
    return keras.Model(inputs, zoo.scored(hidden), name="mine")


def test_a_classifier_of_integers_is_fed_bytes():
    model = byte_classifier()
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    expected = model.predict_on_batch(images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = explain(model, images, method="saliency")
    assert found.any(axis=(1, 2)).all()
    fractions = (images / 255).astype(np.float32)
    for front in (model, with_pixels(model, "0-255")):
        assert pixels.wanted(front) is None
        probabilities = LogitsModel(front).probabilities(fractions)
        np.testing.assert_allclose(probabilities, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("model", [byte_classifier(), with_pixels(colour_classifier(), "0-255")])
def test_bytes_in_any_form_are_taken_where_the_classifier_wants_them(model):
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    expected = explain(model, (images / 255).astype(np.float32), method="saliency")
    for form in (np.uint8, np.int64, np.float32, np.float64):
        found = explain(model, images.astype(form), method="saliency")
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(InputError, match="pixels from 0 to 256"):
        explain(model, np.full((1, 8, 8, 3), [0, 1, 256.0]), method="saliency")


@pytest.mark.parametrize(
    ("architecture", "own"),
    [
        ("ResNet50V2", "0-1"),
        ("VGG16", "0-1"),
        ("EfficientNetB0", "0-255"),
        ("ConvNeXtTiny", "0-255"),
    ],
)
def test_keras_applications_are_known_by_their_own_layers(architecture, own):
    """Those that rescale inside want bytes; nothing shows what the others want."""
    build = getattr(keras.applications, architecture)
    small = {"input_shape": (32, 32, 3), "classes": 3, "weights": None}
    model = build(**small)
    told = pixels.wanted(model)
    assert (told is None) == (own == "0-1")
    assert pixels.wanted(with_pixels(model, own)) is None


def trained_on(kind: Range, classifier) -> keras.Model:
    """A classifier of colour images that is as good as `classifier` if fed pixels of `kind`."""
    inputs = keras.Input((8, 8, 3))
    pixel = ops.flip(inputs, axis=-1) if kind.bgr else inputs
    pixel = (pixel - np.float32(kind.offset)) / np.float32(kind.scale)
    return keras.Model(inputs, classifier(ops.mean(pixel, axis=-1, keepdims=True)))


def doubt(
    model: keras.Model, images: np.ndarray, labels: np.ndarray, said: str = "0-1"
) -> str | None:
    def classify(images: np.ndarray) -> np.ndarray:
        return model.predict_on_batch(images).argmax(axis=1)

    return pixels.doubt(classify, images, labels, classify(images), 10, said=said)


def colour(images: np.ndarray) -> np.ndarray:
    return np.repeat(images, 3, axis=-1)


@of_every_range
def test_the_range_that_does_better_is_named(kind, classifier, tiny):
    told = doubt(trained_on(kind, classifier), colour(tiny.train.images), tiny.train.labels)
    assert f"with {kind.words}: " in told
    assert told.endswith(
        f"with_pixels(classifier, {kind.name!r}), or --pixels {kind.name} in a command"
    )


@of_every_range
def test_the_range_that_does_better_than_the_one_said_is_named(kind, classifier, tiny):
    """All others are tried, [0, 1] among them, in place of the one that was said by mistake."""
    images, labels = colour(tiny.train.images), tiny.train.labels
    model = trained_on(PIXELS["0-1"], classifier)
    told = doubt(with_pixels(model, kind.name), images, labels, said=kind.name)
    answers = with_pixels(model, kind.name).predict_on_batch(images).argmax(axis=1)
    if (answers == labels).mean() < 0.3:  # a classifier may be as good on pixels of another range
        assert told.endswith("with 0 to 1: if it was trained on these, leave --pixels out")


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
        assert errors[0].endswith("or --pixels 0-255 in a command")
        assert "0 to 255: if it was trained on these" in errors[1]
        better, errors = run(capsys, *command, "--pixels", "0-255")
        assert better[0] > output[0]
        assert errors == []
    _, errors = run(capsys, "layers", *model)
    assert len(errors) == 1
    assert errors[0].startswith("warning: model 'of_bytes' makes ")
    assert run(capsys, "layers", *model, "--pixels", "0-255")[1] == []
    with pytest.raises(SystemExit):
        run(capsys, "layers", *model, "--pixels", "0-2")
    assert "unknown range of pixels '0-2'" in capsys.readouterr().err


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
        with pytest.raises(InputError, match="divide bytes by 255; images are given") as caught:
            use()
        assert "cladec.with_pixels(classifier, '0-255')" in str(caught.value)
