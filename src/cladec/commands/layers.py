"""`cladec layers`: list the layers of a classifier, and say which can be decoded."""

import shlex

from cladec.commands.console import show, suggest
from cladec.commands.settings import Listing
from cladec.models import layers, pixels
from cladec.models.given import as_classifier
from cladec.models.pixel_layers import with_pixels


def run(listing: Listing) -> None:
    """Print a table of the layers of a classifier."""
    listing.check()
    classifier = with_pixels(as_classifier(listing.model, **listing.form), listing.pixels)
    pixels.examine(classifier)
    show(layers.table(layers.decodable_layers(classifier)))
    model = shlex.quote(str(listing.model))
    suggest(f"cladec train --classifier {model} --datasets FOLDER --layers NAME ...")
