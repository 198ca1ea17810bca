"""What is used of shap that shap does not promise to keep, and what shap changes in TensorFlow.

As seen in shap 0.51 and TensorFlow 2.21. Where a new version breaks something, it is mended here.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from cladec.errors import needing


@contextmanager
def left_clean() -> Iterator[None]:
    """Restores what shap changes in the process and does not put back, above all after a failure.

    It replaces TensorFlow's gradients and the function that records them, both private there, seeds
    numpy's global generator, and warns of its own calls and imports.
    """
    from tensorflow.python.eager import execute
    from tensorflow.python.framework import ops

    registry = ops._gradient_registry._registry
    entries = {name: dict(entry) for name, entry in registry.items()}
    record_gradient = execute.record_gradient
    random_state = np.random.get_state()
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        np.random.set_state(random_state)
        execute.record_gradient = record_gradient
        registry.clear()
        registry.update(entries)


def without_rule(graph: tf.Graph) -> Iterator[tf.Operation]:
    """The operations between the input and the output of a graph that Deep SHAP has no rule for.

    It says so itself only while it explains, and then not of which layer.
    """
    with needing("shap", "SHAP"):
        from shap.explainers._deep import deep_tf

    ends = [kind for kind, rule in deep_tf.op_handlers.items() if rule is deep_tf.break_dependence]
    behind = deep_tf.backward_walk_ops([graph.outputs[0].op], [], ends)
    for operation in deep_tf.forward_walk_ops(graph.inputs[0].consumers(), [], ends, behind):
        if operation.type not in deep_tf.op_handlers:
            yield operation


def handled_operations(explainer: Any) -> list[tf.Operation]:
    """A list to which a `DeepExplainer` adds every operation that it comes to a rule for.

    It fails in the last of them, and its error does not name it.
    """
    handled: list[tf.Operation] = []
    inner = explainer.explainer
    rule = inner.custom_grad

    def remember(operation: tf.Operation, *gradients: Any) -> Any:
        handled.append(operation.outputs[0].op)
        return rule(operation, *gradients)

    inner.custom_grad = remember
    return handled
