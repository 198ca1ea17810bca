"""`cladec audit`, run for real at tiny size, with patches, masks and bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own import draw_pictures, small_network
from PIL import Image

from cladec.commands import audit, main
from cladec.commands.layer_settings import Auditing
from cladec.errors import InputError


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> tuple[Path, Path]:
    """A classifier file, and a folder of pictures of cats and dogs."""
    folder = tmp_path_factory.mktemp("given")
    small_network(0).save(folder / "my.keras")
    draw_pictures(folder / "photos")
    return folder / "my.keras", folder / "photos"


def settings(given, **options) -> Auditing:
    return Auditing(classifier=given[0], dataset=str(given[1]), epochs=1, images=8, **options)


def test_an_audit_writes_a_figure_and_a_table_and_says_what_they_mean(given, tmp_path, capsys):
    chosen = ["--patch", "frame", "--epochs", "1", "--images", "8", "--out", str(tmp_path / "out")]
    main.main(["audit", "--classifier", str(given[0]), "--datasets", str(given[1]), *chosen])
    printed = capsys.readouterr().out
    assert "frame" in printed
    assert "of the answers" in printed
    assert str(tmp_path / "out" / "audit.png") in printed
    table = pd.read_csv(tmp_path / "out" / "audit.csv")
    assert set(table["feature"]) == {"frame"}
    assert {"alpha", "drawn", "drawn_low", "drawn_high", "flips"} <= set(table)


def test_masks_of_a_folder_belong_to_the_pictures_of_their_names(given, tmp_path):
    white = np.zeros((16, 16), np.uint8)
    white[:4] = 255
    (tmp_path / "test" / "dog").mkdir(parents=True)
    for number in (0, 2):
        Image.fromarray(white).save(tmp_path / "test" / "dog" / f"{number}.png")
    found = audit.audited(settings(given, mask=tmp_path))
    cats = found.pasted[:, :4] != found.images[:, :4]
    assert cats.any()
    np.testing.assert_array_equal(found.pasted[:, 4:], found.images[:, 4:])


def test_one_mask_stands_for_all_pictures(given, tmp_path):
    Image.new("L", (16, 16), 255).save(tmp_path / "all.png")
    found = audit.audited(settings(given, mask=tmp_path / "all.png"))
    assert found.feature == "masked region"


def test_masks_of_no_picture_are_refused(given, tmp_path):
    Image.new("L", (16, 16), 255).save(tmp_path / "other.png")
    with pytest.raises(InputError, match=r"such as test/cat/0.png"):
        audit.audited(settings(given, mask=tmp_path))


def test_settings_are_checked_without_keras(given, tmp_path):
    for options, expected in (
        ({"patch": "sticker"}, "unknown patch 'sticker'"),
        ({"patch": "tint", "mask": given[0]}, "both given"),
        ({"mask": tmp_path / "nothing"}, "does not exist"),
        ({"layer": "x", "class_names": tmp_path / "names.txt"}, "names.txt"),
    ):
        with pytest.raises(InputError, match=expected):
            settings(given, **options).check()
