"""HTML pages from the templates of the package."""

import base64
import hashlib
import importlib.resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cladec.text import printable


def template(package: str, name: str) -> jinja2.Template:
    """Return the template `templates/<name>` of a package; all values are escaped in it."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: text(package, name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    """Escape unsafe characters of text for the page."""
    is_text = isinstance(value, str | Path) and not isinstance(value, Markup)
    return printable(str(value)) if is_text else value


def text(package: str, name: str) -> str:
    """Return the text of the file `templates/<name>` of a package."""
    return importlib.resources.files(package).joinpath("templates", name).read_text("utf-8")


def digest(script: str) -> str:
    """Return the digest by which a page's content security policy allows a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
