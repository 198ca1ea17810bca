"""Parse and run the commands: `cladec train` and `evaluate` (also as scripts), `explain`, ..."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Union

import tyro

from cladec.commands.console import BAD_INPUT, guarded, tell
from cladec.commands.layer_settings import Auditing, ByDepth, Difference, Leaking
from cladec.commands.options import REGISTRY, usage_fitted
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
    "depth": ByDepth,
    "diff": Difference,
    "leak": Leaking,
    "audit": Auditing,
}
"""The settings of every command by its name; `run` in the module of that name runs it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the `cladec` command."""
    guarded(run, parse(arguments))


def parse(arguments: Sequence[str] | None = None) -> Any:
    """Return the settings of the `cladec` command that the arguments name."""
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
        description="What a layer of an image classifier keeps, shown as pictures.",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def create_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """Run the script `create_models.py`, which is described by its docstring."""
    guarded(run, settings(Sweep, description=description, args=arguments))


def evaluate_models(description: str | None, arguments: Sequence[str] | None = None) -> None:
    """Run the script `eval.py`, which is described by its docstring."""
    guarded(run, settings(Evaluation, description=description, args=arguments))


def settings(kind: Any, **options: Any) -> Any:
    """Read the settings from the command line; `options` are those of `tyro.cli`."""
    try:
        with REGISTRY, usage_fitted():
            return tyro.cli(kind, **options)
    except Unreachable as error:
        tell(InputError(str(error)))
        sys.exit(BAD_INPUT)


def run(command: Any) -> None:
    """Run a command; its settings are checked before Keras is imported, which takes seconds."""
    (name,) = (name for name, kind in COMMANDS.items() if type(command) is kind)
    command.check()
    if "keras" not in sys.modules:
        print(f"cladec {name}: starting Keras takes a few seconds", flush=True)
    written = () if name in ("report", "layers") else (command.out,)
    read = (command.models,) if name == "evaluate" else ()
    with locked(*written, reading=read):
        if name != "report":  # which leaves the work to other processes where it can
            start_keras()
        import_module(f"cladec.commands.{name}").run(command)
