"""ClaDec, a decoder of a layer of a frozen classifier.

ClaDec decodes the activations of one layer of a frozen classifier back to images, guided by the
classifier; RefAE is the same encoder and decoder trained from scratch on reconstruction alone. What
ClaDec loses and RefAE keeps explains the layer (Schneider & Vlachos, "Explaining Neural Networks by
Decoding Layer Activations", arXiv 2005.13630).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from cladec.data.dataset import Data
from cladec.errors import InputError
from cladec.models import cutting, given_images, losses, recipes
from cladec.models.decoding import Decoding, check_parts, deserialized, images_and_labels
from cladec.models.fitting import check_data, codes_of, decoder_of, fit_decoder, training_set
from cladec.models.given import checked
from cladec.models.photographs import standardise
from cladec.models.recipes import Recipe
from cladec.models.selection import Units
from cladec.models.training import Optimizer, seeded


class LayerDecoder(Decoding):
    """A frozen classifier, cut at a layer, and a decoder of that layer.

    Args:
        network: `cutting.cut(classifier, layer)`, images -> codes and logits. It stays frozen.
        decoder: the decoder, codes -> images, for example from `build_decoder`.
        multi_label: whether the classifier answers for labels, of which an image may have several.
    """

    def __init__(
        self,
        network: keras.Model,
        decoder: keras.Model,
        *,
        multi_label: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_parts(network=network, decoder=decoder)
        self.multi_label = multi_label
        if not isinstance(network.output, dict) or set(network.output) != {"codes", "logits"}:
            raise InputError(f"network {network.name!r}: expected cutting.cut(classifier, layer)")
        self.network = network
        self.network.trainable = False
        self.encoder = cutting.part(network, "codes")
        self.classifier = cutting.part(network, "logits")
        self.decoder = decoder
        self.built = True

    def codes(self, images, training=None):
        """Return the codes of a tensor of images; the encoder is never in training."""
        return self.encoder(images, training=False)

    def compared(self, x, y):
        """Return the images and labels of `y`; if `x` are images, `y` may be just the labels."""
        axes = 2 if self.multi_label else 1
        return images_and_labels(x, y, self.network.input_shape[1:], axes=axes)

    def get_config(self):
        return (
            super().get_config()
            | {
                "network": keras.saving.serialize_keras_object(self.network),
                "decoder": keras.saving.serialize_keras_object(self.decoder),
            }
            | ({"multi_label": True} if self.multi_label else {})
        )

    @classmethod
    def from_config(cls, config):
        return cls(**deserialized(config, "network", "decoder"))


@keras.saving.register_keras_serializable(package="cladec")
class ClaDec(LayerDecoder):
    """A decoder of a classifier's layer, trained on reconstruction and on classification.

        loss = (1 - alpha) * scale * reconstruction + alpha * classification

    The reconstruction is the squared error summed over pixels, the scale is 784 / (H * W * C), so
    that alpha means the same at every size.

    The model takes images (N, H, W, C) in [0, 1], or `{"codes": codes}` if the codes of the layer
    are known, and returns decoded images (N, H, W, C), float32 in [0, 1]. The model that
    `fit_cladec` returns can be evaluated and trained further: `cladec.evaluate(images, labels)`,
    or on codes with `{"images": images, "labels": labels}` as the labels.

    Args:
        network: `cutting.cut(classifier, layer)`, images -> codes and logits. It stays frozen.
        decoder: the decoder, codes -> images, for example from `build_decoder`.
        alpha: the weight of the classification loss, a fraction in [0, 1].

    Examples:
        >>> from cladec.models import cutting
        >>> network = cutting.cut(classifier, "dense")
        >>> model = cladec.ClaDec(network, cladec.build_decoder((128,), (28, 28, 1)), alpha=0.5)
        >>> model.predict(images, verbose=0).shape
        (360, 28, 28, 1)
    """

    def __init__(self, network: keras.Model, decoder: keras.Model, *, alpha: float, **kwargs):
        super().__init__(network, decoder, **kwargs)
        self.alpha = recipes.check_alpha(alpha)
        self.scale = losses.scale(network.input_shape[1:])
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        if self.alpha > 0.0:
            self.classification_tracker = keras.metrics.Mean(name="classification_loss")

    def call(self, inputs, training=None):
        codes = inputs["codes"] if isinstance(inputs, dict) else self.codes(inputs)
        return self.decoder(codes, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of the decoded images `y_pred` against `y`, see `compared`."""
        images, labels = self.compared(x, y)
        count = ops.shape(y_pred)[0]
        reconstruction = losses.reconstruction(images, y_pred)
        self.reconstruction_tracker.update_state(reconstruction, sample_weight=count)
        if self.alpha == 0.0:
            return self.scale * reconstruction
        logits = self.classifier(y_pred, training=False)
        classification = losses.classification(labels, logits)
        self.classification_tracker.update_state(classification, sample_weight=count)
        return losses.mix(self.alpha, self.scale * reconstruction, classification)

    @property
    def in_a_step(self) -> list[keras.Model]:
        """The models that a step of the training on codes runs."""
        return [self.decoder] if self.alpha == 0.0 else [self.decoder, self.classifier]

    def get_config(self):
        return super().get_config() | {"alpha": self.alpha}


@checked
def compute_codes(
    classifier: keras.Model, layer: str, images: np.ndarray, units: Units = None
) -> np.ndarray:
    """Return the activations of `layer`, (N, ...) float16, or float32 if float16 overflows.

    With `units`, indices of the last axis, only those units are returned. Half precision saves
    memory; its rounding error of 0.05 % does not affect a decoder. The images may have any form
    that `explain` takes. Codes of more than 512 MiB are in a file beside that of the images, of
    which only the rows that are asked for are in memory.

    Raises:
        InputError: there is no such layer or unit, or the images do not fit the classifier, or the
            codes the disk.

    Examples:
        >>> cladec.compute_codes(classifier, "dense", images).shape
        (360, 128)
    """
    images = given_images.check_images(classifier, images)
    return codes_of(classifier, layer, images, units)


@checked
def fit_cladec(
    classifier: keras.Model,
    layer: str,
    data: Data,
    *,
    alpha: float,
    recipe: Recipe = recipes.CLADEC,
    seed: int = 0,
    codes: np.ndarray | None = None,
    units: Units = None,
    decoder: keras.Model | None = None,
    optimizer: Optimizer = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> ClaDec:
    """Train a decoder of `layer` on the training images of `data`.

    Args:
        classifier: a trained Sequential or functional image classifier, which stays unchanged, or
            the path of its `.keras` or `.h5` file, of which no code is executed.
        layer: the layer to decode: its name ("outer/inner" inside a nested model), its index in
            `classifier.layers`, or the layer itself.
        data: labelled images of the classifier's size: a Dataset, or the name or path of one;
            arrays (images, labels); or a `tf.data.Dataset`, `PyDataset` or `DataLoader` of both.
        alpha: the weight of the classification loss, in [0, 1]; near 1 the images show what the
            classifier needs, near 0 they resemble the originals.
        recipe: the number of epochs, the learning rate and the other training settings.
        seed: the seed of the decoder's weights and of the order of the images.
        codes: `compute_codes` of the training images, to share them among several decoders.
        units: the only units or channels to decode, for example from `choose_units`.
        decoder: your own Keras model, codes -> images in [0, 1], which is trained in place from
            its current weights. None for `build_decoder`.
        optimizer: a Keras optimizer or its name; a copy with the same settings trains at its own
            learning rate. None for `Muon`, with the learning rate of the recipe.
        callbacks: Keras callbacks, for example for progress.

    Returns:
        The trained ClaDec; `history` holds its losses per epoch. It is compiled with a new
        optimizer, at the recipe's learning rate by default; a saved file holds no optimizer.

    Raises:
        InputError: alpha is out of range, the layer, unit or optimizer is unknown, the model
            cannot be cut, or the data or the decoder do not fit it.

    Examples:
        >>> model = cladec.fit_cladec(classifier, "dense", data, alpha=0.99, recipe=quick)
        >>> decoded = model.predict(images, verbose=0)
        >>> sorted(model.evaluate(images, labels, verbose=0, return_dict=True))
        ['classification_loss', 'loss', 'reconstruction_loss']
    """
    recipes.check_alpha(alpha)
    with seeded(seed):
        network = cutting.cut(classifier, layer, units)
        data = check_data(classifier, data)
        decoder = decoder_of(network.output["codes"].shape[1:], data, decoder)
        parts = {"alpha": alpha, "multi_label": data.is_multi_label}
        cladec = ClaDec(network, decoder, **parts, name="cladec")
    codes, compared = training_set(cladec.encoder, data, codes)
    standardise(decoder, codes)
    options: dict[str, Any] = {"seed": seed, "optimizer": optimizer, "callbacks": callbacks}
    fit_decoder(cladec, {"codes": codes}, compared, recipe, alpha=alpha, **options)
    return cladec
