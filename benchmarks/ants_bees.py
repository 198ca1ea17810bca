"""Make a classifier of ants and bees of a network that was trained on ImageNet.

    python benchmarks/ants_bees.py --backbone efficientnet.keras --data hymenoptera
    python create_models.py --classifier ants_bees.keras --pixels=-1-1 --datasets hymenoptera

The network stays as it is; its head is the logistic regression that fits the features of the
training pictures best. The data are those of the best-known tutorial on transfer learning: folders
train/ and val/ with ants/ and bees/.
"""

from argparse import ArgumentParser
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression

CLASSES = ("ants", "bees")


def main() -> None:
    """Read the arguments, make the classifier and print its accuracy."""
    arguments = ArgumentParser(description=str(__doc__).partition("\n")[0])
    arguments.add_argument("--backbone", type=Path, required=True, help="a .keras file")
    arguments.add_argument("--data", type=Path, required=True, help="the folder of pictures")
    arguments.add_argument("--layer", default="pool", help="the features, the layer of a vector")
    arguments.add_argument("--out", type=Path, default=Path("ants_bees.keras"))
    options = arguments.parse_args()
    backbone = keras.saving.load_model(options.backbone, compile=False)
    features = keras.Model(backbone.inputs, backbone.get_layer(options.layer).output)
    side = backbone.input_shape[1]
    train, test = (read(options.data / split, side) for split in ("train", "val"))
    classifier = with_head(features, *train)
    right = classifier.predict(test[0], verbose=0).argmax(axis=1) == test[1]
    classifier.save(options.out)
    print(f"{options.out}: right on {right.mean():.3f} of {len(right)} pictures of val")


def read(folder: Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of each picture, (N, side, side, 3) in [-1, 1], and its class, (N,)."""
    images, labels = [], []
    for label, name in enumerate(CLASSES):
        for file in sorted((folder / name).iterdir()):
            with Image.open(file) as picture:
                fitted = ImageOps.fit(
                    picture.convert("RGB"), (side, side), Image.Resampling.BICUBIC
                )
            images.append(np.asarray(fitted, np.float32) / 127.5 - 1.0)
            labels.append(label)
    return np.stack(images), np.array(labels)


def with_head(features: keras.Model, images: np.ndarray, labels: np.ndarray) -> keras.Model:
    """Return a classifier of the features, whose head is the logistic regression of the images."""
    codes = features.predict(images, batch_size=16, verbose=0)
    found = LogisticRegression(C=0.1, max_iter=1000).fit(codes, labels)
    head = keras.layers.Dense(len(CLASSES), activation="softmax", name="ants_or_bees")
    classifier = keras.Model(features.inputs, head(features.outputs[0]), name="ants_bees")
    # The scores of two classes are minus and plus half of the one score of the regression.
    weights, bias = found.coef_[0] / 2, found.intercept_[0] / 2
    head.set_weights([np.stack([-weights, weights], axis=1), np.array([-bias, bias])])
    return classifier


if __name__ == "__main__":
    main()
