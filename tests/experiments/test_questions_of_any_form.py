"""What is asked of a classifier is answered for every form of it, as for the plain model in it."""

import keras
import numpy as np
import pandas as pd
import pytest
import zoo
from keras import layers

import cladec

SHAPE = (9, 8, 1)
QUICK = {"epochs": 1, "report": lambda share, values: None}


def plain(shape=SHAPE):
    images = keras.Input(shape, name="image")
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(hidden)
    return images, pooled


def any_size():
    images, pooled = plain((None, None, 1))
    return keras.Model(images, scores(pooled))


def several_inputs():
    images, pooled = plain()
    age = keras.Input((1,), name="age")
    return keras.Model([age, images], scores(layers.Concatenate()([pooled, age])))


def several_outputs():
    images, pooled = plain()
    return keras.Model(images, {"kind": scores(pooled), "size": layers.Dense(1)(pooled)})


def scores(hidden):
    return layers.Dense(3, activation="softmax", name="scores")(hidden)


FORMS = {
    "any_size": (any_size, {}),
    "several_inputs": (several_inputs, {"inputs": {"age": 0.5}}),
    "several_outputs": (several_outputs, {"output": "kind"}),
}

QUESTIONS = {
    "audit": lambda model, data, options: (
        cladec.audit(model, data, patch="corner", layer="conv", images=8, **QUICK, **options).curve
    ),
    "depth": lambda model, data, options: (
        cladec.depth(model, data, layers=["conv"], **QUICK, **options).measures
    ),
    "diff": lambda model, data, options: (
        cladec.diff(model, pruned(model), data, layers=["conv"], **QUICK, **options).layers
    ),
    "leak": lambda model, data, options: (
        cladec.leak(
            model, data, layers=["conv"], known=[20], noise=[0], gallery=10, **QUICK, **options
        ).measures
    ),
}


def pruned(model):
    twin = keras.models.clone_model(model)
    twin.set_weights([np.where(abs(each) > 0.1, each, 0) for each in model.get_weights()])
    return twin


@pytest.fixture(scope="module")
def data():
    images = zoo.images(40, SHAPE)
    return images, np.arange(40) % 3


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_a_question_is_answered_as_of_the_plain_model(form, question, data):
    build, options = FORMS[form]
    model, ask = zoo.randomised(build()), QUESTIONS[question]
    alone = cladec.image_classifier(model, images=data[0], **options)
    found, expected = (
        ask(*told).drop(columns="seconds", errors="ignore")
        for told in ((model, data, options), (alone, data, {}))
    )
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", ["conv", 0, "itself"])
def test_a_network_of_any_form_is_watched(form, layer, data):
    build, options = FORMS[form]
    model = build()
    images, labels = data
    given = {"age": np.ones((40, 1)), "image": images} if form == "several_inputs" else images
    targets = {"kind": labels, "size": np.ones((40, 1))} if form == "several_outputs" else labels
    several, loss = form == "several_outputs", "sparse_categorical_crossentropy"
    model.compile("sgd", {"kind": loss, "size": "mse"} if several else loss)
    if layer == "itself":
        layer = model.get_layer("conv")
    elif layer == 0:
        layer = model.layers.index(model.get_layer("conv"))
    said = []
    watch = cladec.WatchLayer(layer, images, passes=1, say=said.append, **options)
    model.fit(given, targets, epochs=2, verbose=0, callbacks=[watch])
    assert watch.history["epoch"].tolist() == [1, 2]
    assert watch.pictures[2].shape == (6, *SHAPE)
    assert said[0].startswith("conv after epoch 1: ")


def test_a_network_of_other_pixels_is_watched_in_its_own():
    images, pooled = plain()
    model = zoo.randomised(keras.Model(images, scores(pooled)))
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    pictures = zoo.images(40, SHAPE)
    watch = cladec.WatchLayer("conv", pictures, passes=1, pixels="-1-1", say=None)
    model.fit(2 * pictures - 1, np.arange(40) % 3, epochs=1, verbose=0, callbacks=[watch])
    answers = model.predict(2 * watch.shown - 1, verbose=0).argmax(axis=1)
    titles = [axis.get_xlabel() or axis.get_title() for axis in watch.show().axes]
    assert [text for text in titles if text.isdigit()] == [str(answer) for answer in answers]
