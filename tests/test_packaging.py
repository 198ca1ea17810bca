"""The wheel that `pip install .` makes: it builds, holds the package, and gives the command."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("cladec-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "cladec = cladec.commands.main:main" in archive.read(entry_points).decode()
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
