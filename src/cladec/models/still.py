"""Augmentation and noise, held still in an encoder that is trained on the images themselves."""

import inspect

import keras

from cladec.keras_internals import is_of_keras


@keras.saving.register_keras_serializable(package="cladec")
class Still(keras.layers.Wrapper):
    """A layer as it is outside of training, whatever the model around it is doing."""

    def call(self, inputs):
        return self.layer(inputs, training=False)


def disturbs(layer: keras.Operation, *, learned: bool) -> bool:
    """Whether training shows what follows `layer` other images than those that it was given.

    Dropout behind a layer that learns is part of the classifier's regularisation and stays.

    Args:
        layer: a layer or function of the graph.
        learned: whether a layer that learns comes before it.
    """
    if not isinstance(layer, keras.Layer) or layer.trainable_weights:
        return False
    if isinstance(layer, keras.layers.GaussianNoise | keras.layers.GaussianDropout):
        return True
    if any(is_of_keras(kind, "layers.preprocessing") for kind in type(layer).__mro__):
        return _knows_training(layer)
    fixed = isinstance(layer, keras.layers.BatchNormalization)
    return not learned and not fixed and _knows_training(layer)


def _knows_training(layer: keras.Layer) -> bool:
    return "training" in inspect.signature(type(layer).call).parameters
