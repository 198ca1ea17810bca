"""The real scripts, run as a user runs them, on settings so small that it takes seconds."""

import ast
import importlib
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SMALL = ["--layers", "dense", "--epochs", "2", "--batch-size", "48", "--alphas", "0", "0.99"]
TINY = ["--datasets", "digits", *SMALL]
HERE = ["--workers", "0"]


def start(script: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / script), *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that starts these tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(script: str, *arguments: str, code: int = 0) -> tuple[str, str]:
    process = start(script, *arguments)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == code, errors
    return output, errors


def files_of(folder: Path) -> dict[str, float]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_mtime for path in paths}


def private_imports(tree: ast.AST) -> list[str]:
    """What a piece of code imports of cladec beside the names that a folder hands on."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.startswith("cladec.")]
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "cladec":
            front = importlib.import_module(str(node.module))
            public = getattr(front, "__all__", []) if hasattr(front, "__path__") else []
            names = [name.name for name in node.names]
            found += [f"{node.module}.{name}" for name in names if name not in public]
    return found
