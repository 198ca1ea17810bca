"""What is published: the wheel, what it asks for and how it says so, and what goes with it."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from importlib.metadata import packages_distributions, version
from pathlib import Path

import lazy_loader
import pytest
import yaml
from packaging.requirements import Requirement

import cladec
from cladec.commands.main import main
from cladec.parallel import ray_cluster
from cladec.startup import BACKENDS
from cladec.storage import remote

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (file,) = folder.glob("cladec-*.whl")
    return file


def information(wheel: Path, name: str) -> str:
    """What a file of the wheel says of the package."""
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (each for each in archive.namelist() if each.endswith(f".dist-info/{name}"))
        return archive.read(member).decode()


def test_the_wheel_holds_the_package_and_gives_the_command(wheel: Path) -> None:
    assert "cladec = cladec.commands.main:main" in information(wheel, "entry_points.txt")
    names = zipfile.ZipFile(wheel).namelist()
    source = ROOT / "src"
    modules = {str(path.relative_to(source)) for path in source.rglob("*.py*") if path.is_file()}
    modules = {module for module in modules if module.endswith((".py", ".pyi"))}
    templates = {f"cladec/report/templates/report.{suffix}" for suffix in ("html", "css", "js")}
    others = {"cladec/py.typed", "cladec/experiments/published_results.csv"}
    assert modules | templates | others <= set(names)
    assert {name.split("/")[0] for name in names} == {
        "cladec",
        wheel.name.split("-py3")[0] + ".dist-info",
    }


def test_links_and_pictures_of_the_published_readme_are_found_from_anywhere(wheel: Path) -> None:
    published = information(wheel, "METADATA")
    targets = [piece.split(")")[0] for piece in published.split("](")[1:]]
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    here = f"{PROJECT['urls']['Homepage']}/"
    files = [target.removeprefix(here) for target in targets if target.startswith(here)]
    assert files
    pictures = (".png", ".webp", ".gif")
    for file in files:
        kind, tag, path = file.split("/", 2)
        assert (kind == "raw", tag) == (path.endswith(pictures), f"v{PROJECT['version']}")
        assert (ROOT / path.split("#")[0]).exists()


def distributions(requirements: list[str]) -> set[str]:
    names = {Requirement(text).name for text in requirements}
    return {name.lower().replace("_", "-") for name in names}


def imported() -> set[str]:
    """What the package imports and neither Python nor the package itself brings."""
    names: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(str(node.module))
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"cladec"}


def shap_deep() -> None:
    data = cladec.load("digits")
    classifier = cladec.build_classifier(data.image_shape, data.num_classes)
    cladec.explain(classifier, data.test.images[:1], method="shap_deep")


def widget() -> None:
    data = cladec.load("digits")
    classifier = cladec.build_classifier(data.image_shape, data.num_classes)
    images, labels = data.test.images[:8], data.test.labels[:8]
    cladec.explain_layer(classifier, "dense", (images, labels), epochs=1).widget()


def watched() -> None:
    cladec.WatchLayer("dense", cladec.load("digits").test.images, tensorboard="runs")


EXTRAS: dict[str, tuple[str, Callable[[], object]]] = {
    "tensorflow_datasets": ("datasets", lambda: cladec.load("mnist")),
    "shap": ("shap", shap_deep),
    "ipywidgets": ("notebooks", widget),
    "tensorboard": ("tensorboard", watched),
    "ray": ("ray", lambda: ray_cluster.connect("local")),
    "upath": ("ray", lambda: remote.location("s3://bucket/models")),
}
"""What is imported of each extra, and what asks for it; for backends see test_keras_settings.py."""


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    known = packages_distributions()
    needed = {name: distributions(known.get(name, [name])) for name in imported()}
    base = distributions(PROJECT["dependencies"])
    assert base <= set().union(*needed.values())
    optional = {name for name, brought_by in needed.items() if not brought_by & base}
    assert optional == EXTRAS.keys() | set(BACKENDS)
    for name, (extra, _) in EXTRAS.items():
        assert needed[name] & distributions(PROJECT["optional-dependencies"][extra])


@pytest.mark.parametrize("module", EXTRAS)
def test_what_is_missing_is_named_with_its_extra(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra, ask = EXTRAS[module]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises((cladec.InputError, remote.Unreachable)) as told:
        ask()
    assert "needs more than is installed" in str(told.value)
    assert f"pip install 'cladec[{extra}]'" in str(told.value)


def test_an_extra_and_the_tests_ask_for_the_same_versions() -> None:
    asked = {
        Requirement(text).name: text
        for extra in PROJECT["optional-dependencies"].values()
        for text in extra
    }
    for text in SETTINGS["dependency-groups"]["dev"]:
        assert asked.get(Requirement(text).name, text) == text


def test_the_version(capsys: pytest.CaptureFixture[str], wheel: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out == f"cladec {version('cladec')}\n"
    assert cladec.__version__ == version("cladec")
    assert f"\nVersion: {PROJECT['version']}\n" in information(wheel, "METADATA")


def test_a_source_tree_that_is_not_installed_is_imported_as_well(tmp_path: Path) -> None:
    needed = Path(lazy_loader.__file__).parent
    (tmp_path / needed.name).symlink_to(needed)
    code = f"""
import sys
sys.path += [{str(ROOT / "src")!r}, {str(tmp_path)!r}]
import cladec
print(cladec.__version__)
"""
    alone = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(alone, capture_output=True, text=True, check=True)
    assert done.stdout == "unknown\n"


def test_how_to_cite_it() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]
    assert citation["references"][0]["url"] == PROJECT["urls"]["Paper"]


def test_the_forms_and_workflows_of_the_repository_can_be_read() -> None:
    folder = ROOT / ".github"
    for path in folder.glob("ISSUE_TEMPLATE/*.yml"):
        form = yaml.safe_load(path.read_text("utf-8"))
        assert {"name", "description", "body"} <= form.keys()
    workflows = {path.stem: path for path in folder.glob("workflows/*.yml")}
    assert workflows.keys() == {"test", "publish", "docs"}
    for path in workflows.values():
        jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"]
        assert all(job["runs-on"] and job["steps"] for job in jobs.values())
