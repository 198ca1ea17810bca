"""The explainers of captum, pytorch-grad-cam and zennit, which take PyTorch networks."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from carry_over import tensor_of
from peer_keras import NOISE, NOISY, SEGMENTS, STEPS
from peer_subjects import Maps, Subject
from torch import nn

from cladec.explainers.segments import segment

Attribute = Callable[[Any, nn.Module, torch.Tensor, torch.Tensor, Subject], torch.Tensor]
"""captum.attr, a network, images (N, C, H, W), classes (N,) and the subject -> (N, C, H, W)."""


def captum(attribute: Attribute, reduce: str = "sum", scores: str = "logits") -> Maps:
    """The maps of an explainer of captum, which is given the logits or the probabilities."""

    def maps(subject: Subject) -> np.ndarray:
        from captum import attr

        network = subject.torch
        if scores == "probabilities":
            network = nn.Sequential(network, nn.Softmax(dim=1))
        images, classes = tensor_of(subject.images), torch.from_numpy(_classes(subject))
        images.requires_grad = scores == "logits"
        with torch.set_grad_enabled(scores == "logits"):
            found = attribute(attr, network, images, classes, subject)
        return REDUCTIONS[reduce](found.detach().numpy())

    return maps


def _classes(subject: Subject) -> np.ndarray:
    """The classes that are explained: of a network with weights of its own, what it predicts."""
    with torch.no_grad():
        return subject.torch(tensor_of(subject.images)).numpy().argmax(axis=1)


REDUCTIONS = {
    "sum": lambda maps: maps.sum(axis=1),
    "strongest": lambda maps: np.abs(maps).max(axis=1),
}
"""One value a pixel, of (N, C, H, W)."""


def noisy(kind: str) -> Maps:
    """The gradients of noisy images, averaged by captum in one way or another."""

    def attribute(attr, network, images, classes, subject):
        tunnel = attr.NoiseTunnel(attr.Saliency(network))
        options = {"nt_type": kind, "nt_samples": NOISY, "stdevs": NOISE, "abs": False}
        return tunnel.attribute(images, target=classes, **options)

    return captum(attribute, "strongest")


def _grad_cam(attr, network, images, classes, subject):
    explainer = attr.LayerGradCam(network, network.layers[subject.layer])
    found = explainer.attribute(images, target=classes, relu_attributions=True)
    return attr.LayerAttribution.interpolate(found, images.shape[2:], "bilinear")


def _occlusion(attr, network, images, classes, subject):
    channels, side = images.shape[1], subject.patch
    return attr.Occlusion(network).attribute(
        images,
        target=classes,
        sliding_window_shapes=(channels, side, side),
        strides=(channels, side // 2, side // 2),
        baselines=0.5,
        perturbations_per_eval=subject.batch("captum"),
    )


def _by_segments(explainer, images, classes, subject):
    """One image after the other, as captum wants it where it fits a model for each."""
    maps = []
    for image, target, pixels in zip(images, classes, subject.images, strict=True):
        labels = torch.from_numpy(segment(pixels, SEGMENTS).astype(np.int64))
        found = explainer.attribute(
            image[None],
            target=target[None],
            feature_mask=labels[None, None],
            baselines=0.0,
            n_samples=subject.samples,
            perturbations_per_eval=subject.batch("captum"),
        )
        maps.append(found[:, :1])
    return torch.cat(maps)


def _lime(attr, network, images, classes, subject):
    from captum._utils.models.linear_model import SkLearnRidge

    def near(image, perturbed, kept, **_):
        return torch.exp(-((1 - kept.float().mean().sqrt()) ** 2) / (2 * 0.25**2))

    explainer = attr.Lime(
        network, interpretable_model=SkLearnRidge(alpha=1.0), similarity_func=near
    )
    return _by_segments(explainer, images, classes, subject)


def _kernel_shap(attr, network, images, classes, subject):
    return _by_segments(attr.KernelShap(network), images, classes, subject)


def grad_cam(name: str) -> Maps:
    """The maps of a class of pytorch-grad-cam."""

    def maps(subject: Subject) -> np.ndarray:
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        layers = [subject.torch.layers[subject.layer]]
        targets = [ClassifierOutputTarget(number) for number in subject.targets]
        with getattr(pytorch_grad_cam, name)(subject.torch, layers) as explainer, _quiet():
            return np.asarray(explainer(tensor_of(subject.images), targets))

    return maps


@contextlib.contextmanager
def _quiet():
    """Without the progress bars of score-CAM."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def zennit_lrp(subject: Subject) -> np.ndarray:
    """LRP of zennit: the gamma rule for convolutions, the epsilon rule for what else is linear.

    Batch normalisation is merged into the convolution in front of it.
    """
    from zennit.attribution import Gradient
    from zennit.canonizers import NamedMergeBatchNorm
    from zennit.composites import LayerMapComposite, layer_map_base
    from zennit.rules import Epsilon, Gamma
    from zennit.types import Convolution

    merged = NamedMergeBatchNorm(subject.torch.normalised)
    rules = [
        (nn.BatchNorm2d, Epsilon(1e-6)),
        (Convolution, Gamma(0.25)),
        (nn.Linear, Epsilon(1e-6)),
    ]
    composite = LayerMapComposite([*rules, *layer_map_base()], canonizers=[merged])
    images = tensor_of(subject.images).requires_grad_()
    scores = torch.from_numpy(subject.logits.predict_on_batch(subject.images) * subject.one_hot)
    with Gradient(subject.torch, composite) as explainer:
        _, relevance = explainer(images, scores)
    return relevance.sum(dim=1).numpy()


CAPTUM: dict[str, Maps] = {
    "saliency": captum(lambda a, net, x, y, _: a.Saliency(net).attribute(x, y), "strongest"),
    "gradient_input": captum(lambda a, net, x, y, _: a.InputXGradient(net).attribute(x, y)),
    "integrated_gradients": captum(
        lambda a, net, x, y, _: a.IntegratedGradients(net).attribute(
            x, target=y, n_steps=STEPS, method="riemann_middle"
        )
    ),
    "smooth_grad": noisy("smoothgrad"),
    "var_grad": noisy("vargrad"),
    "square_grad": noisy("smoothgrad_sq"),
    "guided_backpropagation": captum(
        lambda a, net, x, y, _: a.GuidedBackprop(net).attribute(x, y), "strongest"
    ),
    "deconvnet": captum(lambda a, net, x, y, _: a.Deconvolution(net).attribute(x, y), "strongest"),
    "lrp": captum(lambda a, net, x, y, _: a.LRP(net).attribute(x, y)),
    "grad_cam": captum(_grad_cam),
    "shap_deep": captum(lambda a, net, x, y, _: a.DeepLift(net).attribute(x, target=y)),
    "shap_gradient": captum(
        lambda a, net, x, y, _: a.GradientShap(net).attribute(
            x, torch.zeros_like(x[:1]), n_samples=200, target=y
        )
    ),
    "occlusion": captum(_occlusion, scores="probabilities"),
    "lime": captum(_lime, scores="probabilities"),
    "kernel_shap": captum(_kernel_shap, scores="probabilities"),
}
GRAD_CAM: dict[str, Maps] = {
    "grad_cam": grad_cam("GradCAM"),
    "hires_cam": grad_cam("HiResCAM"),
    "grad_cam_plus_plus": grad_cam("GradCAMPlusPlus"),
    "layer_cam": grad_cam("LayerCAM"),
    "eigen_cam": grad_cam("EigenCAM"),
    "score_cam": grad_cam("ScoreCAM"),
}
ZENNIT: dict[str, Maps] = {"lrp": zennit_lrp}
