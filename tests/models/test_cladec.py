"""ClaDec and RefAE: the loss of the paper, a classifier left as it is, models that last."""

import random
import zipfile
from functools import partial

import h5py
import keras
import numpy as np
import pytest
import zoo
from keras import layers
from keras.ops import convert_to_numpy as numpy_of

from cladec.data.dataset import Dataset, Split
from cladec.errors import InputError
from cladec.models import cutting, loading
from cladec.models.cladec import ClaDec, compute_codes, fit_cladec
from cladec.models.conditional import fit_conditional
from cladec.models.decoder import build_decoder
from cladec.models.recipes import Recipe
from cladec.models.refae import RefAE, fit_refae
from cladec.models.variational import fit_variational_cladec, fit_variational_refae
from cladec.storage import model_files

QUICK = Recipe(epochs=1, batch_size=32, learning_rate=1e-2, least_images=0, least_steps=0)


def quick_cladec(classifier, data, layer="conv", *, alpha=0.5, **options) -> ClaDec:
    return fit_cladec(classifier, layer, data, alpha=alpha, **{"recipe": QUICK} | options)


def new_cladec(classifier, layer="conv", *, alpha=0.5) -> ClaDec:
    network = cutting.cut(classifier, layer)
    decoder = build_decoder(network.output["codes"].shape[1:], network.inputs[0].shape[1:])
    return ClaDec(network, decoder, alpha=alpha)


def targets_of(split: Split):
    return {"images": split.images, "labels": split.labels}


SCALE = 784 / 64
"""The scale of the reconstruction in the loss of 8x8x1 images, those of `tiny`."""


def naive_losses(classifier, split: Split, decoded):
    """Both parts of eq. 1, image by image, from the scores that the layer `logits` gives."""
    scores = keras.Model(classifier.inputs, classifier.get_layer("logits").output)
    scored = scores.predict(decoded, verbose=0).astype(np.float64)
    reconstruction, classification = [], []
    for image, label, made, logits in zip(split.images, split.labels, decoded, scored, strict=True):
        reconstruction.append(((image.astype(np.float64) - made) ** 2).sum())
        classification.append(-np.log(np.exp(logits[label]) / np.exp(logits).sum()))
    return np.mean(reconstruction), np.mean(classification)


def state_of(model):
    trainable = [layer.trainable for layer in model.layers]
    return [numpy_of(variable) for variable in model.variables], [model.trainable, *trainable]


def same_weights(first, second) -> bool:
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def with_another_head(classifier):
    """The classifier with other weights behind the layer `conv`."""
    other = keras.models.clone_model(classifier)
    other.set_weights(classifier.get_weights())
    return zoo.randomised(other, "dense", "logits")


def repainted(data: Dataset, shape: tuple[int, int, int]) -> Dataset:
    """`data` with its images cut or repeated to another shape."""
    rows, columns, channels = shape

    def repaint(split):
        images = np.pad(split.images, ((0, 0), (0, 8), (0, 8), (0, 0)))[:, :rows, :columns]
        return Split(np.repeat(images, channels, axis=3), split.labels)

    return Dataset("painted", repaint(data.train), repaint(data.test), data.class_names)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_loss_is_the_formula_of_the_paper(classifier, tiny, alpha):
    cladec = new_cladec(classifier, alpha=alpha)
    decoded = numpy_of(cladec(tiny.test.images))
    loss = cladec.compute_loss(y=targets_of(tiny.test), y_pred=decoded)
    reconstruction, classification = naive_losses(classifier, tiny.test, decoded)
    expected = (1 - alpha) * SCALE * reconstruction + alpha * classification
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(cladec.reconstruction_tracker.result(), reconstruction, rtol=1e-4)
    if alpha > 0:
        tracked = cladec.classification_tracker.result()
        np.testing.assert_allclose(tracked, classification, rtol=1e-4)


def test_refae_loss_is_the_reconstruction(classifier, tiny):
    encoder = cutting.fresh_encoder(classifier, "conv")
    refae = RefAE(encoder, build_decoder(encoder.output_shape[1:], (8, 8, 1)))
    decoded = numpy_of(refae(tiny.test.images))
    expected, _ = naive_losses(classifier, tiny.test, decoded)
    loss = refae.compute_loss(y=tiny.test.images, y_pred=decoded)
    np.testing.assert_allclose(loss, SCALE * expected, rtol=1e-4)


def test_training_changes_the_decoder_and_nothing_of_the_classifier(classifier, tiny):
    mine = keras.models.clone_model(classifier)
    mine.set_weights(classifier.get_weights())
    mine.get_layer("conv").trainable = False
    weights, flags = state_of(mine)
    images, labels = tiny.train.images.copy(), tiny.train.labels.copy()
    cladec = quick_cladec(mine, tiny)
    untrained = quick_cladec(mine, tiny, recipe=Recipe(1, 32, 0.0, 0))
    fit_refae(mine, "conv", tiny, recipe=QUICK)
    after, flags_after = state_of(mine)
    assert flags_after == flags
    assert all(map(np.array_equal, after, weights))
    assert same_weights(cladec.network, untrained.network)
    assert not same_weights(cladec.decoder, untrained.decoder)
    assert {id(w) for w in cladec.trainable_weights} == {
        id(w) for w in cladec.decoder.trainable_weights
    }
    np.testing.assert_array_equal(tiny.train.images, images)
    np.testing.assert_array_equal(tiny.train.labels, labels)


def test_dropout_and_batch_statistics_of_the_frozen_part_rest_in_training(classifier, tiny):
    cladec = new_cladec(classifier, "dropped")
    images, targets = tiny.test.images, targets_of(tiny.test)
    before = state_of(cladec.network)[0]
    decoded = [numpy_of(cladec(images, training=training)) for training in (True, True, False)]
    losses = [float(cladec.compute_loss(y=targets, y_pred=decoded[0])) for _ in range(2)]
    np.testing.assert_array_equal(decoded[0], decoded[1])
    np.testing.assert_array_equal(decoded[0], decoded[2])
    assert losses[0] == losses[1]
    assert all(map(np.array_equal, state_of(cladec.network)[0], before))


def test_alpha_zero_asks_nothing_of_the_classifier(classifier, tiny):
    codes = compute_codes(classifier, "conv", tiny.train.images)
    other = with_another_head(classifier)
    trained = {
        alpha: [
            quick_cladec(model, tiny, alpha=alpha, codes=codes) for model in (classifier, other)
        ]
        for alpha in (0.0, 0.9)
    }
    assert same_weights(*(cladec.decoder for cladec in trained[0.0]))
    assert not same_weights(*(cladec.decoder for cladec in trained[0.9]))
    assert not trained[0.0][0].history.history.get("classification_loss", [0.0])[0]
    assert trained[0.9][0].history.history["classification_loss"][0] > 0


def test_same_seed_same_weights_and_no_trace_in_random(classifier, tiny):
    codes = compute_codes(classifier, "conv", tiny.train.images)
    random.seed(5)
    np.random.seed(5)
    states = random.getstate(), np.random.get_state()[1].tolist()
    first = quick_cladec(classifier, tiny, seed=3)
    autoencoder = fit_refae(classifier, "dropped", tiny, recipe=QUICK, seed=3)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    random.seed(6)
    assert same_weights(first, quick_cladec(classifier, tiny, seed=3, codes=codes))
    assert same_weights(autoencoder, fit_refae(classifier, "dropped", tiny, recipe=QUICK, seed=3))
    assert not same_weights(first, quick_cladec(classifier, tiny, seed=4))
    assert not same_weights(
        autoencoder, fit_refae(classifier, "dropped", tiny, recipe=QUICK, seed=4)
    )


def test_decoding_images_is_decoding_their_codes(classifier, tiny):
    cladec = new_cladec(classifier)
    codes = compute_codes(classifier, "conv", tiny.test.images)
    from_codes = cladec({"codes": codes.astype(np.float32)})
    np.testing.assert_allclose(cladec(tiny.test.images), from_codes, atol=2e-3)


@pytest.mark.parametrize("kind", ["cladec", "refae"])
def test_a_saved_model_is_the_same_model(classifier, tiny, tmp_path, kind):
    fit = quick_cladec if kind == "cladec" else fit_refae
    arguments = (tiny, "dense") if kind == "cladec" else ("dense", tiny)
    model = fit(classifier, *arguments, recipe=QUICK)
    path = tmp_path / "folder" / f"{kind}.keras"
    model_files.save(model, path, {"kind": kind})
    expected = model.predict(tiny.test.images, verbose=0)
    for loaded in (loading.load_saved(path), keras.saving.load_model(path, safe_mode=True)):
        assert type(loaded) is type(model)
        assert same_weights(loaded, model)
        np.testing.assert_array_equal(loaded.predict(tiny.test.images, verbose=0), expected)
    assert getattr(loaded, "alpha", None) == getattr(model, "alpha", None)
    assert getattr(loaded, "optimizer", None) is None
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as stored:
        names, stored_values = [], []
        with h5py.File(stored) as weights:
            weights.visit(names.append)
            weights.visititems(lambda _, item: stored_values.append(getattr(item, "size", 0)))
    assert not any("optimizer" in name for name in names)
    assert sum(stored_values) == sum(int(np.prod(weight.shape)) for weight in model.weights)


def test_refae_has_the_architecture_of_cladec_and_weights_of_its_own(classifier, tiny):
    cladec = quick_cladec(classifier, tiny, "dense")
    refae = fit_refae(classifier, "dense", tiny, recipe=QUICK)
    for part in ("encoder", "decoder"):
        twins = zip(getattr(cladec, part).layers, getattr(refae, part).layers, strict=True)
        for one, other in twins:
            configs = [layer.get_config() for layer in (one, other)]
            for config in configs:
                config.pop("trainable", None)
            assert type(one) is type(other)
            assert configs[0] == configs[1]
            assert one.output.shape == other.output.shape
    assert not {id(v) for v in cladec.variables} & {id(v) for v in refae.variables}
    assert len(refae.trainable_weights) > len(cladec.trainable_weights)


def test_fit_lowers_the_loss(classifier, tiny):
    recipe = Recipe(epochs=12, batch_size=16, learning_rate=1e-2, least_images=0, least_steps=0)
    for model in (
        quick_cladec(classifier, tiny, alpha=0.5, recipe=recipe),
        fit_refae(classifier, "conv", tiny, recipe=recipe),
    ):
        losses = model.history.history["loss"]
        assert len(losses) == 12
        assert losses[-1] < 0.6 * losses[0]


def painted(data: Dataset) -> tuple[keras.Model, str, Dataset]:
    """A Sequential classifier of colour images that are not square, and such images."""
    data = repainted(data, (10, 14, 3))
    body = [zoo.convolution(), layers.Flatten(), layers.Dense(10, activation="softmax")]
    return keras.Sequential([keras.Input(data.image_shape), *body]), "conv", data


@pytest.mark.parametrize("form", ["painted", "logits_end", "nested_twice"])
def test_every_form_of_classifier_can_be_decoded(tiny, tmp_path, form):
    if form == "painted":
        model, layer, data = painted(tiny)
    else:
        model, layer, data = zoo.build(form), zoo.CASES[form].layer, tiny
    model.save(tmp_path / "classifier.keras")
    model = keras.saving.load_model(tmp_path / "classifier.keras")
    answers = model.predict(data.test.images, verbose=0)
    autoencoders = quick_cladec(model, data, layer), fit_refae(model, layer, data, recipe=QUICK)
    for number, autoencoder in enumerate(autoencoders):
        decoded = autoencoder.predict(data.test.images, verbose=0)
        assert decoded.shape == data.test.images.shape
        assert decoded.dtype == np.float32
        assert 0 <= decoded.min() <= decoded.max() <= 1
        model_files.save(autoencoder, tmp_path / f"{number}.keras", {})
        again = loading.load_saved(tmp_path / f"{number}.keras").predict(
            data.test.images, verbose=0
        )
        np.testing.assert_array_equal(again, decoded)
    np.testing.assert_array_equal(model.predict(data.test.images, verbose=0), answers)


def test_codes_are_the_activations_in_half_precision(classifier, tiny):
    images = tiny.test.images
    codes = compute_codes(classifier, "conv", images)
    layer = keras.Model(classifier.inputs, classifier.get_layer("conv").output)
    assert codes.dtype == np.float16
    np.testing.assert_allclose(codes, layer.predict(images, verbose=0), rtol=1e-3, atol=1e-6)


def test_codes_too_large_for_half_precision_are_kept_in_single(tiny):
    model = zoo.build("rescaling")
    model.get_layer("conv").kernel.assign(keras.ops.full((3, 3, 1, 3), 1e6))
    codes = compute_codes(model, "conv", tiny.test.images)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()
    assert codes.max() > 1e5


def test_a_loss_that_is_no_number_is_an_input_error(classifier, tiny):
    broken = with_another_head(classifier)
    broken.get_layer("dense").kernel.assign(keras.ops.full((128, 16), float("nan")))
    with pytest.raises(InputError, match=r"the loss of 'cladec' became NaN or infinite: [^\n]*$"):
        quick_cladec(broken, tiny)


@pytest.mark.parametrize(("alpha", "layer"), [(1.5, "conv"), (float("nan"), "conv"), (0.5, "cnv")])
def test_bad_arguments_are_input_errors(classifier, tiny, alpha, layer):
    with pytest.raises(InputError, match=r"alpha is|did you mean 'conv'"):
        fit_cladec(classifier, layer, tiny, alpha=alpha)


def test_data_that_does_not_fit_is_refused(tiny, classifier):
    images = np.zeros((12, 9, 9, 1), "float32")
    split = Split(images, np.arange(12) % 3)
    other_size = Dataset("other", split, split, ("a", "b", "c"))
    for fit in (partial(fit_cladec, alpha=0.5), fit_refae):
        with pytest.raises(InputError, match=r"\(9, 9, 1\).*\(8, 8, 1\)"):
            fit(classifier, "dense", other_size)
    more_classes = Dataset("more", tiny.train, tiny.test, tuple("abcdefghijk"))
    with pytest.raises(InputError, match="11 classes, the classifier 10"):
        fit_refae(classifier, "dense", more_classes)
    with pytest.raises(InputError, match="codes of shape"):
        fit_cladec(classifier, "dense", tiny, alpha=0.5, codes=np.zeros((3, 5), "float16"))


FITS = [
    partial(fit_cladec, alpha=0.5),
    fit_refae,
    fit_conditional,
    partial(fit_variational_cladec, alpha=0.5),
    fit_variational_refae,
]


@pytest.mark.parametrize("fit", FITS)
def test_every_fit_names_data_that_it_does_not_take(classifier, tiny, fit):
    images, labels = tiny.train.images, np.eye(10)[tiny.train.labels]
    with pytest.raises(InputError, match=r"data is a int, expected a Dataset.*tf\.data"):
        fit(classifier, "dense", 7)
    with pytest.raises(InputError, match="the list_iterator has no known end: expected a dataset"):
        fit(classifier, "dense", iter([(images, labels)]))
    labels[5, :2] = 1
    with pytest.raises(InputError, match="have several labels each, or none"):
        fit(classifier, "dense", (images, labels))


def test_arrays_of_other_types_give_the_weights_that_the_dataset_gives(classifier, tiny):
    pair = tiny.train.images.astype(np.float64), np.eye(10)[tiny.train.labels]
    assert same_weights(quick_cladec(classifier, tiny), quick_cladec(classifier, pair))
