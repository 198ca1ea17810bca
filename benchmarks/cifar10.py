"""Two classifiers for the experiments of both papers on CIFAR-10: VGG-11 and a ResNet-20.

    python benchmarks/cifar10.py --images cifar10/
    for network in vgg11 resnet20; do
      python create_models.py --classifier cifar10-classifiers/$network.keras \\
          --datasets cifar10/ ...
    done

Trains both on images that are flipped, turned, moved and zoomed, and saves them. What their layers
keep is then a matter of the usual commands, see docs/research.md.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
from small_classifier import residual, varying

import cladec
from cladec.commands import main as command_line
from cladec.models import accuracy
from cladec.models.precision import computing_in, fastest

RESNET20 = (16, 16, 16, 32, 32, 32, 64, 64, 64)
"""The channels of its blocks."""

EPOCHS = {"vgg11": 20, "resnet20": 40}
"""The passes of each over its images."""


@dataclass(frozen=True)
class Classifiers:
    """Train the classifiers."""

    images: Path
    """A folder of CIFAR-10's images, or any that `cladec.load` takes."""
    seed: int = 0
    """The seed of weights and order."""
    out: Path = Path("cifar10-classifiers")
    """The folder for vgg11.keras and resnet20.keras."""


def main(settings: Classifiers) -> None:
    """Train each classifier, save it and print its accuracy."""
    data = cladec.load(str(settings.images))
    about = data.image_shape, data.num_classes
    settings.out.mkdir(parents=True, exist_ok=True)
    for name, epochs in EPOCHS.items():
        keras.utils.set_random_seed(settings.seed)
        network = (
            residual(*about, RESNET20)
            if name == "resnet20"
            else cladec.build_classifier(*about, "vgg11", seed=settings.seed)
        )
        train(network, data, epochs)
        network.save(settings.out / f"{name}.keras")
        print(f"{name}: accuracy on test images {accuracy(network, data.test):.3f}", flush=True)


def train(network: keras.Model, data: cladec.Dataset, epochs: int) -> None:
    """Train a network in place, at a rate that falls to nothing."""
    learner, batch = varying(network), 64
    steps = epochs * -(-len(data.train.images) // batch)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    loss = "sparse_categorical_crossentropy"
    learner.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    with computing_in(network, fastest()):
        learner.fit(data.train.images, data.train.labels, batch, epochs, verbose=2)


if __name__ == "__main__":
    main(command_line.settings(Classifiers, description=__doc__))
