"""The table of all explainers, and the one function that calls any of them.

Keras is imported when an explainer is first used, not with this module.
"""

import difflib
import inspect
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cladec.errors import InputError, InputWarning, needing
from cladec.models.options import FORM
from cladec.startup import start_keras

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclass(frozen=True)
class Explainer:
    """A row of the table: a function, imported when it is first called.

    Attributes:
        module: where it is, in `cladec.explainers`.
        name: the name of the function and of the method.
        signed: its maps have negative values, where a pixel speaks against the class.
        makes_images: it gives images (N, H, W, C) instead of maps (N, H, W).
        answers_alone: it asks the classifier for its answers, which may be any function's.
        explains: what of the target class: its "score" before the softmax, its "probability", or
            its "rule" (when it is predicted at all); "" where it explains no class.
        around_mean: its maps say what the class gets where a pixel is shown, and lie around what it
            gets on average instead of around zero.

    Examples:
        >>> cladec.EXPLAINERS["grad_cam"].options
        ['layer', 'grid', 'batch_size']
        >>> cladec.EXPLAINERS["grad_cam"](classifier, images[:2], layer="conv").shape
        (2, 28, 28)
    """

    module: str
    name: str
    signed: bool = False
    makes_images: bool = False
    answers_alone: bool = False
    explains: str = "score"
    around_mean: bool = False

    @cached_property
    def function(self) -> Callable[..., "np.ndarray"]:
        """The function itself: (model, images, targets, *, options) -> array."""
        start_keras()
        with needing("tensorflow", f"method {self.name!r}"):
            module = import_module(f"cladec.explainers.{self.module}")
        return getattr(module, self.name)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the function takes."""
        return self.__signature__.parameters

    @property
    def options(self) -> list[str]:
        """The names of the options of the method, beside model, images, targets and FORM."""
        others = ("model", "images", "targets", *FORM)
        return [name for name in self.parameters if name not in others]

    def __call__(self, *args: Any, **kwargs: Any) -> "np.ndarray":
        """Call the function."""
        return self.function(*args, **kwargs)


EXPLAINERS: dict[str, Explainer] = {
    row.name: row
    for row in (
        Explainer("gradients", "saliency"),
        Explainer("gradients", "integrated_gradients", signed=True),
        Explainer("gradients", "gradient_input", signed=True),
        Explainer("gradients", "smooth_grad"),
        Explainer("gradients", "square_grad"),
        Explainer("gradients", "var_grad"),
        Explainer("guided", "guided_backpropagation"),
        Explainer("guided", "deconvnet"),
        Explainer("cams", "grad_cam"),
        Explainer("cams", "grad_cam_plus_plus"),
        Explainer("cams", "hires_cam"),
        Explainer("cams", "layer_cam"),
        Explainer("activations", "score_cam"),
        Explainer("activations", "eigen_cam"),
        Explainer("relevance", "lrp", signed=True),
        Explainer(
            "perturbation", "occlusion", signed=True, answers_alone=True, explains="probability"
        ),
        Explainer(
            "perturbation", "rise", answers_alone=True, explains="probability", around_mean=True
        ),
        Explainer("sensitivity", "sobol", answers_alone=True, explains="probability"),
        Explainer("sensitivity", "hsic", answers_alone=True, explains="probability"),
        Explainer("surrogates", "lime", signed=True, answers_alone=True, explains="probability"),
        Explainer(
            "coalitions", "kernel_shap", signed=True, answers_alone=True, explains="probability"
        ),
        Explainer("rules", "anchors", answers_alone=True, explains="rule"),
        Explainer("shapley", "shap_deep", signed=True),
        Explainer("gradients", "shap_gradient", signed=True),
        Explainer("synthesis", "activation_maximization", makes_images=True),
        Explainer("synthesis", "deep_dream", makes_images=True),
        Explainer("decoding", "cladec", explains=""),
    )
}
"""Every explainer by its name: a function of (model, images, targets, *, options)."""


def explain(
    model: "keras.Model | Callable[[np.ndarray], Any] | str | os.PathLike[str]",
    images: "np.ndarray",
    *,
    method: str,
    targets: "int | Sequence[int] | np.ndarray | None" = None,
    layer: "str | int | keras.Layer | None" = None,
    seed: int = 0,
    **options: Any,
) -> "np.ndarray":
    """Explain what a classifier answers to each image.

    Args:
        model: a Keras classifier, images (N, H, W, C) -> probabilities or logits (N, K); the path
            of its file, of which nothing is executed; or, for methods that ask for answers alone,
            any function of images. One unit stands for two classes, several sigmoids for labels.
        images: (N, H, W, C) float32 in [0, 1], or uint8; a single image; a PIL image or the path of
            an image file; a list of these; or a `tf.data.Dataset`, `PyDataset` or `DataLoader`.
        method: a name in `EXPLAINERS`.
        targets: the class to explain, for all images or one for each, or one-hot rows; None for the
            predicted ones.
        layer: the layer to look at, for methods that look at one: its name, "outer/inner" inside a
            nested model, its place in `model.layers`, or the layer itself.
        seed: the seed of the method's random draws.
        **options: of the method; see the function of its name. None stands for the default. Those
            of `image_classifier` choose among several outputs, inputs and sizes of a model.

    Returns:
        Maps (N, H, W) float32, or images (N, H, W, C) of the methods that make images.

    Raises:
        InputError: no such method, class or layer, an option that the method does not take, or a
            model or images that cannot be used; the message says what to do.

    Warns:
        InputWarning: a map is zero everywhere, or the model seems to want other pixels than [0, 1].

    Examples:
        >>> cladec.explain(classifier, images[:2], method="integrated_gradients", steps=8).shape
        (2, 28, 28)
    """
    explainer = find_explainer(method)
    if layer is not None:
        options["layer"] = layer
    _check_options(explainer, options)
    if "seed" in explainer.parameters:
        options["seed"] = seed
    if "targets" in explainer.parameters:
        options["targets"] = targets
    return _checked(explainer(model, images, **options), explainer)


def find_explainer(method: str) -> Explainer:
    """The row of `EXPLAINERS` of this name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    if isinstance(method, str) and method in EXPLAINERS:
        return EXPLAINERS[method]
    near = difflib.get_close_matches(str(method), EXPLAINERS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(f"unknown method {method!r:.60}{hint}: choose from {', '.join(EXPLAINERS)}")


def _check_options(explainer: Explainer, options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in (*explainer.options, *FORM):
            takes = ", ".join(explainer.options)
            raise InputError(f"method {explainer.name!r} takes no {name!r}; it takes {takes}")
    for name in explainer.options:
        required = explainer.parameters[name].default is inspect.Parameter.empty
        if required and name not in options:
            raise InputError(f"method {explainer.name!r} needs the option {name!r}")


def _checked(result: "np.ndarray", explainer: Explainer) -> "np.ndarray":
    import numpy as np

    name = explainer.name
    if not np.isfinite(result).all():
        raise InputError(
            f"{name} gave values that are NaN or infinite: look at the weights of the model"
        )
    empty = len(result) - np.count_nonzero(result.any(axis=(1, 2)))
    if empty and not explainer.makes_images:
        ways = {"layer": "another layer", "backgrounds": "other backgrounds"}
        methods = [method for method in ("hires_cam", "integrated_gradients") if method != name]
        tries = [way for option, way in ways.items() if option in explainer.options]
        tries.append(f"another method such as {' or '.join(methods)}")
        warnings.warn(
            f"{name} gave a map of zeros alone for {empty} of {len(result)} images, which says "
            f"nothing of them: try {', or '.join(tries)}",
            InputWarning,
            stacklevel=3,
        )
    return result
