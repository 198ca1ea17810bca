"""Our explainers, and those of xplique, tf-keras-vis and lime, which take Keras networks."""

import importlib

import numpy as np
from peer_subjects import Maps, Subject

import cladec
from cladec.explainers.segments import segment

GRID = 8
SEGMENTS = 40
STEPS = 64
NOISE = 0.15
NOISY = 1000
"""Noisy images of the methods that average over such."""

DESIGNS = 256
HSIC_MASKS = 2000


def ours(method: str, **options) -> Maps:
    """The maps of `cladec.explain`; options may be functions of the subject."""

    def maps(subject: Subject) -> np.ndarray:
        return cladec.explain(
            subject.probabilities, subject.images, method=method, **_given(options, subject)
        )

    return maps


def xplique(name: str, *, reduce: str, scores: str = "logits", **options) -> Maps:
    """The maps of an explainer of xplique, which is given the logits or the probabilities.

    Args:
        name: its class.
        reduce: what becomes of the channels, a name in `REDUCTIONS`.
        scores: "logits" or "probabilities".
        **options: of the class.
    """

    def maps(subject: Subject) -> np.ndarray:
        from xplique import attributions

        given = _given({"batch_size": batch("xplique")} | options, subject)
        explainer = getattr(attributions, name)(getattr(subject, scores), **given)
        found = np.asarray(explainer(subject.images, subject.one_hot))
        return REDUCTIONS[reduce](found.reshape(*subject.images.shape[:3], -1))

    return maps


REDUCTIONS = {
    "sum": lambda maps: maps.sum(axis=-1),
    "strongest": lambda maps: np.abs(maps).max(axis=-1),
}
"""One value a pixel, of (N, H, W, C)."""


def white_box(name: str, reduce: str, **options) -> Maps:
    """A method of gradients in xplique, whose channels we reduce."""
    return xplique(name, reduce=reduce, reducer=None, **options)


def black_box(name: str, **options) -> Maps:
    """A method of xplique that calls the network alone."""
    return xplique(name, reduce="sum", scores="probabilities", **options)


def by_segments(name: str, **options) -> Maps:
    """A method of xplique that hides our segments behind black."""
    return black_box(
        name,
        nb_samples=lambda subject: subject.samples,
        map_to_interpret_space=lambda _: _segmented,
        ref_value=lambda subject: np.zeros(subject.images.shape[-1], np.float32),
        **options,
    )


def _segmented(image):
    import tensorflow as tf

    return tf.constant(segment(image.numpy(), SEGMENTS), tf.int32)


def _ridge(_: Subject):
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1.0)


def _nearness(_: Subject):
    import tensorflow as tf

    def near(image, kept, perturbed):
        cosine = tf.sqrt(tf.reduce_mean(tf.cast(kept, tf.float32), axis=1))
        return tf.exp(-((1 - cosine) ** 2) / (2 * 0.25**2))

    return near


def lime_lime(subject: Subject) -> np.ndarray:
    """LIME of its authors, which takes colour only, with our segments."""
    from lime.lime_image import LimeImageExplainer

    channels = subject.images.shape[-1]

    def answer(images: np.ndarray) -> np.ndarray:
        return subject.probabilities.predict_on_batch(images[..., :channels].astype(np.float32))

    maps = []
    for image, target in zip(subject.images, subject.targets, strict=True):
        explanation = LimeImageExplainer(random_state=0).explain_instance(
            np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float64),
            answer,
            labels=(target,),
            top_labels=None,
            hide_color=0,
            num_samples=subject.samples,
            batch_size=subject.batch("xplique"),
            segmentation_fn=lambda _, image=image: segment(image, SEGMENTS),
        )
        weights = dict(explanation.local_exp[target])
        maps.append(np.vectorize(weights.get)(explanation.segments))
    return np.array(maps)


def tf_keras_vis(module: str, name: str, **options) -> Maps:
    """The maps of an explainer of tf-keras-vis on the logits."""

    def maps(subject: Subject) -> np.ndarray:
        from tf_keras_vis.utils.scores import CategoricalScore

        explainer = getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)(subject.logits)
        score = CategoricalScore(subject.targets.tolist())
        return np.asarray(explainer(score, subject.images, **_given(options, subject)))

    return maps


def tf_keras_cam(module: str, name: str) -> Maps:
    """A class activation map of tf-keras-vis."""
    return tf_keras_vis(module, name, penultimate_layer=layer, normalize_cam=False)


def _given(options: dict, subject: Subject) -> dict:
    return {name: value(subject) if callable(value) else value for name, value in options.items()}


def layer(subject: Subject) -> str:
    """The layer of class activation maps."""
    return subject.layer


def patch(subject: Subject) -> int:
    """Pixels of the side of the occluding patch."""
    return subject.patch


def stride(subject: Subject) -> int:
    """Pixels from one patch to the next."""
    return subject.patch // 2


def masks(subject: Subject) -> int:
    """How many masks RISE draws."""
    return subject.masks


def samples(subject: Subject) -> int:
    """How many images LIME and Kernel SHAP hide segments of."""
    return subject.samples


def batch(library: str):
    """How many images a call of a library takes, as a function of the subject."""
    return lambda subject: subject.batch(library)


SEGMENTED = {"samples": samples, "segments": SEGMENTS, "fill": 0.0}
NOISED = {"samples": NOISY, "noise": NOISE}
NOISED_THERE = {"nb_samples": NOISY, "noise": NOISE}
OURS: dict[str, Maps] = {
    "saliency": ours("saliency"),
    "gradient_input": ours("gradient_input"),
    "integrated_gradients": ours("integrated_gradients", steps=STEPS, max_steps=STEPS),
    "smooth_grad": ours("smooth_grad", **NOISED),
    "var_grad": ours("var_grad", **NOISED),
    "square_grad": ours("square_grad", **NOISED),
    "guided_backpropagation": ours("guided_backpropagation"),
    "deconvnet": ours("deconvnet"),
    "lrp": ours("lrp"),
    "grad_cam": ours("grad_cam", layer=layer),
    "hires_cam": ours("hires_cam", layer=layer),
    "grad_cam_plus_plus": ours("grad_cam_plus_plus", layer=layer),
    "layer_cam": ours("layer_cam", layer=layer),
    "eigen_cam": ours("eigen_cam", layer=layer),
    "score_cam": ours("score_cam", layer=layer),
    "shap_deep": ours("shap_deep"),
    "shap_gradient": ours("shap_gradient"),
    "occlusion": ours("occlusion", patch=patch, stride=stride, fill=0.5),
    "rise": ours("rise", masks=masks, grid=GRID),
    "sobol": ours("sobol", designs=DESIGNS, grid=GRID),
    "hsic": ours("hsic", masks=HSIC_MASKS, grid=GRID),
    "lime": ours("lime", **SEGMENTED),
    "kernel_shap": ours("kernel_shap", **SEGMENTED),
}
"""Ours, by the method; what is not in `cladec.EXPLAINERS` is left out."""

XPLIQUE: dict[str, Maps] = {
    "saliency": white_box("Saliency", "strongest"),
    "gradient_input": white_box("GradientInput", "sum"),
    "integrated_gradients": white_box("IntegratedGradients", "sum", steps=STEPS),
    "smooth_grad": white_box("SmoothGrad", "strongest", **NOISED_THERE),
    "var_grad": white_box("VarGrad", "strongest", **NOISED_THERE),
    "square_grad": white_box("SquareGrad", "strongest", **NOISED_THERE),
    "guided_backpropagation": white_box("GuidedBackprop", "strongest"),
    "deconvnet": white_box("DeconvNet", "strongest"),
    "grad_cam": xplique("GradCAM", reduce="sum", conv_layer=layer),
    "grad_cam_plus_plus": xplique("GradCAMPP", reduce="sum", conv_layer=layer),
    "occlusion": black_box("Occlusion", patch_size=patch, patch_stride=stride, occlusion_value=0.5),
    "rise": black_box("Rise", nb_samples=masks, grid_size=GRID),
    "sobol": black_box("SobolAttributionMethod", grid_size=GRID, nb_design=DESIGNS),
    "hsic": black_box("HsicAttributionMethod", grid_size=GRID, nb_design=HSIC_MASKS),
    "lime": by_segments("Lime", interpretable_model=_ridge, similarity_kernel=_nearness),
    "kernel_shap": by_segments("KernelShap"),
}
TF_KERAS_VIS: dict[str, Maps] = {
    "saliency": tf_keras_vis("saliency", "Saliency", normalize_map=False),
    "grad_cam": tf_keras_cam("gradcam", "Gradcam"),
    "grad_cam_plus_plus": tf_keras_cam("gradcam_plus_plus", "GradcamPlusPlus"),
    "layer_cam": tf_keras_cam("layercam", "Layercam"),
    "score_cam": tf_keras_cam("scorecam", "Scorecam"),
}
LIME: dict[str, Maps] = {"lime": lime_lime}
