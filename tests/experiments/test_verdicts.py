"""The record of a decoder, and the tables, say how well it was trained."""

import json
from dataclasses import replace

import numpy as np
from PIL import Image

import cladec
from cladec.models import plateau, recipes


def test_a_decoder_has_a_verdict_in_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(plateau, "SHORTEST", 20)
    monkeypatch.setattr(recipes, "PHOTOGRAPH_PIXELS", 1)
    random = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 2)):
        for name in ("ants", "bees"):
            folder = tmp_path / "photographs" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 255, (36, 36, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    settings = {"datasets": (str(tmp_path / "photographs"),), "layers": ("conv",)}
    out = tmp_path / "models"
    runs = cladec.train_missing(cladec.Sweep(**settings, alphas=(0.0,), workers=0, out=out))
    found = {}
    for run in runs:
        record = json.loads(run.path(out).with_suffix(".json").read_text())
        found[run.model] = record.get("verdict"), "val_loss" in record["history"]
    assert found["classifier"] == (None, False)
    known = ("trained", "not trained enough", "learned by heart")
    for model in ("refae", "cladec"):
        assert found[model][0] in known
        assert found[model][1]
    settings = cladec.Evaluation(models=out, out=tmp_path / "eval", workers=0)
    table = cladec.evaluate(replace(settings, evaluation_accuracy=False))
    for model, rows in table.groupby("model"):
        assert set(rows["verdict"].dropna()) == {found[str(model)][0]} - {None}
        values = rows.set_index("eval")["value"]
        assert ("training_error" in values) == (model != "classifier")
        assert (values.drop("training_error", errors="ignore") >= 0).all()
