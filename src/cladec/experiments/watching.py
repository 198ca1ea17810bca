"""Watch a layer while its network learns: decoded again at the end of each epoch."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cladec import checks, plots
from cladec.data.forms import as_images
from cladec.data.pixel_ranges import OWN, find_range
from cladec.errors import InputError
from cladec.experiments.layer_measures import answers, squared_errors
from cladec.metrics import bootstrap, normalised
from cladec.models import batches, cutting, given_images, predictions, recipes
from cladec.models.batches import Batches, for_fit
from cladec.models.cladec import ClaDec
from cladec.models.decoder import build_decoder
from cladec.models.fitting import encode
from cladec.models.given import layer_path
from cladec.models.muon import Muon
from cladec.models.photographs import standardise
from cladec.models.pixel_layers import with_pixels
from cladec.models.precision import computing_in, fastest
from cladec.models.training import WarmUpCosine, seeded
from cladec.storage.outputs import save_animation
from cladec.storage.tensorboard_events import Events

TRAINED_ON = 2_000
"""The most images that the decoder is trained on: it has to be cheap beside an epoch."""

MEASURED_ON = 500
"""The most images that are held out and measured."""

HELD_OUT = 5
"""One of so many images is held out."""

SHOWN = 6
"""The number of images of which pictures are kept."""

COLUMNS = 12
"""The most epochs that a figure shows."""

SEEN = 20_000
"""The images that the decoder sees after each epoch, unless the caller says how often."""

STEPS = 1_000
"""The most steps that it takes for that: few images come in small batches, each of which costs."""

MEASURES = ("normalised_error", "fidelity")


class WatchLayer(keras.callbacks.Callback):
    """A Keras callback that shows what a layer keeps at the end of each epoch.

    A ClaDec at alpha 0 is trained for some passes on the codes of some images. It begins with the
    same weights and takes the same steps after each epoch, so that what differs is the layer: a
    decoder that went on from the epoch before would get better from epoch to epoch by itself. What
    it shows of other images is kept, and two numbers of them, as `depth` has them. The training
    that is watched is not touched.

    Args:
        layer: the layer: its name, "outer/inner" inside a nested model, its place or the layer
            itself.
        images: images in any form that `explain` takes, (N, H, W, C) in [0, 1], those of the
            training for instance; of more than 2,500 some are drawn at random, and a fifth, at
            most 500, is held out and measured.
        passes: the passes of the decoder over its images after each epoch; None for as many as let
            it see 20,000, but of few images no more than make 1,000 steps.
        pixels: the range of pixels that the network is trained on, see `with_pixels`.
        class_names: the names of the classes, for the figure; a class without one has its number.
        tensorboard: a folder for TensorBoard, where it is installed; None writes nothing.
        seed: the seed of the choice of images, and of the decoder.
        say: is called with a line after each epoch, with its seconds; None for silence.
        output: the output with the scores, of a network of several, see `image_classifier`.
        image_input: the input of the images, of a network of several.
        inputs: the values of all others by name, the same for every image.

    Attributes:
        history: a row for each epoch: epoch, normalised_error (0 is a perfect copy, 1 is as far off
            as the mean image) and fidelity (the share of images of which the network says the
            same when it is shown what was decoded), each with its interval of 95 % (`_low`,
            `_high`), and the seconds that watching took.
        shown: the images of which pictures are kept, (n, H, W, C).
        pictures: epoch -> what ClaDec shows of them, (n, H, W, C).

    Raises:
        InputError: an option is out of range or TensorBoard is missing; when the training begins,
            the images do not fit the network, or the layer cannot be decoded.

    Source:
        Schneider & Vlachos, "Explaining Neural Networks by Decoding Layer Activations",
        arXiv 2005.13630, eq. 1 at alpha 0.

    Examples:
        >>> learner = cladec.build_classifier(data.image_shape, data.num_classes)
        >>> learner.compile("adam", "sparse_categorical_crossentropy")
        >>> watch = cladec.WatchLayer("dense", images[:60], passes=20)
        >>> _ = learner.fit(images, labels, epochs=2, verbose=0, callbacks=[watch])
        dense after epoch 1: normalised error ...
        dense after epoch 2: normalised error ...
        >>> watch.history["epoch"].tolist(), watch.pictures[2].shape
        ([1, 2], (6, 28, 28, 1))
        >>> figure, path = watch.show(), watch.animation("dense.webp")
    """

    def __init__(
        self,
        layer: Any,
        images: Any,
        *,
        passes: int | None = None,
        pixels: str = OWN,
        class_names: Sequence[str] | None = None,
        tensorboard: str | Path | None = None,
        seed: int = 0,
        say: Callable[[str], Any] | None = print,
        output: str | int | None = None,
        image_input: str | int | None = None,
        inputs: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.layer, self.say = layer, say
        self.passes = None if passes is None else checks.whole("passes", passes, 1)
        self.seed = checks.whole("seed", seed, 0)
        self.class_names = class_names
        self.shown = np.empty(0)
        self.pictures: dict[int, np.ndarray] = {}
        self._images, self._pixels = images, find_range(pixels).name
        self._form = {"output": output, "image_input": image_input, "inputs": inputs}
        self._rows: list[dict[str, float]] = []
        self._watched: _Watched | None = None
        self._folder = None if tensorboard is None else Path(tensorboard)
        self._events = None if self._folder is None else Events(self._folder)

    @property
    def history(self) -> pd.DataFrame:
        columns = [name + end for name in MEASURES for end in ("", "_low", "_high")]
        table = pd.DataFrame(self._rows, columns=["epoch", *columns, "seconds"])
        return table.astype({"epoch": int})

    def on_train_begin(self, logs=None):
        if self._watched is None:
            images = as_images(self._images)
            classifier = with_pixels(self.model, self._pixels, images=images, **self._form)
            self.layer = layer_path(classifier, self.layer)
            told = self.layer, images, self.passes, self.seed
            self._watched = _Watched(self.model, classifier, *told)
            self.shown = self._watched.test[:SHOWN]
        if self._watched.model is not self.model:
            raise InputError(
                f"this WatchLayer has watched another model than {self.model.name!r}: make a "
                "new one"
            )
        if self._folder is not None and self._events is None:
            self._events = Events(self._folder)

    def on_epoch_end(self, epoch, logs=None):
        start, number, watched = time.perf_counter(), len(self._rows) + 1, self._watched
        assert watched is not None
        watched.follow()
        measured, decoded = watched.measured()
        self.pictures[number] = decoded[:SHOWN]
        row = {"epoch": number, **measured, "seconds": time.perf_counter() - start}
        self._rows.append(row)
        if self.say is not None:
            self.say(
                f"{self.layer} after epoch {number}: normalised error "
                f"{row['normalised_error']:.3f}, same answer {row['fidelity']:.3f} "
                f"({row['seconds']:.1f} s to watch)"
            )
        if self._events is not None:
            numbers = {f"{self.layer}/{name}": row[name] for name in MEASURES}
            self._events.write(number, numbers, {self.layer: self._frame(number)})

    def on_train_end(self, logs=None):
        if self._events is not None:
            self._events.close()
            self._events = None

    def show(self) -> Figure:
        """Return a figure: a column of pictures for each epoch, and below them the two numbers.

        Of more than 12 epochs the first, the last and some between are shown. Below each image
        stands what the network says of it now.

        Raises:
            InputError: no epoch has ended.
        """
        epochs = self._epochs()
        chosen = sorted(
            {epochs[round(place)] for place in np.linspace(0, len(epochs) - 1, COLUMNS)}
        )
        table = self.history.set_index("epoch").loc[chosen].assign(thumbnail_error=np.nan)
        decoded = {f"epoch {epoch}": self.pictures[epoch] for epoch in chosen}
        title = f"{self.layer} while {self.model.name} learns"
        return plots.kept_by_depth(self.shown, decoded, table, self._said(), title=title)

    def animation(self, path: str | Path, *, milliseconds: int = 400) -> Path:
        """Write an animated WebP with a picture for each epoch, and return its path.

        Args:
            path: the file to write.
            milliseconds: how long each epoch is shown.

        Raises:
            InputError: no epoch has ended, or the file cannot be written.
        """
        frames = (self._frame(epoch) for epoch in self._epochs())
        return save_animation(frames, Path(path), milliseconds=milliseconds)

    def _frame(self, epoch: int) -> Figure:
        row = self._rows[epoch - 1]
        names = f"epoch {epoch}", f"error {row['normalised_error']:.2f}"
        decoded = plots.Row("\n".join(names), self.pictures[epoch])
        return plots.image_rows([plots.Row("original", self.shown), decoded])

    def _epochs(self) -> list[int]:
        if not self.pictures:
            raise InputError("no epoch has ended: give the callback to model.fit(callbacks=[...])")
        return list(self.pictures)

    def _said(self) -> list[str]:
        assert self._watched is not None
        count, known = self._watched.classes, self.class_names or ()
        names = [*known, *map(str, range(len(known), count))]
        return [predictions.named(answer, names) for answer in self._watched.predicted[:SHOWN]]


class _Watched:
    """A network that learns, a copy of it as it is now, and a decoder of its codes.

    Attributes:
        model: the network.
        classifier: the same as a classifier of one image, which shares its weights.
        decoder: the copy, cut at the layer, with the decoder.
        train: the images that the decoder is trained on.
        test: those that are measured.
        predicted: what the copy says of these, (N,), or (N, K) of several labels.
        classes: the number of classes or labels.
    """

    predicted: np.ndarray

    def __init__(
        self,
        model: keras.Model,
        classifier: keras.Model,
        layer: str,
        images: Any,
        passes: int | None,
        seed: int,
    ):
        self.model, self.classifier, self.layer, self.seed = model, classifier, layer, seed
        given = given_images.check_images(classifier, images)
        if len(given) < 2:
            raise InputError("images is a single image: expected many, to train a decoder on")
        # In the order that is drawn, since images are often sorted by class.
        rows = np.random.default_rng(seed).permutation(len(given))[: TRAINED_ON + MEASURED_ON]
        held_out = min(MEASURED_ON, -(-len(rows) // HELD_OUT))
        parts = np.split(rows, [held_out])
        self.test, self.train = (np.asarray(given[part]) for part in parts)
        self.mean = normalised.mean_image(self.train)
        with seeded(seed):
            network = cutting.cut(classifier, layer)
            decoder = build_decoder(
                network.output["codes"].shape[1:],
                given.shape[1:],
                mean_pixel=float(self.train.mean()),
            )
            labels = {"multi_label": cutting.is_multi_label(classifier)}
            self.decoder = ClaDec(network, decoder, alpha=0.0, name="watching", **labels)
        self.classes = cutting.num_classes(classifier)
        self._compile(passes)

    def _compile(self, passes: int | None) -> None:
        """Compile the decoder once: `fit_cladec` would build and trace it in every epoch."""
        recipe = recipes.CLADEC.for_images(self.test.shape[1:])
        self.batch = recipe.batch_size_for(len(self.train))
        steps = max(1, len(self.train) // self.batch)
        enough = min(math.ceil(SEEN / len(self.train)), math.ceil(STEPS / steps))
        self.passes = passes or enough
        rate = WarmUpCosine(recipe.learning_rate, self.passes * steps, recipe.warm_up)
        optimizer = Muon(rate)
        self.decoder.compile(optimizer, jit_compile=keras.backend.backend() == "jax")
        optimizer.build(self.decoder.trainable_variables)
        changing = [*self.decoder.decoder.variables, *optimizer.variables]
        self._start = [(each, np.array(keras.ops.convert_to_numpy(each))) for each in changing]

    def follow(self) -> None:
        """Copy the weights of the network, and train the decoder on its codes from its start."""
        with seeded(self.seed):
            now = cutting.cut(self.classifier, self.layer)
        self.decoder.network.set_weights(now.get_weights())
        for variable, value in self._start:
            variable.assign(value)
        codes = encode(self.decoder.encoder, self.train)
        standardise(self.decoder.decoder, codes)
        scores = self.decoder.classifier.output_shape[1:] if self.decoder.multi_label else ()
        unused = np.zeros((len(codes), *scores), np.int64)  # alpha is 0
        compared = {"images": self.train, "labels": unused}
        given = Batches(({"codes": codes}, compared), self.batch, shuffle_seed=self.seed)
        with computing_in(self.decoder, fastest()):
            self.decoder.fit(**for_fit(given), epochs=self.passes, verbose=0, shuffle=False)

    def measured(self) -> tuple[dict[str, float], np.ndarray]:
        """Return the measures with their intervals, and what was decoded of the held-out images."""
        decoded = batches.predict(self.decoder, self.test)
        self.predicted = answers(self.decoder, self.test)
        same = predictions.agreements(answers(self.decoder, decoded), self.predicted)
        largest = normalised.squared_error(self.test, self.mean) or np.nan
        values = squared_errors(self.test, decoded) / largest, same
        found: dict[str, float] = {}
        for name, of_images in zip(MEASURES, values, strict=True):
            found |= bootstrap.with_interval(name, of_images, seed=self.seed)
        return found, decoded
