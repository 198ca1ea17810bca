"""Everything that README, CONTRIBUTING and docs tell people to type, and their numbers."""

import ast
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from scripts import private_imports

from cladec.commands import main
from cladec.errors import InputError
from cladec.explainers import EXPLAINERS
from cladec.metrics.measures import MEASURES

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")))
}
TEXT = "\n".join(PAGES.values())
PROSE = re.sub(
    r"^```.*?^```", "", re.sub(r"^::: .*\n(?:    .*\n)*", "", TEXT, flags=re.M), flags=re.S | re.M
)
COMMANDS = sorted(
    {
        line.split(" #")[0].strip().removeprefix(".venv/bin/")
        for line in re.findall(r"^    (\S.*)$", PROSE, re.M)
    }
)
SCRIPTS = {"create_models.py": main.create_models, "eval.py": main.evaluate_models}


SNIPPETS = {page: re.findall(r"```python\n(.*?)```", text, re.S) for page, text in PAGES.items()}
SNIPPETS = {page: snippets for page, snippets in SNIPPETS.items() if snippets}


def test_python_of_every_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    pages = {page: "\n".join(snippets) for page, snippets in SNIPPETS.items()}
    for code in pages.values():
        assert not private_imports(ast.parse(code))
    command = [sys.executable, "-W", "error", "-c", RUNNING, json.dumps(pages)]
    subprocess.run(command, check=True, cwd=tmp_path)


RUNNING = """
import json, sys, warnings
from cladec.models import recipes
# Warnings inside TensorFlow and Keras are not the page's.
warnings.filterwarnings("ignore", category=DeprecationWarning)
# What is trained is not looked at: one pass over the images that there are.
for recipe in vars(recipes).values():
    if isinstance(recipe, recipes.Recipe):
        for setting, value in {"epochs": 1, "least_images": 0, "least_steps": 0}.items():
            object.__setattr__(recipe, setting, value)
for page, code in json.loads(sys.argv[1]).items():
    exec(compile(code, page, "exec"), {"__name__": "__main__"})
"""


def test_the_pages_that_begin_have_python_to_run() -> None:
    assert {"README.md", "docs/getting-started.md", "docs/your-own-model.md"} <= SNIPPETS.keys()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_targets_exist(command: str) -> None:
    subprocess.run([*shlex.split(command), "-n"], check=True, cwd=ROOT, capture_output=True)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python ")])
def test_scripts_take_these_arguments(command: str, tmp_path: Path, monkeypatch) -> None:
    _, *arguments = shlex.split(command)
    if arguments[0] == "-m" or arguments[0].startswith(("benchmarks/", "docs/")):
        assert (ROOT / arguments[-1 if arguments[0] == "-m" else 0]).exists()
        return
    seen = []
    monkeypatch.setattr(main, "guarded", lambda action, command: seen.append(action))
    SCRIPTS[arguments[0]](None, arguments[1:])
    assert len(seen) == 1


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("cladec ")])
def test_the_command_takes_these_arguments(command: str, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(main, "guarded", lambda action, command: seen.append(action))
    main.main(shlex.split(command)[1:])
    assert len(seen) == 1


def test_every_command_is_known() -> None:
    known = ("make ", "python ", "cladec ", "pre-commit ", "pip install ")
    assert COMMANDS
    assert [command for command in COMMANDS if not command.startswith(known)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_named_exists(page: str) -> None:
    for name in re.findall(r"`((?:src|tests|eval|benchmarks|docs)/[\w./-]+)`", PAGES[page]):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)(?:#[\w.-]+)?\)", PAGES[page]):
        assert ((ROOT / page).parent / name).exists(), name


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("tables")


def test_tables_and_sentences_are_those_of_the_committed_results(tables: ModuleType) -> None:
    for page, texts in tables.TEXTS.items():
        text = PAGES[page]
        assert tables.filled(page, text) == text, "run: make tables"
        for name in texts:
            begin = f"<!-- benchmarks/tables.py: {name} -->"
            assert tables.filled(page, text.replace(begin, f"{begin}\nold")) == text
            with pytest.raises(InputError, match=f"no place for '{name}'"):
                tables.filled(page, text.replace(begin, ""))


def test_the_readme_is_short_and_counts_right() -> None:
    assert PAGES["README.md"].count("\n") <= 150
    maps = [row for row in EXPLAINERS.values() if not row.makes_images]
    for words in (f"{len(EXPLAINERS)} methods", f"| {len(maps)} methods |", f"| {len(MEASURES)}, "):
        assert words in PAGES["README.md"]


def test_every_explainer_has_its_figure_and_says_when_to_use_it() -> None:
    page = PAGES["docs/explainers.md"]
    found = re.findall(r"^### (\w+)\n\n!\[.*?\]\(img/explainers/(\w+)\.png\)\n\n\w", page, re.M)
    assert sorted(found) == sorted((name, name) for name in EXPLAINERS)


@pytest.mark.parametrize(
    "picture", sorted(ROOT.glob("docs/img/**/*.png")), ids=lambda path: path.stem
)
def test_pictures_are_small(picture: Path) -> None:
    assert picture.stat().st_size <= 300_000
    with Image.open(picture) as image:
        assert image.width <= 1700


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help() -> None:
    shown = subprocess.run(["make"], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    assert "make demo" in shown
    assert "make test" in shown
