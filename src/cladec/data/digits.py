"""Read the handwritten digits that scikit-learn embeds, enlarged to 28x28, without a network."""

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]


def read() -> tuple[Arrays, Arrays, tuple[str, ...]]:
    """Return (images, labels) of 1,437 training images and of 360 test images, and class names."""
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.empty((len(digits.images), 28, 28, 1), np.float32)
    for i, image in enumerate((digits.images / 16).astype(np.float32)):
        enlarged = Image.fromarray(image).resize((28, 28), Image.Resampling.BICUBIC)
        images[i, :, :, 0] = np.clip(np.asarray(enlarged), 0, 1)  # bicubic overshoots at edges
    labels = digits.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=360, random_state=0, stratify=labels
    )
    names = tuple(str(digit) for digit in range(10))
    return (train_images, train_labels), (test_images, test_labels), names
