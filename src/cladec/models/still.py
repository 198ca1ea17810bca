"""This module switches off augmentation and noise in an encoder that is trained."""

import inspect

import keras

from cladec.keras_internals import is_of_keras


@keras.saving.register_keras_serializable(package="cladec")
class Still(keras.layers.Wrapper):
    """A wrapper that always calls its layer in inference mode."""

    def call(self, inputs):
        return self.layer(inputs, training=False)


def disturbs(layer: keras.Operation, *, learned: bool) -> bool:
    """Return whether `layer` alters the images during training.

    Dropout after a trainable layer regularises the classifier and stays.

    Args:
        layer: a layer or function of the graph.
        learned: whether a trainable layer comes before it.
    """
    if not isinstance(layer, keras.Layer) or layer.weights:  # frozen ones too
        return False
    if isinstance(layer, keras.layers.GaussianNoise | keras.layers.GaussianDropout):
        return True
    if any(is_of_keras(kind, "layers.preprocessing") for kind in type(layer).__mro__):
        return _knows_training(layer)
    return not learned and _knows_training(layer)


def _knows_training(layer: keras.Layer) -> bool:
    return "training" in inspect.signature(type(layer).call).parameters
