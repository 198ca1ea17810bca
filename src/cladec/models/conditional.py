"""One ClaDec for every alpha: a decoder that takes alpha as an input and is trained once.

This is loss-conditional training (Dosovitskiy & Djolonga, "You Only Train Once: Loss-Conditional
Training of Deep Networks", ICLR 2020): at each step, each image gets a random alpha, which weighs
its loss and scales and shifts the channels of every hidden layer (FiLM: Perez et al., "FiLM: Visual
Reasoning with a General Conditioning Layer", AAAI 2018). Two things are new: the first layer also
reads a copy of the codes scaled by features of alpha, and images with a high alpha, whose losses
are small, weigh more.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from cladec import checks
from cladec.data.dataset import Data
from cladec.errors import InputError
from cladec.models import batches, cutting, losses, recipes
from cladec.models.cladec import LayerDecoder
from cladec.models.decoder import check_decoder, decoder_graph
from cladec.models.fitting import check_data, fit_decoder, training_set
from cladec.models.given import checked
from cladec.models.photographs import standardise
from cladec.models.precision import keras_defaults
from cladec.models.recipes import SCALES, Recipe
from cladec.models.selection import Units
from cladec.models.training import Optimizer, seeded

WIDTH = 64
"""The units of each of the two hidden layers between the features of alpha and FiLM."""

ZEROS, ONES = 0.12, 0.10
"""The shares of the images whose alpha is drawn as exactly 0 and as exactly 1."""

BALANCE = 0.3
"""How strongly training evens out the losses of all alphas: 0 not at all, 1 fully."""

SMALLEST_RATIO = 1e-3
"""The smallest ratio of classification loss to reconstruction loss that the weights use."""

LARGEST_LOGIT = 11.5
"""The logits of all other alphas are uniform between plus and minus this: up to 1 - 1e-5."""


@keras.saving.register_keras_serializable(package="cladec")
class AlphaFeatures(layers.Layer):
    """Map alpha (N,) to features (N, 5) in [0, 1]: alpha / (alpha + (1 - alpha) * scale).

    Each feature is the share of the classification in the total loss if the reconstruction loss
    were `scale` times as large. The features rise from 0 to 1 in different ranges of alpha. They
    are computed in single precision, since 0.9999 is 1 in bfloat16.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, alpha):
        alpha = ops.cast(alpha, "float32")[:, None]
        return alpha / (alpha + (1.0 - alpha) * ops.convert_to_tensor([SCALES], "float32"))


@keras.saving.register_keras_serializable(package="cladec")
class FiLM(layers.Layer):
    """Scale and shift each channel: hidden * (1 + scale) + shift, both linear in `condition`.

    `hidden` is (N, rows, columns, channels), `condition` is (N, features). Before training, the
    layer is the identity (Perez et al., AAAI 2018, eq. 2).
    """

    def build(self, hidden_shape, condition_shape):
        self.modulation = layers.Dense(2 * hidden_shape[-1], kernel_initializer="zeros")
        self.modulation.build(condition_shape)

    def call(self, hidden, condition):
        scale, shift = ops.split(self.modulation(condition)[:, None, None, :], 2, axis=-1)
        return hidden * (1.0 + scale) + shift


@keras.saving.register_keras_serializable(package="cladec")
class ScaledCopy(layers.Layer):
    """Append to codes (N, ..., C) a copy that is scaled linearly in `condition`, (N, features).

    The linear layer after it thus depends on the condition. Before training, the copy is 0.
    """

    def build(self, codes_shape, condition_shape):
        self.scales = layers.Dense(codes_shape[-1], kernel_initializer="zeros")
        self.scales.build(condition_shape)

    def call(self, codes, condition):
        scales = self.scales(condition)
        scales = ops.reshape(scales, (-1, *[1] * (len(codes.shape) - 2), codes.shape[-1]))
        return ops.concatenate([codes, codes * scales], axis=-1)


@keras_defaults()
def build_conditional_decoder(
    code_shape: tuple[int, ...], image_shape: tuple[int, int, int], *, mean_pixel: float = 0.5
) -> keras.Model:
    """Build the decoder of `build_decoder` with alpha as a second input.

    Returns:
        A model {"codes": (N, *code_shape), "alpha": (N,)} -> (N, H, W, C), float32 in [0, 1].

    Raises:
        InputError: a size is missing or not positive.
    """
    alpha = keras.Input((), name="alpha", dtype="float32")
    condition = AlphaFeatures(name="features")(alpha)
    for number in (1, 2):
        # ReLUs die at these learning rates: one of 64 stayed alive.
        condition = layers.Dense(WIDTH, activation="silu", name=f"condition_{number}")(condition)
    codes, decoded = decoder_graph(
        code_shape,
        image_shape,
        mean_pixel,
        modulate=lambda hidden: FiLM()(hidden, condition),
        widen=lambda codes: ScaledCopy(name="scaled_copy")(codes, condition),
    )
    return keras.Model({"codes": codes, "alpha": alpha}, decoded, name="decoder")


@keras.saving.register_keras_serializable(package="cladec")
class ConditionalClaDec(LayerDecoder):
    """A decoder of a classifier's layer for any alpha, trained on the mean over images i of

        weight(alpha_i) * ((1 - alpha_i) * scale * reconstruction_i + alpha_i * classification_i)

    The weights (`weights_of`) share the decoder's capacity among the alphas and leave the optimum
    at each alpha unchanged; the scale is that of a ClaDec.

    The model takes `{"images": images, "alpha": alpha}` or `{"codes": codes, "alpha": alpha}` with
    one alpha per image, (N,), and returns decoded images (N, H, W, C), float32 in [0, 1]. `predict`
    also takes plain images and a single alpha; `evaluate` and `fit` take such a dict and labels.

    Args:
        network: `cutting.cut(classifier, layer)`, images -> codes and logits. It stays frozen.
        decoder: the decoder, codes and alpha -> images, see `build_conditional_decoder`.

    Examples:
        >>> from cladec.models import conditional, cutting
        >>> network = cutting.cut(classifier, "dense")
        >>> decoder = conditional.build_conditional_decoder((128,), (28, 28, 1))
        >>> model = cladec.ConditionalClaDec(network, decoder)
        >>> model.predict(images, alpha=0.97).shape
        (360, 28, 28, 1)
    """

    def __init__(self, network: keras.Model, decoder: keras.Model, **kwargs):
        # The inputs are not cast, so that alpha stays in single precision.
        super().__init__(network, decoder, autocast=False, **kwargs)
        self.scale = losses.scale(network.input_shape[1:])
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.classification_tracker = keras.metrics.Mean(name="classification_loss")

    def call(self, inputs, training=None):
        if "codes" in inputs:
            codes = inputs["codes"]
        else:
            codes = self.encoder(inputs["images"], training=False)
        return self.decoder({"codes": codes, "alpha": inputs["alpha"]}, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of `y_pred` against `y`, which is as in ClaDec."""
        images, labels = self.compared(x, y)
        reconstruction = losses.reconstruction_of_each(images, y_pred)
        logits = self.classifier(y_pred, training=False)
        classification = losses.classification_of_each(labels, logits)
        self.reconstruction_tracker.update_state(reconstruction)
        self.classification_tracker.update_state(classification)
        mixed = losses.mix(x["alpha"], self.scale * reconstruction, classification)
        return ops.mean(weights_of(x["alpha"], self._ratio()) * mixed)

    def check_arrays(self, x: Any, y: Any) -> None:
        """Check the arrays as in ClaDec, and that there is an alpha."""
        super().check_arrays(x, y)
        if y is not None and not (isinstance(x, dict) and "alpha" in x):
            raise InputError(
                "no alpha: this network decodes at every one, so give one for each image, "
                'x={"images": images, "alpha": alphas}'
            )

    def _ratio(self) -> Any:
        """Return classification loss / scaled reconstruction loss of this epoch, at most 1."""
        likeness = self.scale * self.reconstruction_tracker.result()
        likeness = ops.maximum(likeness, keras.config.epsilon())
        ratio = self.classification_tracker.result() / likeness
        return ops.stop_gradient(ops.clip(ratio, SMALLEST_RATIO, 1.0))

    def predict(self, images: Any, alpha: Any = None) -> np.ndarray:
        """Return decoded images (N, H, W, C), float32 in [0, 1].

        Args:
            images: images (N, H, W, C) in [0, 1], or `{"codes": codes}` with known codes (N, ...).
            alpha: the weight of the classification, in [0, 1]: one number, or one per image, (N,).

        Raises:
            InputError: alpha is missing, out of range, or of another number than the images.
        """
        inputs = images if isinstance(images, dict) else {"images": images}
        count = len(next(iter(inputs.values())))
        inputs = inputs | {"alpha": _alpha_of_each(alpha, count)}
        return batches.predict(self, inputs, stored="float16")


def _alpha_of_each(alpha: Any, count: int) -> np.ndarray:
    if alpha is None:
        raise InputError(
            "no alpha: this network decodes at every one, so say which: predict(images, alpha=0.97)"
        )
    shape = checks.array("alpha", alpha).shape
    if shape not in ((), (count,)):
        raise InputError(
            f"alpha of shape {shape}: expected a number, or one for each of the {count} images"
        )
    checked = [recipes.check_alpha(value) for value in np.ravel(alpha).tolist()]
    return np.broadcast_to(np.array(checked, "float32"), count)


def weights_of(alpha: Any, ratio: Any) -> Any:
    """Return the weight of each image's loss, (N,): 1 at alpha 0, ratio**-BALANCE at alpha 1.

    Without weights, the loss at alpha 1, often a thousandth of that at 0, would hardly count.

    Args:
        alpha: the alpha of each image, (N,).
        ratio: the ratio of the classification loss to the scaled reconstruction loss.
    """
    return (1.0 - alpha + alpha * ratio) ** -BALANCE


class DrawnAlphas:
    """A stand-in for an array of alphas (count,), float32, whose rows are drawn when they are read.

    Each image thus gets a new alpha at each step. The alphas of a batch are spread evenly over the
    distribution, which makes the gradient less noisy than independent draws.
    """

    def __init__(self, count: int, seed: int):
        self.shape, self.dtype = (count,), np.dtype("float32")
        self._random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        quantiles = (np.arange(len(rows)) + self._random.random(len(rows))) / len(rows)
        return alpha_at(quantiles)


def alpha_at(quantiles: np.ndarray) -> np.ndarray:
    """Return the alphas (N,) float32 at quantiles in [0, 1] of the distribution of alphas.

    The lowest share `ZEROS` is 0, the highest share `ONES` is 1; the logit is uniform in between.
    """
    middle = (quantiles - ZEROS) / (1.0 - ZEROS - ONES)
    logits = LARGEST_LOGIT * (2.0 * middle - 1.0)
    alphas = np.where(middle < 0.0, 0.0, np.where(middle > 1.0, 1.0, 1.0 / (1.0 + np.exp(-logits))))
    return alphas.astype(np.float32)


@checked
def fit_conditional(
    classifier: keras.Model,
    layer: str,
    data: Data,
    *,
    recipe: Recipe = recipes.CONDITIONAL,
    seed: int = 0,
    codes: np.ndarray | None = None,
    units: Units = None,
    decoder: keras.Model | None = None,
    optimizer: Optimizer = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> ConditionalClaDec:
    """Train one decoder of `layer` for every alpha, on the training images of `data`.

    Arguments, errors and `history` are those of `fit_cladec`, but `seed` also determines the random
    alphas, and `decoder` takes {"codes": codes, "alpha": (N,)}. Both losses in the history are
    means over the random alphas.

    Examples:
        >>> model = cladec.fit_conditional(classifier, "dense", data, recipe=quick)
        >>> model.predict(images, alpha=0.97).shape
        (360, 28, 28, 1)
    """
    with seeded(seed):
        network = cutting.cut(classifier, layer, units)
        data = check_data(classifier, data)
        code_shape = network.output["codes"].shape[1:]
        if decoder is None:
            decoder = build_conditional_decoder(
                code_shape, data.image_shape, mean_pixel=data.mean_pixel
            )
        else:
            check_decoder(decoder, {"codes": code_shape, "alpha": ()}, data.image_shape)
        several = data.is_multi_label
        cladec = ConditionalClaDec(network, decoder, multi_label=several, name="cladec_conditional")
    codes, compared = training_set(cladec.encoder, data, codes)
    standardise(decoder, codes)
    inputs = {"codes": codes, "alpha": DrawnAlphas(len(codes), seed)}
    options: dict[str, Any] = {"seed": seed, "optimizer": optimizer, "callbacks": callbacks}
    fit_decoder(cladec, inputs, compared, recipe, **options)
    return cladec
