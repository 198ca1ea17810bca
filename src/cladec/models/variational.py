"""ClaDec and RefAE with a variational decoder, which maps a layer's codes to a small latent space.

With two latent dimensions (the default), a plane shows how the classifier arranges all images,
while ClaDec shows one image at a time (Kingma & Welling, "Auto-Encoding Variational Bayes", arXiv
1312.6114; beta: Higgins et al., "beta-VAE", ICLR 2017).
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
from cladec.models.cladec import ClaDec
from cladec.models.decoding import check_parts
from cladec.models.fitting import check_data, decoder_of, fit_decoder, training_set
from cladec.models.given import checked
from cladec.models.precision import keras_defaults
from cladec.models.recipes import Recipe, Start
from cladec.models.refae import RefAE, reference_encoder
from cladec.models.selection import Units
from cladec.models.training import Optimizer, seeded
from cladec.models.training_rows import varied_if_few


@keras_defaults()
def build_posterior(code_shape: tuple[int, ...], latent_dim: int = 2) -> keras.Model:
    """Build a model from codes (N, *code_shape) to their normal distributions in latent space.

    Returns:
        A functional model with the outputs "z_mean" and "z_log_var", both (N, latent_dim).

    Raises:
        InputError: a size is missing, or `latent_dim` is not a whole number of at least 1.
    """
    latent_dim = recipes.check_latent_dim(latent_dim)
    shape = checks.shape("codes", code_shape, range(1, 10), "one to nine axes")
    codes = keras.Input(shape, name="codes")
    flat = layers.Flatten(name="flat")(codes)
    z_mean = layers.Dense(latent_dim, name="z_mean")(flat)
    # All variances start at 1, since large codes would make exp(z_log_var) overflow.
    z_log_var = layers.Dense(latent_dim, kernel_initializer="zeros", name="z_log_var")(flat)
    return keras.Model(codes, {"z_mean": z_mean, "z_log_var": z_log_var}, name="posterior")


class _Variational(keras.Model):
    """The latent space that a variational ClaDec or RefAE adds to a ClaDec or RefAE."""

    def __init__(self, *parts, posterior: keras.Model, beta: float, seed: int, **kwargs):
        super().__init__(*parts, **kwargs)
        check_parts(posterior=posterior)
        self.posterior = posterior
        self.beta = recipes.check_beta(beta)
        self.seed = checks.whole("seed", seed, 0)
        self.noise = keras.random.SeedGenerator(self.seed)
        self.kl_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def latent_dim(self) -> int:
        """The number of dimensions of the latent space."""
        return self.posterior.output["z_mean"].shape[-1]

    def call(self, inputs, training=None):
        codes = inputs["codes"] if isinstance(inputs, dict) else self.codes(inputs, training)
        latents = self.posterior(codes)
        z_mean, z_log_var = latents["z_mean"], latents["z_log_var"]
        self.add_loss(losses.kl_divergence(z_mean, z_log_var))
        if training:
            noise = keras.random.normal(ops.shape(z_mean), dtype="float32", seed=self.noise)
            # Not in place, which PyTorch refuses where the gradient needs the value.
            z_mean = z_mean + ops.exp(0.5 * z_log_var) * noise
        return self.decoder(z_mean, training=training)

    def _with_kl(self, loss, y_pred):
        """Return `loss` plus beta times the KL divergence of the call that gave `y_pred`."""
        # A model's own losses come before those that its layers add, such as weight decay.
        kl = self.losses[0]
        self.kl_tracker.update_state(kl, sample_weight=ops.shape(y_pred)[0])
        return loss + self.beta * kl

    def encode(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the latent normal distributions of images.

        Args:
            images: the images (N, H, W, C) in [0, 1].

        Returns:
            z_mean and z_log_var, each (N, latent_dim) float32.
        """
        latents = self.posterior(self.encoder.outputs[0])
        both = ops.stack([latents["z_mean"], latents["z_log_var"]])
        model = keras.Model(self.encoder.inputs[0], ops.moveaxis(both, 0, 1))
        z_mean, z_log_var = np.moveaxis(batches.predict(model, images), 1, 0)
        return z_mean, z_log_var

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode latent points (N, latent_dim) to images (N, H, W, C), float32 in [0, 1].

        Raises:
            InputError: the points have another number of dimensions.
        """
        latents = checks.array("latents", latents, np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise InputError(
                f"latents of shape {latents.shape}: expected (points, {self.latent_dim}), the "
                "dimensions of this model's latent space"
            )
        return batches.predict(self.decoder, latents)

    def get_config(self):
        return super().get_config() | {
            "posterior": keras.saving.serialize_keras_object(self.posterior),
            "beta": self.beta,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        posterior = keras.saving.deserialize_keras_object(config["posterior"])
        return super().from_config(config | {"posterior": posterior})


@keras.saving.register_keras_serializable(package="cladec")
class VariationalClaDec(_Variational, ClaDec):
    """A ClaDec whose codes pass through a small latent space, in which close points look alike.

        z    = z_mean + exp(z_log_var / 2) * noise, from the codes; z_mean itself in inference
        loss = (1 - alpha) * scale * reconstruction + alpha * classification + beta * KL

    The reconstruction loss and its scale are those of a ClaDec, to keep values comparable; the
    first variational ClaDec used binary cross-entropy. Inputs and outputs are those of a ClaDec;
    `predict` draws no noise.

    Args:
        network: `cutting.cut(classifier, layer)`, images -> codes and logits. It stays frozen.
        decoder: the decoder, latent points (N, latent_dim) -> images.
        posterior: a model codes -> z_mean and z_log_var, from `build_posterior`.
        alpha: the weight of the classification loss, a fraction in [0, 1].
        beta: the weight of the KL divergence from the standard normal, >= 0. With a larger beta,
            the codes fill the plane more evenly and keep less of each image.
        seed: the seed of the noise in training.

    Examples:
        >>> from cladec.models import cutting, variational
        >>> network = cutting.cut(classifier, "dense")
        >>> decoder = cladec.build_decoder((2,), (28, 28, 1))
        >>> posterior = variational.build_posterior((128,), latent_dim=2)
        >>> model = cladec.VariationalClaDec(network, decoder, posterior=posterior, alpha=0.5)
        >>> model.decode([[0.0, 0.0], [1.0, -1.0]]).shape
        (2, 28, 28, 1)
    """

    def __init__(
        self,
        network: keras.Model,
        decoder: keras.Model,
        *,
        posterior: keras.Model,
        alpha: float,
        beta: float = 1.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(
            network, decoder, posterior=posterior, alpha=alpha, beta=beta, seed=seed, **kwargs
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of `y_pred`, the output of the last call, against `y` as in ClaDec."""
        return self._with_kl(super().compute_loss(x, y, y_pred, sample_weight, training), y_pred)


@keras.saving.register_keras_serializable(package="cladec")
class VariationalRefAE(_Variational, RefAE):
    """The reference of a variational ClaDec: the same parts, trained on reconstruction alone.

        loss = scale * reconstruction + beta * KL

    The model takes images (N, H, W, C) in [0, 1] and returns decoded images of the same shape.

    Args:
        encoder: the encoder, `cutting.fresh_encoder(classifier, layer)` or `tuned_encoder`.
        decoder: the decoder, latent points (N, latent_dim) -> images.
        posterior: a model codes -> z_mean and z_log_var, from `build_posterior`.
        beta: the weight of the KL divergence from the standard normal, >= 0.
        seed: the seed of the noise in training.

    Examples:
        >>> from cladec.models import cutting, variational
        >>> encoder = cutting.fresh_encoder(classifier, "dense")
        >>> decoder = cladec.build_decoder((2,), (28, 28, 1))
        >>> posterior = variational.build_posterior((128,), latent_dim=2)
        >>> model = cladec.VariationalRefAE(encoder, decoder, posterior=posterior)
        >>> z_mean, z_log_var = model.encode(images)
        >>> z_mean.shape
        (360, 2)
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        *,
        posterior: keras.Model,
        beta: float = 1.0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, posterior=posterior, beta=beta, seed=seed, **kwargs)
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of `y_pred`, the output of the last call, against the images `y`."""
        scaled = super().compute_loss(x, y, y_pred, sample_weight, training)
        count = ops.shape(y_pred)[0]
        self.reconstruction_tracker.update_state(scaled / self.scale, sample_weight=count)
        return self._with_kl(scaled, y_pred)


@checked
def fit_variational_cladec(
    classifier: keras.Model,
    layer: str,
    data: Data,
    *,
    alpha: float,
    latent_dim: int = recipes.LATENT_DIM,
    beta: float = recipes.BETA,
    recipe: Recipe = recipes.VARIATIONAL,
    seed: int = 0,
    codes: np.ndarray | None = None,
    units: Units = None,
    decoder: keras.Model | None = None,
    optimizer: Optimizer = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> VariationalClaDec:
    """Train a variational decoder of `layer` on the training images of `data`.

    Arguments and errors are those of `fit_cladec`, except for:

    Args:
        latent_dim: the dimensions of the latent space, at least 1; two can be drawn.
        beta: the weight of the KL divergence, at least 0.
        seed: the seed of the weights, the order of the images and the noise.
        decoder: a decoder, latent points (N, latent_dim) -> images.

    Examples:
        >>> options = {"alpha": 0.5, "latent_dim": 2, "recipe": quick}
        >>> model = cladec.fit_variational_cladec(classifier, "dense", data, **options)
        >>> z_mean, z_log_var = model.encode(images)
    """
    recipes.check_alpha(alpha)
    with seeded(seed):
        network = cutting.cut(classifier, layer, units)
        data = check_data(classifier, data)
        posterior = build_posterior(network.output["codes"].shape[1:], latent_dim)
        decoder = decoder_of((latent_dim,), data, decoder)
        parts = {"posterior": posterior, "alpha": alpha, "beta": beta, "seed": seed}
        parts["multi_label"] = data.is_multi_label
        cladec = VariationalClaDec(network, decoder, **parts, name="variational_cladec")
    codes, compared = training_set(cladec.encoder, data, codes)
    options: dict[str, Any] = {"seed": seed, "optimizer": optimizer, "callbacks": callbacks}
    fit_decoder(cladec, {"codes": codes}, compared, recipe, alpha=alpha, **options)
    return cladec


@checked
def fit_variational_refae(
    classifier: keras.Model,
    layer: str,
    data: Data,
    *,
    start: Start = "auto",
    latent_dim: int = recipes.LATENT_DIM,
    beta: float = recipes.BETA,
    recipe: Recipe = recipes.VARIATIONAL,
    seed: int = 0,
    units: Units = None,
    decoder: keras.Model | None = None,
    optimizer: Optimizer = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> VariationalRefAE:
    """Train the encoder up to `layer` and a variational decoder, without labels.

    The arguments are those of `fit_variational_cladec`, and `start` is that of `fit_refae`.

    Examples:
        >>> model = cladec.fit_variational_refae(classifier, "dense", data, recipe=quick)
        >>> model.decode([[0.0, 0.0]]).shape
        (1, 28, 28, 1)
    """
    with seeded(seed):
        start, encoder = reference_encoder(classifier, layer, units, start)
        data = check_data(classifier, data)
        posterior = build_posterior(encoder.output_shape[1:], latent_dim)
        decoder = decoder_of((latent_dim,), data, decoder)
        parts = {"posterior": posterior, "beta": beta, "seed": seed, "start": start}
        refae = VariationalRefAE(encoder, decoder, **parts, name="variational_refae")
    images = varied_if_few(data.train.images)
    options: dict[str, Any] = {"seed": seed, "optimizer": optimizer, "callbacks": callbacks}
    fit_decoder(refae, images, images, recipe, **options)
    return refae
