"""Does `cladec leak` find what a published attack finds, and no less?

    python benchmarks/inverters.py --images cifar10/

He, Zhang and Lee, "Model Inversion Attacks Against Collaborative Inference", ACSAC 2019, train an
"inverse network" of a few transposed convolutions on the activations of a network for CIFAR-10
(section 5), and print its PSNR and SSIM for three layers (table 4, "same set": the attacker has the
images that the network was trained on). Their network and their inverse networks are built here as
their code builds them, trained with their settings, and set beside what `cladec.leak` draws of the
same activations. A folder with fewer images than their 50,000 shortens both alike.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers
from small_classifier import varying

import cladec
from cladec.commands import main as command_line
from cladec.metrics import likeness
from cladec.models import accuracy
from cladec.storage.tables import write_table

FILE = Path(__file__).with_suffix(".csv")

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""What their code makes of pixels in [0, 1]."""

PUBLISHED = {"conv11": (49.88, 0.9993), "ReLU22": (19.81, 0.6939), "ReLU32": (15.42, 0.3124)}
"""Layer -> PSNR and SSIM of their table 4, black box, same set."""

WIDTHS = {"conv11": (), "ReLU22": (64,), "ReLU32": (128, 64)}
"""Layer -> channels of each hidden transposed convolution, of stride 2."""


@dataclass(frozen=True)
class Inverters:
    """Compare what both attacks draw."""

    images: Path
    """A folder of CIFAR-10's images, or any that `cladec.load` takes."""
    layers: tuple[str, ...] = tuple(PUBLISHED)
    """The layers to attack."""
    network_epochs: int = 50
    """The passes of the network over its images."""
    epochs: int = 50
    """The passes of their inverse networks."""
    gallery: int = 1_000
    """The pictures to draw."""
    seed: int = 0
    """The seed of weights and order."""
    out: Path = FILE
    """The table."""


def main(settings: Inverters) -> None:
    """Train the network, attack it in both ways and write the table."""
    data = cladec.load(str(settings.images))
    keras.utils.set_random_seed(settings.seed)
    network = attacked(data, settings.network_epochs)
    options = {"known": [len(data.train.images)], "noise": [0], "seed": settings.seed}
    found = cladec.leak(network, data, layers=settings.layers, gallery=settings.gallery, **options)
    ours = found.measures.set_index("layer")
    rows = []
    for layer in settings.layers:
        theirs = inverted(network, layer, data, settings)
        row: dict[str, Any] = {"layer": layer, "known": len(data.train.images)}
        for number, name in enumerate(("psnr", "ssim")):
            row |= {f"{name}_published": PUBLISHED[layer][number], f"{name}_theirs": theirs[name]}
            row[f"{name}_cladec"] = ours.loc[layer, name]
        rows.append(row | {"reidentified": ours.loc[layer, "reidentified"]})
        print(rows[-1], flush=True)
        write_table(pd.DataFrame(rows), settings.out)


def attacked(data: cladec.Dataset, epochs: int) -> keras.Model:
    """Their network CIFAR10CNN, trained as their code trains it, on images in [0, 1]."""
    images = keras.Input(data.image_shape, name="images")
    hidden = layers.Normalization(mean=MEAN, variance=DEVIATION**2, name="normalised")(images)
    for block, width in enumerate((64, 128, 128), 1):
        for number in (1, 2):
            hidden = layers.Conv2D(width, 3, padding="same", name=f"conv{block}{number}")(hidden)
            hidden = layers.ReLU(name=f"ReLU{block}{number}")(hidden)
        hidden = layers.MaxPooling2D(name=f"pool{block}")(hidden)
    hidden = layers.Dense(512, "sigmoid", name="fc1")(layers.Flatten()(hidden))
    network = keras.Model(images, layers.Dense(data.num_classes, name="fc2")(hidden), name="their")
    learner = varying(network)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner.compile(adam(), loss, metrics=["accuracy"], jit_compile=False)
    learner.fit(
        data.train.images,
        data.train.labels,
        batch_size=32,
        epochs=epochs,
        callbacks=[halved()],
        verbose=2,
    )
    print(f"accuracy of the network: {accuracy(network, data.test):.3f}", flush=True)
    return network


def inverted(
    network: keras.Model, layer: str, data: cladec.Dataset, settings: Inverters
) -> dict[str, float]:
    """PSNR and SSIM of what their inverse network draws."""
    keras.utils.set_random_seed(settings.seed)
    encoder = keras.Model(network.input, network.get_layer(layer).output)
    codes = encoder.predict(data.train.images, batch_size=100, verbose=0)
    hidden = start = keras.Input(codes.shape[1:])
    for width in WIDTHS[layer]:
        hidden = layers.Conv2DTranspose(width, 3, 2, "same", activation="relu")(hidden)
    decoder = keras.Model(start, layers.Conv2DTranspose(3, 3, padding="same")(hidden))
    decoder.compile(adam(), "mse", jit_compile=False)
    targets = (data.train.images - MEAN) / DEVIATION
    options = {"batch_size": 32, "epochs": settings.epochs, "shuffle": False, "verbose": 0}
    decoder.fit(codes, targets, callbacks=[halved()], **options)
    images = data.test.images[: settings.gallery]
    decoded = decoder.predict(encoder.predict(images, verbose=0), verbose=0)
    drawn = np.clip(decoded * DEVIATION + MEAN, 0, 1).astype(np.float32)
    measures = {"psnr": likeness.psnr(images, drawn), "ssim": likeness.ssim(images, drawn)}
    return {name: float(values.mean()) for name, values in measures.items()}


def adam() -> keras.Optimizer:
    """Their optimizer."""
    return keras.optimizers.Adam(1e-3, epsilon=1e-3, amsgrad=True)


def halved() -> keras.callbacks.Callback:
    """Their schedule: half the rate after each twenty passes."""
    return keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 * 0.5 ** (epoch // 20))


if __name__ == "__main__":
    main(command_line.settings(Inverters, description=__doc__))
