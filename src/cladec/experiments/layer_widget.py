"""Controls for a notebook that change the codes of an explained layer and show what comes of it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from cladec.errors import needing
from cladec.experiments import layer_edits
from cladec.experiments.layer_edits import Edited
from cladec.experiments.layer_pictures import Pictures
from cladec.models.predictions import named
from cladec.plots import Scale, slider_alphas
from cladec.text import printable

if TYPE_CHECKING:
    import ipywidgets

    from cladec.experiments.layer_explanation import LayerExplanation

SIDE = 168
"""The width of a picture in pixels; small images are enlarged by whole numbers."""

LARGEST_FACTOR = 3.0

ANSWERS = 5
"""The number of answers whose probabilities are shown."""

PICTURES = ("original", "decoded", "changed codes decoded", "what changed")


def widget(
    layer: "LayerExplanation", images: np.ndarray, labels: np.ndarray | None = None
) -> "ipywidgets.VBox":
    """Return the controls of an explained layer for checked images, see `layer.widget`."""
    with needing("notebooks", "layer.widget()"):
        import ipywidgets  # noqa: F401
    titles, _ = Pictures(layer, images, [0.0]).titles(labels)
    return Workbench(layer, images, titles).view


class Workbench:
    """The controls, what they show, and the codes that they change.

    Attributes:
        view: all of it, for a notebook.
        controls: name -> control: image, other, share, alpha, off.
        sliders: the factors of the strongest units of the image.
        shown: the codes of the image as they are and as they were changed, and what comes of both.
    """

    shown: Edited

    def __init__(self, layer: "LayerExplanation", images: np.ndarray, titles: list[str]):
        self.layer, self.images = layer, images
        self.codes = layer_edits.codes_of(layer, images)
        self.controls = _controls(titles, self.codes.shape[-1])
        self.sliders = [_slider() for _ in range(min(layer_edits.STRONGEST, self.codes.shape[-1]))]
        self.units: list[int] = []
        self.pictures, self.captions, self.answers = _outputs()
        self._held = False
        self.view = self._arranged()
        for control in (*self.controls.values(), *self.sliders):
            control.observe(self._changed, names="value")
        self._name_sliders()
        self.update()

    def update(self) -> None:
        """Decode and classify the codes as the controls say, and show it."""
        image, other, share, alpha, off = (each.value for each in self.controls.values())
        factors = {
            unit: slider.value for unit, slider in zip(self.units, self.sliders, strict=False)
        }
        factors |= {int(unit): 0.0 for unit in off}
        before = self.codes[[image]]
        after = layer_edits.blended(before, self.codes[[other]], share)
        codes = np.concatenate([before, layer_edits.scaled(after, factors)])
        pair = self.images[[image]], self.images[[other]]
        images = np.concatenate([pair[0], layer_edits.blended(*pair, share)])
        self.shown = layer_edits.of_codes(self.layer, codes, images, alpha)
        self._show(pair[0][0])

    def _changed(self, change: dict[str, Any]) -> None:
        if self._held:
            return
        if change["owner"] is self.controls["image"]:
            self._name_sliders()
        self.update()

    def _name_sliders(self) -> None:
        """Give the sliders the strongest units of the chosen image, each at factor 1."""
        self.units = list(layer_edits.strongest(self.codes[self.controls["image"].value]))
        with self._together():
            for number, slider in enumerate(self.sliders):
                there = number < len(self.units)
                slider.value, slider.disabled = 1.0, not there
                slider.description = f"unit {self.units[number]}" if there else ""

    def _reset(self, _: Any) -> None:
        with self._together():
            for slider in self.sliders:
                slider.value = 1.0
            self.controls["off"].value, self.controls["share"].value = [], 0.0
        self.update()

    @contextmanager
    def _together(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _show(self, original: np.ndarray) -> None:
        before, after = self.shown.decoded
        change = (after - before).mean(axis=-1)
        scale = Scale.around_zero(change)
        said = [self._said(shares) for shares in self.shown.seen]
        captions = ("", *said, f"strongest colour: {scale.largest:.2f}")
        coloured = scale.colours(scale.norm(change))[..., :3]
        drawn = zip(PICTURES, (original, before, after, coloured), captions, strict=True)
        for picture, caption, (name, image, text) in zip(
            self.pictures, self.captions, drawn, strict=True
        ):
            picture.value = png(image)
            caption.value = Markup("<b>{}</b><br>{}&nbsp;").format(name, text)
        self.answers.value = _table(self.shown.probabilities, self.layer.facts.class_names)

    def _said(self, shares: np.ndarray) -> str:
        several = self.layer.decoder.multi_label
        answer = layer_edits.answers(shares[None], multi_label=several)[0]
        share = "" if several else f", {shares.max():.0%}"
        return f"seen as {printable(named(answer, self.layer.facts.class_names))}{share}"

    def _arranged(self) -> "ipywidgets.VBox":
        import ipywidgets

        reset = ipywidgets.Button(description="all as it was")
        reset.on_click(self._reset)
        shown = ipywidgets.HBox(
            [ipywidgets.VBox(pair) for pair in zip(self.pictures, self.captions, strict=True)]
        )
        left = ipywidgets.VBox([*self.controls.values(), reset])
        return ipywidgets.VBox(
            [shown, ipywidgets.HBox([left, ipywidgets.VBox(self.sliders), self.answers])]
        )


def _controls(titles: list[str], units: int) -> dict[str, Any]:
    import ipywidgets

    images = [(f"{place}: {printable(title)}", place) for place, title in enumerate(titles)]
    alphas = [(f"{alpha:.5g}", alpha) for alpha in slider_alphas()]
    wide = {"style": {"description_width": "7em"}, "layout": {"width": "24em"}}
    return {
        "image": ipywidgets.Dropdown(options=images, description="image", **wide),
        "other": ipywidgets.Dropdown(
            options=images, value=min(1, len(images) - 1), description="blend with", **wide
        ),
        "share": ipywidgets.FloatSlider(min=0, max=1, step=0.05, description="its share", **wide),
        "alpha": ipywidgets.SelectionSlider(options=alphas, description="alpha", **wide),
        "off": ipywidgets.TagsInput(
            allowed_tags=[str(unit) for unit in range(units)],
            allow_duplicates=False,
            placeholder="units to switch off",
            layout={"width": "24em"},
        ),
    }


def _slider() -> "ipywidgets.FloatSlider":
    import ipywidgets

    return ipywidgets.FloatSlider(value=1.0, min=0.0, max=LARGEST_FACTOR, step=0.1)


def _outputs() -> tuple[list[Any], list[Any], Any]:
    import ipywidgets

    pictures = [ipywidgets.Image(format="png", layout={"width": f"{SIDE}px"}) for _ in PICTURES]
    return pictures, [ipywidgets.HTML() for _ in PICTURES], ipywidgets.HTML()


def png(image: np.ndarray) -> bytes:
    """Return an image (H, W, C) in [0, 1] as a PNG, enlarged by a whole number where small."""
    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    times = max(1, SIDE // pixels.shape[1])
    pixels = pixels.repeat(times, axis=0).repeat(times, axis=1)
    stream = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _table(probabilities: np.ndarray, names: tuple[str, ...]) -> str:
    """Return the answers that are, or were, most probable, with a bar for each, as HTML."""
    before, after = probabilities
    order = np.argsort(-np.maximum(before, after), kind="stable")[:ANSWERS]
    rows = Markup("").join(
        Markup(
            "<tr><td>{}</td><td style='text-align:right'>{:.1%}</td><td style='text-align:right'>"
            "<b>{:.1%}</b></td><td><div style='height:.7em;width:{:.1f}em;background:#1f77b4'>"
            "</div></td></tr>"
        ).format(printable(names[place]), before[place], after[place], 8 * after[place])
        for place in order
    )
    head = Markup("<tr><th></th><th>before</th><th>now</th><th></th></tr>")
    return Markup("<table><caption>what the rest of the network says</caption>{}{}</table>").format(
        head, rows
    )
