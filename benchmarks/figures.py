"""Every picture of eval/img that README and docs show, and a ranking, from saved models.

    python benchmarks/figures.py --models saved-models

The same commands as in the docs, an animation over alpha of every decoder of all alphas, and a
screenshot of the report; it takes some minutes. Debian's Chromium takes the screenshot.
"""

import argparse
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import sync_playwright

from cladec.commands import main as commands
from cladec.experiments import stories
from cladec.experiments.figures import file_name
from cladec.experiments.records import saved_runs
from cladec.experiments.runs import by_classifier
from cladec.experiments.saved_models import SavedClassifier
from cladec.storage.outputs import in_few_bytes, save_animation

ROOT = Path(__file__).parent.parent

WINDOW = {"width": 1280, "height": 900}


def main() -> None:
    """Make the pictures in eval/img."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("saved-models"))
    parser.add_argument("--out", type=Path, default=ROOT / "eval")
    options = parser.parse_args()
    pictures = options.out / "img"
    commands.main(["evaluate", "--models", str(options.models), "--out", str(options.out)])
    for picture in animations(options.models, pictures):
        print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")
    pictured, comparison = Path("comparison/pictures"), Path("comparison/ranking")
    for command, folder in zip(
        compare_commands(options.models), (pictured, comparison), strict=True
    ):
        commands.main([*command, "--out", str(folder)])
    shutil.copy(pictured / "explanations.png", pictures / "fashion_mnist-explanations.png")
    shutil.copy(comparison / "ranking.csv", options.out / "fashion_mnist-ranking.csv")
    report = Path("report.html")
    given = ["--models", str(options.models), "--evaluation", str(options.out)]
    ranking = ["--ranking", str(comparison / "ranking.csv")]
    commands.main(["report", *given, *ranking, "--out", str(report)])
    screenshot(report, pictures / "report.png")


def animations(models: Path, pictures: Path) -> Iterator[Path]:
    """Save an animation for every whole layer that one network decodes at every alpha."""
    for runs in by_classifier(saved_runs(models)):
        saved = SavedClassifier(runs, models)
        for run in saved.runs:
            if run.kind.every_alpha and run.fraction == 1 and run.repeat == 0:
                name = file_name(saved, str(run.layer), "alpha")
                yield save_animation(stories.animation(saved, run), pictures / f"{name}.webp")


def compare_commands(models: Path) -> list[list[str]]:
    """The comparisons of the docs, as they stand there: for the pictures, then for the ranking."""
    page = (ROOT / "docs" / "trust.md").read_text("utf-8")
    lines = re.findall(r"^ +cladec (compare .*--methods.*)$", page, re.M)
    return [shlex.split(line.replace("saved-models", shlex.quote(str(models)))) for line in lines]


def screenshot(report: Path, picture: Path) -> None:
    """The first view of the report."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport=WINDOW, color_scheme="light", reduced_motion="reduce")
        page.goto(report.resolve().as_uri())
        small = in_few_bytes(page.screenshot())
        chromium.close()
    assert small, "the first view of the report has too much detail for a small picture"
    picture.write_bytes(small)


if __name__ == "__main__":
    main()
