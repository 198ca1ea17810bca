"""Say in sentences what the numbers of a table mean: the conclusions of the notebooks.

Every sentence is made of the numbers that it is given, so that it holds for any data. The tables
are tidy ones, as `evaluate` returns them, of a single dataset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

import numpy as np
import pandas as pd

from cladec.experiments.results import completed
from cladec.experiments.runs import VARIANTS
from cladec.experiments.two_models import ANSWERS
from cladec.metrics.effects import FLOORS, Effects
from cladec.models.kinds import PLAIN
from cladec.models.layers import ListedLayer
from cladec.models.recipes import alpha_text

FREE = 0.05
"""The share by which a loss may grow while it is still called about the same."""

SAME = 0.01
"""The difference of two shares below which they are called about the same."""

UNCHANGED, CHANGED = ANSWERS
"""The groups of images by whether two models say the same of them."""


@dataclass(frozen=True, repr=False)
class Sentences:
    """Sentences, which a notebook shows as a list and a terminal as lines.

    Examples:
        >>> from cladec.experiments import conclusions
        >>> conclusions.Sentences(("One sentence.", "Another one."))
        One sentence.
        Another one.
    """

    texts: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.texts)

    def _repr_markdown_(self) -> str:
        return "\n".join(f"- {text}" for text in self.texts)


def usual(measures: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the usual architecture and of plain decoders of whole layers."""
    measures = completed(measures)
    return measures[(measures[list(VARIANTS)] == VARIANTS).all(axis=1)]


REFAE = -1.0
"""The key of RefAE among alphas."""


def values(measures: pd.DataFrame, metric: str, layer: str) -> dict[float, float]:
    """Return a measure of the decoders of a layer by ascending alpha, that of RefAE as `REFAE`."""
    rows = measures[(measures["eval"] == metric) & (measures["layer"] == layer)]
    rows = rows[rows["model"].isin(["refae", "cladec"])]
    alphas = rows["alpha"].astype(float).where(rows["model"] == "cladec", REFAE)
    means = rows["value"].groupby(alphas).mean()
    return dict(zip(map(float, means.index), map(float, means), strict=True))


def of_cladec(measures: pd.DataFrame, metric: str, layer: str) -> dict[float, float]:
    """Return the same of the ClaDecs alone."""
    found = values(measures, metric, layer)
    return {alpha: value for alpha, value in found.items() if alpha != REFAE}


def lost(measures: pd.DataFrame) -> dict[str, float]:
    """Return what each layer lost: the error of ClaDec at alpha 0 less that of RefAE."""
    found = {}
    for layer in measures["layer"].dropna().unique():
        errors = values(measures, "reconstruction_loss", layer)
        if {REFAE, 0.0} <= set(errors):
            found[str(layer)] = errors[0.0] - errors[REFAE]
    return found


def say_lost(measures: pd.DataFrame) -> str:
    """Say which layer lost most of an image and which least."""
    of_layers = lost(measures)
    if not of_layers:
        return "No layer has both a RefAE and a ClaDec at alpha 0, so what it lost is not known."
    order = sorted(of_layers, key=lambda layer: of_layers[layer])
    least, most = order[0], order[-1]
    largest, smallest = of_layers[most], of_layers[least]
    if largest <= 0:
        return f"No layer lost anything that RefAE keeps (layer {most}: {largest:.3g})."
    text = f"Layer {most} lost a squared error of {largest:.3g} of an image that RefAE keeps"
    if most == least:
        return f"{text}."
    if smallest <= 0:
        return f"{text}, the most; {least} lost nothing that RefAE keeps ({smallest:.3g})."
    return f"{text}, {largest / smallest:.3g} times as much as {least} ({smallest:.3g})."


def say_price(measures: pd.DataFrame, layer: str) -> str:
    """Say what the answers of the classifier cost in likeness over alpha, and what they gain."""
    errors = of_cladec(measures, "reconstruction_loss", layer)
    answers = of_cladec(measures, "fidelity", layer)
    if len(errors) < 2:
        return f"Layer {layer} is decoded at one alpha only."
    first, *_, last = errors
    bound = (1 + FREE) * errors[first]
    free = list(takewhile(lambda alpha: errors[alpha] <= bound, errors))[-1]
    best = max(answers, key=lambda alpha: answers[alpha])
    return (
        f"Layer {layer}: up to alpha {alpha_text(free)} the reconstruction loss stays within "
        f"{FREE:.0%} of that at alpha {alpha_text(first)}, and at {alpha_text(last)} it is "
        f"{errors[last] / errors[first]:.3g} times that; the share of unchanged answers (fidelity) "
        f"is {answers[first]:.3f} at alpha {alpha_text(first)} and highest at {alpha_text(best)}, "
        f"{answers[best]:.3f}."
    )


def say_classes(measures: pd.DataFrame) -> str:
    """Say whether the classes are in the decoded images for a classifier that sees only these."""
    rows = measures[measures["eval"] == "evaluation_accuracy"]
    decoded = rows.loc[rows["model"] == "cladec", "value"]
    original = rows.loc[rows["model"] == "classifier", "value"].mean()
    if decoded.empty or np.isnan(original):
        return "The evaluation accuracy was not measured."
    fall = original - decoded.min()
    verdict = "survive" if fall < 2 * SAME else "do not survive everywhere"
    return (
        f"The classes {verdict}: a fresh classifier that has only seen decoded images is right on "
        f"{decoded.min():.3f} to {decoded.max():.3f} of the test images, and one that has seen the "
        f"originals on {original:.3f}."
    )


def say_published(ratios: pd.DataFrame) -> str:
    """Say how losses compare with published ones.

    Args:
        ratios: ours by the published loss, a column for each model; NaN where there is none.
    """
    known = ratios.to_numpy(dtype=float)
    known = known[~np.isnan(known)]
    if not known.size:
        return "cladec-mnist has no figures of these."
    return (
        f"Ours is the smaller total loss in {np.sum(known < 1)} of {len(known)} cells of the "
        f"table of cladec-mnist: from {known.min():.2f} to {known.max():.2f} of its loss."
    )


def say_one_network(measures: pd.DataFrame, layer: str) -> str:
    """Say how one network for every alpha compares with a decoder for each."""
    kinds = measures["decoder"].fillna(PLAIN)
    losses, errors, answers = (
        [of_cladec(measures[kinds == kind], metric, layer) for kind in (PLAIN, "conditional")]
        for metric in ("total_loss", "reconstruction_loss", "fidelity")
    )
    alphas = sorted(set(losses[0]) & set(losses[1]))
    if not alphas:
        return f"Layer {layer} is not decoded in both ways."
    lower = sum(losses[1][alpha] <= losses[0][alpha] for alpha in alphas)
    changes = [answers[1][alpha] - answers[0][alpha] for alpha in alphas]
    last = alphas[-1]
    return (
        f"One network has no higher a total loss at {lower} of {len(alphas)} alphas; at alpha "
        f"{alpha_text(last)} its pictures have {errors[1][last] / errors[0][last]:.3g} times the "
        "reconstruction loss of those of a decoder of that alpha, and its fidelity differs by "
        f"{min(changes):+.3f} to {max(changes):+.3f}."
    )


def say_depth(measures: pd.DataFrame, layers: Sequence[str]) -> str:
    """Say where on the way through the network the images get worse.

    Args:
        measures: the tidy table.
        layers: the layers from input to output.
    """
    errors = {
        layer: found[0.0]
        for layer in layers
        if 0.0 in (found := of_cladec(measures, "reconstruction_loss", layer))
    }
    if len(errors) < 2:
        return "Fewer than two layers are decoded at alpha 0."
    steps = {(before, after): errors[after] - errors[before] for before, after in pairwise(errors)}
    before, after = max(steps, key=lambda pair: steps[pair])
    grows = "with every layer" if min(steps.values()) > 0 else "not with every layer"
    return (
        f"The reconstruction loss of ClaDec at alpha 0 grows {grows}, most from {before} "
        f"({errors[before]:.3g}) to {after} ({errors[after]:.3g})."
    )


def say_parts(measures: pd.DataFrame, layer: str, units: str = "first") -> str:
    """Say whether the units of a layer know something of their own or repeat one another."""
    rows = measures[(measures["units"] == units) | (measures["fraction"] == 1)]
    errors = {
        float(str(fraction)): found[0.0]
        for fraction, of_fraction in rows.groupby("fraction")
        if 0.0 in (found := of_cladec(of_fraction, "reconstruction_loss", layer))
    }
    if len(errors) < 3:
        return f"Layer {layer}: fewer than three shares of it are decoded at alpha 0."
    least, some, *_, whole = errors
    first, rest = errors[least] - errors[some], errors[some] - errors[whole]
    verdict = "repeat one another" if first > rest else "each know something of their own"
    return (
        f"The units of {layer} {verdict}: from {least:.0%} of them to {some:.0%} the "
        f"reconstruction loss falls by {first:.3g}, and from there to {whole:.0%} by {rest:.3g}."
    )


def say_choice(measures: pd.DataFrame, layer: str, fraction: float, alpha: float) -> str:
    """Say which choice of a share of the units brings back most of the classifier's answers."""
    rows = measures[measures["fraction"] == fraction]
    known = {
        str(units): found[alpha]
        for units, of_units in rows.groupby("units")
        if alpha in (found := of_cladec(of_units, "fidelity", layer))
    }
    if len(known) < 2:
        return f"Layer {layer}: only one choice of {fraction:.0%} of its units is decoded."
    best = max(known, key=lambda units: known[units])
    others = ", ".join(f"{value:.3f} {units}" for units, value in known.items() if units != best)
    return (
        f"Of {fraction:.0%} of {layer}, at alpha {alpha_text(alpha)}, the {best} units bring back "
        f"most answers of the classifier: {known[best]:.3f} of them ({others})."
    )


def say_pair(table: pd.DataFrame, metric: str, *, higher: str, same: str) -> str:
    """Compare a measure of two models.

    Args:
        table: a row for each measure, a column for each of two models.
        metric: the measure.
        higher: what the model with the higher value does more; "{}" stands for its name.
        same: what is said where the values are about the same.
    """
    if metric not in table.index or table.loc[metric].isna().any():
        return f"{metric} was not measured."
    one, other = map(float, table.loc[metric].to_numpy())
    first, second = table.columns
    if abs(one - other) <= SAME * max(abs(one), abs(other)):
        return f"{same}: {one:.4g} for {first}, {other:.4g} for {second}."
    best, numbers = (first, (one, other)) if one > other else (second, (other, one))
    return f"{higher.format(best)}: {numbers[0]:.4g} against {numbers[1]:.4g}."


def say_classes_lost(classes: pd.DataFrame) -> str:
    """Say of which classes each layer lost most and least.

    Args:
        classes: what was lost, a row for each class and "all", a column for each layer.
    """
    own = classes.drop(index="all", errors="ignore")
    return " ".join(
        f"Layer {layer} lost most of {own[layer].idxmax()} ({own[layer].max():.3g}) and least of "
        f"{own[layer].idxmin()} ({own[layer].min():.3g})."
        for layer in own
    )


def say_mistakes(correlations: pd.DataFrame) -> str:
    """Say whether more was lost of the images that the classifier gets wrong.

    Args:
        correlations: a row for each layer with the columns correlation, low, high.
    """
    texts = []
    for layer, row in correlations.iterrows():
        if np.isnan(row["correlation"]):
            texts.append(f"Layer {layer}: no image is classified wrongly, or all are.")
            continue
        linked = "more" if row["low"] > 0 else "less" if row["high"] < 0 else "no more"
        texts.append(
            f"Layer {layer} lost {linked} of the images that are classified wrongly (correlation "
            f"{row['correlation']:.2f}, 95 % interval {row['low']:.2f} to {row['high']:.2f})."
        )
    return " ".join(texts)


def say_agreement(agreement: pd.DataFrame) -> str:
    """Say how far the maps of several methods agree.

    Args:
        agreement: the correlation of the maps of each pair of methods.
    """
    names, known = list(agreement), agreement.to_numpy(dtype=float)
    pairs = {
        (names[one], names[other]): known[one, other]
        for one, other in zip(*np.triu_indices(len(names), 1), strict=True)
        if not np.isnan(known[one, other])
    }
    if not pairs:
        return "No two methods have maps to compare."
    mean = float(np.mean([*pairs.values()]))
    one, other = max(pairs, key=lambda pair: pairs[pair])
    verdict = "agree" if mean > 0.5 else "agree little"
    return (
        f"The methods {verdict}: the mean correlation of two maps is {mean:.2f}, and {one} and "
        f"{other} are most alike ({pairs[one, other]:.2f})."
    )


def say_cause(effects: Mapping[str, Effects], predicted: str) -> str:
    """Say which pixels an answer rests on, by the method whose pixels change it most.

    Args:
        effects: method -> what hiding the pixels that its maps mark changes.
        predicted: the name of the class that was predicted.
    """
    falls = {
        method: -float(each.changes.mean())
        for method, each in effects.items()
        if each.of == "probability"
    }
    best = max(falls, key=lambda method: falls[method])
    before, after = (float(part.mean()) for part in (effects[best].before, effects[best].after))
    if falls[best] < FLOORS["probability"]:
        return (
            f"No method marks a tenth of the pixels on which the answer {predicted} rests: to blur "
            f"it leaves the probability as high ({before:.2f} before)."
        )
    return (
        f"The answer {predicted} rests most on the tenth of the pixels that {best} marks: blurred, "
        f"they take its probability from {before:.2f} to {after:.2f}."
    )


def say_decoded(answers: pd.DataFrame, fidelity: float) -> str:
    """Say whether the layer has kept what misleads the classifier.

    Args:
        answers: the mean probability of the true and of the predicted class, the two columns, of
            the originals, of RefAE's images and of ClaDec's, the rows in this order.
        fidelity: the share of all test images to whose ClaDec image the classifier answers alike.
    """
    true, predicted = answers.columns
    _, reference, decoder = answers.index
    is_repeated = answers[predicted] > answers[true]
    repeated = tuple(name for name in (reference, decoder) if is_repeated[name])
    texts = {
        (reference, decoder): "both make the mistake again: what misleads the classifier is in the "
        "coarse picture, and the layer has kept it",
        (decoder,): f"{decoder} makes the mistake again and {reference} does not: the layer has "
        "thrown away what would have told the classes apart",
        (reference,): f"{reference} makes the mistake again and {decoder} does not: the mistake is "
        "made behind this layer",
        (): "neither makes the mistake again: it hangs on details that no decoder brings back",
    }
    return (
        f"Of the decoded images, {texts[repeated]}. On all test images the classifier "
        f"answers to {decoder} as to the original in {fidelity:.0%} of the cases."
    )


def say_narrowest(layers: Sequence[ListedLayer], numbers: int) -> str:
    """Say how few numbers a layer leaves of an image.

    Args:
        layers: the layers, as `cladec.decodable_layers` lists them.
        numbers: how many numbers an image has.
    """
    decodable = {each.path: each.numbers or 0 for each in layers if each.reason is None}
    fewest = min(decodable, key=lambda path: decodable[path])
    return (
        f"Of the {numbers} numbers of an image, layer {fewest} answers with "
        f"{decodable[fewest]}, the fewest: what does not fit into them is lost to the answer."
    )


def say_reconstruction(error: pd.Series, numbers: int) -> str:
    """Say how much of an image a RefAE brings back.

    Args:
        error: the squared errors of "RefAE" and of the "mean image".
        numbers: how many numbers the layer has.
    """
    kept = 1 - error["RefAE"] / error["mean image"]
    return (
        f"{numbers} numbers can keep {max(0.0, kept):.0%} of what tells one image from the mean of "
        f"all: RefAE leaves an error of {error['RefAE']:.3g}, and the mean image one of "
        f"{error['mean image']:.3g}."
    )


def say_place(shares: pd.DataFrame) -> str:
    """Say which map lies in a feature for the classifier that uses it, and not for the other.

    Args:
        shares: the share of a map's absolute values that lie in the feature, a row for each method
            with "random" among them, and the columns of the classifier that uses it and of the
            other.
    """
    floor, own = shares.loc["random"].mean(), shares.drop(index="random")
    uses, other = own.columns
    gains = own[uses] - own[other]
    best = str(gains.idxmax())
    numbers = f"{own[uses][best]:.0%} with {uses}, {own[other][best]:.0%} with {other}"
    if gains[best] <= 0:
        return f"No method's map lies more in the feature with {uses}: at best {best}, {numbers}."
    drawn = own.index[own[other] > 2 * floor]
    warned = (
        f"; with {other}, where it is not used, the maps of {', '.join(drawn)} lie in it more than "
        f"twice as much as noise ({floor:.0%})"
        if len(drawn)
        else ""
    )
    return f"Of the explainers, {best} tells them apart best ({numbers} of its map){warned}."


def say_first_change(codes: pd.DataFrame) -> str:
    """Say where two models begin to differ, by the columns layer and change, in their order."""
    changed = codes[codes["change"] != 0]
    if changed.empty:
        return "The numbers of all layers are the same in both models."
    first, last = changed.iloc[0], changed.iloc[-1]
    if len(changed) == 1:
        return f"The numbers of {first['layer']} alone differ, by {first['change']:.2f}."
    return (
        f"The numbers differ from {first['layer']} on, by {first['change']:.2f} of their spread "
        f"there and by {last['change']:.2f} in {last['layer']}."
    )


def say_differences(layers: pd.DataFrame) -> tuple[str, ...]:
    """Say of each layer whether it keeps less or more of the picture, and by how much.

    Args:
        layers: the layers of a `ModelDiff`.
    """
    return tuple(
        f"Layer {row['layer']}, {row['verdict']}: its normalised error goes from "
        f"{row['before']:.3g} to {row['after']:.3g}, a difference of {row['difference']:+.2g} "
        f"({row['difference_low']:+.2g} to {row['difference_high']:+.2g}) where the noise of "
        f"training is {row['noise']:.2g}."
        for _, row in layers.iterrows()
    )


def say_changed_answers(answers: pd.DataFrame) -> str:
    """Say of how many images the answers differ, and of which layer those lost most besides.

    Args:
        answers: the answers of a `ModelDiff`: the difference of the images of which both models say
            the same, and of the others.
    """
    counts = answers.groupby("class")["images"].first()
    images = int(counts.drop(index="all", errors="ignore").sum())
    changed = int(counts.get(CHANGED, 0))
    if not changed:
        return f"Both models answer alike to all of {images} images."
    text = f"The answer changed for {changed} of {images} images"
    if changed == images:
        return f"{text}."
    table = answers.pivot(index="layer", columns="class", values="difference")
    beside = table[CHANGED] - table[UNCHANGED]
    layer = str(beside.abs().idxmax())
    less = "less" if beside[layer] > 0 else "more"
    return (
        f"{text}; of those, layer {layer} keeps {less} than of the others (a difference of "
        f"{table[CHANGED][layer]:+.2g} beside {table[UNCHANGED][layer]:+.2g})."
    )
