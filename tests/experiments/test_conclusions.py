"""Sentences about numbers: what they say turns with the numbers, and breaks for none of them."""

import numpy as np
import pandas as pd
import pytest

from cladec.experiments import conclusions
from cladec.experiments.runs import VARIANTS
from cladec.metrics.effects import Effects
from cladec.models.layers import ListedLayer


def table(metric: str, layer: str = "dense", *, refae: float | None = None, **others) -> list[dict]:
    """Rows of a measure: of RefAE, and of ClaDec by alpha in `cladec`."""
    cladec = others.pop("cladec", {})
    usual = VARIANTS | {"layer": layer, "eval": metric} | others
    rows = [usual | {"model": "cladec", "alpha": a, "value": value} for a, value in cladec.items()]
    if refae is not None:
        rows.append(usual | {"model": "refae", "alpha": np.nan, "value": refae})
    return rows


def errors(layer: str, refae: float | None, **others) -> list[dict]:
    return table("reconstruction_loss", layer, refae=refae, **others)


@pytest.mark.parametrize(
    ("conv", "text"),
    [
        (3.0, "dense lost a squared error of 6 of an image that RefAE keeps, 6 times as much"),
        (1.5, "the most; conv lost nothing that RefAE keeps (-0.5)"),
        (20.0, "conv lost a squared error of 18 of an image that RefAE keeps, 3 times as much"),
    ],
)
def test_the_layer_that_lost_most_is_named(conv: float, text: str) -> None:
    rows = errors("dense", 4.0, cladec={0.0: 10.0, 1.0: 99.0}) + errors(
        "conv", 2.0, cladec={0.0: conv}
    )
    assert text in conclusions.say_lost(pd.DataFrame(rows))


def test_what_is_lost_is_the_difference_of_means_over_repeats() -> None:
    rows = errors("dense", 1.0, cladec={0.0: 3.0}) + errors("dense", 3.0, cladec={0.0: 7.0})
    assert conclusions.lost(pd.DataFrame(rows)) == {"dense": 5.0 - 2.0}
    better = pd.DataFrame(errors("dense", 3.0, cladec={0.0: 2.0}))
    assert conclusions.say_lost(better) == (
        "No layer lost anything that RefAE keeps (layer dense: -1)."
    )
    alone = pd.DataFrame(errors("dense", None, cladec={0.0: 3.0}))
    assert "not known" in conclusions.say_lost(alone)


def test_the_price_of_answers_ends_where_the_loss_leaves_the_bound() -> None:
    found = errors("dense", 1.0, cladec={0.0: 10.0, 0.5: 10.4, 0.9: 12.0, 0.99: 10.1, 1.0: 40.0})
    found += table("fidelity", refae=0.5, cladec={0.0: 0.8, 0.5: 0.9, 0.9: 0.95, 1.0: 0.93})
    said = conclusions.say_price(pd.DataFrame(found), "dense")
    assert "up to alpha 0.5 the reconstruction loss stays within 5%" in said
    assert "at 1 it is 4 times that" in said
    assert "is 0.800 at alpha 0 and highest at 0.9, 0.950" in said
    assert "one alpha only" in conclusions.say_price(pd.DataFrame(found), "conv")


@pytest.mark.parametrize(("worst", "verdict"), [(0.89, "survive:"), (0.7, "do not survive")])
def test_the_classes_survive_where_a_fresh_classifier_finds_them(worst, verdict) -> None:
    rows = table("evaluation_accuracy", cladec={0.0: 0.9, 1.0: worst})
    original = VARIANTS | {"model": "classifier", "eval": "evaluation_accuracy", "value": 0.905}
    said = conclusions.say_classes(pd.DataFrame([*rows, original]))
    assert f"The classes {verdict}" in said
    assert f"{worst:.3f} to 0.900" in said
    assert "not measured" in conclusions.say_classes(pd.DataFrame(rows))


def test_ratios_to_published_losses_are_counted() -> None:
    ratios = pd.DataFrame({"refAE": [0.9, np.nan], "0": [1.2, 0.5]})
    said = conclusions.say_published(ratios)
    assert "in 2 of 3 cells" in said
    assert "from 0.50 to 1.20" in said
    assert "no figures of these" in conclusions.say_published(ratios * np.nan)


def test_one_network_is_compared_at_the_alphas_that_both_have() -> None:
    rows = []
    for decoder, factor in (("plain", 1.0), ("conditional", 0.5)):
        for metric, values in {
            "total_loss": {0.0: 10.0, 0.3: 6.0, 1.0: 1.0},
            "reconstruction_loss": {0.0: 10.0, 1.0: 80.0},
            "fidelity": {0.0: 0.8, 1.0: 0.9},
        }.items():
            scaled = {alpha: value * factor for alpha, value in values.items()}
            if decoder == "conditional":
                scaled.pop(0.3, None)
            rows += table(metric, cladec=scaled, decoder=decoder)
    said = conclusions.say_one_network(pd.DataFrame(rows), "dense")
    assert "at 2 of 2 alphas" in said
    assert "at alpha 1 its pictures have 0.5 times" in said
    assert "-0.450 to -0.400" in said
    plain = pd.DataFrame(rows)[lambda all_rows: all_rows["decoder"] == "plain"]
    assert "not decoded in both ways" in conclusions.say_one_network(plain, "dense")


@pytest.mark.parametrize(("last", "grows"), [(30.0, "with every layer"), (5.0, "not with every")])
def test_the_step_at_which_most_is_lost_is_named(last: float, grows: str) -> None:
    rows = [
        row
        for layer, error in {"first": 1.0, "second": 20.0, "third": last}.items()
        for row in errors(layer, None, cladec={0.0: error})
    ]
    said = conclusions.say_depth(pd.DataFrame(rows), ["first", "second", "third", "none"])
    assert grows in said
    assert "most from first (1) to second (20)" in said


@pytest.mark.parametrize(("half", "verdict"), [(3.0, "repeat one another"), (9.0, "of their own")])
def test_units_that_repeat_one_another_are_told_from_others(half: float, verdict: str) -> None:
    rows = [
        row
        for fraction, error in {0.1: 10.0, 0.5: half, 1.0: 1.0}.items()
        for row in errors("dense", None, cladec={0.0: error}, fraction=fraction)
    ]
    said = conclusions.say_parts(pd.DataFrame(rows), "dense")
    assert verdict in said
    assert f"to 50% the reconstruction loss falls by {10 - half:.3g}" in said
    assert "fewer than three" in conclusions.say_parts(pd.DataFrame(rows[:2]), "dense")


def test_the_choice_of_units_with_most_answers_is_named() -> None:
    rows = [
        row
        for units, share in {"first": 0.3, "random": 0.2, "important": 0.6}.items()
        for row in table("fidelity", cladec={0.99: share}, units=units, fraction=0.1)
    ]
    said = conclusions.say_choice(pd.DataFrame(rows), "dense", 0.1, 0.99)
    assert "the important units bring back most answers of the classifier: 0.600" in said
    assert "0.300 first" in said
    assert "only one choice" in conclusions.say_choice(pd.DataFrame(rows[:1]), "dense", 0.1, 0.99)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.4, 0.9), "ClaDec wins: 0.9 against 0.4."),
        ((0.9, 0.4), "RefAE wins: 0.9 against 0.4."),
        ((0.9, 0.9001), "Both alike: 0.9 for RefAE, 0.9001 for ClaDec."),
        ((0.9, np.nan), "fidelity was not measured."),
    ],
)
def test_two_models_are_compared(values: tuple[float, float], text: str) -> None:
    pair = pd.DataFrame([values], index=["fidelity"], columns=["RefAE", "ClaDec"])
    assert conclusions.say_pair(pair, "fidelity", higher="{} wins", same="Both alike") == text


def test_classes_and_mistakes_of_what_was_lost() -> None:
    classes = pd.DataFrame({"dense": [5.0, 9.0, 1.0]}, index=["all", "Bag", "Trouser"])
    said = conclusions.say_classes_lost(classes)
    assert said == "Layer dense lost most of Bag (9) and least of Trouser (1)."
    rows = {
        "a": (0.2, 0.1, 0.3),
        "b": (0.0, -0.1, 0.1),
        "c": (-0.2, -0.3, -0.1),
        "d": (np.nan,) * 3,
    }
    table = pd.DataFrame(rows, index=["correlation", "low", "high"]).T
    said = conclusions.say_mistakes(table)
    for layer, word in (("a", "more"), ("b", "no more"), ("c", "less")):
        assert f"Layer {layer} lost {word} of the images that are classified wrongly" in said
    assert "Layer d: no image is classified wrongly" in said


def test_agreement_is_over_pairs_of_different_maps() -> None:
    names = ["lime", "rise", "anchors"]
    values = [[1.0, 0.8, np.nan], [0.8, 1.0, 0.1], [np.nan, 0.1, 1.0]]
    said = conclusions.say_agreement(pd.DataFrame(values, index=names, columns=names))
    assert "agree little: the mean correlation of two maps is 0.45" in said
    assert "lime and rise are most alike (0.80)" in said


@pytest.mark.parametrize(
    ("after", "text"),
    [(0.3, "the tenth of the pixels that lime marks"), (0.799, "No method marks a tenth")],
)
def test_the_cause_is_what_changes_the_answer_most(after: float, text: str) -> None:
    before = np.array([0.8, 0.8])
    effects = {
        "lime": Effects("probability", before, np.array([after, after])),
        "rise": Effects("probability", before, before),
        "saliency": Effects("score", before, before - 5),
    }
    assert text in conclusions.say_cause(effects, "Shirt")


@pytest.mark.parametrize(
    ("reference", "decoder", "text"),
    [
        (0.9, 0.9, "both make the mistake again"),
        (0.1, 0.9, "ClaDec makes the mistake again and RefAE does not"),
        (0.9, 0.1, "RefAE makes the mistake again and ClaDec does not"),
        (0.1, 0.1, "neither makes the mistake again"),
    ],
)
def test_the_decoded_images_tell_where_the_mistake_is_made(reference, decoder, text) -> None:
    predicted = [0.9, reference, decoder]
    answers = pd.DataFrame(
        {"Coat": [1 - value for value in predicted], "Shirt": predicted},
        index=["original", "RefAE", "ClaDec"],
    )
    said = conclusions.say_decoded(answers, 0.93)
    assert text in said
    assert "in 93% of the cases" in said


def test_what_numbers_can_keep_is_told_by_the_mean_image() -> None:
    error = pd.Series({"RefAE": 10.0, "mean image": 40.0})
    assert "10 numbers can keep 75%" in conclusions.say_reconstruction(error, 10)
    layers = [
        ListedLayer("conv", "Conv2D", (7, 7, 64), None),
        ListedLayer("dense", "Dense", (10,), None),
        ListedLayer("scores", "Dense", (2,), "it repeats the numbers of another"),
    ]
    assert "layer dense answers with 10" in conclusions.say_narrowest(layers, 784)


def test_rows_of_other_decoders_are_not_usual_and_an_old_table_may_lack_columns() -> None:
    rows = errors("dense", 1.0, cladec={0.0: 2.0}) + errors("dense", 3.0, fraction=0.5)
    table = pd.DataFrame(rows).drop(columns="targets")
    assert conclusions.usual(table)["value"].tolist() == [2.0, 1.0]


def test_sentences_are_lines_and_a_list() -> None:
    both = conclusions.Sentences(("One.", "Two."))
    assert str(both) == "One.\nTwo."
    assert both._repr_markdown_() == "- One.\n- Two."


def shares(used: float, unused: float, random: float = 0.02) -> pd.DataFrame:
    rows = {"rise": (used, unused), "saliency": (0.03, 0.03), "random": (random, random)}
    return pd.DataFrame(rows, index=["a shortcut", "no shortcut"]).T


def test_the_method_that_tells_a_used_feature_from_an_unused_one_is_named() -> None:
    said = conclusions.say_place(shares(0.6, 0.03))
    assert said.startswith("Of the explainers, rise tells them apart best (60% with a shortcut")
    assert "not used" not in said
    assert "the maps of rise lie in it more than twice" in conclusions.say_place(shares(0.6, 0.3))
    assert conclusions.say_place(shares(0.02, 0.1)).startswith("No method's map")


def test_where_two_models_begin_to_differ() -> None:
    codes = pd.DataFrame({"layer": ["a", "b", "c"], "change": [0.0, 0.25, 0.5]})
    assert "from b on, by 0.25" in conclusions.say_first_change(codes)
    assert "b alone differ" in conclusions.say_first_change(codes[:2])
    assert "are the same" in conclusions.say_first_change(codes[:1])


def test_what_two_models_keep_is_said_with_its_interval_and_noise() -> None:
    row = {"layer": "conv", "before": 0.1, "after": 0.3, "difference": 0.2}
    row |= {"difference_low": 0.15, "difference_high": 0.25, "noise": 0.01}
    (said,) = conclusions.say_differences(pd.DataFrame([row | {"verdict": "keeps less"}]))
    assert said.startswith("Layer conv, keeps less: its normalised error goes from 0.1 to 0.3")
    assert "+0.2 (+0.15 to +0.25) where the noise of training is 0.01" in said


def of_answers(changed: int, unchanged: int) -> pd.DataFrame:
    counts = {"all": changed + unchanged, "same answer": unchanged, "another answer": changed}
    return pd.DataFrame(
        {"layer": layer, "class": name, "images": count, "difference": difference[name]}
        for layer, difference in (
            ("conv", {"all": 0.0, "same answer": 0.1, "another answer": 0.1}),
            ("dense", {"all": 0.0, "same answer": 0.1, "another answer": 0.4}),
        )
        for name, count in counts.items()
    )


def test_what_was_lost_where_the_answers_changed() -> None:
    said = conclusions.say_changed_answers(of_answers(3, 7))
    assert "for 3 of 10 images; of those, layer dense keeps less" in said
    assert "alike to all of 10" in conclusions.say_changed_answers(of_answers(0, 10))
    assert conclusions.say_changed_answers(of_answers(10, 0)).endswith("10 of 10 images.")
