"""How the fields of settings become options of the command line, with help that is easy to read.

By itself, tyro shows the type `str | None` as {None}|STR, and breaks the lines of a sentence where
the source does.
"""

import ast
import dataclasses
import inspect
import sys
import textwrap
import types
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

REGISTRY = ConstructorRegistry()
"""What `tyro.cli` is called within."""

WIDTH = 80
"""The columns of a terminal that the help fits into."""

WORDS = {str: "NAME", int: "NUMBER", float: "NUMBER", Path: "PATH"}
"""What stands for a value of each type."""


@REGISTRY.struct_rule
def settings_rule(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Return the options of a dataclass of settings; None for other types, such as tyro's own."""
    if not dataclasses.is_dataclass(info.type) or info.type.__module__.startswith("tyro."):
        return None
    types_of, about = get_type_hints(info.type, include_extras=True), descriptions(info.type)
    fields = []
    for field in dataclasses.fields(info.type):
        default = _default(field)
        kind = _shown(types_of[field.name], default)
        fields.append(StructFieldSpec(field.name, kind, default, about.get(field.name)))
    return StructConstructorSpec(instantiate=info.type, fields=tuple(fields))


@cache
def descriptions(kind: type) -> dict[str, str]:
    """Return the text below each field of a class and of those it is derived from, as one line."""
    found: dict[str, str] = {}
    for parent in (base for base in reversed(kind.__mro__) if dataclasses.is_dataclass(base)):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(parent))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    found[name] = " ".join(words.split())
    return found


class _Fitted:
    """A stream whose lines that begin with "usage:" are broken to fit into 80 columns."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write("\n".join(map(_fitted, text.split("\n"))))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def usage_fitted() -> Iterator[None]:
    """Fit the line that names all commands into 80 columns, which tyro does not."""
    with redirect_stdout(_Fitted(sys.stdout)):
        yield


def _fitted(line: str) -> str:
    if "usage:" not in line or len(line) <= WIDTH:
        return line
    return textwrap.fill(line.replace(",", ", "), WIDTH, subsequent_indent=" " * 8)


def _default(field: dataclasses.Field) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING_NONPROP


def _shown(kind: Any, default: Any) -> Any:
    """Annotate the type of a field with words for its values, and leave out an empty default."""
    changes: dict[str, Any] = {}
    if (word := _word(kind)) is not None:
        changes["metavar"] = word
    if default is None or default == ():
        changes["help_behavior_hint"] = ""
    return Annotated[kind, tyro.conf.arg(**changes)] if changes else kind


def _word(kind: Any) -> str | None:
    """Return what stands for the values of a type; None for those that tyro shows well."""
    inner = [part for part in get_args(kind) if part is not types.NoneType]
    origin = get_origin(kind)
    if origin in (Union, types.UnionType) and len(inner) == 1:
        return _word(inner[0])
    if origin is tuple and inner[1:] == [...]:
        return None if get_origin(inner[0]) is Literal else f"{_word(inner[0])} ..."
    if origin is tuple:
        return " ".join(str(_word(part)) for part in inner)
    return WORDS.get(kind)
