"""The losses of ClaDec and RefAE as pure functions of tensors.

Schneider & Vlachos, "Explaining Neural Networks by Decoding Layer Activations", eq. 1,
arXiv 2005.13630:

    loss = (1 - alpha) * scale * reconstruction + alpha * classification

The reconstruction is a sum over pixels, so it grows with the size of the image, unlike the
classification. The scale makes up for it: alpha means the same at every size. A variational
decoder adds the KL divergence.
"""

import math

from keras import ops

VALUES = 28 * 28
"""The values (rows x columns x channels) of an image whose reconstruction counts as it is."""


def scale(image_shape: tuple[int, int, int]) -> float:
    """Return the factor of the reconstruction in a loss, 784 / (H * W * C): 1 for 28x28x1.

    With the mean over pixels instead of the sum, as in the code of the paper, alpha' is ours where
    alpha / (1 - alpha) = 784 * alpha' / (1 - alpha'), at every size.

    Args:
        image_shape: the shape (H, W, C) of the images.

    Examples:
        >>> losses.scale((28, 28, 1)), losses.scale((56, 56, 1))
        (1.0, 0.25)
    """
    return VALUES / math.prod(image_shape)


def reconstruction_of_each(images, decoded):
    """Return the squared error of each image, summed over pixels and channels.

    Args:
        images: the originals (N, H, W, C) in [0, 1].
        decoded: the decoded images (N, H, W, C).

    Returns:
        (N,) >= 0, in squared pixel values.
    """
    error = ops.square(ops.cast(images, "float32") - ops.cast(decoded, "float32"))
    return ops.sum(error, axis=(1, 2, 3))


def reconstruction(images, decoded):
    """Return the mean of `reconstruction_of_each` over the images, a scalar."""
    return ops.mean(reconstruction_of_each(images, decoded))


def classification_of_each(labels, logits):
    """Return the cross-entropy of the classifier for each image, in nats.

    Args:
        labels: the integer classes (N,); or (N, K) in {0, 1}, the labels of each image.
        logits: the scores (N, K) before the softmax, or before the sigmoid of each label.

    Returns:
        (N,) >= 0: -log softmax(logits)[label]; with several labels the binary cross-entropy,
        averaged over the labels as Keras does.
    """
    if len(labels.shape) == 2:
        entropies = ops.binary_crossentropy(
            ops.cast(labels, "float32"), ops.cast(logits, "float32"), from_logits=True
        )
        return ops.mean(entropies, axis=1)
    return ops.sparse_categorical_crossentropy(
        labels, ops.cast(logits, "float32"), from_logits=True
    )


def classification(labels, logits):
    """Return the mean of `classification_of_each` over the images, a scalar."""
    return ops.mean(classification_of_each(labels, logits))


def kl_divergence(z_mean, z_log_var):
    """Return the mean over images of KL(N(z_mean, exp(z_log_var)) || N(0, 1)), over all dimensions.

        KL = 1/2 * sum_d (exp(z_log_var_d) + z_mean_d^2 - 1 - z_log_var_d)

    (Kingma & Welling, "Auto-Encoding Variational Bayes", appendix B, arXiv 1312.6114.)

    Args:
        z_mean: the means (N, D) of the latent normal distributions.
        z_log_var: the logarithms (N, D) of their variances.

    Returns:
        A scalar >= 0, in nats per image.
    """
    z_mean, z_log_var = ops.cast(z_mean, "float32"), ops.cast(z_log_var, "float32")
    # Close to the prior, exp(z) - 1 - z would be rounding error.
    divergence = ops.expm1(z_log_var) - z_log_var + ops.square(z_mean)
    return 0.5 * ops.mean(ops.sum(divergence, axis=1))


def mix(alpha, reconstruction_loss, classification_loss):
    """Return the loss of ClaDec: (1 - alpha) * reconstruction + alpha * classification.

    The arguments are scalars, or one number per image, (N,); the reconstruction is scaled already.
    """
    return (1.0 - alpha) * reconstruction_loss + alpha * classification_loss
