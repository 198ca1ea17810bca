"""ClaDec and its reference autoencoder RefAE.

ClaDec decodes the activations of one layer of a frozen classifier back to images, guided by the
classifier; RefAE is the same encoder and decoder trained from scratch on reconstruction alone. What
ClaDec loses and RefAE does not is the explanation of the layer (Schneider & Vlachos, "Explaining
Neural Networks by Decoding Layer Activations", arXiv 2005.13630).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from cladec import checks
from cladec.data.dataset import Data, Dataset, as_dataset
from cladec.errors import InputError
from cladec.models import batches, cutting, losses, pixels, recipes
from cladec.models.decoder import build_decoder
from cladec.models.given import checked
from cladec.models.precision import keras_defaults
from cladec.models.recipes import Recipe
from cladec.models.selection import Units
from cladec.models.training import fit, seeded


class LayerDecoder(keras.Model):
    """A frozen classifier, cut at a layer, and a decoder of that layer.

    Args:
        network: `cutting.cut(classifier, layer)`: images -> codes and logits. It stays frozen.
        decoder: codes -> images, such as `build_decoder` makes.
    """

    def __init__(self, network: keras.Model, decoder: keras.Model, **kwargs):
        super().__init__(**kwargs)
        check_parts(network=network, decoder=decoder)
        if not isinstance(network.output, dict) or set(network.output) != {"codes", "logits"}:
            raise InputError(f"network {network.name!r}: expected cutting.cut(classifier, layer)")
        self.network = network
        self.network.trainable = False
        self.encoder = cutting.part(network, "codes")
        self.classifier = cutting.part(network, "logits")
        self.decoder = decoder
        self.built = True

    def get_config(self):
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.network),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**_deserialized(config, "network", "decoder"))


@keras.saving.register_keras_serializable(package="cladec")
class ClaDec(LayerDecoder):
    """A decoder of a classifier's layer, trained for likeness and for the classifier's answer.

        loss = (1 - alpha) * reconstruction + alpha * classification

    Called on images (N, H, W, C) in [0, 1], or on `{"codes": codes}` where the codes of the layer
    are computed already; gives decoded images (N, H, W, C), float32 in [0, 1].

    Args:
        network: `cutting.cut(classifier, layer)`: images -> codes and logits. It stays frozen.
        decoder: codes -> images, such as `build_decoder` makes.
        alpha: weight of the classification loss, a fraction in [0, 1].
    """

    def __init__(self, network: keras.Model, decoder: keras.Model, *, alpha: float, **kwargs):
        super().__init__(network, decoder, **kwargs)
        self.alpha = recipes.check_alpha(alpha)
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        if self.alpha > 0.0:
            self.classification_tracker = keras.metrics.Mean(name="classification_loss")

    def call(self, inputs, training=None):
        if isinstance(inputs, dict):
            codes = inputs["codes"]
        else:
            codes = self.encoder(inputs, training=False)
        return self.decoder(codes, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of `y_pred` against `y`, {"images": (N, H, W, C), "labels": (N,)}."""
        count = ops.shape(y_pred)[0]
        reconstruction = losses.reconstruction(y["images"], y_pred)
        self.reconstruction_tracker.update_state(reconstruction, sample_weight=count)
        if self.alpha == 0.0:
            return reconstruction
        logits = self.classifier(y_pred, training=False)
        classification = losses.classification(y["labels"], logits)
        self.classification_tracker.update_state(classification, sample_weight=count)
        return losses.mix(self.alpha, reconstruction, classification)

    def get_config(self):
        return super().get_config() | {"alpha": self.alpha}


@keras.saving.register_keras_serializable(package="cladec")
class RefAE(keras.Model):
    """The reference autoencoder: the encoder and decoder of a ClaDec, trained on reconstruction.

    Called on images (N, H, W, C) in [0, 1]; gives decoded images of the same shape and range.

    Args:
        encoder: images -> codes, newly initialised: `cutting.fresh_encoder(classifier, layer)`.
        decoder: codes -> images.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, **kwargs):
        super().__init__(**kwargs)
        check_parts(encoder=encoder, decoder=decoder)
        self.encoder = encoder
        self.decoder = decoder
        self.built = True

    def call(self, images, training=None):
        return self.decoder(self.encoder(images, training=training), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The reconstruction loss of `y_pred` against the images `y`, (N, H, W, C)."""
        return losses.reconstruction(y, y_pred)

    def get_config(self):
        return super().get_config() | {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**_deserialized(config, "encoder", "decoder"))


def check_parts(**parts: Any) -> None:
    """Raises InputError for what is no Keras model."""
    for name, value in parts.items():
        if not isinstance(value, keras.Model):
            raise InputError(f"{name} is {value!r:.60}: expected a Keras model")


@keras_defaults()
def _deserialized(config: dict, *models: str) -> dict:
    config = dict(config)
    for name in models:
        config[name] = keras.saving.deserialize_keras_object(config[name])
    return config


@checked
def compute_codes(
    classifier: keras.Model, layer: str, images: np.ndarray, units: Units = None
) -> np.ndarray:
    """The activations of `layer` on `images`, (N, ...) float16 (float32 where that overflows).

    Those of `units`, indices of the last axis, where they are given.

    Half precision keeps the codes of a large set in memory at a rounding error of 0.05 %, far below
    what a decoder notices.
    """
    with seeded(0):
        encoder = cutting.part(cutting.cut(classifier, layer, units), "codes")
    return encode(encoder, images)


def encode(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    """What `encoder` makes of images, see `compute_codes`."""
    with np.errstate(over="ignore"):
        codes = batches.predict(encoder, images, dtype="float16")
    if np.isinf(codes).any():
        codes = batches.predict(encoder, images)
    return codes


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
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> ClaDec:
    """Train a decoder of `layer` on the training images of `data`.

    Args:
        classifier: a trained image classifier, Sequential or functional, which is not changed; or
            the path of its `.keras` file, of which nothing is executed.
        layer: the layer to decode: its name, "outer/inner" inside a nested model, its place in
            `classifier.layers`, or the layer itself.
        data: images of the classifier's size with labels: a Dataset, or arrays (images, labels).
        alpha: weight of the classification loss, in [0, 1]; near 1 the images show what the
            classifier needs, near 0 they resemble the originals.
        recipe: how long and how fast to train.
        seed: of the decoder's weights and the order of the images.
        codes: `compute_codes` of the training images, when several decoders share them.
        units: decode these units or channels of the layer alone, as `choose_units` gives them.
        callbacks: Keras callbacks, for progress.

    Returns:
        The trained ClaDec; `history` holds its losses per epoch.

    Raises:
        InputError: alpha out of range, an unknown layer or unit, a model that cannot be cut, or
            data that do not fit it.
    """
    recipes.check_alpha(alpha)
    with seeded(seed):
        network = cutting.cut(classifier, layer, units)
        data = check_data(classifier, data)
        code_shape = network.output["codes"].shape[1:]
        decoder = build_decoder(code_shape, network.inputs[0].shape[1:], mean_pixel=data.mean_pixel)
        cladec = ClaDec(network, decoder, alpha=alpha, name="cladec")
    codes = training_codes(cladec, data, codes)
    fit(cladec, {"codes": codes}, targets(data), recipe, seed=seed, callbacks=callbacks)
    return cladec


def training_codes(model: LayerDecoder, data: Dataset, codes: np.ndarray | None) -> np.ndarray:
    """The codes of the training images: those given, or computed where there are none.

    Raises:
        InputError: those given are of another shape.
    """
    images = data.train.images
    if codes is None:
        return encode(model.encoder, images)
    codes = checks.array("codes", codes)
    code_shape = model.encoder.output_shape[1:]
    if codes.shape != (len(images), *code_shape):
        raise InputError(
            f"codes of shape {codes.shape}: expected those of the {len(images)} training images, "
            f"each {code_shape}, as compute_codes gives them"
        )
    return codes


def targets(data: Dataset) -> dict[str, np.ndarray]:
    """What `compute_loss` of a ClaDec compares the decoded training images with."""
    return {"images": data.train.images, "labels": data.train.labels}


@checked
def fit_refae(
    classifier: keras.Model,
    layer: str,
    data: Data,
    *,
    recipe: Recipe = recipes.REFAE,
    seed: int = 0,
    units: Units = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RefAE:
    """Train the encoder up to `layer` and its decoder from scratch, on reconstruction alone.

    Arguments as for `fit_cladec`; of the classifier only the architecture is used.
    """
    with seeded(seed):
        encoder = cutting.fresh_encoder(classifier, layer, units)
        data = check_data(classifier, data)
        decoder = build_decoder(
            encoder.output_shape[1:], encoder.input_shape[1:], mean_pixel=data.mean_pixel
        )
        refae = RefAE(encoder, decoder, name="refae")
    images = data.train.images
    fit(refae, images, images, recipe, seed=seed, callbacks=callbacks)
    return refae


def check_data(classifier: keras.Model, data: Data) -> Dataset:
    """The data as a Dataset that fits the classifier.

    Warns, once for each classifier, where it seems to want pixels of another range than [0, 1].

    Raises InputError for what is no data, images of another size, or more classes than it has.
    """
    with seeded(0):
        pixels.examine(classifier)
    expected, classes = cutting.image_shape(classifier), classifier.outputs[0].shape[-1]
    data = as_dataset(data, classes)
    if data.image_shape != expected:
        raise InputError(
            f"the images are {data.image_shape}, the classifier takes {expected}: resize them"
        )
    if data.num_classes > classes:
        raise InputError(
            f"the dataset has {data.num_classes} classes, the classifier {classes}: use the "
            "dataset that it was trained on"
        )
    return data
