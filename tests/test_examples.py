"""Every public name has an example in its docstring, which runs.

That of the package itself comes first: the others go on from what it leaves, each for itself.
"""

import doctest
import re
from pathlib import Path

import pytest

import cladec


def docstring_of(name: str) -> str:
    """The docstring of a name; of a table that of its rows."""
    thing = getattr(cladec, name)
    documented = type(next(iter(thing.values()))) if isinstance(thing, dict) else thing
    return documented.__doc__ or ""


def run(name: str, docstring: str, names: dict) -> dict:
    """Run the examples of a docstring, and give back what they name."""
    section = re.search(r"^ *Examples:\n(.*)", docstring, re.M | re.S)
    assert section, f"{name} has no section Examples"
    test = doctest.DocTestParser().get_doctest(section[1], dict(names), name, None, None)
    assert test.examples, f"{name} has no example"
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(
        test, out=told.append, clear_globs=False
    )
    assert not told, "".join(told)
    return test.globs


@pytest.fixture(scope="module")
def prepared() -> dict:
    return run("cladec", cladec.__doc__, {})


@pytest.mark.parametrize("name", cladec.__all__)
def test_the_example_runs(name: str, prepared: dict, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(name, docstring_of(name), prepared)


def test_an_example_that_is_wrong_or_missing_is_found() -> None:
    for docstring in ("", "Examples:\n", "Examples:\n    >>> 1 + 1\n    3\n"):
        with pytest.raises(AssertionError):
            run("name", docstring, {})
