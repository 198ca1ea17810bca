"""The documentation: it builds without a warning, links lead somewhere, every name is in it."""

import importlib
import inspect
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from cladec.commands.main import COMMANDS

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text("utf-8"))["project"]
HERE = SETTINGS["site_url"]
PUBLIC = ("cladec", *(f"cladec.{room}" for room in ("data", "explainers", "experiments")))
PUBLIC += ("cladec.metrics", "cladec.models", "cladec.plots")


class Page(HTMLParser):
    """What a page links to, loads and can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("img", "script", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(given["href"])


def build(out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs" / "build_site.py"), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """The pages of the site by their addresses."""
    folder = tmp_path_factory.mktemp("docs")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for path in sorted((folder / "site").rglob("*")):
        address = HERE + path.relative_to(folder / "site").as_posix()
        if path.suffix == ".html":
            found[address.removesuffix("index.html")] = Page(path)
        elif path.is_file():
            found[address] = None  # a file that can be loaded
    return found


def pages(site: dict[str, Page | None]) -> dict[str, Page]:
    return {address: page for address, page in site.items() if page is not None}


def test_every_link_leads_to_a_page_and_a_place_in_it(site):
    lost = []
    for address, page in pages(site).items():
        for link in page.links:
            target, anchor = urldefrag(urljoin(address, link))
            if target.startswith(HERE):
                there = site.get(target, site.get(target + "/", "nowhere"))
                known = isinstance(there, Page) and unquote(anchor) in there.anchors
                if there == "nowhere" or (anchor and not known):
                    lost.append((address, link))
    assert lost == []


def test_nothing_is_loaded_from_elsewhere(site):
    for address, page in pages(site).items():
        for source in page.loaded:
            target = urldefrag(urljoin(address, source))[0]
            assert target.startswith(("data:", HERE)), source
            assert (
                target.startswith("data:") or urlsplit(target)._replace(query="").geturl() in site
            )


def test_links_into_the_repository_lead_to_files_of_it(site):
    start = f"{SETTINGS['repo_url']}/blob/main/"
    for page in pages(site).values():
        for link in page.links:
            if link.startswith(start):
                assert (ROOT / urldefrag(link)[0].removeprefix(start)).exists(), link


def test_every_page_is_found_in_the_navigation(site):
    home = site[HERE]
    reached = {urldefrag(urljoin(HERE, link))[0] for link in home.links} | {f"{HERE}404.html"}
    assert pages(site).keys() <= reached


def public_names():
    """Every public thing, and the names that it has."""
    names: dict[object, set[str]] = {}
    for room in PUBLIC:
        module = importlib.import_module(room)
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.ismodule(thing):
                names.setdefault(id(thing), set()).add(f"{room}.{name}")
    return names.values()


def test_every_public_name_is_in_the_reference(site):
    anchors = set().union(*(page.anchors for page in pages(site).values()))
    assert [names for names in public_names() if not names & anchors] == []
    assert "cladec.LayerExplanation.decode" in anchors


def test_every_command_is_in_the_reference(site):
    commands = site[f"{HERE}reference/commands/"]
    assert {f"cladec-{name}" for name in COMMANDS} <= commands.anchors


def test_a_link_to_nothing_ends_the_build(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "docs")
    build_site = importlib.import_module("build_site")
    source = ROOT / "docs" / "trust.md"
    with pytest.raises(build_site.BrokenLink, match=r"docs/trust.md links to nothing.md"):
        build_site.linked("[a](nothing.md)", source, tmp_path)
    with pytest.raises(build_site.BrokenLink, match="no such file"):
        build_site.linked("[a](../../outside.md)", source, tmp_path)


def test_links_lead_on_in_the_site(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "docs")
    linked = importlib.import_module("build_site").linked
    source = ROOT / "docs" / "reference" / "metrics.md"
    for given, expected in {
        "[a](../trust.md#the-measures)": "[a](../trust.md#the-measures)",
        "[a](../../benchmarks/README.md)": "[a](../benchmarks.md)",
        "[a](../../eval/4-subsets.ipynb)": "[a](../notebooks/eval-4-subsets.md)",
        "[a](../../LICENSE)": f"[a]({SETTINGS['repo_url']}/blob/main/LICENSE)",
        "[a](https://keras.io) [b](#here)": "[a](https://keras.io) [b](#here)",
        "`a[0](nothing)`": "`a[0](nothing)`",
        "```\na[0](nothing)\n```": "```\na[0](nothing)\n```",
    }.items():
        assert linked(given, source, tmp_path) == expected
    assert (
        linked("![a](../../eval/img/report.png)", source, tmp_path)
        == "![a](../eval/img/report.png)"
    )
    assert (tmp_path / "eval" / "img" / "report.png").exists()
