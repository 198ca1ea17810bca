"""The ClaDec explanation, and the decoded images behind it."""

import keras
import numpy as np
import pytest
import zoo

from cladec.errors import InputError
from cladec.explainers.decoding import cladec, decoded_images
from cladec.models import cutting
from cladec.models.cladec import ClaDec
from cladec.models.decoder import build_decoder
from cladec.models.refae import RefAE

SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def trio():
    """A classifier of colour images, and an untrained ClaDec and RefAE of its layer `conv`."""
    inputs = keras.Input(SHAPE)
    model = zoo.randomised(keras.Model(inputs, zoo.scored(zoo.convolution()(inputs))))
    network = cutting.cut(model, "conv")
    decoder = ClaDec(network, build_decoder((8, 8, 3), SHAPE), alpha=0.5)
    encoder = cutting.fresh_encoder(model, "conv")
    return model, decoder, RefAE(encoder, build_decoder((8, 8, 3), SHAPE))


def test_the_map_is_what_the_two_decoders_disagree_about(trio):
    model, decoder, reference = trio
    images = zoo.images(5, SHAPE)
    apart = np.abs(decoder.predict(images, verbose=0) - reference.predict(images, verbose=0))
    found = cladec(model, images, decoder=decoder, reference=reference, batch_size=2)
    np.testing.assert_allclose(found, apart.sum(axis=-1) / 3, rtol=1e-4, atol=1e-6)
    assert found.max() > 0.01


def test_the_decoded_images_are_those_of_the_decoder(trio):
    model, decoder, _ = trio
    images = zoo.images(5, SHAPE)
    found = decoded_images(model, images, decoder=decoder, batch_size=2)
    np.testing.assert_allclose(found, decoder.predict(images, verbose=0), rtol=1e-4, atol=1e-6)


def test_a_decoder_of_another_classifier_is_refused(trio):
    model, decoder, reference = trio
    other = keras.models.clone_model(model)
    with pytest.raises(InputError, match="decodes a layer of another classifier"):
        cladec(other, zoo.images(2, SHAPE), decoder=decoder, reference=reference)
