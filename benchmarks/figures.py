"""Every picture of eval/img that README and docs show, from saved models.

    python benchmarks/figures.py --models saved-models

The same commands as in the docs, then a screenshot of the report; it takes some minutes. Debian's
Chromium takes the screenshot.
"""

import argparse
import re
import shlex
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright
from small_pictures import make_small

from cladec.commands import main as commands

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
    comparison = Path("comparison")
    commands.main([*compare_command(options.models), "--out", str(comparison)])
    for name in ("explanations", "ranking"):
        shutil.copy(comparison / f"{name}.png", pictures / f"fashion_mnist-{name}.png")
    report = Path("report.html")
    given = ["--models", str(options.models), "--evaluation", str(options.out)]
    commands.main(
        ["report", *given, "--ranking", str(comparison / "ranking.csv"), "--out", str(report)]
    )
    screenshot(report, pictures / "report.png")
    for picture in sorted(pictures.glob("*.png")):
        make_small(picture)


def compare_command(models: Path) -> list[str]:
    """The comparison whose pictures the docs show, as it stands there."""
    page = (ROOT / "docs" / "trust.md").read_text("utf-8")
    line = re.search(r"^ +cladec (compare .*--measures.*)$", page, re.M)
    assert line, "docs/trust.md has no line with cladec compare --measures"
    return shlex.split(line[1].replace("saved-models", shlex.quote(str(models))))


def screenshot(report: Path, picture: Path) -> None:
    """The section of the first classifier in the report, its dense layer at alpha 0.5."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport=WINDOW, color_scheme="light", reduced_motion="reduce")
        page.goto(report.resolve().as_uri())
        section = page.locator(".of-classifier").first
        whole = re.compile(r"^\s*dense\s*$")  # there may be parts of it too
        section.locator(".layers label", has_text=whole).click()
        slider = section.locator(".alpha").first
        for _ in range(5):
            slider.press("ArrowRight")
        slider.blur()
        page.mouse.move(0, 0)
        section.evaluate("section => section.scrollIntoView()")
        page.screenshot(path=picture)
        chromium.close()


if __name__ == "__main__":
    main()
