"""Build the documentation as a site.

    python docs/build_site.py        writes build/docs/site

The pages are Markdown that reads as well in the repository. This program gathers them, the
notebooks and the help of every command, with links from each to the others, and has Zensical make
HTML of them. A link to nothing, or a warning of Zensical, ends it with code 1.
"""

import argparse
import io
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout, suppress
from functools import cache
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

from cladec.commands import main as commands

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
HOME = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Homepage"]

BESIDE = {
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "SECURITY.md": "security.md",
}
"""Files outside docs/ that are pages as well, and their places in the site."""

NOTEBOOKS = ("create-models", "eval")
"""Folders whose notebooks are pages."""

PICTURES = (".png", ".webp", ".gif", ".svg")

HELP = "<!-- the help of every command -->\n"
"""The place of what `cladec COMMAND --help` prints."""

CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.M | re.S)
TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)\s]+")
"""Where a link or a picture leads, if that is a file of the repository."""


class BrokenLink(Exception):
    """A page links to a file that does not exist."""


def main() -> None:
    """Gather the pages, and build the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "docs")
    out = parser.parse_args().out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    try:
        gather(out / "pages")
    except BrokenLink as broken:
        sys.exit(str(broken))
    shutil.copy(DOCS / "site.css", out / "pages")
    settings = (DOCS / "zensical.toml").read_text("utf-8")
    (out / "zensical.toml").write_text(settings.replace("SOURCE", str(ROOT / "src")), "utf-8")
    build = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    sys.exit(subprocess.run(build, cwd=out).returncode)


def gather(folder: Path) -> None:
    """Write all pages, and the pictures that they show."""
    for source, page in pages().items():
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".ipynb":
            text = of_notebook(source, folder)
        else:
            text = linked(source.read_text("utf-8"), source, folder)
            if HELP in text:
                text = text.replace(HELP, help_of_commands())
        (folder / page).write_text(text, "utf-8")


@cache
def pages() -> dict[Path, str]:
    """The place in the site of every page, by the file that it is made of."""
    found = {path: path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md"))}
    found |= {ROOT / name: page for name, page in BESIDE.items()}
    for folder in NOTEBOOKS:
        for path in sorted((ROOT / folder).glob("*.ipynb")):
            found[path] = f"notebooks/{folder}-{path.stem}.md"
    return found


def linked(text: str, source: Path, folder: Path) -> str:
    """The text of a file with links that lead on in the site; pictures are copied into it.

    Raises:
        BrokenLink: the file links to one that does not exist.
    """
    here = posixpath.dirname(pages()[source])

    def place(target: re.Match[str]) -> str:
        name, mark, anchor = target[0].partition("#")
        file = (source.parent / name).resolve()
        if not file.exists() or not file.is_relative_to(ROOT):
            raise BrokenLink(f"{source.relative_to(ROOT)} links to {target[0]}: no such file")
        inside = file.relative_to(ROOT).as_posix()
        if file in pages():
            return posixpath.relpath(pages()[file], here or ".") + mark + anchor
        if file.suffix in PICTURES:
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / inside)
            return posixpath.relpath(inside, here or ".")
        return f"{HOME}/blob/main/{inside}{mark}{anchor}"

    parts = CODE.split(text)  # every second one is code
    parts[::2] = [TARGET.sub(place, part) for part in parts[::2]]
    return "".join(parts)


def of_notebook(source: Path, folder: Path) -> str:
    """A notebook as Markdown, as it ran; its pictures lie beside the page."""
    page = folder / pages()[source]
    notebook = nbformat.read(source, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("%")]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = linked(cell.source, source, folder)
    name = source.relative_to(ROOT).as_posix()
    note = f"*This page is the notebook [{name}]({HOME}/blob/main/{name}) as it ran.*"
    notebook.cells[0].source = notebook.cells[0].source.replace("\n", f"\n\n{note}\n", 1)
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    pictures = page.with_suffix("")
    pictures.mkdir(exist_ok=True)
    for file, content in resources["outputs"].items():
        (pictures / file).write_bytes(content)
    return text.replace("](output_", f"]({pictures.name}/output_")


def help_of_commands() -> str:
    """What every command prints with --help, each under a heading."""
    os.environ["COLUMNS"] = "80"
    sections = []
    for name in commands.COMMANDS:
        with redirect_stdout(io.StringIO()) as told, suppress(SystemExit):
            commands.parse([name, "--help"])
        sections.append(f"## cladec {name}\n\n```text\n{told.getvalue().strip()}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    main()
