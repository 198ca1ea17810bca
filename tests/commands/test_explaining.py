"""`cladec explain`, `compare` and `metrics`, run for real at tiny size, with bad input as well."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image

from cladec import load
from cladec.commands import explain as explain_command
from cladec.commands import main
from cladec.data.arrays import drawn_rows
from cladec.errors import InputError
from cladec.explainers import explain
from cladec.metrics.measures import MEASURES
from cladec.models import cutting, loading

QUICK = ("saliency", "grad_cam")


@pytest.fixture(scope="module")
def model_file(classifier, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.keras"
    classifier.save(path)
    return path


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory) -> Path:
    """The dataset `tiny` as a folder of images."""
    root = tmp_path_factory.mktemp("data") / "tiny"
    for name, split in (("train", tiny.train), ("test", tiny.test)):
        for i, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = root / name / tiny.class_names[label] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, image)
    return root


def save(path: Path, image: np.ndarray, **options) -> Path:
    Image.fromarray(np.squeeze((image * 255).round().astype(np.uint8))).save(path, **options)
    return path


@pytest.fixture
def pictures(tiny, tmp_path) -> list[Path]:
    return [save(tmp_path / f"{i}.png", tiny.test.images[i]) for i in range(3)]


def run(capsys, *arguments, code: int = 0) -> tuple[list[str], list[str]]:
    """Run the command; returns the lines of its output and of its errors."""
    ended = 0
    try:
        main.main([str(argument) for argument in arguments])
    except SystemExit as error:
        ended = int(error.code or 0)
    captured = capsys.readouterr()
    assert ended == code, captured.err
    return captured.out.splitlines(), captured.err.splitlines()


def arguments(model: Path, images: list[Path], out: Path, methods=QUICK) -> list:
    return ["explain", "--model", model, "--images", *images, "--methods", *methods, "--out", out]


def test_explain_saves_a_figure_and_the_arrays_of_each_image(
    model_file, classifier, pictures, tmp_path, capsys
):
    out = tmp_path / "out"
    output, errors = run(capsys, *arguments(model_file, pictures, out))
    assert errors == []
    files = [out / f"{i}{suffix}" for i in range(3) for suffix in (".png", ".npz")]
    assert output[-7:-1] == [str(file) for file in files]
    assert output[-1].startswith("next: cladec compare --model ")
    assert sorted(out.iterdir()) == sorted(files)
    for i, picture in enumerate(pictures):
        image = np.asarray(Image.open(picture))[..., None].astype(np.float32) / 255
        with np.load(out / f"{i}.npz") as arrays:
            assert set(arrays) == {"image", "target", *QUICK}
            np.testing.assert_allclose(arrays["image"], image, atol=1e-7)
            assert arrays["target"] == classifier(image[None]).numpy().argmax()
            for method in QUICK:
                expected = explain(classifier, image[None], method=method)[0]
                np.testing.assert_allclose(arrays[method], expected, rtol=1e-3, atol=1e-5)


def test_explain_takes_a_class_a_layer_and_names(
    model_file, classifier, folder, pictures, tmp_path, capsys
):
    out = tmp_path / "out"
    more = ["--target", 3, "--layer", "conv", "--dataset", folder]
    (tmp_path / "same").mkdir()
    other = tmp_path / "same" / "0.png"  # files of this name are there already
    other.write_bytes(pictures[1].read_bytes())
    run(capsys, *arguments(model_file, [pictures[0], other], out, ["grad_cam"]), *more)
    image = np.asarray(Image.open(pictures[0]))[None, ..., None].astype(np.float32) / 255
    with np.load(out / "0.npz") as arrays:
        assert arrays["target"] == 3
        expected = explain(classifier, image, method="grad_cam", targets=3, layer="conv")[0]
        np.testing.assert_allclose(arrays["grad_cam"], expected, rtol=1e-3, atol=1e-5)
    assert (out / "0-2.png").exists()


def test_explain_names_no_next_command_where_nothing_was_explained(model_file, tmp_path, capsys):
    large = save(tmp_path / "large.png", np.zeros((9, 12)))
    given = arguments(model_file, [large], tmp_path / "out", ["saliency"])
    output, errors = run(capsys, *given, code=main.BAD_INPUT)
    assert not any(line.startswith("next:") for line in output)
    assert "12 wide and 9 high" in errors[0]


def test_explain_takes_an_older_file_as_the_newer_one(model_file, pictures, tmp_path, capsys):
    keras.saving.load_model(model_file).save(tmp_path / "model.h5")
    found = {}
    for model in (model_file, tmp_path / "model.h5"):
        out = tmp_path / model.suffix
        run(capsys, *arguments(model, pictures[:1], out, ["saliency"]))
        (path,) = out.glob("*.npz")
        with np.load(path) as arrays:
            found[model.suffix] = arrays["saliency"]
    np.testing.assert_allclose(found[".h5"], found[".keras"], atol=1e-5)


def bad_pictures(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """A file for each kind of bad image, and what is said of it."""
    grey = np.full((8, 8), 0.5)
    nan = np.full((8, 8), 0.5, np.float32)
    nan[0, 0] = np.nan
    files = {
        "large": (save(tmp_path / "large.png", np.zeros((9, 12))), "12 wide and 9 high"),
        "colour": (save(tmp_path / "colour.png", np.eye(8)[..., None] * [1, 0, 0]), "3 channels"),
        "text": (tmp_path / "text.png", "cannot be read as an image"),
        "missing": (tmp_path / "missing.png", "cannot be read as an image"),
        "nan": (tmp_path / "nan.tiff", "values from nan"),
        "bright": (tmp_path / "bright.tiff", "values from 0 to 2"),
        "clear": (tmp_path / "clear.png", "transparent"),
    }
    files["text"][0].write_text("no image")
    Image.fromarray(nan).save(files["nan"][0])
    Image.fromarray(np.linspace(0, 2, 64, dtype=np.float32).reshape(8, 8)).save(files["bright"][0])
    alpha = Image.fromarray((grey * 255).astype(np.uint8)).convert("LA")
    alpha.putalpha(40)
    alpha.save(files["clear"][0])
    return files


def test_bad_images_are_named_and_the_others_are_done(model_file, pictures, tmp_path, capsys):
    bad = bad_pictures(tmp_path)
    images = [pictures[0], *(path for path, _ in bad.values()), pictures[1]]
    out = tmp_path / "out"
    _, errors = run(capsys, *arguments(model_file, images, out, ["saliency"]), code=main.BAD_INPUT)
    assert len(errors) == len(bad)
    for line, (path, message) in zip(errors, bad.values(), strict=True):
        assert line.startswith(f"error: {path} ")
        assert message in line
    assert sorted(path.name for path in out.iterdir()) == ["0.npz", "0.png", "1.npz", "1.png"]


@pytest.mark.parametrize(
    ("more", "messages"),
    [
        (["--methods", "gradcam"], ["did you mean 'grad_cam'?"]),
        (["--target", "10"], ["class 10 is out of range"]),
        (["--model", "nothing.keras"], ["nothing.keras is missing"]),
        (["--dataset", "nothing/at/all"], ["nothing/at/all"]),
        (["--layer", "conf", "--methods", "grad_cam"], ["grad_cam: ", "conv"]),
        (["--layer", "dense", "--methods", "grad_cam"], ["grad_cam: ", "conv"]),
        (["--methods", "cladec"], ["no ClaDec of"]),
        (["--images"], ["--images is empty"]),
    ],
)
def test_what_cannot_be_done_is_one_line(
    model_file, pictures, tmp_path, capsys, monkeypatch, more, messages
):
    monkeypatch.chdir(tmp_path)
    given = arguments(model_file, pictures[:1], tmp_path / "out", ["saliency"])
    if more == ["--images"]:
        given = ["explain", "--model", model_file]
    output, errors = run(capsys, *given, *more, code=main.BAD_INPUT)
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    for message in messages:
        assert message in errors[0]
    assert not list((tmp_path / "out").glob("*")) or not output


def test_a_method_that_does_not_fit_leaves_the_others(tmp_path, tiny, pictures, capsys):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(10, name="scores")]
    )
    model.save(tmp_path / "linear.keras")
    methods = ["guided_backpropagation", "saliency", "grad_cam"]
    given = arguments(tmp_path / "linear.keras", pictures[:1], tmp_path / "out", methods)
    _, errors = run(capsys, *given, code=main.BAD_INPUT)
    assert [line.split(": ")[1] for line in errors] == ["guided_backpropagation", "grad_cam"]
    with np.load(tmp_path / "out" / "0.npz") as arrays:
        assert set(arrays) == {"image", "target", "saliency"}


def test_code_in_a_model_file_is_refused_and_never_run(tmp_path, pictures, capsys, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "executed"

    @keras.saving.register_keras_serializable(package="test")
    class Own(layers.Layer):
        def call(self, inputs):
            return inputs

    for name, layer, message in (
        ("lambda", layers.Lambda(lambda x: x * 2), "Lambda"),
        ("custom", Own(), "'Own'"),
    ):
        inputs = keras.Input((8, 8, 1))
        model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layer(inputs))))
        path = tmp_path / f"{name}.keras"
        model.save(path)
        if name == "custom":
            keras.saving.get_custom_objects().pop("test>Own")
            module = tmp_path / "evil.py"
            module.write_text(f"open({str(marker)!r}, 'w')")
            _point_to_module(path, "evil")
        _, errors = run(capsys, *arguments(path, pictures, tmp_path / "out"), code=main.BAD_INPUT)
        assert len(errors) == 1
        assert message in errors[0]
        assert "never" in errors[0]
    assert not marker.exists()


def _point_to_module(path: Path, module: str) -> None:
    """Let the custom layer of a model file say that it comes from `module`."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Own":
            layer["module"] = module
    content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_names_as_long_as_a_disk_takes_them(model_file, tiny, tmp_path, capsys):
    stems = ["n" * 251, "n" * 250 + "m", "猫" * 83, "short"]
    images = [save(tmp_path / f"{stem}.png", tiny.test.images[0]) for stem in stems]
    (tmp_path / "again").mkdir()
    images.append(save(tmp_path / "again" / images[0].name, tiny.test.images[1]))
    out = tmp_path / "out"
    output, errors = run(capsys, *arguments(model_file, images, out, ["saliency"]))
    assert errors == []
    written = sorted(path.name for path in out.iterdir())
    assert len(written) == 2 * len(images)
    assert {"short.png", "short.npz", f"{stems[0]}.png", f"{stems[2]}.npz"} <= set(written)
    assert {len(name.encode()) for name in written} <= {9, 253, 255}
    assert sum(line.startswith(str(out)) for line in output) == len(written)


def test_what_cannot_be_written_is_named_and_the_others_are(model_file, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    (out / "0.png").mkdir(parents=True)
    output, errors = run(capsys, *arguments(model_file, pictures, out, ["saliency"]), code=2)
    assert len(errors) == 1
    assert f"{out / '0.png'} cannot be written" in errors[0]
    assert [Path(file).name for file in output[-5:-1]] == ["1.png", "1.npz", "2.png", "2.npz"]


@pytest.mark.parametrize("content", [b"", b"no zip file"])
def test_a_broken_model_file_is_named(tmp_path, pictures, capsys, content):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    _, errors = run(capsys, *arguments(path, pictures, tmp_path / "out"), code=main.BAD_INPUT)
    assert len(errors) == 1
    assert str(path) in errors[0]


def test_images_are_read_as_the_model_takes_them(tmp_path):
    generator = np.random.default_rng(0)
    grey = generator.integers(0, 256, (6, 4), np.uint8)
    colour = generator.integers(0, 256, (6, 4, 3), np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(tmp_path / "as_colour.png")
    opaque = np.dstack([colour, np.full((6, 4), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(grey)).save(tmp_path / "turned.png", exif=exif)

    def read(name, shape, **options):
        return explain_command.read_image(tmp_path / f"{name}.png", shape, **options)

    np.testing.assert_allclose(read("grey", (6, 4, 1))[..., 0], grey / 255, atol=1e-6)
    np.testing.assert_allclose(read("turned", (6, 4, 1))[..., 0], grey / 255, atol=1e-6)
    np.testing.assert_allclose(read("colour", (6, 4, 3)), colour / 255, atol=1e-6)
    np.testing.assert_allclose(read("opaque", (6, 4, 3)), colour / 255, atol=1e-6)
    np.testing.assert_array_equal(read("as_colour", (6, 4, 1)), read("grey", (6, 4, 1)))
    np.testing.assert_array_equal(read("as_colour", (6, 4, 3)), read("grey", (6, 4, 3)))
    with pytest.raises(InputError, match="3 channels"):
        read("colour", (6, 4, 1))
    resized = read("grey", (3, 2, 1), resize=True)
    assert resized.dtype == np.float32
    assert resized.shape == (3, 2, 1)
    assert abs(resized.mean() - grey.mean() / 255) < 0.05
    with pytest.raises(InputError, match="--resize"):
        read("grey", (3, 2, 1))


def test_compare_ranks_the_methods_and_random_maps(model_file, folder, tmp_path, capsys):
    out = tmp_path / "out"
    methods = ["integrated_gradients", "grad_cam", "rice"]
    given = ["compare", "--model", model_file, "--dataset", folder, "--images", 12, "--out", out]
    _, errors = run(capsys, *given, "--methods", *methods, code=main.BAD_INPUT)
    assert "did you mean 'rise'" in errors[0]
    output, errors = run(capsys, *given, "--methods", *methods[:2])
    assert errors == []
    table = pd.read_csv(out / "ranking.csv")
    assert set(table["method"]) == {*methods[:2], "random"}
    assert set(table["measure"]) == set(MEASURES)
    assert len(table) == 3 * 5
    assert (table["low"] <= table["mean"] + 1e-6).all()
    assert (table["mean"] <= table["high"] + 1e-6).all()
    pairs = pd.read_csv(out / "pairs.csv")
    assert len(pairs) == 3 * 5
    shared = table.set_index(["measure", "method"])["group"]
    for pair in pairs.itertuples():
        letters = [set(shared[pair.measure, name]) for name in (pair.method, pair.other)]
        assert pair.told_apart == letters[0].isdisjoint(letters[1])
    text = "\n".join(output)
    for name, row in MEASURES.items():
        better = "higher" if row.higher_is_better else "lower"
        subject = name if name == row.question else f"{row.question}: {name}"
        assert f"{subject} ({better} is better)" in text
    assert sum("  random  " in line for line in output) == len(MEASURES)
    assert max(len(line) for line in output if str(tmp_path) not in line) <= 80
    means = table.pivot(index="measure", columns="method", values="mean")
    assert means.loc["mu_fidelity", "integrated_gradients"] > means.loc["mu_fidelity", "random"]
    assert means.loc["insertion", "integrated_gradients"] > means.loc["insertion", "random"]
    for name in ("ranking.png", "explanations.png"):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("L").getcolors(256) or []) > 20
    names = ("ranking.csv", "pairs.csv", "ranking.png", "explanations.png")
    assert output[-5:-1] == [str(out / name) for name in names]
    assert output[-1].startswith("next: cladec report ")


def test_compare_says_how_long_many_images_take(model_file, folder, tmp_path, capsys):
    given = ["compare", "--model", model_file, "--dataset", folder, "--out", tmp_path]
    chosen = ["--methods", "saliency", "--measures", "deletion", "--images", 20]
    output, _ = run(capsys, *given, *chosen)
    told = next(i for i, line in enumerate(output) if "20 images will take at most about" in line)
    measured = next(i for i, line in enumerate(output) if "] saliency:" in line)
    assert told < measured


def test_compare_refuses_methods_that_make_images(model_file, tmp_path, capsys):
    given = ["compare", "--model", model_file, "--dataset", "digits", "--out", tmp_path]
    _, errors = run(capsys, *given, "--methods", "deep_dream", code=main.BAD_INPUT)
    assert "'deep_dream' makes images" in errors[0]


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory) -> Path:
    """A classifier of the images of `folder` with its RefAE and ClaDec, hardly trained."""
    out = tmp_path_factory.mktemp("trained") / "saved-models"
    small = ["--layers", "dense", "--epochs", "1", "--batch-size", "128", "--alphas", "0", "1"]
    main.main(["train", "--datasets", str(folder), *small, "--out", str(out)])
    return out


def test_compare_tells_how_decoded_images_do(trained, folder, tmp_path, capsys):
    model = trained / "tiny/vgg/classifier.keras"
    given = ["compare", "--model", model, "--dataset", folder, "--models", trained]
    more = ["--methods", "cladec", "--measures", "deletion", "randomisation", "--images", 20]
    output, _ = run(capsys, *given, *more, "--out", tmp_path)
    assert str(tmp_path / "fidelity.csv") in output
    table = pd.read_csv(tmp_path / "fidelity.csv")
    assert list(table["alpha"]) == [0, 1]
    assert set(table["layer"]) == {"dense"}
    images = load(folder).test.images
    images = images[drawn_rows(len(images), 20, 0)]
    classifier = loading.load_saved(model)
    for row in table.itertuples():
        decoder = loading.load_saved(trained / f"tiny/vgg/dense/cladec-alpha-{row.alpha:g}.keras")
        logits = cutting.logits(classifier)
        same = np.asarray(logits(images)).argmax(1) == np.asarray(logits(decoder(images))).argmax(1)
        assert row.fidelity == pytest.approx(same.mean())
        assert row.low <= row.fidelity <= row.high
    ranking = pd.read_csv(tmp_path / "ranking.csv")
    assert set(ranking.loc[ranking["measure"] == "randomisation", "method"]) == {"random"}
    assert set(ranking.loc[ranking["measure"] == "deletion", "method"]) == {"random", "cladec"}


def test_explain_with_a_trained_cladec(trained, tiny, tmp_path, capsys):
    picture = save(tmp_path / "a.png", tiny.test.images[0])
    model = trained / "tiny/vgg/classifier.keras"
    given = arguments(model, [picture], tmp_path / "out", ["cladec"])
    run(capsys, *given, "--models", trained, "--alpha", 1)
    with np.load(tmp_path / "out" / "a.npz") as arrays:
        decoder, reference = (
            loading.load_saved(trained / f"tiny/vgg/dense/{name}.keras")
            for name in ("cladec-alpha-1", "refae")
        )
        batch = arrays["image"][None]
        expected = np.abs(np.asarray(decoder(batch)) - np.asarray(reference(batch))).mean(-1)[0]
        np.testing.assert_allclose(arrays["cladec"], expected, rtol=1e-3, atol=1e-5)
    _, errors = run(capsys, *given, "--models", trained, "--alpha", 0.5, code=main.BAD_INPUT)
    assert "there are: dense alpha 0, dense alpha 1" in errors[0]


def test_metrics_writes_tables_and_figures(model_file, classifier, folder, tiny, tmp_path, capsys):
    predicted = np.asarray(classifier(tiny.test.images)).argmax(1)
    given = ["metrics", "--model", model_file, "--dataset", folder, "--out", tmp_path]
    output, errors = run(capsys, *given)
    assert errors == []
    assert (
        output[0]
        == f"accuracy on 40 test images of tiny: {(predicted == tiny.test.labels).mean():.2f}"
    )
    assert output[1].startswith(f"accuracy {(predicted == tiny.test.labels).mean():.4f} on 40 test")
    assert output[2].startswith("expected calibration error 0.")
    assert "precision" in output[3]
    table = [line for line in output if "/" not in line and "cladec " not in line]
    assert [line for line in table if len(line) > 80] == []  # paths are of any length
    wrong = predicted != tiny.test.labels
    true, taken = map(int, output[-1].rpartition("--confusion ")[2].split())
    assert (wrong & (tiny.test.labels == true) & (predicted == taken)).any()
    counts = pd.read_csv(tmp_path / "confusion.csv", index_col="true")
    assert counts.to_numpy().sum() == len(tiny.test.labels)
    assert np.trace(counts.to_numpy()) == (predicted == tiny.test.labels).sum()
    report = pd.read_csv(tmp_path / "report.csv").set_index("class")
    accuracy = (predicted == tiny.test.labels).mean()
    assert report.loc["micro", "recall"] == pytest.approx(accuracy, abs=1e-6)
    names = ["confusion", "confusion-normalised", "curves", "calibration"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == sorted(f"{n}.png" for n in names)
    assert sorted(path.stem for path in tmp_path.glob("*.csv")) == sorted(
        ["report", *(name for name in names if name != "curves")]
    )


def test_metrics_explains_the_images_of_one_confusion(
    model_file, classifier, folder, tiny, tmp_path, capsys
):
    test = load(folder).test
    predicted = np.asarray(classifier(test.images)).argmax(1)
    wrong = np.flatnonzero(predicted != test.labels)
    assert len(wrong), "the classifier of the tests makes mistakes"
    true, taken = int(test.labels[wrong[0]]), int(predicted[wrong[0]])
    expected = np.flatnonzero((test.labels == true) & (predicted == taken))[:2]
    given = ["metrics", "--model", model_file, "--dataset", folder, "--out", tmp_path]
    more = ["--methods", "saliency", "--images", 2]
    output, errors = run(capsys, *given, *more, "--confusion", true, taken)
    assert errors == []
    assert str(tmp_path / f"confusion-{true}-{taken}.png") in output
    with np.load(tmp_path / f"confusion-{true}-{taken}.npz") as arrays:
        assert arrays["rows"].tolist() == expected.tolist()
        maps = explain(classifier, test.images[expected], method="saliency", targets=taken)
        np.testing.assert_allclose(arrays["saliency"], maps, rtol=1e-3, atol=1e-5)
    never = next(
        (i, j)
        for i in range(10)
        for j in range(10)
        if i != j and not ((test.labels == i) & (predicted == j)).any()
    )
    for pair, message in (
        (never, "no test image of"),
        (("eleven", 3), "no class 'eleven'"),
        ((3, 3), "twice"),
    ):
        _, errors = run(capsys, *given, *more, "--confusion", *pair, code=main.BAD_INPUT)
        assert len(errors) == 1
        assert message in errors[0]


def test_data_that_do_not_fit_the_model_are_refused(model_file, tmp_path, capsys):
    given = ["metrics", "--model", model_file, "--dataset", "digits", "--out", tmp_path]
    _, errors = run(capsys, *given, code=main.BAD_INPUT)
    assert "(28, 28, 1)" in errors[0]
    assert "(8, 8, 1)" in errors[0]


@pytest.mark.parametrize("command", ["explain", "compare", "metrics"])
def test_help_is_quick_and_needs_no_tensorflow(command):
    code = (
        "import sys\nfrom cladec.commands import main as cli\n"
        f"try: cli.main([{command!r}, '--help'])\nexcept SystemExit: pass\n"
        "print([n for n in ('tensorflow', 'keras', 'sklearn', 'matplotlib', 'pandas')"
        " if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--methods" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
