"""RefAE, the reference autoencoder of ClaDec: the same encoder and decoder without the classifier.

What ClaDec loses and RefAE keeps explains the layer (Schneider & Vlachos, "Explaining Neural
Networks by Decoding Layer Activations", arXiv 2005.13630).
"""

from collections.abc import Sequence
from typing import Any, get_args

import keras

from cladec.data.arrays import evenly_spread
from cladec.data.dataset import Data
from cladec.errors import InputError
from cladec.models import cutting, losses, recipes
from cladec.models.decoding import Decoding, check_images, check_parts, deserialized
from cladec.models.fitting import check_data, decoder_of, encode, fit_decoder
from cladec.models.given import checked
from cladec.models.photographs import ROWS, standardise
from cladec.models.recipes import Recipe, Start
from cladec.models.selection import Units
from cladec.models.training import Optimizer, seeded
from cladec.models.training_rows import varied_if_few

LARGE = 1_000_000
"""The weights from which the encoder of a RefAE starts from those of the classifier by default."""


@keras.saving.register_keras_serializable(package="cladec")
class RefAE(Decoding):
    """The reference autoencoder: the encoder and decoder of a ClaDec, trained on reconstruction.

        loss = scale * reconstruction, as that of a ClaDec at alpha 0

    The model takes images (N, H, W, C) in [0, 1] and returns decoded images of the same shape and
    range. It can be evaluated and trained further: `refae.evaluate(images, images)`.

    Args:
        encoder: the encoder, `cutting.fresh_encoder(classifier, layer)` or `tuned_encoder`.
        decoder: the decoder, codes -> images.
        start: "fresh" or "tuned", where the encoder started. A tuned one is trained on as is usual:
            its batch normalisations keep their statistics, and its dropout is off.

    Examples:
        >>> from cladec.models import cutting
        >>> encoder = cutting.fresh_encoder(classifier, "dense")
        >>> model = cladec.RefAE(encoder, cladec.build_decoder((128,), (28, 28, 1)))
        >>> model.predict(images, verbose=0).shape
        (360, 28, 28, 1)
    """

    def __init__(
        self, encoder: keras.Model, decoder: keras.Model, *, start: str = "fresh", **kwargs
    ):
        super().__init__(**kwargs)
        check_parts(encoder=encoder, decoder=decoder)
        self.encoder = encoder
        self.decoder = decoder
        self.start = start
        self.scale = losses.scale(encoder.input_shape[1:])
        self.built = True

    def codes(self, images, training=None):
        """Return the codes of a tensor of images."""
        return self.encoder(images, training=training if self.start == "fresh" else False)

    def call(self, images, training=None):
        return self.decoder(self.codes(images, training), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of `y_pred` against the images `y`, (N, H, W, C)."""
        return self.scale * losses.reconstruction(self.compared(x, y), y_pred)

    def compared(self, x, y):
        """Return the original images of the loss, (N, H, W, C)."""
        return check_images(y, self.encoder.input_shape[1:])

    def get_config(self):
        return super().get_config() | {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "start": self.start,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**deserialized(config, "encoder", "decoder"))


@checked
def fit_refae(
    classifier: keras.Model,
    layer: str,
    data: Data,
    *,
    start: Start = "auto",
    recipe: Recipe = recipes.REFAE,
    seed: int = 0,
    units: Units = None,
    decoder: keras.Model | None = None,
    optimizer: Optimizer = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RefAE:
    """Train the encoder up to `layer` and its decoder on reconstruction alone.

    The other arguments are those of `fit_cladec`.

    Args:
        start: the weights of the encoder before its training. "fresh", newly initialised, as in the
            paper; "tuned", those of the classifier, which are trained on: what the layer could hold
            where a few hundred pictures cannot train a large encoder from scratch. "auto" is fresh
            for encoders below a million weights and tuned from there on.

    Raises:
        InputError: as `fit_cladec`, or `start` is another word.

    Examples:
        >>> model = cladec.fit_refae(classifier, "dense", data, recipe=quick)
        >>> loss = model.evaluate(images, images, verbose=0)
        >>> model.start
        'fresh'
    """
    with seeded(seed):
        start, encoder = reference_encoder(classifier, layer, units, start)
        data = check_data(classifier, data)
        decoder = decoder_of(encoder.output_shape[1:], data, decoder)
        refae = RefAE(encoder, decoder, start=start, name="refae")
    if start == "tuned":  # codes of any size; those of a fresh one are about one
        standardise(decoder, encode(encoder, evenly_spread(data.train.images, ROWS)))
    images = varied_if_few(data.train.images)
    options: dict[str, Any] = {"seed": seed, "optimizer": optimizer, "callbacks": callbacks}
    fit_decoder(refae, images, images, recipe, **options)
    return refae


def reference_encoder(
    classifier: keras.Model, layer: str, units: Units, start: Start
) -> tuple[Start, keras.Model]:
    """Return where the encoder of a RefAE starts, fresh or tuned, and the encoder.

    Raises:
        InputError: as `cutting.cut`, or there is no such start.
    """
    if start not in get_args(Start):
        raise InputError(f"start is {start!r:.60}: expected one of {', '.join(get_args(Start))}")
    if start != "tuned":
        encoder = cutting.fresh_encoder(classifier, layer, units)
        if start == "fresh" or encoder.count_params() < LARGE:
            return "fresh", encoder
    return "tuned", cutting.tuned_encoder(classifier, layer, units)
