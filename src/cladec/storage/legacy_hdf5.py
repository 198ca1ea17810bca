"""This module opens whole models in HDF5 (`.h5`), the format of Keras 1 and 2.

The file is read into memory once and checked as strictly as a `.keras` file before Keras sees it.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cladec import keras_internals
from cladec.errors import InputError
from cladec.storage import hdf5
from cladec.storage.keras_archive import check_part, parts
from cladec.storage.sizes import check_size, in_python, largest

if TYPE_CHECKING:
    import keras

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of an HDF5 file."""

SUFFIXES = (".h5", ".hdf5")
"""The endings of the names of such files."""

CONFIG, VERSION = "model_config", "keras_version"
"""The attributes of the file that hold the architecture and the version of Keras."""

MODELS = ("Functional", "Model", "Sequential")
"""The classes of models, which have layers."""

OPERATIONS = ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty")
"""What Keras 2 writes for the functions of TensorFlow in a model; Keras 3 cannot read them."""

TENSORS = ("TypeSpec", "CompositeTensor")
"""What becomes an object of TensorFlow while Keras only reads the configuration."""

_DEPTHWISE = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
GONE = {
    "DepthwiseConv2D": ("groups",),
    "SeparableConv2D": ("groups", *_DEPTHWISE),
    "Random": ("rng_type",),  # RandomFlip, RandomRotation and so on
}
"""The settings that Keras 2 wrote for its layers, which had no effect and which Keras 3 refuses."""


def load(path: Path) -> "keras.Model":
    """Load the architecture and the weights of a model, never its optimizer or its losses.

    Raises:
        InputError: it holds weights only, code, a link, or something of an implausible size.
        Exception: the file is damaged.
    """
    content = path.read_bytes()
    with hdf5.opened(content, changeable=True) as file:
        limit = largest(len(content))
        hdf5.check(file, limit, chunks=True, text=hdf5.longest_text(content))
        if CONFIG not in file.attrs:
            raise InputError(
                "it is an HDF5 file that holds weights and no model; build the model, call "
                "model.load_weights and model.save('name.keras')"
            )
        text = _text(file.attrs[CONFIG])
        check_size(in_python(text), limit)
        config = json.loads(text)
        saved = _text(file.attrs.get(VERSION, "")).decode(errors="replace")
        _check(config, saved)
        _renew(config, saved)
        file.attrs[CONFIG] = json.dumps(config)
        return keras_internals.load_hdf5(file)


def _text(value: Any) -> bytes:
    """Return the text of an attribute, which HDF5 gives as text or as bytes."""
    return value.encode() if isinstance(value, str) else bytes(value)


def _check(config: Any, saved: str) -> None:
    """Check every part of a configuration by all names under which Keras may look it up.

    The loader of these files looks for a class by its name alone, even where a module is given.
    """
    for part in parts(config):
        name = str(part["class_name"])
        if name in TENSORS:
            raise InputError(f"it holds a {name}, which no layer of an image classifier needs")
        if name in OPERATIONS:
            raise InputError(
                f"it holds a {name}, a function of TensorFlow that Keras 3 cannot read; save a "
                "folder in Keras 2 with model.save('folder'), which methods without layers take"
            )
        check_part(part, saved)
        check_part(part | {"module": None}, saved)


def _renew(config: Any, saved: str) -> None:
    """Change in place what Keras 3 reads in another way than the Keras that wrote it."""
    if saved.startswith("3."):
        return
    for part in list(parts(config)):
        if part["class_name"] == "Sequential" and isinstance(part.get("config"), list):
            part["config"] = {"name": "sequential", "layers": part["config"]}  # before Keras 2.2
        if isinstance(part.get("config"), dict):
            _renew_layer(part["class_name"], part["config"])
            if part["class_name"] in MODELS and "layers" in part["config"]:
                _renew_model(part["config"])


def _renew_layer(name: str, config: dict[str, Any]) -> None:
    if name not in ("InputLayer", *MODELS):
        config.pop("batch_input_shape", None)  # that of its model says the same
    for key in GONE.get("Random" if name.startswith("Random") else name, ()):
        config.pop(key, None)
    if name == "BatchNormalization" and isinstance(config.get("axis"), list):
        config["axis"] = config["axis"][0]
    if name == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if isinstance(config.get("dtype"), dict) and config["dtype"].get("class_name") == "Policy":
        config["dtype"] = config["dtype"]["config"]["name"]


def _renew_model(config: dict[str, Any]) -> None:
    first = config["layers"][0]
    shape = first["config"].get("batch_input_shape")
    if shape and first["class_name"] not in ("InputLayer", *MODELS):
        inputs = {"batch_input_shape": shape, "name": f"{first['config']['name']}_input"}
        config["layers"].insert(0, {"class_name": "InputLayer", "config": inputs})
    _renumber(config)
    for key in ("input_layers", "output_layers"):
        if len(config.get(key) or ()) == 1:  # Keras 2 wrote one tensor as it wrote a list of one
            config[key] = config[key][0]


def _renumber(config: dict[str, Any]) -> None:
    """Count the calls of nested models from 0: for Keras 2 the first was that of their making."""
    nodes = [node for layer in config["layers"] for node in layer.get("inbound_nodes", ())]
    ends = [config.get(key) or () for key in ("input_layers", "output_layers")]
    for layer in config["layers"]:
        if layer["class_name"] in MODELS:
            name = layer.get("name")
            calls = [call for node in (*nodes, *ends) for call in node if call[0] == name]
            first = min((call[1] for call in calls), default=0)
            for call in calls:
                call[1] -= first
