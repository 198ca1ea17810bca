"""Muon, for convolutions as well as for matrices."""

import math
from typing import Any

import keras
from keras import ops

LARGEST = 512
"""Matrices of more rows and columns are left to Adam: the nearest orthogonal ones cost too much."""


@keras.saving.register_keras_serializable(package="cladec")
class Muon(keras.optimizers.Muon):
    """Keras's Muon, which also takes kernels of convolutions as matrices; Adam for all else.

    The momentum of a matrix is replaced by the nearest matrix with orthogonal columns, so that a
    step is as long in all directions (Jordan et al., "Muon: An optimizer for hidden layers in
    neural networks", 2024; scaled as in Liu et al., "Muon is Scalable for LLM Training",
    arXiv 2502.16982). A kernel (rows, columns, inputs, outputs) is the matrix
    (rows * columns * inputs, outputs). There is no weight decay.

    Args:
        learning_rate: the rate of matrices and of all else, or a schedule.
        **options: others of `keras.optimizers.Muon`.

    Examples:
        >>> from cladec.models.muon import Muon
        >>> model = cladec.fit_cladec(
        ...     classifier, "dense", data, alpha=0.5, recipe=quick, optimizer=Muon(1e-2)
        ... )
    """

    def __init__(self, learning_rate: Any = 1e-2, **options):
        # In a few epochs, a memory of 1,000 steps (0.999) is too slow: decoders end 7 % worse.
        usual: dict[str, Any] = {"adam_beta_2": 0.95, "epsilon": 1e-4}
        usual |= {"weight_decay": None, "adam_weight_decay": None}
        super().__init__(learning_rate, **usual | options)

    def _should_use_adamw(self, variable) -> bool:
        return len(variable.shape) < 2 or min(_as_matrix(variable.shape)) > LARGEST

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        ahead = ops.add(gradient, self.momentum * m)
        matrix = ops.reshape(ahead, _as_matrix(variable.shape))
        orthogonal = self._orthogonal(matrix)
        self.assign_sub(variable, ops.reshape(self.lr_adjust(lr * orthogonal), variable.shape))

    def _orthogonal(self, matrix):
        """Return `zeropower_via_newtonschulz5` of a matrix, at a quarter of the cost.

        Each of its steps multiplies the matrix X by aI + bG + cG^2, where G is the Gram matrix of
        X. All these factors are polynomials of the first G, so they commute, and only their product
        is multiplied by X: of a matrix (3136, 128) the steps then only touch (128, 128).
        """
        matrix = matrix / (ops.norm(matrix) + 1e-7)
        rows, columns = matrix.shape
        is_tall = rows > columns
        wide = ops.transpose(matrix) if is_tall else matrix
        gram = ops.matmul(wide, ops.transpose(wide))
        product = identity = ops.eye(min(rows, columns), dtype=matrix.dtype)
        for _ in range(self.ns_steps):
            square = ops.matmul(gram, gram)
            factor = self.muon_a * identity + self.muon_b * gram + self.muon_c * square
            product = ops.matmul(factor, product)
            gram = ops.matmul(ops.matmul(factor, gram), factor)
        return ops.matmul(matrix, product) if is_tall else ops.matmul(product, matrix)


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows and columns of a kernel as a matrix."""
    return math.prod(shape[:-1]), shape[-1]
