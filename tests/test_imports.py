"""The rules that hold for the package as a whole: who imports whom, and what no module does."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cladec

PACKAGE = Path(cladec.__file__).parent


def module_name(path: Path) -> str:
    """The name below the package: "cli", "explainers.base"; a subpackage has its own name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[1:] and parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {module: ast.parse(path.read_text("utf-8")) for module, path in FILES.items()}

ANYTHING = set(TREES)
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {
        "classifier",
        "conditional",
        "data",
        "decoder",
        "errors",
        "explainers",
        "models",
        "startup",
        "variational",
    },
    "answers": {"errors"},
    "archives": {"errors"},
    "arrays": {"errors"},
    "artifacts": {
        "archives",
        "conditional",
        "errors",
        "models",
        "precision",
        "remote",
        "text",
        "variational",
    },
    "batches": set(),
    "bootstrap": set(),
    "charts": {"metrics", "recipes"},
    "checks": {"errors"},
    "choosing": set(),
    "classifier": {
        "batches",
        "checks",
        "data",
        "errors",
        "given",
        "models",
        "precision",
        "recipes",
        "training",
    },
    "cli": ANYTHING,
    "cluster": {"errors", "progress", "remote", "startup", "workers"},
    "comparing": {
        "artifacts",
        "bootstrap",
        "data",
        "errors",
        "explainers.decoded",
        "faithfulness",
        "figures",
        "plots",
        "progress",
        "robustness",
        "subject",
        "tables",
    },
    "conditional": {
        "batches",
        "checks",
        "data",
        "decoder",
        "errors",
        "given",
        "losses",
        "models",
        "precision",
        "recipes",
        "selection",
        "submodel",
        "training",
    },
    "curator": {
        "artifacts",
        "batches",
        "charts",
        "choosing",
        "data",
        "errors",
        "exhibits",
        "explainers",
        "lost",
        "metrics",
        "plots",
        "progress",
        "recipes",
        "runs",
        "sprites",
        "subject",
        "trainer",
    },
    "data": {"arrays", "errors", "image_folder", "pixels", "text", "tfds"},
    "decoder": {"checks", "errors", "memory", "precision", "recipes"},
    "errors": set(),
    "evaluate": {
        "artifacts",
        "cluster",
        "data",
        "errors",
        "measuring",
        "pictures",
        "progress",
        "recipes",
        "remote",
        "runs",
        "tables",
        "workers",
    },
    "exhibits": {"charts", "recipes", "runs"},
    "explainers": {"errors", "startup"},
    "explainers.anchors": {
        "errors",
        "explainers.bandits",
        "explainers.base",
        "explainers.segments",
        "given",
        "progress",
    },
    "explainers.bandits": set(),
    "explainers.base": {"checks", "errors", "pixels", "progress", "submodel"},
    "explainers.cams": {"explainers.base", "given"},
    "explainers.decoded": {"errors", "explainers.base", "given", "models"},
    "explainers.gradients": {"explainers.base", "given", "progress"},
    "explainers.guided": {"errors", "explainers.base", "explainers.gradients", "given"},
    "explainers.lime": {"errors", "explainers.base", "explainers.segments", "given", "progress"},
    "explainers.perturbation": {"checks", "errors", "explainers.base", "given", "progress"},
    "explainers.segments": {"checks", "errors", "explainers.base"},
    "explainers.shapley": {"errors", "explainers.base", "given", "progress"},
    "explainers.synthesis": {"checks", "errors", "explainers.base", "given", "progress"},
    "explaining": {
        "artifacts",
        "data",
        "errors",
        "explainers.base",
        "figures",
        "image_folder",
        "plots",
        "progress",
        "subject",
        "text",
    },
    "faithfulness": {"errors", "explainers.base"},
    "figures": {
        "artifacts",
        "gallery",
        "losing",
        "plots",
        "recipes",
        "research_figures",
        "runs",
        "text",
    },
    "gallery": {"artifacts", "batches", "errors", "evaluate", "measuring", "runs", "trainer"},
    "given": {"artifacts", "checks", "errors", "remote", "submodel"},
    "image_folder": {"errors"},
    "latent": {"batches", "submodel", "variational"},
    "listing": {"submodel", "text"},
    "locks": {"artifacts", "errors", "remote"},
    "losing": {"gallery", "lost", "plots", "runs", "tables"},
    "losses": set(),
    "lost": {"bootstrap", "errors"},
    "measure_tables": {"charts", "evaluate", "exhibits", "tables"},
    "measuring": {
        "artifacts",
        "batches",
        "classifier",
        "data",
        "errors",
        "losses",
        "progress",
        "runs",
        "submodel",
        "trainer",
        "training",
    },
    "memory": set(),
    "metrics": {"errors"},
    "models": {
        "batches",
        "checks",
        "data",
        "decoder",
        "errors",
        "given",
        "losses",
        "pixels",
        "precision",
        "recipes",
        "selection",
        "submodel",
        "training",
    },
    "page": {
        "artifacts",
        "charts",
        "evaluate",
        "exhibits",
        "measure_tables",
        "recipes",
        "report",
        "runs",
        "sprites",
        "text",
    },
    "pictures": {"artifacts", "data", "errors", "image_folder", "remote", "runs"},
    "pixels": {"errors", "submodel"},
    "plots": {"plots.explanations", "plots.images", "plots.latent", "plots.research"},
    "plots.explanations": {"metrics", "plots.images"},
    "plots.images": {"text"},
    "plots.latent": {"latent", "plots.images"},
    "plots.research": {"plots.images"},
    "precision": set(),
    "progress": {"text"},
    "recipes": {"checks", "errors", "precision"},
    "remote": {"errors"},
    "replay": {"answers", "errors", "still"},
    "report": {
        "artifacts",
        "curator",
        "errors",
        "evaluate",
        "exhibits",
        "page",
        "pictures",
        "progress",
        "runs",
        "subject",
        "tables",
        "workers",
    },
    "research_figures": {"gallery", "latent", "plots", "recipes", "runs", "submodel"},
    "robustness": {"errors", "explainers.base", "faithfulness", "submodel", "training"},
    "runs": {"data", "errors", "recipes"},
    "scoring": {
        "artifacts",
        "data",
        "errors",
        "explaining",
        "figures",
        "metrics",
        "plots",
        "progress",
        "subject",
        "tables",
        "text",
    },
    "selection": {"checks", "errors"},
    "sprites": set(),
    "startup": {"errors"},
    "still": set(),
    "subject": {
        "artifacts",
        "batches",
        "data",
        "errors",
        "evaluate",
        "explainers",
        "explainers.base",
        "models",
        "pixels",
        "progress",
        "recipes",
        "runs",
        "submodel",
    },
    "submodel": {"answers", "errors", "replay", "selection"},
    "sweep": {
        "artifacts",
        "classifier",
        "cluster",
        "data",
        "errors",
        "listing",
        "pictures",
        "precision",
        "progress",
        "recipes",
        "remote",
        "runs",
        "submodel",
        "trainer",
        "workers",
    },
    "tables": {"artifacts", "errors", "text"},
    "text": set(),
    "tfds": {"errors"},
    "trainer": {
        "artifacts",
        "classifier",
        "conditional",
        "data",
        "errors",
        "models",
        "pictures",
        "progress",
        "runs",
        "training",
        "units",
        "variational",
    },
    "training": {"batches", "checks", "errors", "precision", "progress", "recipes"},
    "units": {"errors", "explainers.base", "given", "recipes", "selection", "submodel"},
    "variational": {
        "batches",
        "checks",
        "data",
        "decoder",
        "errors",
        "given",
        "losses",
        "models",
        "precision",
        "recipes",
        "selection",
        "submodel",
        "training",
    },
    "workers": {"errors", "progress", "startup"},
}
"""What each module may import of the package, in functions and for type checking too."""

every_module = pytest.mark.parametrize("module", TREES)


def imported(tree: ast.AST) -> set[str]:
    """The full names of what a module imports, wherever the import stands."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def called(tree: ast.AST) -> set[str]:
    """What a module calls, as it is written: "print", "np.random.seed"."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def at_import(tree: ast.Module):
    """The statements that run when a module is imported, without the bodies of functions."""
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        todo.extend(ast.iter_child_nodes(node))


def module_of(name: str) -> str:
    """The module that a full name, "cladec.explainers.base.prepare", is in or is."""
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in TREES:
        parts.pop()
    return ".".join(parts) or "__init__"


@every_module
def test_modules_import_only_what_the_table_allows(module):
    names = {name for name in imported(TREES[module]) if name.split(".")[0] == "cladec"}
    modules = {module_of(name) for name in names}
    if module != "cli":
        assert "__init__" not in modules, "no module needs the package as a whole"
    assert modules - {"__init__"} <= MAY_IMPORT[module]


def test_the_table_names_every_module():
    assert set(MAY_IMPORT) == set(TREES)


@every_module
def test_no_module_does_what_only_a_program_may_do(module):
    calls = called(TREES[module])
    forbidden = {"os.chdir", "logging.basicConfig", "eval", "exec", "plt.show", "__import__"}
    if module != "cli":
        forbidden |= {"print", "sys.exit"}
    assert not calls & forbidden
    dangerous = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    assert not {name.split(".")[0] for name in imported(TREES[module])} & dangerous
    assert not any(
        call.endswith((".load_weights", "enable_unsafe_deserialization")) for call in calls
    )
    assert "allow_pickle" not in FILES[module].read_text("utf-8")


@every_module
def test_no_module_starts_a_program_or_goes_online(module):
    names = {name for name in imported(TREES[module]) if not name.startswith("urllib.parse.")}
    modules = {name.split(".")[0] for name in names}
    assert not modules & {"subprocess", "ctypes", "pty"}
    if module not in {"tfds", "cluster"}:  # fetch datasets, ask the address given with --ray
        assert not modules & {"socket", "ssl", "http", "urllib", "requests", "ftplib", "smtplib"}
    starting = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.fork")
    assert not [call for call in called(TREES[module]) if call.startswith(starting)]


@every_module
def test_no_module_seeds_or_draws_when_imported(module):
    calls = {
        ast.unparse(node.func) for node in at_import(TREES[module]) if isinstance(node, ast.Call)
    }
    assert not [call for call in calls if "random" in call or call.endswith("seed")]


def test_nothing_seeds_the_generators_of_numpy_and_keras():
    calls = set().union(*map(called, TREES.values()))
    seeding = ("np.random.seed", "numpy.random.seed", "tf.random.set_seed", "set_random_seed")
    assert not [call for call in calls if call.endswith(seeding)]


@pytest.mark.parametrize(
    "module",
    ["cladec", "cladec.cli", "cladec.explainers", "cladec.recipes", "cladec.sweep"],
)
def test_importing_does_not_wait_for_tensorflow(module):
    heavy = ["tensorflow", "keras", "sklearn", "matplotlib", "pandas"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_public_name_resolves():
    assert sorted(cladec.__all__) == dir(cladec)
    for name in cladec.__all__:
        thing = getattr(cladec, name)
        assert getattr(thing, "__name__", name) == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cladec.nothing  # noqa: B018


def public(module):
    """The public functions and classes that a module defines, and the methods of these."""
    for name, thing in vars(module).items():
        mine = getattr(thing, "__module__", None) == module.__name__
        if (
            name.startswith("_")
            or not mine
            or not (inspect.isclass(thing) or inspect.isfunction(thing))
        ):
            continue
        yield name, thing


@every_module
def test_everything_public_says_what_it_is(module):
    imported_module = importlib.import_module(
        "cladec" if module == "__init__" else f"cladec.{module}"
    )
    assert (imported_module.__doc__ or "").strip()
    # A dataclass without a docstring is given its signature as one.
    undocumented = [
        name
        for name, thing in public(imported_module)
        if not (thing.__doc__ or "").strip() or thing.__doc__.startswith(f"{name}(")
    ]
    assert not undocumented
