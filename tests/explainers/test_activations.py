"""Class activation maps without gradients, against loops over channels and NumPy's own SVD."""

import naive
import numpy as np
import pytest
import zoo

from cladec.errors import InputError
from cladec.explainers.activations import eigen_cam, score_cam
from cladec.models import cutting
from cladec.models.predictions import softmax


@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_score_cam_shows_the_image_through_one_channel_after_the_other(batch_size):
    model, images = zoo.build("nested_twice"), zoo.images(2)
    logits = cutting.logits(model)
    layer = "outer/inner/conv"
    activations = cutting.cut(model, layer)(images)["codes"].numpy()
    found = score_cam(model, images, [3, 7], layer=layer, batch_size=batch_size)
    for i, target in enumerate((3, 7)):
        scores = []
        for channel in np.moveaxis(activations[i], -1, 0):
            mask = naive.enlarged(channel, 8, 8)
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            scores.append(logits(images[i : i + 1] * mask[..., None]).numpy()[0, target])
        weighted = np.maximum(activations[i] @ softmax(np.array(scores)), 0)
        expected = naive.enlarged(weighted, 8, 8)
        np.testing.assert_allclose(found[i], expected, rtol=1e-3, atol=1e-5)


def test_a_channel_that_is_the_same_everywhere_hides_the_image():
    model, images = zoo.build("sequential"), np.zeros((1, 8, 8, 1), np.float32)
    assert np.isfinite(score_cam(model, images, 1)).all()


def test_eigen_cam_is_the_projection_on_the_strongest_eigenvector():
    model, images = zoo.build("sequential"), zoo.images(3)
    activations = cutting.cut(model, "conv")(images)["codes"].numpy()
    found = eigen_cam(model, images, layer="conv", batch_size=2)
    for map_found, activation in zip(found, activations, strict=True):
        flat = activation.reshape(-1, activation.shape[-1]).astype(np.float64)
        values, vectors = np.linalg.eigh(flat.T @ flat)
        projected = flat @ vectors[:, values.argmax()]
        projected *= np.sign(projected.sum())
        expected = np.maximum(projected, 0).reshape(activation.shape[:2])
        np.testing.assert_allclose(
            map_found, naive.enlarged(expected, 8, 8), rtol=1e-3, atol=1e-4 * expected.max()
        )


def test_eigen_cam_explains_no_class():
    model, images = zoo.build("sequential"), zoo.images(2)
    np.testing.assert_array_equal(eigen_cam(model, images, 1), eigen_cam(model, images, [2, 3]))


@pytest.mark.parametrize("method", [score_cam, eigen_cam])
def test_a_layer_without_a_grid_is_told(method):
    with pytest.raises(InputError, match="no spatial extent"):
        method(zoo.build("sequential"), zoo.images(2), layer="dense")
