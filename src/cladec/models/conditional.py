"""One ClaDec for every alpha: a decoder that is told alpha, trained once for all of them.

Loss-conditional training (Dosovitskiy & Djolonga, "You Only Train Once: Loss-Conditional Training
of Deep Networks", ICLR 2020): alpha is drawn anew for each image at each step, weighs the loss of
that image, and scales and shifts the channels of every hidden layer of the decoder (FiLM: Perez et
al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018). Two things are ours:
the first layer reads the codes twice, once scaled by what is made of alpha, and images with a high
alpha, whose losses are small, weigh more.
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
from cladec.models.fitting import check_data, targets, training_codes
from cladec.models.given import checked
from cladec.models.precision import keras_defaults
from cladec.models.recipes import Recipe
from cladec.models.selection import Units
from cladec.models.training import Optimizer, fit, seeded

SCALES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
"""How many times larger than the classification loss the reconstruction loss may be."""

WIDTH = 64
"""Units of the two hidden layers between the features of alpha and the scales and shifts."""

ZEROS, ONES = 0.12, 0.10
"""Share of the images whose alpha is drawn as 0, and of those whose alpha is 1."""

BALANCE = 0.3
"""How far images of all alphas weigh the same in training: 0 not at all, 1 wholly."""

SMALLEST_RATIO = 1e-3
"""The classification loss is taken to be no smaller a part of the reconstruction loss than this."""

LARGEST_LOGIT = 11.5
"""The logit of every other alpha is uniform between this and its negative: alphas to 1 - 1e-5."""


@keras.saving.register_keras_serializable(package="cladec")
class AlphaFeatures(layers.Layer):
    """Alpha (N,) -> (N, 5) numbers in [0, 1]: alpha / (alpha + (1 - alpha) * scale).

    Each is the share of the classification in the whole loss if the reconstruction loss were
    `scale` times as large as it. They rise with alpha, from 0 to 1, each in a range of its own, and
    are computed in single precision: in bfloat16 0.9999 is 1.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def call(self, alpha):
        alpha = ops.cast(alpha, "float32")[:, None]
        return alpha / (alpha + (1.0 - alpha) * ops.convert_to_tensor([SCALES], "float32"))


@keras.saving.register_keras_serializable(package="cladec")
class FiLM(layers.Layer):
    """Scales and shifts each channel: hidden * (1 + scale) + shift, both linear in `condition`.

    `hidden` is (N, rows, columns, channels), `condition` (N, features). Newly initialised, it is
    the identity (Perez et al., AAAI 2018, eq. 2).
    """

    def build(self, hidden_shape, condition_shape):
        self.modulation = layers.Dense(2 * hidden_shape[-1], kernel_initializer="zeros")
        self.modulation.build(condition_shape)

    def call(self, hidden, condition):
        scale, shift = ops.split(self.modulation(condition)[:, None, None, :], 2, axis=-1)
        return hidden * (1.0 + scale) + shift


@keras.saving.register_keras_serializable(package="cladec")
class ScaledCopy(layers.Layer):
    """Codes (N, ..., C) -> (N, ..., 2 C): themselves, and a copy scaled by what is linear in
    `condition`, (N, features).

    A linear layer behind it is another one for each condition. Newly initialised, the copy is 0.
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
    """The decoder of `build_decoder` with alpha as its second input.

    Returns:
        A model {"codes": (N, *code_shape), "alpha": (N,)} -> (N, H, W, C), float32 in [0, 1].

    Raises:
        InputError: a size is missing or not positive.
    """
    alpha = keras.Input((), name="alpha", dtype="float32")
    condition = AlphaFeatures(name="features")(alpha)
    for number in (1, 2):
        # ReLUs die at these learning rates: of 64, one was left to tell of alpha.
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
    """A decoder of a classifier's layer at any alpha, trained by the mean over images i of

        weight(alpha_i) * ((1 - alpha_i) * reconstruction_i + alpha_i * classification_i)

    The weights (`weights_of`) change how much of the decoder serves which alpha, and not what is
    best at any one. Called on `{"images": images, "alpha": alpha}` or
    `{"codes": codes, "alpha": alpha}` with an alpha for each image, (N,); gives decoded images
    (N, H, W, C), float32 in [0, 1]. `predict` is for people; `evaluate` and `fit` take such a dict
    and the labels.

    Args:
        network: `cutting.cut(classifier, layer)`: images -> codes and logits. It stays frozen.
        decoder: codes and alpha -> images, such as `build_conditional_decoder` makes.
    """

    def __init__(self, network: keras.Model, decoder: keras.Model, **kwargs):
        # Nothing is cast on the way in: alpha stays in single precision.
        super().__init__(network, decoder, autocast=False, **kwargs)
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.classification_tracker = keras.metrics.Mean(name="classification_loss")

    def call(self, inputs, training=None):
        if "codes" in inputs:
            codes = inputs["codes"]
        else:
            codes = self.encoder(inputs["images"], training=False)
        return self.decoder({"codes": codes, "alpha": inputs["alpha"]}, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of `y_pred` against `y`, which is as in ClaDec."""
        images, labels = self.compared(x, y)
        reconstruction = losses.reconstruction_of_each(images, y_pred)
        logits = self.classifier(y_pred, training=False)
        classification = losses.classification_of_each(labels, logits)
        self.reconstruction_tracker.update_state(reconstruction)
        self.classification_tracker.update_state(classification)
        mixed = losses.mix(x["alpha"], reconstruction, classification)
        return ops.mean(weights_of(x["alpha"], self._ratio()) * mixed)

    def check_arrays(self, x: Any, y: Any) -> None:
        """As in ClaDec; and that there is an alpha."""
        if y is not None and not (isinstance(x, dict) and "alpha" in x):
            raise InputError(
                "no alpha: this network decodes at every one, so give one for each image, "
                'x={"images": images, "alpha": alphas}'
            )
        super().check_arrays(x, y)

    def _ratio(self) -> Any:
        """Classification loss over reconstruction loss in this pass so far, at most 1."""
        likeness = ops.maximum(self.reconstruction_tracker.result(), keras.config.epsilon())
        ratio = self.classification_tracker.result() / likeness
        return ops.stop_gradient(ops.clip(ratio, SMALLEST_RATIO, 1.0))

    def predict(self, images: Any, alpha: Any = None) -> np.ndarray:
        """Decoded images (N, H, W, C), float32 in [0, 1].

        Args:
            images: (N, H, W, C) in [0, 1], or `{"codes": codes}` where the codes of the layer are
                computed already, (N, ...).
            alpha: weight of the classification, in [0, 1]: a number, or one for each image, (N,).

        Raises:
            InputError: no alpha, one out of range, or not as many as there are images.
        """
        inputs = images if isinstance(images, dict) else {"images": images}
        count = len(next(iter(inputs.values())))
        return batches.predict(self, inputs | {"alpha": _alpha_of_each(alpha, count)})


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
    """What the loss of each image is multiplied by, (N,): 1 at alpha 0, ratio**-BALANCE at 1.

    Without it the loss at alpha 1, which may be a thousandth of that at 0, would hardly count.

    Args:
        alpha: of each image, (N,).
        ratio: how many times as large as the reconstruction loss the classification loss is.
    """
    return (1.0 - alpha + alpha * ratio) ** -BALANCE


class DrawnAlphas:
    """Stands for an array of alphas (count,), float32: rows of it are drawn when they are read.

    So each image has a new alpha at each step. Those of a batch are spread evenly over the
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
    """The alphas (N,) float32 at quantiles in [0, 1] of the distribution that they are drawn from.

    The lowest `ZEROS` are 0, the highest `ONES` are 1; between them the logit is uniform.
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

    Arguments, errors and `history` as for `fit_cladec`; `seed` is of the alphas drawn too, and a
    `decoder` takes {"codes": codes, "alpha": (N,)}. Both losses in the history are means over the
    alphas drawn.
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
        cladec = ConditionalClaDec(network, decoder, name="cladec_conditional")
    inputs = {
        "codes": training_codes(cladec.encoder, data, codes),
        "alpha": DrawnAlphas(len(data.train.images), seed),
    }
    compared = targets(data)
    fit(cladec, inputs, compared, recipe, seed=seed, optimizer=optimizer, callbacks=callbacks)
    return cladec
