"""The notebooks: committed as they ran on real data; here every one runs on digits, tiny."""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from scripts import private_imports

from cladec.experiments import Evaluation, Sweep, evaluate, runs, train
from cladec.progress import Progress

ROOT = Path(__file__).parent.parent
BUILDING = ("create-models/1-classifier", "create-models/2-refae", "create-models/3-cladec")
LOOKING = (
    "eval/1-performance",
    "eval/2-layers-mnist",
    "eval/3-layers-fashion-mnist",
    "eval/4-subsets",
    "eval/5-variational",
    "eval/6-explainers",
    "eval/7-shortcuts",
    "eval/8-two-models",
)
NOTEBOOKS = BUILDING + LOOKING
LARGEST = 1_500_000
"""Bytes of a committed notebook."""

COPIED = 9
"""Lines of code that no two notebooks share."""

MACHINE_PATHS = re.compile(r"(?<![\w.])/(tmp|home|root|usr|var|work|Users)/")

WARNINGS_ARE_ERRORS = """\
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
warnings.filterwarnings("ignore", module="ipykernel")
warnings.filterwarnings("ignore", ".* gave a map of zeros alone")
"""
"""As pyproject.toml has it for the tests; what the kernel itself does is not the notebook's, and
classifiers of one pass say nothing of some images."""

LAYERS, ALPHAS, FRACTIONS = ("dense", "conv"), (0.0, 0.99), (0.5, 1.0)
UNITS = ("first", "random", "important")


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / f"{name}.ipynb", as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def python(cell: nbformat.NotebookNode) -> ast.Module:
    """The code of a cell, without what only IPython understands."""
    return ast.parse("\n".join(line for line in cell.source.splitlines() if line[:1] != "%"))


def parameters(notebook: nbformat.NotebookNode) -> set[str]:
    """The names that the first code cell sets."""
    statements = python(code_cells(notebook)[0]).body
    return {node.targets[0].id for node in statements if isinstance(node, ast.Assign)}


def texts(notebook: nbformat.NotebookNode) -> str:
    """All that the outputs say; pictures left out."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    for output in outputs:
        output.get("data", {}).pop("image/png", None)
    return json.dumps(outputs)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with saved-models and eval: all that the notebooks look at, of the digits."""
    folder = tmp_path_factory.mktemp("notebooks")
    tiny: dict[str, Any] = {"datasets": ("digits",), "epochs": 1, "workers": 0}
    tiny["out"] = folder / "saved-models"
    sweeps = (
        Sweep(**tiny, layers=LAYERS, alphas=ALPHAS),
        *(
            Sweep(**tiny, layers=("dense",), alphas=ALPHAS, fractions=FRACTIONS, units=units)
            for units in UNITS
        ),
        Sweep(**tiny, layers=("dense",), conditional=True),
        Sweep(**tiny, layers=("dense",), alphas=ALPHAS[1:], variational=True),
    )
    for sweep in sweeps:
        train(sweep, Progress())
    with pytest.MonkeyPatch.context() as patch:  # not at eleven alphas: each takes two seconds
        patch.setattr(runs, "ALPHAS", ALPHAS)
        evaluate(Evaluation(tiny["out"], folder / "eval", workers=0), Progress())
    return folder


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a kernel that runs this very interpreter."""
    folder = tmp_path_factory.mktemp("jupyter")
    specification = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "this interpreter",
        "language": "python",
    }
    (folder / "kernels" / "this").mkdir(parents=True)
    (folder / "kernels" / "this" / "kernel.json").write_text(json.dumps(specification))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("JUPYTER_PATH", str(folder))
        environment.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        yield "this"


def tiny_values(folder: Path) -> dict[str, str]:
    """What the tests put in the place of every parameter that has to do with size or data."""
    values = {
        "dataset": "digits",
        "datasets": ("digits",),
        "conditional_dataset": "digits",
        "classes": ("1", "8"),
        "alphas": ALPHAS,
        "alpha": ALPHAS[1],
        "fractions": dict.fromkeys(UNITS, FRACTIONS),
        "every_layer": LAYERS,
        "train": 300,
        "trained_on": 200,
        "measured_on": 100,
        "shown": 2,
        "count": 1,
        "epochs": 1,
    }
    paths = {"models": "saved-models", "results": "eval", "folder": "create-models"}
    return {name: repr(value) for name, value in values.items()} | {
        name: f"Path({str(folder / path)!r})" for name, path in paths.items()
    }


def run(name: str, folder: Path, kernel: str) -> None:
    notebook = read(name)
    first = code_cells(notebook)[0]
    changes = tiny_values(folder)
    if name == "eval/4-subsets":
        changes["layers"] = repr(dict.fromkeys(UNITS, ("dense",)))
    lines = [f"{key} = {changes[key]}" for key in sorted(parameters(notebook) & set(changes))]
    first.source = "\n".join([WARNINGS_ARE_ERRORS, first.source, *lines])
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name=kernel,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]


def test_building_runs_on_digits(tiny_folder: Path, kernel: str) -> None:
    for name in BUILDING:
        run(name, tiny_folder, kernel)


@pytest.mark.parametrize("name", LOOKING)
def test_looking_runs_on_digits(name: str, tiny_folder: Path, kernel: str) -> None:
    run(name, tiny_folder, kernel)


def test_the_notebooks_are_these() -> None:
    found = {
        str(path.relative_to(ROOT).with_suffix(""))
        for folder in ("create-models", "eval")
        for path in (ROOT / folder).glob("*.ipynb")
    }
    assert found == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_as_it_ran_from_top_to_bottom(name: str) -> None:
    notebook = read(name)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not MACHINE_PATHS.search(texts(notebook))
    assert (ROOT / f"{name}.ipynb").stat().st_size < LARGEST


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_needs_and_parameters_come_first_and_an_answer_last(name: str) -> None:
    notebook = read(name)
    assert notebook.cells[0].cell_type == "markdown"
    for word in ("**Needs**", "`digits`", "2 cores"):
        assert word in notebook.cells[0].source
    assert notebook.cells[1].cell_type == "code"
    statements = python(notebook.cells[1]).body
    imports = int(isinstance(statements[0], ast.ImportFrom))
    assert all(isinstance(statement, ast.Assign) for statement in statements[imports:])
    headings = [cell.source for cell in notebook.cells if "## Answer" in cell.source]
    assert len(headings) == 1
    assert "conclusions.Sentences(" in code_cells(notebook)[-1].source


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_cell_ends_in_an_assertion_on_other_data(name: str) -> None:
    for cell in code_cells(read(name)):
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(python(cell)))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_public_names_only_and_no_plotting_of_its_own(name: str) -> None:
    for cell in code_cells(read(name)):
        assert not private_imports(python(cell))
        assert "start_keras" not in cell.source
        for node in ast.walk(python(cell)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")
                assert node.attr not in ("imshow", "subplots", "chdir")
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [getattr(node, "module", None) or "", *(a.name for a in node.names)]
                assert not [name for name in modules if name.startswith(("_", "matplotlib"))]


def test_no_copied_blocks() -> None:
    seen: dict[tuple[str, ...], str] = {}
    for name in NOTEBOOKS:
        for cell in code_cells(read(name))[1:]:
            lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
            for start in range(len(lines) - COPIED + 1):
                block = tuple(lines[start : start + COPIED])
                assert seen.setdefault(block, name) == name, block
