"""`cladec layers`: list the layers of a classifier, and say which can be decoded."""

from cladec.commands.console import show
from cladec.commands.settings import Listing
from cladec.models import layers, loading, pixels


def run(listing: Listing) -> None:
    """Print a table of the layers of a classifier."""
    classifier = loading.load_network(listing.model)
    pixels.examine(classifier)
    show(layers.table(layers.decodable_layers(classifier)))
