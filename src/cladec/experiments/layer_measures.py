"""How much a layer keeps, measured on images that its decoders were not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cladec.data.dataset import Dataset
from cladec.metrics import bootstrap, normalised
from cladec.models import batches, predictions
from cladec.models.batches import PREDICTION_BATCH
from cladec.models.cladec import LayerDecoder
from cladec.models.conditional import ConditionalClaDec
from cladec.models.fitting import encode
from cladec.models.refae import RefAE
from cladec.progress import OnProgress

LOST_AT = 0.0
"""The alpha at which ClaDec is compared with RefAE, which is trained on reconstruction alone."""


@dataclass(frozen=True, eq=False)
class Measures:
    """What came out for every test image, and for all of them.

    Attributes:
        table: a row for RefAE, one for ClaDec at each alpha: model, alpha, squared_error and its
            interval, normalised_error, fidelity and its interval (95 %, bootstrap over images).
        lost: the squared error of ClaDec at alpha 0 less that of RefAE, (N,).
        predicted: what the classifier says of the originals, (N,), or (N, K) of several labels.
        thumbnail_error: the normalised error of a picture of the code's grid; None for flat codes.
    """

    table: pd.DataFrame
    lost: np.ndarray
    predicted: np.ndarray
    thumbnail_error: float | None


def measure(
    decoder: ConditionalClaDec,
    reference: RefAE,
    data: Dataset,
    alphas: Sequence[float],
    *,
    seed: int = 0,
    report: OnProgress | None = None,
) -> Measures:
    """Measure both decoders on the test images, in batches; `alphas` must hold 0."""
    images, models = data.test.images, [None, *alphas]
    errors, same = np.empty((2, len(models), len(images)))
    predicted = []
    for rows in batches.batches(len(images), PREDICTION_BATCH, report):
        part = np.asarray(images[rows])
        predicted.append(answers(decoder, part))
        codes = encode(decoder.encoder, part)
        for place, alpha in enumerate(models):
            if alpha is None:
                decoded = batches.predict(reference, part)
            else:
                decoded = decoder.predict({"codes": codes}, alpha=alpha)
            errors[place, rows] = squared_errors(part, decoded)
            said = answers(decoder, decoded)
            same[place, rows] = predictions.agreements(said, predicted[-1])
    table, mean = _table(models, errors, same, seed), normalised.mean_image(data.train.images)
    largest = normalised.squared_error(images, mean)
    table.insert(5, "normalised_error", table["squared_error"] / (largest or np.nan))
    grid = normalised.grid_of(decoder.encoder.output_shape[1:], *data.image_shape[:2])
    thumbnail = None if grid is None else normalised.thumbnail_error(images, grid, mean)
    lost = errors[models.index(LOST_AT)] - errors[0]
    return Measures(table, lost, np.concatenate(predicted), thumbnail)


def _table(
    models: Sequence[float | None], errors: np.ndarray, same: np.ndarray, seed: int
) -> pd.DataFrame:
    columns: dict[str, Any] = {"model": ["RefAE", *["ClaDec"] * (len(models) - 1)], "alpha": models}
    for name, values in {"squared_error": errors, "fidelity": same}.items():
        low, high = bootstrap.interval(bootstrap.resampled_means(values, seed=seed))
        columns |= {name: values.mean(axis=1), f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns).astype({"alpha": float})


def squared_errors(images: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Return the squared error of each image, summed over pixels and channels, (N,) float64."""
    return np.square(images - decoded).sum(axis=(1, 2, 3), dtype=np.float64)


def answers(decoder: LayerDecoder, images: np.ndarray) -> np.ndarray:
    """Return what the classifier says of images: classes (N,), or labels (N, K) bool."""
    logits = batches.predict(decoder.classifier, images)
    return predictions.predicted(logits, multi_label=decoder.multi_label)
