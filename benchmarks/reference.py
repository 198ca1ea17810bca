"""The recipe that cladec-mnist published its figures with, as a plain Keras loop.

Batch 32, ten epochs for every model, a constant learning rate, the encoder run at every step, one
alpha after the other. Only the benchmarks use it.
"""

import keras
import tensorflow as tf
from keras import layers

BATCH_SIZE = 32
EPOCHS = 10
CLASSIFIER_RATE = 0.001
DECODER_RATE = 0.005
EPSILON = 1e-4


def build_classifier() -> keras.Model:
    """The classifier of cladec-mnist for 28x28 grey images, with softmax probabilities."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(name="conv"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(128, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="probabilities"),
        ]
    )


def build_decoder(layer: str) -> keras.Model:
    """The decoders of cladec-mnist: 150 thousand parameters for `dense`, 67 thousand for `conv`."""
    if layer == "dense":
        hidden = codes = keras.Input((128,))
        hidden = layers.Reshape((1, 1, 128))(hidden)
        hidden = layers.Conv2DTranspose(64, 4, strides=2, activation="relu")(hidden)
        hidden = layers.Conv2DTranspose(32, 3, strides=2, activation="relu")(hidden)
        last = layers.Conv2DTranspose(1, 3, strides=3, output_padding=1, activation="sigmoid")
    else:
        hidden = codes = keras.Input((7, 7, 64))
        hidden = layers.Conv2DTranspose(64, 4, strides=2, padding="same", activation="relu")(hidden)
        last = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")
    return keras.Model(codes, last(hidden))


def optimizer(learning_rate: float) -> keras.optimizers.Optimizer:
    """Adam as the recipe of cladec-mnist sets it."""
    return keras.optimizers.Adam(learning_rate, epsilon=EPSILON)


def compiled_classifier() -> keras.Model:
    """A classifier ready for `fit(images, labels)`."""
    model = build_classifier()
    model.compile(
        optimizer=optimizer(CLASSIFIER_RATE),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def compiled_refae(classifier: keras.Model, layer: str) -> keras.Model:
    """A RefAE ready for `fit(images, images)`; of the classifier only the architecture is used."""
    encoder = keras.models.clone_model(
        keras.Model(classifier.inputs, classifier.get_layer(layer).output)
    )
    # Layers are cloned as frozen as they are; setting the model's own flag does not reach them.
    for cloned in encoder.layers:
        cloned.trainable = True
    decoder = build_decoder(layer)
    model = keras.Model(encoder.inputs, decoder(encoder.outputs[0]))
    model.compile(optimizer=optimizer(DECODER_RATE), loss=squared_error, jit_compile=False)
    return model


def squared_error(images: tf.Tensor, decoded: tf.Tensor) -> tf.Tensor:
    """Squared error of each image, summed over its pixels."""
    return tf.reduce_sum(tf.square(images - decoded), axis=(1, 2, 3))


class ReferenceClaDec(keras.Model):
    """A ClaDec that runs encoder and classifier at every step, whatever alpha is.

    Args:
        classifier: images -> probabilities; it is frozen.
        layer: the layer decoded, `dense` or `conv`.
        alpha: weight of the classification loss.
    """

    def __init__(self, classifier: keras.Model, layer: str, alpha: float):
        super().__init__()
        classifier.trainable = False
        self.classifier = classifier
        self.encoder = keras.Model(classifier.inputs, classifier.get_layer(layer).output)
        self.decoder = build_decoder(layer)
        self.alpha = alpha
        self.compile(optimizer=optimizer(DECODER_RATE), jit_compile=False)

    def call(self, images, training=None):
        """Decoded images."""
        return self.decoder(self.encoder(images, training=False), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """(1 - alpha) * reconstruction + alpha * classification of `y`, the labels."""
        reconstruction = tf.reduce_mean(squared_error(x, y_pred))
        probabilities = self.classifier(y_pred, training=False)
        entropy = keras.losses.sparse_categorical_crossentropy(y, probabilities)
        return (1 - self.alpha) * reconstruction + self.alpha * tf.reduce_mean(entropy)
