"""The losses of ClaDec and RefAE, as pure functions of tensors.

Schneider & Vlachos, "Explaining Neural Networks by Decoding Layer Activations", eq. 1,
arXiv 2005.13630:

    loss = (1 - alpha) * reconstruction + alpha * classification
"""

from keras import ops


def reconstruction(images, decoded):
    """Mean over images of the squared error summed over pixels and channels.

    Args:
        images: (N, H, W, C), the originals in [0, 1].
        decoded: (N, H, W, C), what the decoder made of them.

    Returns:
        A scalar >= 0, in squared pixel values per image.
    """
    error = ops.square(ops.cast(images, "float32") - ops.cast(decoded, "float32"))
    return ops.mean(ops.sum(error, axis=(1, 2, 3)))


def classification(labels, logits):
    """Mean cross-entropy of the classifier's answer, in nats.

    Args:
        labels: (N,) integer classes.
        logits: (N, K) scores before the softmax.

    Returns:
        A scalar >= 0: the mean over images of -log softmax(logits)[label].
    """
    entropy = ops.sparse_categorical_crossentropy(
        labels, ops.cast(logits, "float32"), from_logits=True
    )
    return ops.mean(entropy)


def mix(alpha, reconstruction_loss, classification_loss):
    """The loss of ClaDec: (1 - alpha) * reconstruction + alpha * classification."""
    return (1.0 - alpha) * reconstruction_loss + alpha * classification_loss
