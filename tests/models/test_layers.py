"""Which layers of a classifier can be decoded, and the command that lists them."""

import re

import keras
import numpy as np
import pytest
import zoo
from keras import layers

from cladec.commands import main
from cladec.errors import InputError
from cladec.models import cutting
from cladec.models.answers import SAME_NUMBERS
from cladec.models.classifiers import build_classifier
from cladec.models.decoder import build_decoder
from cladec.models.layers import ListedLayer, decodable_layers, table

FACTOR = ("RandomRotation", "RandomContrast", "RandomBrightness", "RandomColorDegeneration")
RATE = tuple(name for name in SAME_NUMBERS if "Dropout" in name)
ARGUMENTS = {
    "Reshape": {"target_shape": (16, -1)},
    "Permute": {"dims": (2, 1, 3)},
    "RandomHue": {"factor": 0.5, "value_range": (0, 1)},
    "RandomSaturation": {"factor": 0.5, "value_range": (0, 1)},
    "RandomSharpness": {"factor": 0.5, "value_range": (0, 1)},
    "RandomColorJitter": {"value_range": (0, 1), "brightness_factor": 0.5},
    "RandomPosterization": {"factor": 4, "value_range": (0, 1)},
    "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5},
    "RandomZoom": {"height_factor": 0.5},
    "GaussianNoise": {"stddev": 0.5},
    **{name: {"factor": 0.5} for name in FACTOR},
    **{name: {"rate": 0.5} for name in RATE},
}
"""What the layers that change nothing outside of training need to be made."""


def reasons(classifier) -> dict[str, str | None]:
    return {layer.path: layer.reason for layer in decodable_layers(classifier)}


def decodable(classifier) -> list[str]:
    return [path for path, reason in reasons(classifier).items() if reason is None]


def classifier_of(*inner, image_shape=zoo.IMAGE_SHAPE):
    last = layers.Dense(3, activation="softmax", name="scores")
    return keras.Sequential([keras.Input(image_shape), *inner, layers.Flatten(name="flat"), last])


def test_layers_of_the_default_architecture():
    classifier = build_classifier((28, 28, 1), 10)
    assert decodable(classifier) == [
        *("convolution_1", "pooling_1", "relu_1", "block_1"),
        *("convolution_2", "pooling_2", "relu_2", "conv", "dense", "logits", "probabilities"),
    ]
    assert reasons(classifier)["flatten"] == "the same numbers as layer conv"
    assert reasons(classifier)["dropout"] == "the same numbers as layer conv"
    first = decodable_layers(classifier)[0]
    assert first == ListedLayer("convolution_1", "Conv2D", (28, 28, 32), None)
    assert first.numbers == 28 * 28 * 32


@pytest.mark.parametrize("name", sorted(SAME_NUMBERS))
def test_layers_said_to_give_the_same_numbers_do(name):
    if not hasattr(layers, name):
        pytest.skip(f"this Keras has no {name}")
    image = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)
    given = image[:, 0] if name.endswith("1D") else image
    given = given[:, :, :, None] if name.endswith("3D") else given
    layer = getattr(layers, name)(**ARGUMENTS.get(name, {}))
    answer = np.asarray(layer(given, training=False))
    np.testing.assert_array_equal(np.sort(answer.reshape(2, -1)), np.sort(given.reshape(2, -1)))


@pytest.mark.parametrize("name", [name for name in zoo.CASES if not name.startswith("compiled")])
@pytest.mark.parametrize("reloaded", [False, True])
def test_every_form_of_classifier_is_listed(name, reloaded, tmp_path):
    model, path = zoo.build(name), tmp_path / "model.keras"
    if reloaded:
        model.save(path)
        model = keras.saving.load_model(path)
    listed = decodable_layers(model)
    shapes = {layer.path: layer.shape for layer in listed}
    assert shapes == cutting.layer_shapes(model)
    assert shapes[zoo.CASES[name].layer]
    assert decodable(model)
    for layer in listed:
        original = dict(zoo.operations(model))[re.sub(r"@\d", "", layer.path)]
        assert layer.type == type(original).__name__


def test_what_is_called_the_same_is_the_same():
    """Every layer that is not decoded gives the numbers of the one that is named instead."""
    images = zoo.images()
    for name in ("nested_twice", "sequential", "layer_called_images", "functional_in_sequential"):
        model = zoo.build(name)
        for path, reason in reasons(model).items():
            if reason is not None:
                other = reason.removeprefix("the same numbers as layer ")
                both = [cutting.cut(model, layer)(images)["codes"] for layer in (path, other)]
                first, second = (np.sort(np.asarray(codes).reshape(6, -1)) for codes in both)
                np.testing.assert_array_equal(first, second)


def test_a_nested_model_is_named_by_its_last_layer():
    found = reasons(zoo.build("nested_twice"))
    assert found["outer/inner/normalised"] is None
    assert found["outer/inner"] == "the same numbers as layer outer/inner/normalised"
    assert found["outer"] == "the same numbers as layer outer/outer_relu"


def test_the_images_themselves_are_not_decoded():
    start = [layers.RandomFlip(name="flip"), layers.Dropout(0.1, name="drop")]
    found = reasons(classifier_of(*start, layers.Rescaling(2.0, name="rescaled")))
    images = "the images themselves"
    assert found == {
        **{"flip": images, "drop": images, "rescaled": None},
        **{"flat": "the same numbers as layer rescaled", "scores": None},
    }


class Doubling(layers.Dropout):
    """Named as a kind of Dropout, but it gives other numbers."""

    def call(self, inputs, training=False):
        return 2 * inputs


def test_only_the_classes_of_keras_are_known_by_their_type():
    found = reasons(
        classifier_of(
            layers.Conv2D(2, 3, name="conv"),
            layers.Activation("linear", name="linear"),
            layers.Activation("relu", name="relu"),
            Doubling(0.5, name="doubling"),
        )
    )
    assert found["linear"] == "the same numbers as layer conv"
    assert found["relu"] is found["doubling"] is None


def test_a_function_between_two_layers_makes_other_numbers():
    inputs = keras.Input(zoo.IMAGE_SHAPE)
    conv = layers.Conv2D(2, 3, name="conv")(inputs)
    hidden = layers.Dropout(0.5, name="dropped")(keras.ops.sin(conv))
    assert reasons(keras.Model(inputs, zoo.scored(hidden)))["dropped"] is None


@pytest.mark.parametrize(
    ("inner", "path", "words"),
    [
        (layers.Reshape((2, 4, 4, 2), name="four"), "four", "4 axes"),
        (layers.Reshape((-1, 8), name="known"), "known", None),
    ],
)
def test_shapes_that_no_decoder_takes_are_told(inner, path, words):
    doubled = layers.Rescaling(2.0, name="doubled")
    model = classifier_of(inner, doubled)
    listed = {layer.path: layer for layer in decodable_layers(model)}["doubled"]
    if words is None:
        assert listed.reason is None
        build_decoder(listed.shape, (8, 8, 1))
    else:
        assert words in listed.reason
        with pytest.raises(InputError):
            build_decoder(listed.shape, (8, 8, 1))


def test_a_table_has_columns():
    lines = table(
        [
            ListedLayer("features/conv", "Conv2D", (8, 8, 3), None),
            ListedLayer("words", "Mine", (None, 4), "no fixed shape"),
        ]
    ).splitlines()
    assert lines[0].split() == ["layer", "type", "shape", "numbers", "decodable"]
    assert lines[1].split() == ["features/conv", "Conv2D", "8x8x3", "192", "yes"]
    assert lines[2].split(maxsplit=4) == ["words", "Mine", "?x4", "?", "no: no fixed shape"]
    assert lines[1].index("yes") == lines[2].index("no:") == lines[0].index("decodable")


def test_the_command_prints_the_layers(tmp_path, capsys):
    build_classifier((8, 8, 1), 3).save(tmp_path / "model.keras")
    main.main(["layers", "--model", str(tmp_path / "model.keras")])
    output = capsys.readouterr().out
    assert max(map(len, output.partition("next: ")[0].splitlines())) <= 80
    rows = re.sub(r"\n +", " ", output).splitlines()  # a long reason goes on in the next line
    lines = [line.split(maxsplit=4) for line in rows]
    assert ["conv", "BatchNormalization", "2x2x64", "256", "yes"] in lines
    assert ["dropout", "Dropout", "256", "256", "no: the same numbers as layer conv"] in lines
    assert len(lines) == 14 + 1
    assert rows[-1].startswith("next: cladec train --classifier ")


def write_no_classifier(path):
    inputs = keras.Input((4,))
    keras.Model(inputs, layers.Dense(2)(inputs), name="of_rows").save(path)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.write_text("no zip"), "cannot be loaded"),
        (write_no_classifier, "'of_rows'"),
    ],
)
def test_what_cannot_be_listed_is_one_line(tmp_path, capsys, write, words):
    write(tmp_path / "model.keras")
    with pytest.raises(SystemExit) as ended:
        main.main(["layers", "--model", str(tmp_path / "model.keras")])
    assert ended.value.code == main.BAD_INPUT
    assert words in capsys.readouterr().err
