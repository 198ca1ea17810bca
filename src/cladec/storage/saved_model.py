"""This module checks a SavedModel, a folder that TensorFlow exports, before it is loaded.

A SavedModel is a program. All operations that could run are looked up: those that run Python, touch
files or the network, or are unknown are refused. What is left can only compute, although it may
take long or need much memory.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cladec.errors import InputError

if TYPE_CHECKING:
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

FILE = "saved_model.pb"
"""The file of a SavedModel that holds its operations."""

STATEFUL = frozenset(
    [
        *("VarHandleOp", "ReadVariableOp", "AssignVariableOp", "AssignAddVariableOp"),
        *("AssignSubVariableOp", "VarIsInitializedOp", "DisableCopyOnRead", "ResourceGather"),
        *("StatefulPartitionedCall", "If", "While", "Case", "Assert", "CheckNumerics"),
        *("CheckNumericsV2", "DeviceIndex", "Empty", "GuaranteeConst", "StatelessRandomGetAlg"),
        *("RandomUniform", "RandomUniformInt", "RandomStandardNormal", "RandomShuffle"),
        *("TruncatedNormal", "RngReadAndSkip", "StatefulUniform", "StatefulStandardNormalV2"),
        *("TensorArrayV3", "TensorArrayReadV3", "TensorArrayWriteV3", "TensorArraySizeV3"),
        *("TensorArrayGatherV3", "TensorArrayScatterV3", "TensorArrayCloseV3"),
    ]
)
"""The operations that keep or draw something and may run; all other stateful ones may not."""

OUTSIDE = re.compile(
    "^_|^Copy|File|PyFunc|Dataset|Iterator|Save|Restore|Checkpoint|Reader|Queue|Debug|Summary|Proto"
    "|Remote|Rpc|Xla|TPU|TRT|Custom|Session|Vocab|Infeed|Outfeed|Collective|Lookup|Table"
)
"""The names of operations without a state that look at something outside the graph, or may."""


def is_saved_model(path: Path) -> bool:
    """Return whether a path is a folder with a SavedModel."""
    return path.is_dir() and (path / FILE).exists()


def check(folder: Path) -> None:
    """Check that a SavedModel can only compute.

    Raises:
        InputError: an operation could do more, or the folder is of another version.
        Exception: the folder is damaged.
    """
    if (folder / "saved_model.cpb").exists():
        raise InputError("its operations are in saved_model.cpb, which is never read")
    for node in nodes(read(folder)):
        if not _only_computes(node.op):
            raise InputError(
                f"it holds the operation {node.op}, which could do more than compute and is never "
                "run; take the Keras model from which it was exported"
            )


def read(folder: Path) -> "MetaGraphDef":
    """Return the operations and objects of a SavedModel.

    Raises:
        InputError: it is not of TensorFlow 2.
        Exception: the file is damaged.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    graphs = SavedModel.FromString((folder / FILE).read_bytes()).meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise InputError("it was not exported by TensorFlow 2; export it anew")
    return graphs[0]


def nodes(graph: "MetaGraphDef") -> Iterator["NodeDef"]:
    """Yield the nodes of all functions that can run.

    TensorFlow 2 runs functions of the object graph and what these call, and nothing else: not the
    functions that save and restore the variables, which a graph holds too.
    """
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    todo, seen = _entries(graph), set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            if node.op in functions:
                todo.append(node.op)
            else:
                yield node
            for value in node.attr.values():
                todo += [value.func.name, *(function.name for function in value.list.func)]


def _entries(graph: "MetaGraphDef") -> list[str]:
    """Return the names of the functions that TensorFlow may call itself."""
    objects = graph.object_graph_def
    names = list(objects.concrete_functions)
    for thing in objects.nodes:
        names += thing.function.concrete_functions
        names.append(thing.bare_concrete_function.concrete_function_name)
    return names


def _only_computes(operation: str) -> bool:
    """Return whether an operation is known, and neither runs code nor looks outside the graph."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(operation)
    if definition is None:
        return False
    if definition.is_stateful:
        return operation in STATEFUL
    return not OUTSIDE.search(operation)
