"""Which layers of a network are decoded where none are named."""

import keras
import pytest
from keras import layers

from cladec.errors import InputError
from cladec.models.classifiers import build_classifier
from cladec.models.layer_choice import encoder_weights, three_layers


def test_ends_of_blocks_are_chosen_rather_than_their_inside() -> None:
    images = keras.Input((16, 16, 3))
    hidden = layers.Conv2D(4, 1, name="stem")(layers.Rescaling(2.0, name="scaled")(images))
    for number in range(7):
        inside = layers.Conv2D(4, 1, activation="relu", name=f"inside_{number}")(hidden)
        inside = layers.BatchNormalization(name=f"normal_{number}")(inside)
        hidden = layers.Add(name=f"add_{number}")([hidden, inside])
    hidden = layers.GlobalAveragePooling2D(name="pool")(hidden)
    model = keras.Model(images, layers.Dense(3, activation="softmax", name="scores")(hidden))
    assert three_layers(model) == ("add_1", "add_3", "pool")
    assert encoder_weights(model, ["stem"]) == {"stem": 16}


def test_inside_a_nested_model_and_never_the_scores() -> None:
    images = keras.Input((28, 28, 1))
    model = keras.Model(images, build_classifier((28, 28, 1), 10)(images))
    assert three_layers(model) == ("vgg/pooling_1", "vgg/pooling_2", "vgg/dense")


def test_a_network_without_a_layer_before_its_scores() -> None:
    images = keras.Input((4, 4, 1))
    model = keras.Model(images, layers.Dense(3, name="scores")(layers.Flatten()(images)))
    with pytest.raises(InputError, match="no layer before its scores"):
        three_layers(model)
