"""Train every kind of decoder of classifiers of several forms, on the backend of the environment.

    KERAS_BACKEND=torch python tests/decoded.py folder

Each is saved to the folder and loaded again, and decodes the same; then a layer is explained.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import zoo
from keras import layers

import cladec
from cladec.models.recipes import Recipe

RECIPE = Recipe(1, 16, 1e-3, 0, 0)

FITS = {
    "cladec": (cladec.fit_cladec, {"alpha": 0.5}),
    "of_units": (cladec.fit_cladec, {"alpha": 0.5, "units": [0, 2]}),
    "refae": (cladec.fit_refae, {}),
    "tuned": (cladec.fit_refae, {"start": "tuned"}),
    "conditional": (cladec.fit_conditional, {}),
    "variational_cladec": (cladec.fit_variational_cladec, {"alpha": 0.5}),
    "variational_refae": (cladec.fit_variational_refae, {}),
}


def classifier(units: int, activation: str | None, others: bool = False) -> keras.Model:
    images = keras.Input(zoo.IMAGE_SHAPE, name="image")
    hidden = layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    hidden = layers.GlobalAveragePooling2D()(hidden)
    inputs = [images]
    if others:
        inputs.append(keras.Input((1,), name="age.of.it"))
        hidden = layers.Concatenate()([hidden, inputs[1]])
    scores = layers.Dense(units, activation=activation, name="scores")(hidden)
    return zoo.randomised(keras.Model(inputs if others else images, scores))


def forms() -> dict:
    """The classifiers, the options that say their form, and labels for 32 images."""
    numbers = np.arange(32)
    return {
        "plain": (classifier(3, "softmax"), {}, numbers % 3),
        "one_unit": (classifier(1, "sigmoid"), {}, numbers % 2),
        "one_logit": (classifier(1, None), {}, numbers % 2),
        "labels": (classifier(3, "sigmoid"), {}, numbers[:, None] % [2, 3, 4] == 0),
        "inputs": (classifier(3, "softmax", True), {"inputs": {"age.of.it": 0.5}}, numbers % 3),
    }


def decoded(folder: Path) -> None:
    images = zoo.images(32)
    for form, (model, options, labels) in forms().items():
        for kind in FITS if form == "plain" else ("cladec",):
            fit, chosen = FITS[kind]
            fitted = fit(model, "conv", (images, labels), recipe=RECIPE, **chosen, **options)
            path = folder / f"{form}-{kind}.keras"
            fitted.save(path)
            of_alpha = {"alpha": 0.5} if kind == "conditional" else {"verbose": 0}
            found, same = (
                each.predict(images[:4], **of_alpha) for each in (fitted, cladec.load_model(path))
            )
            np.testing.assert_allclose(same, found, atol=1e-5, err_msg=str(path))
            assert found.shape == (4, *zoo.IMAGE_SHAPE), path
            assert 0 < np.ptp(found) <= 1, path
    layer = cladec.explain_layer(model, "conv", (images, labels), epochs=1, **options)
    assert np.isfinite(list(layer.fidelity().values())).all()


if __name__ == "__main__":
    decoded(Path(sys.argv[1]))
