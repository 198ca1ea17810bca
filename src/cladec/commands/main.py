"""The command line: `cladec train`, `evaluate` (the two scripts as well), `explain`, ..."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Union

import tyro

from cladec.commands.console import BAD_INPUT, guarded, tell
from cladec.commands.settings import Comparison, Explanation, Listing, Metrics, ReportFile
from cladec.errors import InputError
from cladec.experiments.evaluation import Evaluation
from cladec.experiments.sweep import Sweep
from cladec.startup import own_version, start_keras
from cladec.storage.locks import locked
from cladec.storage.remote import Unreachable

COMMANDS: dict[str, type] = {
    "train": Sweep,
    "evaluate": Evaluation,
    "explain": Explanation,
    "compare": Comparison,
    "metrics": Metrics,
    "report": ReportFile,
    "layers": Listing,
}
"""The settings of every command by its name; `run` in the module of that name does it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The `cladec` command."""
    guarded(run, parse(arguments))


def parse(arguments: Sequence[str] | None = None) -> Any:
    """The settings of the `cladec` command that the arguments name."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) == ["--version"]:
        print(f"cladec {own_version()}")
        sys.exit()
    about = {name: str(kind.__doc__).partition("\n")[0] for name, kind in COMMANDS.items()}
    kinds = [
        Annotated[kind, tyro.conf.subcommand(name, description=about[name])]
        for name, kind in COMMANDS.items()
    ]
    return settings(
        Union[tuple(kinds)],  # noqa: UP007
        prog="cladec",
        description="What a layer of an image classifier keeps, shown as pictures. "
        "With --version alone it says which version it is.",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def create_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `create_models.py`, described by its docstring."""
    guarded(run, settings(Sweep, description=description, args=arguments))


def evaluate_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """The script `eval.py`, described by its docstring."""
    guarded(run, settings(Evaluation, description=description, args=arguments))


def settings(kind: Any, **options: Any) -> Any:
    """The settings on the command line; `options` are those of `tyro.cli`."""
    try:
        return tyro.cli(kind, **options)
    except Unreachable as error:
        tell(InputError(str(error)))
        sys.exit(BAD_INPUT)


def run(command: Any) -> None:
    """Do what a command is to do: its settings are checked before Keras is waited for."""
    (name,) = (name for name, kind in COMMANDS.items() if type(command) is kind)
    command.check()
    written = () if name in ("report", "layers") else (command.out,)
    read = (command.models,) if name == "evaluate" else ()
    with locked(*written, reading=read):
        start_keras()
        import_module(f"cladec.commands.{name}").run(command)
