"""Find out of a sweep's classifier what its runs need: the layers, and how they are compared."""

from collections.abc import Sequence
from typing import Any

import keras

from cladec.errors import InputError
from cladec.experiments.plans import EVALUATION_NETWORK, Given, Plan
from cladec.experiments.sweep import ALL, AUTO, USUAL_LAYERS, Sweep
from cladec.models import classifiers, cutting, layer_choice, layers, loading
from cladec.models.forms import image_classifier
from cladec.models.functions import FunctionModel
from cladec.models.pixel_layers import with_pixels
from cladec.models.refae import LARGE

LARGEST_OWN = 1_000_000
"""A user's classifier of more weights is not trained again to measure the evaluation accuracy."""


def plan(sweep: Sweep) -> Plan:
    """Return the plan of a sweep; see `Sweep.plan`."""
    given = sweep.given
    if given is None:
        # The names of an architecture's layers do not depend on the images.
        built = classifiers.build_classifier((32, 32, 1), 10, sweep.architecture)
        chosen = USUAL_LAYERS if AUTO in sweep.layers else _layers(built, sweep.layers)
        tuned = chosen if sweep.reference == "tuned" else ()
        return Plan(architecture=sweep.architecture, layers=chosen, tuned=frozenset(tuned))
    classifier = in_form(loading.load_model(given.file), given)
    chosen = _layers(classifier, sweep.layers)
    is_large = classifier.count_params() > LARGEST_OWN
    return Plan(
        architecture=given.name,
        layers=chosen,
        given=given,
        evaluation_network=EVALUATION_NETWORK if is_large else given.name,
        tuned=_tuned(classifier, chosen, sweep.reference),
    )


def in_form(loaded: Any, user: Given) -> keras.Model:
    """Return a user's own classifier in the one form that can be cut.

    Raises:
        InputError: if it is not an image classifier, more must be said of it, or it has no layers.
    """
    form: dict[str, Any] = {
        "output": user.output,
        "image_input": user.image_input,
        "inputs": user.inputs or None,
        "image_size": user.image_size,
    }
    classifier = with_pixels(image_classifier(loaded, **form), user.pixels)
    if isinstance(classifier, FunctionModel):
        raise InputError(f"{user.file} has no layers to decode: {classifier.why}")
    return classifier


def _layers(classifier: keras.Model, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the layers that are wanted by their names, or those that `all` or `auto` means.

    Raises:
        InputError: if there is no such layer; the message lists the existing ones.
    """
    if ALL in wanted:
        listed = layers.decodable_layers(classifier)
        return tuple(layer.path for layer in listed if layer.reason is None)
    if AUTO in wanted:
        return layer_choice.three_layers(classifier)
    flat = cutting.flatten(classifier)
    for layer in wanted:
        flat.find(layer)
    return tuple(wanted)


def _tuned(classifier: keras.Model, chosen: tuple[str, ...], reference: str) -> frozenset[str]:
    """Return the layers whose RefAE begins with the weights of the classifier."""
    if reference == "fresh":
        return frozenset()
    weights = layer_choice.encoder_weights(classifier, chosen)
    return frozenset(layer for layer in chosen if reference == "tuned" or weights[layer] >= LARGE)
