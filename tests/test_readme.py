"""Everything the README tells people to type."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import private_imports

from cladec.commands import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.S)
COMMANDS = sorted(
    {line.split(" #")[0].strip() for line in re.findall(r"^    (\S.*)$", PROSE, re.M)}
)
SCRIPTS = {"create_models.py": main.create_models, "eval.py": main.evaluate_models}


def test_python_snippets_run(tmp_path: Path) -> None:
    snippets = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert snippets
    assert not [name for snippet in snippets for name in private_imports(ast.parse(snippet))]
    command = [sys.executable, "-W", "error", "-c", EACH, *snippets]
    subprocess.run(command, check=True, cwd=tmp_path)


EACH = """
import sys, warnings
# Warnings inside TensorFlow and Keras are not the snippet's.
warnings.filterwarnings("ignore", category=DeprecationWarning)
for snippet in sys.argv[1:]:
    exec(snippet, {"__name__": "__main__"})
"""


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_targets_exist(command: str) -> None:
    subprocess.run([*shlex.split(command), "-n"], check=True, cwd=ROOT, capture_output=True)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(".venv/bin/python ")])
def test_scripts_take_these_arguments(command: str, tmp_path: Path, monkeypatch) -> None:
    _, *arguments = shlex.split(command)
    if arguments[0] == "-m":
        assert (ROOT / arguments[-1]).exists()
        return
    seen = []
    monkeypatch.setattr(main, "guarded", lambda action, command: seen.append(action))
    SCRIPTS[arguments[0]](None, arguments[1:])
    assert len(seen) == 1


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(".venv/bin/cladec ")])
def test_the_command_takes_these_arguments(command: str, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(main, "guarded", lambda action, command: seen.append(action))
    main.main(shlex.split(command)[1:])
    assert len(seen) == 1


def test_every_command_is_known() -> None:
    known = (
        "make",
        ".venv/bin/python ",
        ".venv/bin/cladec ",
        ".venv/bin/pre-commit",
        "pip install",
    )
    assert COMMANDS
    assert [command for command in COMMANDS if not command.startswith(known)] == []


def test_every_file_named_exists() -> None:
    for name in re.findall(r"`((?:src|tests|eval|benchmarks)/[\w./-]+)`", TEXT):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)\)", TEXT):
        assert (ROOT / name).exists(), name


def test_the_table_is_that_of_the_committed_results(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import readme_table

    text = (ROOT / "README.md").read_text()
    assert readme_table.replaced(text) == text
    assert text.count(readme_table.HEAD) == 1
    assert readme_table.replaced(text.replace("| ours |", "| changed |")) == text


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help() -> None:
    shown = subprocess.run(["make"], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    assert "make demo" in shown
    assert "make test" in shown
