"""The rules that hold for the package as a whole: who imports whom, and what no module does."""

import ast
import importlib
import inspect
import re
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

ROOMS = (
    {"errors", "progress", "text", "checks", "startup", "keras_internals"},
    {"data", "storage"},
    {"models"},
    {"explainers"},
    {"metrics", "parallel"},
    {"plots"},
    {"experiments"},
    {"report"},
    {"commands"},
)
"""Folders, and the files beside them, by floor: each may import what lies on a floor below it."""

ALSO = {("progress", "text"), ("checks", "errors"), ("startup", "errors")}
"""Files of the ground that import others of it."""


def room_of(module: str) -> str:
    """The folder that a module is in; a file beside the folders is a room of its own."""
    return module.split(".")[0]


def may_import(room: str) -> set[str]:
    """The rooms below that of a module, and itself."""
    (floor,) = (number for number, rooms in enumerate(ROOMS) if room in rooms)
    below = set().union(*ROOMS[:floor])
    return below | {room} | {other for importer, other in ALSO if importer == room}


DEFINED = {
    node.name
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.ClassDef)
}
"""The names of the package's own functions, methods and classes."""

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
def test_a_room_imports_only_from_those_below(module):
    names = {name for name in imported(TREES[module]) if name.split(".")[0] == "cladec"}
    rooms = {room_of(module_of(name)) for name in names}
    if module != "__init__":
        assert "__init__" not in rooms, "no module needs the package as a whole"
        assert rooms <= may_import(room_of(module))


def test_the_floors_name_every_room():
    assert set().union(*ROOMS) == {room_of(module) for module in TREES} - {"__init__"}


@every_module
def test_no_module_does_what_only_a_program_may_do(module):
    calls = called(TREES[module])
    forbidden = {"os.chdir", "logging.basicConfig", "eval", "exec", "plt.show", "__import__"}
    if module not in {"commands.main", "commands.console"}:
        forbidden |= {"print", "sys.exit"}
    assert not calls & forbidden
    dangerous = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    assert not {name.split(".")[0] for name in imported(TREES[module])} & dangerous
    assert not any(call.endswith("enable_unsafe_deserialization") for call in calls)
    if module != "storage.model_files":  # which checks the archive first
        assert not any(call.endswith(".load_weights") for call in calls)
    assert "allow_pickle" not in FILES[module].read_text("utf-8")


@every_module
def test_no_module_starts_a_program_or_goes_online(module):
    names = {name for name in imported(TREES[module]) if not name.startswith("urllib.parse.")}
    modules = {name.split(".")[0] for name in names}
    assert not modules & {"subprocess", "ctypes", "pty"}
    # These fetch datasets, and ask the address given with --ray.
    if module not in {"data.tensorflow_datasets", "parallel.ray_cluster"}:
        assert not modules & {"socket", "ssl", "http", "urllib", "requests", "ftplib", "smtplib"}
    starting = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.fork")
    assert not [call for call in called(TREES[module]) if call.startswith(starting)]


INTERNALS = {
    *("keras_internals", "explainers.shap_internals", "data.tensorflow_datasets"),
    "storage.saved_model",
}
"""The modules that use what other libraries do not promise to keep, each for one purpose."""


def is_private(name: str) -> bool:
    """Whether a part of a full name is private to its library, or its library's own source."""
    inside = ("src", "python", "core")
    return any(part in inside or re.match("_[^_]", part) for part in name.split("."))


@every_module
def test_private_parts_of_other_libraries_are_used_in_one_module_each(module):
    names = {name for name in imported(TREES[module]) if is_private(name)}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Constant) and str(node.value).startswith("keras.src"):
            names.add(node.value)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            ours = ast.unparse(node.value) in ("self", "cls") or node.attr in DEFINED
            names |= set() if ours else {ast.unparse(node)}
    names -= {"os._exit"}  # documented
    assert bool(names) == (module in INTERNALS), names


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
    ["cladec", "cladec.commands.main", "cladec.explainers", "cladec.experiments.sweep"],
)
def test_importing_does_not_wait_for_tensorflow(module):
    heavy = ["tensorflow", "keras", "sklearn", "matplotlib", "pandas"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_page_of_a_report_is_written_without_keras():
    code = "import sys, cladec.report.write; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_every_public_name_resolves():
    assert sorted(cladec.__all__) == dir(cladec)
    for name in cladec.__all__:
        thing = getattr(cladec, name)
        assert getattr(thing, "__name__", name).rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cladec.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["data", "explainers", "experiments", "metrics", "models"])
def test_a_folder_hands_on_its_public_names(package):
    front = importlib.import_module(f"cladec.{package}")
    assert front.__all__
    for name in front.__all__:
        thing = getattr(front, name)
        module = thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", "")
        assert name.isupper() or module.startswith(f"cladec.{package}.")


def test_an_explainer_is_a_function_whose_options_can_be_read():
    from cladec.explainers import rise

    assert cladec.EXPLAINERS["rise"].function is rise
    assert inspect.signature(cladec.EXPLAINERS["rise"]) == inspect.signature(rise)
    assert "masks" in inspect.signature(rise).parameters
    for name, row in cladec.EXPLAINERS.items():
        assert getattr(cladec.explainers, name) is row.function


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
