"""The classifier that benchmarks of several layers look into, trained on a part of a dataset."""

import keras

import cladec


def trained(
    data: cladec.Dataset, images: int, *, architecture: str = "vgg", seed: int = 0
) -> keras.Model:
    """Return a classifier of the first training images, and print its accuracy."""
    train = data.train.images[:images], data.train.labels[:images]
    classifier = cladec.build_classifier(
        data.image_shape, data.num_classes, architecture, seed=seed
    )
    cladec.fit_classifier(classifier, train, seed=seed)
    said = classifier.predict(data.test.images, verbose=0).argmax(axis=1)
    print(f"accuracy of the classifier: {(said == data.test.labels).mean():.4f}")
    return classifier
